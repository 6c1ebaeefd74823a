#include "libcommon/utf8.h"
#include "tests/unit/support_test.h"

#define BAD UINT32_C(0xFFFFFFFF)

static void test_every_code_point(void **state)
{
	char s[4];
	uint32_t back;

	for (uint32_t cp = 0; cp <= 0x10FFFF; cp++) {
		size_t n = utf8_put(s, cp);

		assert_int_equal(utf8_next(s, n, &back), n);
		assert_int_equal(back, cp);
		if (n > 1) { /* cut short it is a bad byte */
			assert_int_equal(utf8_next(s, n - 1, &back), 1);
			assert_int_equal(back, BAD);
		}
	}
	assert_int_equal(utf8_put(s, 0x110000), 3);
	assert_memory_equal(s, "\xEF\xBF\xBD", 3);
}

static void test_bad(void **state)
{
	static const char *const BADS[] = {
	    "\x80",
	    "\xBF",
	    "\xC0\x80",
	    "\xC1\xBF",
	    "\xC2\x20",
	    "\xE0\x80\x80",
	    "\xE0\x9F\xBF",
	    "\xE2\x28\xA1",
	    "\xF0\x80\x80\x80",
	    "\xF0\x8F\xBF\xBF",
	    "\xF4\x90\x80\x80",
	    "\xF5\x80\x80\x80",
	    "\xFE",
	    "\xFF",
	};
	uint32_t cp;

	for (unsigned i = 0; i < N_OF(BADS); i++) {
		assert_int_equal(utf8_next(BADS[i], strlen(BADS[i]), &cp), 1);
		assert_int_equal(cp, BAD);
	}
}

static void test_surrogates(void **state)
{
	uint32_t cp;

	assert_int_equal(utf8_next("\xED\xB2\x80", 3, &cp), 3);
	assert_int_equal(cp, 0xDC80);
}

static void test_width(void **state)
{
	static const struct {
		uint32_t cp;
		int width;
	} ROWS[] = {
	    {'a', 1},    {0, 0},      {'\n', 0},   {0x7F, 0},    {0x9F, 0},   {0xA0, 1},   {0xAD, 1},     {0xE9, 1},
	    {0x301, 0},  {0x65E5, 2}, {0xAC00, 2}, {0x1F40D, 2}, {0xFF21, 2}, {0x200B, 0}, {0x20DD, 0},   {0x2026, 1},
	    {0x1160, 0}, {0x1100, 2}, {0xFE0F, 0}, {0xE0100, 0}, {0x3000, 2}, {0x303F, 1}, {0x10FFFF, 1}, {0x4DBF, 2},
	};

	for (unsigned i = 0; i < N_OF(ROWS); i++)
		assert_int_equal(utf8_width(ROWS[i].cp), ROWS[i].width);
	assert_int_equal(utf8_columns("a\xE6\x97\xA5\xFF"
	                              "e\xCC\x81",
	                              8),
	                 5);
	assert_int_equal(utf8_columns("", 0), 0);
}

static void test_unsafe(void **state)
{
	static const uint32_t UNSAFE[] = {0,      '\n',   0x1B,   0x1F,    0x7F,     0x80,     0x9B,
	                                  0x9F,   0x61C,  0x200E, 0x200F,  0x202A,   0x202E,   0x2066,
	                                  0x2069, 0x2028, 0x2029, 0xFEFF,  0xD800,   0xDFFF,   0xFDD0,
	                                  0xFDEF, 0xFFFE, 0xFFFF, 0x1FFFE, 0x10FFFF, 0x110000, BAD};
	static const uint32_t SAFE[] = {' ',    '~',    '<',    0xA0,   0xE9,   0x301,  0x200D,
	                                0x2010, 0x202F, 0x2065, 0xD7FF, 0xE000, 0xFFFD, 0x1F40D};

	for (unsigned i = 0; i < N_OF(UNSAFE); i++)
		assert_true(utf8_is_unsafe(UNSAFE[i]));
	for (unsigned i = 0; i < N_OF(SAFE); i++)
		assert_false(utf8_is_unsafe(SAFE[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_every_code_point), cmocka_unit_test(test_bad),
	    cmocka_unit_test(test_surrogates),       cmocka_unit_test(test_width),
	    cmocka_unit_test(test_unsafe),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
