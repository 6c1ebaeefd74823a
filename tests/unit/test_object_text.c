/* object_text: strings as each kind of version and build has them, at the very end of what can be read, torn, and
 * hostile. */
#include "pyspy-record/python/object.h"

#include "libcommon/err.h"
#include "libcommon/utf8.h"
#include "tests/unit/support_objects.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_test.h"

static struct support_memory m;
static struct support_objects o;
static struct buf text;

static uint64_t seed = 1;
static uint32_t draw(uint32_t below)
{
	return support_draw(&seed, below);
}

static void (*to_run)(void);
static void run(void)
{
	buf_init(&text, 0);
	to_run();
	buf_done(&text);
}
static void in_all(void (*test)(void))
{
	to_run = test;
	support_objects_in_all(&o, &m, run);
}

static int read_string(raddr_t str)
{
	buf_reset(&text);
	return object_string(&m.reader, o.l, str, &text, NULL);
}

static void assert_string(raddr_t str, const void *want, size_t n)
{
	assert_int_equal(read_string(str), 0);
	assert_int_equal(text.len, n);
	if (n)
		assert_memory_equal(text.data, want, n);
}
#define STRING(str, literal) assert_string(str, literal, sizeof(literal) - 1)

static void strings(void)
{
	static const uint8_t latin[] = {'d', 0xe9, 'j', 0xe0, 0xff, 0x80};
	static const uint16_t narrow[] = {'x', 0x3b1, 0xd83d, 0xffff, 0xdc00};
	static const uint32_t wide[] = {0x1f600, 'y', 0x10ffff, 0xd800, 0x110000, 0xffffffff};
	STRING(support_objects_ascii(&o, ""), "");
	STRING(support_objects_ascii(&o, "a"), "a");
	STRING(support_objects_ascii(&o, "<module>"), "<module>");
	STRING(support_objects_str(&o, 1, true, "a\0b", 3), "a\0b");
	STRING(support_objects_str(&o, 1, false, latin, N_OF(latin)), "d\xc3\xa9j\xc3\xa0\xc3\xbf\xc2\x80");
	/* lone surrogates stay, as generalised UTF-8 */
	STRING(support_objects_str(&o, 2, false, narrow, N_OF(narrow)),
	       "x\xce\xb1\xed\xa0\xbd\xef\xbf\xbf\xed\xb0\x80");
	STRING(support_objects_str(&o, 4, false, wide, N_OF(wide) - 2),
	       "\xf0\x9f\x98\x80y\xf4\x8f\xbf\xbf\xed\xa0\x80");
	if (!o.l->is_python2) /* where that tells that it has not 4 bytes a character */
		STRING(support_objects_str(&o, 4, false, wide, N_OF(wide)),
		       "\xf0\x9f\x98\x80y\xf4\x8f\xbf\xbf\xed\xa0\x80\xef\xbf\xbd\xef\xbf\xbd");
	STRING(support_objects_legacy(&o, 1, true, "legacy", 6, NULL), "legacy");
	STRING(support_objects_legacy(&o, 1, false, latin, N_OF(latin), NULL), "d\xc3\xa9j\xc3\xa0\xc3\xbf\xc2\x80");
	STRING(support_objects_legacy(&o, 2, false, narrow, 2, NULL), "x\xce\xb1");
	STRING(support_objects_legacy(&o, 4, false, wide, 1, NULL), "\xf0\x9f\x98\x80");
	STRING(support_objects_legacy(&o, 1, true, "", 0, NULL), "");
	/* appended to what is there */
	buf_reset(&text);
	buf_str(&text, "at ");
	assert_int_equal(object_string(&m.reader, o.l, support_objects_ascii(&o, "home"), &text, NULL), 0);
	assert_string_equal(buf_cstr(&text), "at home");
}
static void test_strings(void **state)
{
	in_all(strings);
}

/* 3.3 to 3.11: with nothing but a wchar_t text. */
static void wide_strings(void)
{
	static const uint32_t wide[] = {0x1f600, 'y', 0x10ffff, 0xd800, 0x110000};
	if (o.l->is_python2)
		return;
	raddr_t s = support_objects_wstr(&o, wide, N_OF(wide));
	if (layout_minor(o.l) >= 0x30c) {
		assert_int_equal(read_string(s), ERR_TORN);
		return;
	}
	STRING(s, "\xf0\x9f\x98\x80y\xf4\x8f\xbf\xbf\xed\xa0\x80\xef\xbf\xbd");
	STRING(support_objects_wstr(&o, wide, 0), "");
	support_memory_u64(&m, s + o.l->unicode.compact_size - 8, (1ull << 32) + 1);
	assert_int_equal(read_string(s), ERR_TORN);
	support_memory_u64(&m, s + o.l->unicode.compact_size - 8, 5000);
	assert_int_equal(read_string(s), ERR_MEMORY_READ);
	support_memory_u64(&m, s + o.l->unicode.compact_size - 8, 1);
	STRING(s, "\xf0\x9f\x98\x80");
	support_memory_u64(&m, s + o.l->unicode.state + 8, 0);
	assert_int_equal(read_string(s), ERR_MEMORY_READ);
}
static void test_wide_strings(void **state)
{
	in_all(wide_strings);
}

/* 2.x: bytes of whatever encoding, as Python 3's os.fsdecode would have them. */
static void byte_strings(void)
{
	static const struct {
		const char *bytes, *want;
	} cases[] = {
	    {"caf\xc3\xa9", "caf\xc3\xa9"},
	    {"caf\xe9", "caf\xed\xb3\xa9"}, /* U+DCE9 */
	    {"\x80\xff", "\xed\xb2\x80\xed\xb3\xbf"},
	    {"\xc0\xaf", "\xed\xb3\x80\xed\xb2\xaf"},                   /* overlong */
	    {"\xed\xa0\x80!", "\xed\xb3\xad\xed\xb2\xa0\xed\xb2\x80!"}, /* a surrogate in UTF-8 */
	    {"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
	    {"\xf0\x9f\x98", "\xed\xb3\xb0\xed\xb2\x9f\xed\xb2\x98"},
	    {"\xf4\x90\x80\x80", "\xed\xb3\xb4\xed\xb2\x90\xed\xb2\x80\xed\xb2\x80"}, /* above U+10FFFF */
	};
	if (!o.l->is_python2)
		return;
	for (size_t i = 0; i < N_OF(cases); i++)
		assert_string(support_objects_ascii(&o, cases[i].bytes), cases[i].want, strlen(cases[i].want));
	/* cut in the midst of a character: without the part of it */
	static char data[OBJECT_STRING_MAX + 8], want[OBJECT_STRING_MAX + 8];
	for (size_t back = 0; back < 6; back++) {
		memset(data, 'x', sizeof data);
		memcpy(data + OBJECT_STRING_MAX - back, "\xf0\x9f\x98\x80", 4);
		size_t n = back >= 4 ? OBJECT_STRING_MAX : OBJECT_STRING_MAX - back;
		memcpy(want, data, n);
		memcpy(want + n, "\xe2\x80\xa6", 3);
		assert_string(support_objects_bytes(&o, data, sizeof data), want, n + 3);
	}
	memset(data, 0x80, sizeof data); /* no end of continuation bytes */
	assert_int_equal(read_string(support_objects_bytes(&o, data, sizeof data)), 0);
	assert_int_equal(text.len, 3 * OBJECT_STRING_MAX + 3);
}
static void test_byte_strings(void **state)
{
	in_all(byte_strings);
}

/* 2.x: unicode of either build. */
static void unicode_builds(void)
{
	static const char *const plain[] = {"", "a", "ab", "abc", "abcd", "\t", "threading"};
	static const uint32_t wide[] = {'x', 0x1f600, 0x3b1, 0xdead, 0x10ffff, 'y', 'z'};
	static const uint16_t narrow[] = {'x', 0xd83d, 0xde00, 0x3b1, 0xdead, 0xdbff, 0xdfff, 'y', 'z'};
	static const char want[] = "x\xf0\x9f\x98\x80\xce\xb1\xed\xba\xad\xf4\x8f\xbf\xbfyz";
	uint16_t two[16];
	uint32_t four[16];
	if (!o.l->is_python2)
		return;
	for (size_t i = 0; i < N_OF(plain); i++) {
		size_t n = strlen(plain[i]);
		for (size_t k = 0; k < n; k++)
			two[k] = (uint16_t)(four[k] = (uint32_t)plain[i][k]);
		assert_string(support_objects_unicode(&o, 2, two, n, NULL), plain[i], n);
		assert_string(support_objects_unicode(&o, 4, four, n, NULL), plain[i], n);
	}
	raddr_t data, s;
	STRING(support_objects_unicode(&o, 4, wide, N_OF(wide), NULL), want);
	STRING(support_objects_unicode(&o, 2, narrow, N_OF(narrow), NULL), want);
	STRING(support_objects_unicode(&o, 2, narrow, 2, NULL), "x\xed\xa0\xbd"); /* half of a pair */
	for (uint32_t cp = 1; cp < 0x10ffff; cp += cp < 300 ? 1 : 997) { /* one alone, with what lies behind it */
		char bytes[4];
		s = support_objects_unicode(&o, 4, &cp, 1, &data);
		assert_string(s, bytes, utf8_put(bytes, cp));
		support_memory_unmap(&m, data);
		support_memory_unmap(&m, s);
	}
	/* neither */
	int rc;
	static const uint32_t wild[] = {0x110000, 0x20202020, 0x20202020};
	s = support_objects_unicode(&o, 4, wild, 3, &data);
	assert_int_equal(read_string(s), ERR_TORN);
	static const raddr_t anywhere[] = {0, 8, UINT64_MAX, UINT64_MAX - 3, 1ull << 63};
	for (size_t i = 0; i < N_OF(anywhere); i++) {
		support_memory_u64(&m, s + o.l->unicode.data, anywhere[i]);
		assert_int_equal(read_string(s), ERR_MEMORY_READ);
	}
	support_memory_u64(&m, s + o.l->unicode.data, data);
	support_objects_size(&o, s + o.l->unicode.length, UINT64_MAX);
	assert_int_equal(read_string(s), ERR_TORN);
	support_objects_size(&o, s + o.l->unicode.length, 1 << 20);
	assert_int_equal(read_string(s), ERR_MEMORY_READ);
	/* what is no string at all */
	rc = read_string(support_objects_small(&o, 5));
	assert_true(rc == ERR_TORN || (rc == ERR_MEMORY_READ && !o.pages));
}
static void test_unicode_builds(void **state)
{
	in_all(unicode_builds);
}

/* What is a string, by its type. */
static void is_text(void)
{
	uint32_t digit = 7;
	bool has_flags = layout_minor(o.l) >= 0x206;
	raddr_t s = support_objects_ascii(&o, "x");
	assert_int_equal(object_is_text(&m.reader, o.l, s), 1);
	assert_int_equal(object_is_text(&m.reader, o.l, support_objects_str(&o, 2, false, "ab", 1)), 1);
	assert_int_equal(object_is_text(&m.reader, o.l, support_objects_int(&o, false, &digit, 1)), 0);
	assert_int_equal(object_is_text(&m.reader, o.l, support_objects_bytes(&o, "x", 1)), o.l->is_python2);
	assert_int_equal(object_is_text(&m.reader, o.l, 7), ERR_TORN);
	assert_int_equal(object_is_text(&m.reader, o.l, 0x12340), ERR_MEMORY_READ);
	/* derived types: read as what they are */
	support_memory_u64(
	    &m, s + o.l->object.type,
	    support_objects_type(&o, "Name", o.l->is_python2 ? SUPPORT_OBJECTS_STR2 : SUPPORT_OBJECTS_UNICODE, 0));
	assert_int_equal(object_is_text(&m.reader, o.l, s), has_flags);
	if (has_flags)
		STRING(s, "x");
	s = support_objects_str(&o, 2, false, "\xb1\x03", 1);
	support_memory_u64(&m, s + o.l->object.type, support_objects_type(&o, "Wide", SUPPORT_OBJECTS_UNICODE, 0));
	assert_int_equal(object_is_text(&m.reader, o.l, s), has_flags);
	if (has_flags)
		STRING(s, "\xce\xb1");
	support_memory_u64(&m, s + o.l->object.type, 12);
	assert_int_equal(object_is_text(&m.reader, o.l, s), ERR_TORN);
}
static void test_is_text(void **state)
{
	in_all(is_text);
}

/* All lengths around the sizes of the pieces that are read, each kind. */
static void lengths(void)
{
	static const size_t sizes[] = {7,    8,    9,    15,   16,   17,    23,    24,    25,    100,   430,   440,
	                               464,  471,  472,  473,  480,  511,   512,   1023,  1024,  1025,  4095,  4096,
	                               4097, 8191, 8192, 8193, 9000, 65534, 65535, 65536, 65537, 70000, 200000};
	static uint32_t cps[200000];
	static unsigned char data[4 * 200000];
	struct buf want;
	buf_init(&want, 0);
	for (size_t s = 0; s < N_OF(sizes); s++) {
		for (unsigned kind = 1; kind <= 4; kind *= 2) {
			size_t n = sizes[s], kept = n < OBJECT_STRING_MAX ? n : OBJECT_STRING_MAX;
			bool ascii = kind == 1 && s % 2;
			buf_reset(&want);
			for (size_t i = 0; i < n; i++) {
				cps[i] = ascii       ? draw(128)
				         : kind == 1 ? draw(256)
				         : kind == 2 ? draw(65536)
				                     : draw(0x110000);
				memcpy(data + i * kind, &cps[i], kind);
			}
			for (size_t i = 0; i < kept; i++) {
				char bytes[4];
				buf_put(&want, bytes, utf8_put(bytes, cps[i]));
			}
			if (kept < n)
				buf_str(&want, "\xe2\x80\xa6"); /* cut, and marked */
			assert_string(support_objects_str(&o, kind, ascii, data, n), want.data, want.len);
			assert_string(support_objects_legacy(&o, kind, ascii, data, n, NULL), want.data, want.len);
		}
	}
	buf_done(&want);
}
static void test_string_lengths(void **state)
{
	in_all(lengths);
}

static void torn_strings(void)
{
	if (o.l->is_python2)
		return;
	raddr_t s = support_objects_ascii(&o, "name"), data;
	const struct layout *l = o.l;
	/* not an object's address */
	static const raddr_t no_object[] = {0, 8, 4088, 1ull << 47, UINT64_MAX, UINT64_MAX - 7, 0x7f0000000001};
	for (size_t i = 0; i < N_OF(no_object); i++)
		assert_int_equal(read_string(no_object[i]), ERR_TORN);
	assert_int_equal(read_string(0x123450), ERR_MEMORY_READ);
	/* a length that lies: nothing, or what is behind it; never more than OBJECT_STRING_MAX */
	static const uint64_t lies[] = {5,          6,         500, 5000, 65536, 1 << 20, 1ull << 32, (1ull << 32) + 1,
	                                1ull << 62, UINT64_MAX};
	for (size_t i = 0; i < N_OF(lies); i++) {
		support_memory_u64(&m, s + l->unicode.length, lies[i]);
		int rc = read_string(s);
		if (lies[i] > 1ull << 32)
			assert_int_equal(rc, ERR_TORN);
		else if (lies[i] > 5000)
			assert_int_equal(rc, ERR_MEMORY_READ);
		assert_true(text.len <= OBJECT_STRING_MAX * 4 + 3);
	}
	support_memory_u64(&m, s + l->unicode.length, 4);
	STRING(s, "name");
	/* kinds that there are not */
	for (uint32_t kind = 0; kind < 8; kind++) {
		support_memory_u32(&m, s + l->unicode.state,
		                   kind << l->unicode.kind_shift | l->unicode.compact | l->unicode.ascii);
		if (kind != 1 && kind != 2 && kind != 4)
			assert_int_equal(read_string(s), ERR_TORN);
	}
	/* a text that lies anywhere */
	s = support_objects_legacy(&o, 1, true, "legacy", 6, &data);
	static const raddr_t anywhere[] = {
	    0, 1, 8, UINT64_MAX, UINT64_MAX - 3, UINT64_MAX - 5, UINT64_MAX - 511, 1ull << 63};
	for (size_t i = 0; i < N_OF(anywhere); i++) {
		support_memory_u64(&m, s + l->unicode.data, anywhere[i]);
		assert_int_equal(read_string(s), ERR_MEMORY_READ);
	}
	support_memory_u64(&m, s + l->unicode.data, data + 2);
	assert_int_equal(read_string(s), o.pages ? 0 : ERR_MEMORY_READ); /* 4 bytes, the NUL, and one more */
	support_memory_unmap(&m, data);
	support_memory_u64(&m, s + l->unicode.data, data);
	assert_int_equal(read_string(s), ERR_MEMORY_READ);
	/* a text inside of the object's own head, and one that ends behind what was read of it */
	support_memory_u64(&m, s + l->unicode.data, s);
	assert_int_equal(read_string(s), 0);
	assert_int_equal(text.len >= 6, 1);
	support_memory_u64(&m, s + l->unicode.length, 2000);
	assert_int_equal(read_string(s), o.pages ? 0 : ERR_MEMORY_READ);
	m.error = 3; /* ESRCH */
	assert_int_equal(read_string(s), ERR_GONE);
	m.error = 0;
}
static void test_torn_strings(void **state)
{
	in_all(torn_strings);
}

static void torn_byte_strings(void)
{
	static const uint64_t lies[] = {5, 500, 5000, 1 << 20, UINT32_MAX, UINT64_MAX};
	if (!o.l->is_python2)
		return;
	raddr_t s = support_objects_ascii(&o, "name");
	for (size_t i = 0; i < N_OF(lies); i++) {
		support_objects_size(&o, s + o.l->bytes.ob_size, lies[i]);
		int rc = read_string(s);
		assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ || rc == 0);
		if (lies[i] >= UINT32_MAX && !(lies[i] == UINT32_MAX && o.l->object.wide_sizes))
			assert_int_equal(rc, ERR_TORN);
		else if (lies[i] > 5000)
			assert_int_equal(rc, ERR_MEMORY_READ);
	}
	support_objects_size(&o, s + o.l->bytes.ob_size, 4);
	STRING(s, "name");
	support_memory_u64(&m, s + o.l->object.type, 0);
	assert_int_equal(read_string(s), ERR_TORN);
	assert_int_equal(read_string(0x123450), ERR_MEMORY_READ);
	m.error = 3; /* ESRCH */
	assert_int_equal(read_string(s), ERR_GONE);
	m.error = 0;
}
static void test_torn_byte_strings(void **state)
{
	in_all(torn_byte_strings);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_strings),      cmocka_unit_test(test_wide_strings),
	    cmocka_unit_test(test_byte_strings), cmocka_unit_test(test_unicode_builds),
	    cmocka_unit_test(test_is_text),      cmocka_unit_test(test_string_lengths),
	    cmocka_unit_test(test_torn_strings), cmocka_unit_test(test_torn_byte_strings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
