/* object: strings, bytes, dicts, lists, ints and attributes as 3.11, 3.12 and 3.13 lay them out, at the very end of
 * what can be read, torn, and hostile. */
#include "pyspy-record/python/object.h"

#include "libcommon/err.h"
#include "libcommon/utf8.h"
#include "tests/unit/support_objects.h"
#include "tests/unit/support_test.h"

static const uint32_t versions[] = {SUPPORT_OBJECTS_3_11, SUPPORT_OBJECTS_3_12, SUPPORT_OBJECTS_3_13};
static struct support_memory m;
static struct support_objects o;
static struct buf text;

static uint64_t seed = 1;
static uint32_t draw(uint32_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33) % below;
}

/* In each version, with and without something readable behind the objects. */
static void in_all(void (*test)(void))
{
	for (size_t i = 0; i < N_OF(versions); i++) {
		for (int pages = 0; pages < 2; pages++) {
			support_memory_init(&m);
			support_objects_init(&o, &m, versions[i]);
			o.pages = pages;
			buf_init(&text, 0);
			test();
			buf_done(&text);
			support_memory_done(&m);
		}
	}
}

static int read_string(raddr_t str)
{
	buf_reset(&text);
	return object_string(&m.reader, o.l, str, &text);
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
	assert_int_equal(object_string(&m.reader, o.l, support_objects_ascii(&o, "home"), &text), 0);
	assert_string_equal(buf_cstr(&text), "at home");
}
static void test_strings(void **state)
{
	in_all(strings);
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
		support_memory_u32(&m, s + l->unicode.state, kind << 2 | 1 << 5 | 1 << 6);
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

static void bytes(void)
{
	static const char data[] = "line\0table";
	raddr_t b = support_objects_bytes(&o, data, 10), empty = support_objects_bytes(&o, "", 0);
	buf_reset(&text);
	assert_int_equal(object_bytes(&m.reader, o.l, empty, 0, &text), 0);
	assert_int_equal(text.len, 0);
	assert_int_equal(object_bytes(&m.reader, o.l, b, 9, &text), ERR_TORN);
	assert_int_equal(object_bytes(&m.reader, o.l, b, 10, &text), 0);
	assert_int_equal(text.len, 10);
	assert_memory_equal(text.data, data, 10);
	assert_int_equal(object_bytes(&m.reader, o.l, empty, 10, &text), 0);
	support_memory_u64(&m, b + o.l->bytes.ob_size, 8000);
	assert_int_equal(object_bytes(&m.reader, o.l, b, 10000, &text), ERR_MEMORY_READ);
	assert_int_equal(text.len, 10); /* nothing of it */
	support_memory_u64(&m, b + o.l->bytes.ob_size, UINT64_MAX);
	assert_int_equal(object_bytes(&m.reader, o.l, b, 10000, &text), ERR_TORN);
	assert_int_equal(object_bytes(&m.reader, o.l, b + 1, 10, &text), ERR_TORN);
}
static void test_bytes(void **state)
{
	in_all(bytes);
}

static void types(void)
{
	raddr_t s = support_objects_ascii(&o, "x");
	assert_int_equal(object_type_is(&m.reader, o.l, s, "str"), 1);
	assert_int_equal(object_type_is(&m.reader, o.l, s, "st"), 0);
	assert_int_equal(object_type_is(&m.reader, o.l, s, "int"), 0);
	assert_int_equal(object_type_is(&m.reader, o.l, s, "a name longer than any that is asked for"), ERR_TORN);
	support_memory_u64(&m, s + 8, 12);
	assert_int_equal(object_type_is(&m.reader, o.l, s, "str"), ERR_TORN);
	support_memory_u64(&m, s + 8, 0x12340);
	assert_int_equal(object_type_is(&m.reader, o.l, s, "str"), ERR_MEMORY_READ);
	assert_int_equal(object_type_is(&m.reader, o.l, 0, "str"), ERR_TORN);
}
static void test_types(void **state)
{
	in_all(types);
}

/* --- dicts */

struct seen {
	struct support_objects_entry e[2000];
	size_t n, stop_after;
	int error;
};
static int see(void *ctx, raddr_t key, raddr_t value)
{
	struct seen *s = ctx;
	assert_true(s->n < N_OF(s->e));
	s->e[s->n++] = (struct support_objects_entry){key, value};
	return s->n == s->stop_after ? 1 : s->error;
}

static void walk_and_compare(raddr_t dict, const struct support_objects_entry *e, size_t n)
{
	static struct seen s;
	s = (struct seen){.n = 0};
	assert_int_equal(object_dict(&m.reader, o.l, dict, see, &s), 0);
	size_t k = 0;
	for (size_t i = 0; i < n; i++) {
		if (!e[i].value)
			continue;
		assert_true(k < s.n);
		assert_true(s.e[k].key == e[i].key && s.e[k].value == e[i].value);
		k++;
	}
	assert_int_equal(k, s.n);
	if (k < 3)
		return;
	s = (struct seen){.stop_after = 2};
	assert_int_equal(object_dict(&m.reader, o.l, dict, see, &s), 1);
	assert_int_equal(s.n, 2);
	s = (struct seen){.error = ERR_NO_MEMORY};
	assert_int_equal(object_dict(&m.reader, o.l, dict, see, &s), ERR_NO_MEMORY);
	assert_int_equal(s.n, 1);
}

static void dicts(void)
{
	static const size_t sizes[] = {0, 1, 3, 63, 64, 65, 128, 129, 400};
	static struct support_objects_entry e[400];
	raddr_t value = support_objects_ascii(&o, "value"), got;
	for (size_t i = 0; i < N_OF(e); i++) {
		char name[32];
		snprintf(name, sizeof name, "key %zu", i);
		e[i].key = support_objects_ascii(&o, name);
	}
	for (size_t s = 0; s < N_OF(sizes); s++) {
		size_t n = sizes[s];
		for (int deleted = 0; deleted < 3; deleted++) {
			for (size_t i = 0; i < n; i++)
				e[i].value = deleted && draw(3) < (unsigned)deleted ? 0 : value + 16 * i;
			raddr_t d[] = {support_objects_dict(&o, true, e, n), support_objects_dict(&o, false, e, n),
			               support_objects_split_dict(&o, e, n)};
			for (size_t k = 0; k < N_OF(d); k++) {
				walk_and_compare(d[k], e, n);
				for (size_t i = 0; i < n; i += 1 + draw(40)) {
					char name[32];
					snprintf(name, sizeof name, "key %zu", i);
					int rc = object_dict_get(&m.reader, o.l, d[k], name, &got);
					assert_int_equal(rc, e[i].value ? 0 : ERR_AGAIN);
					if (rc == 0)
						assert_true(got == e[i].value);
				}
				assert_int_equal(object_dict_get(&m.reader, o.l, d[k], "key", &got), ERR_AGAIN);
				assert_int_equal(object_dict_get(&m.reader, o.l, d[k], "key 5000", &got), ERR_AGAIN);
			}
		}
	}
}
static void test_dicts(void **state)
{
	in_all(dicts);
}

/* Keys that are no ASCII strings, or cannot be read, are passed over. */
static void odd_keys(void)
{
	uint32_t one = 1;
	static const uint8_t latin[] = {'n', 0xe9};
	char name[80];
	memset(name, 'k', sizeof name);
	name[64] = 0;
	raddr_t v = support_objects_ascii(&o, "v"), got;
	struct support_objects_entry e[] = {
	    {support_objects_int(&o, false, &one, 1), v},
	    {support_objects_str(&o, 1, false, latin, 2), v},
	    {support_objects_legacy(&o, 1, true, "name", 4, NULL), v},
	    {support_objects_bytes(&o, "name", 4), v},
	    {support_objects_ascii(&o, "nam"), v},
	    {support_objects_ascii(&o, "named"), v},
	    {0x11110, v}, /* nothing there */
	    {support_objects_ascii(&o, "other"), 4},
	    {support_objects_ascii(&o, "name"), v + 16},
	    {support_objects_ascii(&o, name), v + 32},
	};
	for (int general = 0; general < 2; general++) {
		raddr_t d = support_objects_dict(&o, general, e, N_OF(e));
		assert_int_equal(object_dict_get(&m.reader, o.l, d, "name", &got), 0);
		assert_true(got == v + 16);
		assert_int_equal(object_dict_get(&m.reader, o.l, d, name, &got), 0);
		assert_true(got == v + 32);
		assert_int_equal(object_dict_get(&m.reader, o.l, d, "other", &got), ERR_AGAIN);
		name[64] = 'k'; /* longer than any that is looked for */
		name[65] = 0;
		assert_int_equal(object_dict_get(&m.reader, o.l, d, name, &got), ERR_AGAIN);
		name[64] = 0;
	}
}
static void test_odd_keys(void **state)
{
	in_all(odd_keys);
}

static void torn_dicts(void)
{
	raddr_t v = support_objects_ascii(&o, "v"), got;
	struct support_objects_entry e[] = {{support_objects_ascii(&o, "a"), v}, {support_objects_ascii(&o, "b"), v}};
	raddr_t keys = support_objects_keys(&o, false, false, e, 2), d = support_objects_dict(&o, false, e, 2);
	static struct seen s;
	support_memory_u64(&m, d + o.l->dict.keys, keys);
	assert_int_equal(object_dict_get(&m.reader, o.l, d, "b", &got), 0);
	support_memory_u64(&m, keys + o.l->keys.n_entries, (1 << 20) + 1);
	assert_int_equal(object_dict(&m.reader, o.l, d, see, &s), ERR_TORN);
	support_memory_u64(&m, keys + o.l->keys.n_entries, UINT64_MAX);
	assert_int_equal(object_dict(&m.reader, o.l, d, see, &s), ERR_TORN);
	support_memory_u64(&m, keys + o.l->keys.n_entries, 1 << 20);
	s.n = 0;
	assert_int_equal(object_dict(&m.reader, o.l, d, see, &s), ERR_MEMORY_READ);
	support_memory_u64(&m, keys + o.l->keys.n_entries, 2);
	for (unsigned log2 = 0; log2 < 256; log2++) {
		support_memory_u8(&m, keys + o.l->keys.log2_index_bytes, (uint8_t)log2);
		s.n = 0;
		int rc = object_dict(&m.reader, o.l, d, see, &s);
		assert_true(log2 == 3   ? rc == 0 && s.n == 2
		            : log2 > 40 ? rc == ERR_TORN
		                        : rc == ERR_MEMORY_READ || s.n <= 2);
	}
	support_memory_u8(&m, keys + o.l->keys.log2_index_bytes, 3);
	support_memory_u64(&m, d + o.l->dict.values, 0x10); /* split values that cannot be read */
	assert_int_equal(object_dict(&m.reader, o.l, d, see, &s), ERR_MEMORY_READ);
	support_memory_u64(&m, d + o.l->dict.values, UINT64_MAX);
	assert_int_equal(object_dict(&m.reader, o.l, d, see, &s), ERR_MEMORY_READ);
	support_memory_u64(&m, d + o.l->dict.keys, 0);
	assert_int_equal(object_dict(&m.reader, o.l, d, see, &s), ERR_TORN);
	support_memory_u64(&m, d + o.l->dict.keys, 0x10000);
	assert_int_equal(object_dict(&m.reader, o.l, d, see, &s), ERR_MEMORY_READ);
	assert_int_equal(object_dict(&m.reader, o.l, 0, see, &s), ERR_TORN);
	assert_int_equal(object_dict_get(&m.reader, o.l, 3, "a", &got), ERR_TORN);
}
static void test_torn_dicts(void **state)
{
	in_all(torn_dicts);
}

static void lists(void)
{
	raddr_t items[100], got[100];
	size_t n;
	for (size_t i = 0; i < N_OF(items); i++)
		items[i] = 0x1000 * (i + 1);
	for (size_t size = 0; size <= N_OF(items); size += 25) {
		raddr_t list = support_objects_list(&o, items, size);
		for (size_t cap = 0; cap <= N_OF(got); cap += 20) {
			memset(got, 0, sizeof got);
			assert_int_equal(object_list(&m.reader, o.l, list, got, cap, &n), 0);
			assert_int_equal(n, size < cap ? size : cap);
			assert_memory_equal(got, items, n * 8);
			assert_true(n == N_OF(got) || got[n] == 0);
		}
	}
	raddr_t list = support_objects_list(&o, items, 3);
	support_memory_u64(&m, list + o.l->list.ob_size, UINT64_MAX);
	assert_int_equal(object_list(&m.reader, o.l, list, got, 100, &n), ERR_TORN);
	support_memory_u64(&m, list + o.l->list.ob_size, 3);
	support_memory_u64(&m, list + o.l->list.ob_item, 0);
	assert_int_equal(object_list(&m.reader, o.l, list, got, 100, &n), ERR_MEMORY_READ);
	assert_int_equal(object_list(&m.reader, o.l, 1, got, 100, &n), ERR_TORN);
}
static void test_lists(void **state)
{
	in_all(lists);
}

static void ints(void)
{
	static const struct {
		uint64_t value;
		uint32_t digits[4];
		size_t n;
	} cases[] = {
	    {0, {0}, 0},
	    {1, {1}, 1},
	    {(1 << 30) - 1, {(1 << 30) - 1}, 1},
	    {1 << 30, {0, 1}, 2},
	    {0x7f1234567890, {0x34567890, 0x7f1234567890 >> 30}, 2},
	    {UINT64_MAX, {(1 << 30) - 1, (1 << 30) - 1, 15}, 3},
	    {UINT64_MAX, {(1 << 30) - 1, (1 << 30) - 1, (1 << 30) - 1, 77}, 4}, /* the low 64 bits */
	};
	uint64_t got;
	for (size_t i = 0; i < N_OF(cases); i++) {
		for (int negative = 0; negative < 2; negative++) {
			raddr_t at = support_objects_int(&o, negative, cases[i].digits, cases[i].n);
			assert_int_equal(object_int(&m.reader, o.l, at, &got), 0);
			assert_true(got == cases[i].value);
		}
	}
	static const uint64_t wild[] = {UINT64_MAX, 1ull << 63, (1ull << 63) + 1, 1ull << 62, 1 << 20, ~0xfffffull};
	raddr_t at = support_objects_int(&o, false, cases[1].digits, 1);
	for (size_t i = 0; i < N_OF(wild); i++) { /* -1 is one digit to 3.11 */
		support_memory_u64(&m, at + o.l->integer.tag, wild[i]);
		bool one = wild[i] == UINT64_MAX && !o.l->integer.tag_has_count;
		assert_int_equal(object_int(&m.reader, o.l, at, &got), one ? 0 : ERR_TORN);
	}
	assert_int_equal(object_int(&m.reader, o.l, 2, &got), ERR_TORN);
	assert_int_equal(object_int(&m.reader, o.l, 0x5000, &got), ERR_MEMORY_READ);
}
static void test_ints(void **state)
{
	in_all(ints);
}

/* --- attributes */

enum { BASICSIZE = 16 };

/* An instance of a class with managed attributes: `front` bytes in front of it, values inside of it in 3.13. */
static raddr_t new_instance(raddr_t type, size_t n_inline)
{
	return support_objects_new(&o, type, BASICSIZE + o.l->dict.values_first + 8 * n_inline, 32);
}

static void attributes(void)
{
	bool is_311 = layout_minor(o.l) == 0x30b, is_313 = layout_minor(o.l) == 0x30d;
	uint64_t flags = SUPPORT_OBJECTS_MANAGED_DICT | (is_313 ? SUPPORT_OBJECTS_INLINE_VALUES : 0);
	raddr_t type = support_objects_type(&o, "Thread", flags, BASICSIZE), v = support_objects_ascii(&o, "v"), got;
	struct support_objects_entry e[] = {{support_objects_ascii(&o, "_target"), v},
	                                    {support_objects_ascii(&o, "_name"), v + 16},
	                                    {support_objects_ascii(&o, "_deleted"), 0}};
	support_memory_u64(&m, type + o.l->type.cached_keys, support_objects_keys(&o, false, true, e, 3));

	/* in values of its own */
	raddr_t at = new_instance(type, 3);
	raddr_t values = support_objects_values(&o, is_313 ? at + BASICSIZE : 0, e, 3);
	if (is_311)
		support_memory_u64(&m, at - 32, values);
	else if (!is_313)
		support_memory_u64(&m, at - 24, values - 1);
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got), 0);
	assert_true(got == v + 16);
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_target", &got), 0);
	assert_true(got == v);
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_deleted", &got), ERR_AGAIN);
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_other", &got), ERR_AGAIN);
	char name[200];
	memset(name, 'k', sizeof name - 1);
	name[sizeof name - 1] = 0;
	assert_int_equal(object_attribute(&m.reader, o.l, at, name, &got), ERR_AGAIN);
	if (is_313) { /* values that are not valid any more are not looked at */
		support_memory_u8(&m, at + BASICSIZE + 3, 0);
		assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got), ERR_AGAIN);
		support_memory_u8(&m, at + BASICSIZE + 3, 1);
	}

	/* in a dict, also of split keys */
	e[1].value = v + 32;
	for (int split = 0; split < 2; split++) {
		raddr_t d = split ? support_objects_split_dict(&o, e, 3) : support_objects_dict(&o, false, e, 3);
		support_memory_u64(&m, at - 24, d);
		if (is_311)
			support_memory_u64(&m, at - 32, 0);
		assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got), 0);
		assert_true(got == v + 32);
		assert_int_equal(object_attribute(&m.reader, o.l, at, "_deleted", &got), ERR_AGAIN);
	}

	/* nothing yet */
	at = new_instance(is_313 ? support_objects_type(&o, "T", SUPPORT_OBJECTS_MANAGED_DICT, BASICSIZE) : type, 0);
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got), ERR_AGAIN);

	/* a class with a dict pointer at tp_dictoffset */
	type = support_objects_type(&o, "Old", 0, BASICSIZE + 8);
	at = support_objects_new(&o, type, BASICSIZE + 8, 0);
	support_memory_u64(&m, type + o.l->type.dictoffset, BASICSIZE);
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got), ERR_AGAIN);
	support_memory_u64(&m, at + BASICSIZE, support_objects_dict(&o, false, e, 3));
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got), 0);
	assert_true(got == v + 32);
	static const uint64_t offsets[] = {0, UINT64_MAX, 0 - UINT64_C(24), 1ull << 40};
	for (size_t i = 0; i < N_OF(offsets); i++) {
		support_memory_u64(&m, type + o.l->type.dictoffset, offsets[i]);
		assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got), ERR_AGAIN);
	}
	support_memory_u64(&m, at + 8, 7);
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got), ERR_TORN);
	assert_int_equal(object_attribute(&m.reader, o.l, 7, "_name", &got), ERR_TORN);
}
static void test_attributes(void **state)
{
	in_all(attributes);
}

/* Anything may be anything: words of a small world changed at random. Nothing is read outside of our own buffers (the
 * address sanitizer sees to that), nothing lasts. */
static void any_memory(void)
{
	uint32_t digits[] = {5, 6};
	struct support_objects_entry e[] = {
	    {support_objects_ascii(&o, "_name"), support_objects_ascii(&o, "value")},
	    {support_objects_ascii(&o, "b"), support_objects_int(&o, false, digits, 2)}};
	raddr_t type =
	    support_objects_type(&o, "T", SUPPORT_OBJECTS_MANAGED_DICT | SUPPORT_OBJECTS_INLINE_VALUES, BASICSIZE);
	support_memory_u64(&m, type + o.l->type.cached_keys, support_objects_keys(&o, false, true, e, 2));
	support_memory_u64(&m, type + o.l->type.dictoffset, 16);
	raddr_t at = new_instance(type, 2);
	raddr_t all[] = {e[0].key,
	                 e[0].value,
	                 e[1].value,
	                 at,
	                 support_objects_dict(&o, true, e, 2),
	                 support_objects_split_dict(&o, e, 2),
	                 support_objects_legacy(&o, 2, false, "abcdef", 3, NULL),
	                 support_objects_bytes(&o, "bytes", 5),
	                 support_objects_list(&o, (raddr_t[]){1, 2, 3}, 3)};
	for (unsigned round = 0; round < 3000; round++) {
		struct {
			raddr_t at;
			uint64_t was;
		} changed[6];
		size_t n = 1 + draw(N_OF(changed)), ignored;
		for (size_t i = 0; i < n; i++) {
			const struct support_memory_region *r = &m.regions[draw((uint32_t)m.n_regions)];
			changed[i].at = r->n < 8 ? type : r->at + draw((uint32_t)r->n / 8) * 8;
			uint64_t now = draw(3) == 0   ? all[draw(N_OF(all))]
			               : draw(3) == 0 ? 0 - (uint64_t)draw(600)
			               : draw(2)      ? draw(300)
			                              : (uint64_t)draw(UINT32_MAX) << draw(33);
			memcpy(&changed[i].was, support_memory_at(&m, changed[i].at, 8), 8);
			support_memory_u64(&m, changed[i].at, now);
		}
		uint64_t value;
		raddr_t items[4];
		static struct seen s;
		for (size_t i = 0; i < N_OF(all); i++) {
			buf_reset(&text);
			object_string(&m.reader, o.l, all[i], &text);
			object_bytes(&m.reader, o.l, all[i], 1000, &text);
			object_type_is(&m.reader, o.l, all[i], "str");
			object_dict_get(&m.reader, o.l, all[i], "_name", &value);
			s = (struct seen){.stop_after = N_OF(s.e)};
			object_dict(&m.reader, o.l, all[i], see, &s);
			object_list(&m.reader, o.l, all[i], items, 4, &ignored);
			object_int(&m.reader, o.l, all[i], &value);
			object_attribute(&m.reader, o.l, all[i], "_name", &value);
		}
		for (size_t i = n; i-- > 0;)
			support_memory_u64(&m, changed[i].at, changed[i].was);
	}
}
static void test_any_memory(void **state)
{
	in_all(any_memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_strings),  cmocka_unit_test(test_string_lengths), cmocka_unit_test(test_torn_strings),
	    cmocka_unit_test(test_bytes),    cmocka_unit_test(test_types),          cmocka_unit_test(test_dicts),
	    cmocka_unit_test(test_odd_keys), cmocka_unit_test(test_torn_dicts),     cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_ints),     cmocka_unit_test(test_attributes),     cmocka_unit_test(test_any_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
