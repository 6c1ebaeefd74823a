/* interpreter_version: the text of Py_GetVersion in all its forms, and what only looks like it; finding it in memory.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "pyspy-record/python/interpreter_parts.h"
#include "tests/unit/support_memory.h"

static const struct {
	const char *text, *version;
	uint32_t hex;
} forms[] = {
    {"2.3.7 (#1, Nov  1 2026, 10:00:00) \n[GCC 12.2.0]", "2.3.7", 0x020307f0},
    {"2.5 (r25:51908, Sep 19 2006, 09:52:17) \n[GCC 4.1]", "2.5", 0x020500f0},
    {"2.5c1 (r25c1:51305, Aug 17 2006, 10:41:11) \n[GCC 4.1]", "2.5c1", 0x020500c1},
    {"2.7rc2 (r27rc2:82154, Jun 22 2010) \n[GCC 4.4]", "2.7rc2", 0x020700c2},
    {"2.7.18 (default, Apr 20 2020, 20:30:41) \n[GCC 9.3.0]", "2.7.18", 0x020712f0},
    {"2.7.18 |Anaconda, Inc.| (default, Apr 23 2020, 22:42:48) \n[GCC 7.3.0]", "2.7.18", 0x020712f0},
    {"2.7.6+ (default, Feb 1 2014) \n[GCC 4.8]", "2.7.6+", 0x020706f0},
    {"3.3.0b2+ (default:abcdef, Aug 1 2012) \n[GCC 4.7]", "3.3.0b2+", 0x030300b2},
    {"3.6.15 (default, Sep 10 2022, 00:31:51) \n[GCC 12.1]", "3.6.15", 0x03060ff0},
    {"3.7.3 | packaged by conda-forge | (default, Jul  1 2019, 21:52:21) \n[GCC 7.3.0]", "3.7.3", 0x030703f0},
    {"3.8.18 (heads/3.8-dirty:f0f0f0f, Jan  1 2024, 00:00:00) \n[Clang 14 (Debian)]", "3.8.18", 0x030812f0},
    {"3.9.0rc1 (default, Aug 11 2020) \n[GCC 10]", "3.9.0rc1", 0x030900c1},
    {"3.10.13 (main, Aug 25 2023, 13:20:03) [GCC 12.2.0]", "3.10.13", 0x030a0df0},
    {"3.12.0+ (tags/v3.12.0-dirty:0fb18b0, Oct  2 2023) [GCC 13]", "3.12.0+", 0x030c00f0},
    {"3.13.0 experimental free-threading build (main, Oct  7 2024) [GCC 13.2.0]", "3.13.0", 0x030d00f0},
    {"3.14.2 free-threading build (main, Dec  5 2025, 16:49:16) [GCC 14.2.0]", "3.14.2", 0x030e02f0},
    {"3.15.0a7 (main, Apr  1 2026) [GCC 15]", "3.15.0a7", 0x030f00a7},
    {"3.15.0rc2 (main, Sep  1 2026) [GCC 15]", "3.15.0rc2", 0x030f00c2},
    {"3.6.8-vendor.1 (default, Jan  1 2019) \n[GCC 8]", "3.6.8-vendor.1", 0x030608f0},
};

static const char *const others[] = {
    "3.8.18",
    "3.8.18 ",
    "3.8.18 (default, Aug 25 2023)",                    /* no compiler */
    "3.8.18 [GCC 12.2.0] (default, Aug 25 2023)",       /* the wrong way round */
    "3.8.18, (default, Aug 25 2023) [GCC 12]",          /* */
    "4.0.0 (main, Aug 25 2023, 13:20:03) [GCC 12.2.0]", /* not yet */
    "1.5.2 (#0, Apr 13 1999, 10:51:12) [MSC 32 bit (Intel)]",
    "3.8.18.1.2.3.4.5.6.7.8.9.10.11 (main, Aug) [GCC 12]",
    "3.8.1234 (main, Aug 25 2023) [GCC 12.2.0]",
    "3.999.1 (main, Aug 25 2023) [GCC 12.2.0]",
    "3.8.18zz1 (main, Aug 25 2023) [GCC 12.2.0]",
    "3.8.18rc (main, Aug 25 2023) [GCC 12.2.0]",
    "3.8.18\t(main, Aug 25 2023) [GCC 12.2.0]",
    "3.8.18 \x01(main, Aug 25 2023) [GCC 12.2.0]",
    "3.8.18 (@main, Aug 25 2023) [GCC 12.2.0]", /* @: NUL */
    "3. (main, Aug 25 2023) [GCC 12.2.0]",
};

static void test_forms(void **state)
{
	(void)state;
	char text[256], out[INTERPRETER_VERSION_TEXT];
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		memset(text, 0, sizeof text);
		strcpy(text, forms[i].text);
		if (!version_parse(text, sizeof text, out))
			fail_msg("not recognised: %s", forms[i].text);
		assert_string_equal(out, forms[i].version);
		assert_int_equal(version_hex(out), forms[i].hex);
		/* and nothing is read behind what there is */
		for (size_t n = 0; n < strlen(text); n++) {
			char cut[256];
			memset(cut, 'x', sizeof cut);
			memcpy(cut, text, n);
			char *exact = test_malloc(n ? n : 1);
			memcpy(exact, text, n);
			version_parse(exact, n, out);
			test_free(exact);
		}
	}
	for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
		memset(text, 0, sizeof text);
		memcpy(text, others[i], strlen(others[i]));
		char *hole = strchr(text, '@');
		if (hole)
			*hole = '\0';
		if (version_parse(text, sizeof text, out))
			fail_msg("taken for a version: %s", others[i]);
	}
}

static void test_hex(void **state)
{
	(void)state;
	static const uint32_t known[] = {0x020712f0, 0x030d00f0, 0x030e00c2, 0x030f00a7, 0x030c00b4, 0x030900c1};
	static const char *const texts[] = {"2.7.18", "3.13.0", "3.14.0rc2", "3.15.0a7", "3.12.0b4", "3.9.0rc1"};
	static const char *const bad[] = {"",
	                                  "3",
	                                  "3.",
	                                  "x.1",
	                                  "3.x",
	                                  "30.1.1",
	                                  "3.1.256",
	                                  "3.64.1",
	                                  "3.8.1r1",
	                                  "3.8.1d1",
	                                  "3.8.1rc99999999999",
	                                  "99999999999999999999.1",
	                                  "3.8.1 ",
	                                  "-3.8",
	                                  "2"};
	char text[INTERPRETER_VERSION_TEXT];
	for (size_t i = 0; i < sizeof known / sizeof *known; i++) {
		version_text(known[i], text);
		assert_string_equal(text, texts[i]);
		assert_int_equal(version_hex(text), known[i]);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(version_hex(bad[i]), 0);
}

/* Wherever it lies: at the ends of a segment, across the pieces that are read, beside pages that cannot be read. */
static void test_scan(void **state)
{
	(void)state;
	static const char text[250] = "3.8.18 (default, Aug 25 2023, 13:20:03) \n[GCC 12.2.0]";
	enum { SIZE = 3 * SEGMENT_PIECE };
	static const size_t places[] = {0,
	                                8,
	                                SEGMENT_PIECE - 700,
	                                SEGMENT_PIECE - 511,
	                                SEGMENT_PIECE - 60,
	                                SEGMENT_PIECE - 1,
	                                SEGMENT_PIECE,
	                                2 * SEGMENT_PIECE - 100,
	                                SIZE - 250};
	struct mapped_object f = {.bias = 0x7f0000000000};
	f.elf.n_data = 1;
	f.elf.data_vaddr[0] = 0x10008;
	f.elf.data_size[0] = SIZE;
	for (size_t i = 0; i < sizeof places / sizeof *places; i++) {
		struct support_memory m;
		char out[INTERPRETER_VERSION_TEXT] = "";
		support_memory_init(&m);
		support_memory_map(&m, 0x7f0000010008, SIZE);
		assert_false(version_scan(&m.reader, &f, UINT64_MAX - 1, out));
		support_memory_put(&m, 0x7f0000010008 + places[i], text, sizeof text);
		if (!version_scan(&m.reader, &f, UINT64_MAX - 1, out))
			fail_msg("not found at %zu", places[i]);
		assert_string_equal(out, "3.8.18");
		/* behind the bytes that it is worth */
		if (places[i] >= SEGMENT_PIECE)
			assert_false(version_scan(&m.reader, &f, SEGMENT_PIECE, out));
		else if (places[i] + 64 < SEGMENT_PIECE)
			assert_true(version_scan(&m.reader, &f, SEGMENT_PIECE, out));
		support_memory_done(&m);
	}
	struct support_memory m;
	char out[INTERPRETER_VERSION_TEXT];
	support_memory_init(&m);
	support_memory_map(&m, 0x7f0000020000, 4096); /* one page of it all */
	support_memory_put(&m, 0x7f0000020100, text, sizeof text);
	assert_true(version_scan(&m.reader, &f, UINT64_MAX - 1, out));
	/* the end of another number */
	support_memory_put(&m, 0x7f00000200ff, "1", 1);
	assert_false(version_scan(&m.reader, &f, UINT64_MAX - 1, out));
	support_memory_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_forms),
	    cmocka_unit_test(test_hex),
	    cmocka_unit_test(test_scan),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
