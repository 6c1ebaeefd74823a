/* repr: values of made-up memory of each kind of version and build: what they print as, what a budget leaves of them,
 * and what lies cost. Against real interpreters: tests/e2e/test_truth_locals.py. */
#include "pyspy-record/python/repr.h"

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/utf8.h"
#include "tests/unit/support_objects.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_test.h"

static struct support_memory m;
static struct support_objects o;
static struct pagecache cache;
static struct repr p;
static struct buf text;
static struct secrets secrets;

static void (*to_run)(void);
static void run(void)
{
	struct repr_limits limits = repr_limits_of(1);
	char why[64];
	buf_init(&text, 0);
	pagecache_init(&cache, &m.reader);
	assert_int_equal(repr_init(&p, &cache, o.l, &limits), 0);
	assert_int_equal(secrets_init(&secrets, SECRETS_DEFAULT, why, sizeof why), 0);
	p.secrets = &secrets;
	to_run();
	secrets_done(&secrets);
	repr_done(&p);
	pagecache_done(&cache);
	buf_done(&text);
}
static void in_all(void (*test)(void))
{
	to_run = test;
	support_objects_in_all(&o, &m, run);
}

static const char *shown(raddr_t value)
{
	pagecache_clear(&cache); /* the memory may have changed */
	buf_reset(&text);
	assert_int_equal(repr_value(&p, value, &text), 0);
	return buf_cstr(&text);
}
/* what 3.x prints, and 2.x */
static void assert_shown(raddr_t value, const char *three, const char *two)
{
	assert_string_equal(shown(value), o.l->is_python2 ? two : three);
}

static raddr_t integer(int64_t v)
{
	uint64_t size = v < 0 ? 0 - (uint64_t)v : (uint64_t)v;
	uint32_t digits[3] = {size & 0x3fffffff, size >> 30 & 0x3fffffff, (uint32_t)(size >> 60)};
	if (o.l->is_python2)
		return support_objects_small(&o, v);
	return support_objects_int(&o, v < 0, digits, size >> 60 ? 3 : size >> 30 ? 2 : size ? 1 : 0);
}

static void numbers(void)
{
	static const uint32_t big[] = {0, 0, 0, 1}, ones[] = {0x3fffffff, 0x3fffffff, 0x3fffffff};
	assert_shown(integer(0), "0", "0");
	assert_shown(integer(-1), "-1", "-1");
	assert_shown(integer(INT64_MAX), "9223372036854775807", "9223372036854775807");
	assert_shown(integer(INT64_MIN), "-9223372036854775808", "-9223372036854775808");
	assert_shown(support_objects_int(&o, false, big, 4), "1237940039285380274899124224",
	             "1237940039285380274899124224L"); /* 2**90 */
	assert_shown(support_objects_int(&o, true, ones, 3), "-1237940039285380274899124223",
	             "-1237940039285380274899124223L");
	/* 64 digits, and room for 40 */
	static const uint32_t many[] = {0x1, 0x3f, 0x3f3f3f3f & 0x3fffffff, 1, 2, 3, 4, 5};
	p.limits.chars = 40;
	const char *s = shown(support_objects_int(&o, true, many, N_OF(many)));
	assert_int_equal(strspn(s + 1, "0123456789"), 40);
	assert_string_equal(s + 41, o.l->is_python2 ? "\xe2\x80\xa6 24 moreL" : "\xe2\x80\xa6 24 more");
}
static void test_numbers(void **state)
{
	in_all(numbers);
}

static void one_double(double v, const char *want)
{
	raddr_t type = support_objects_type(&o, "float", 0, 0);
	raddr_t at = support_objects_new(&o, type, p.shape->floating.value + 8, 0);
	support_memory_put(&m, at + p.shape->floating.value, &v, 8);
	assert_string_equal(shown(at), want);
}
static void doubles(void)
{
	if (layout_minor(o.l) < 0x207) { /* 17 digits */
		one_double(0.1, "0.10000000000000001");
		one_double(3, "3.0");
		return;
	}
	one_double(0.1, "0.1");
	one_double(-0.0, "-0.0");
	one_double(1e16, "1e+16");
	one_double(1e15, "1000000000000000.0");
	one_double(9999999999999998, "9999999999999998.0");
	one_double(0.0001, "0.0001");
	one_double(0.00001, "1e-05");
	one_double(5e-324, "5e-324");
	one_double(0x1p-44, "5.684341886080802e-14"); /* the nearest of 16 digits does not come back */
	one_double(9007199254740993, "9007199254740992.0");
	one_double(1.7976931348623157e308, "1.7976931348623157e+308");
	one_double(-1.0 / 0.0, "-inf");
	one_double(123.456, "123.456");
}
static void test_doubles(void **state)
{
	in_all(doubles);
}

static void texts(void)
{
	static const uint16_t narrow[] = {'x', 0x3b1, 0x200b, 0xdc00, '\''};
	static const uint32_t wide[] = {0x1f600, 0x10ffff};
	assert_shown(support_objects_ascii(&o, "it's"), "\"it's\"", "\"it's\"");
	assert_shown(support_objects_ascii(&o, "both ' \" \\ \n\x1b"), "'both \\' \" \\\\ \\n\\x1b'",
	             "'both \\' \" \\\\ \\n\\x1b'");
	assert_shown(support_objects_bytes(&o, "a\0\xff", 3), "b'a\\x00\\xff'", "'a\\x00\\xff'");
	assert_shown(support_objects_str(&o, 4, false, wide, 2), "'\xf0\x9f\x98\x80\\U0010ffff'",
	             "u'\\U0001f600\\U0010ffff'");
	if (!o.l->is_python2)
		assert_shown(support_objects_str(&o, 2, false, narrow, 5), "\"x\xce\xb1\\u200b\\udc00'\"", "");
	char longer[301] = {0};
	memset(longer, 'a', 300);
	shown(support_objects_ascii(&o, longer));
	assert_int_equal(text.len, 1 + 256 + 1 + strlen("\xe2\x80\xa6 44 more"));
	assert_string_equal(buf_cstr(&text) + 257, "'\xe2\x80\xa6 44 more");
}
static void test_texts(void **state)
{
	in_all(texts);
}

static void lists(void)
{
	raddr_t items[1000], one = integer(1);
	for (size_t i = 0; i < 1000; i++)
		items[i] = one;
	assert_shown(support_objects_list(&o, items, 0), "[]", "[]");
	assert_shown(support_objects_list(&o, items, 3), "[1, 1, 1]", "[1, 1, 1]");
	shown(support_objects_list(&o, items, 1000));
	assert_string_equal(buf_cstr(&text) + 50 * 3 - 1, ", \xe2\x80\xa6 950 more]");
	raddr_t circle = support_objects_list(&o, items, 2), itself;
	memcpy(&itself, support_memory_at(&m, circle + o.l->list.ob_item, 8), 8);
	support_memory_u64(&m, itself + 8, circle);
	assert_shown(circle, "[1, [...]]", "[1, [...]]");
	raddr_t deep = support_objects_list(&o, items, 2);
	for (int i = 0; i < 6; i++)
		deep = support_objects_list(&o, &deep, 1);
	assert_shown(deep, "[[[[[[[\xe2\x80\xa6 2 more]]]]]]]", "[[[[[[[\xe2\x80\xa6 2 more]]]]]]]");
	items[1] = 0x1230; /* nothing there */
	items[2] = 7;      /* no address */
	assert_shown(support_objects_list(&o, items, 4), "[1, <unreadable>, <unreadable>, 1]",
	             "[1, <unreadable>, <unreadable>, 1]");
}
static void test_lists(void **state)
{
	in_all(lists);
}

static void dicts(void)
{
	struct support_objects_entry e[] = {{support_objects_ascii(&o, "a"), integer(1)},
	                                    {support_objects_ascii(&o, "API_KEY"), integer(2)},
	                                    {support_objects_bytes(&o, "token", 5), integer(3)}};
	for (int split = 0; split < 2; split++) {
		raddr_t d = split ? support_objects_split_dict(&o, e, 2) : support_objects_dict(&o, true, e, 3);
		support_objects_size(&o, d + p.shape->dict.used, split ? 2 : 3);
		assert_shown(
		    d, split ? "{'a': 1, 'API_KEY': <hidden>}" : "{'a': 1, 'API_KEY': <hidden>, b'token': <hidden>}",
		    split ? "{'a': 1, 'API_KEY': <hidden>}" : "{'a': 1, 'API_KEY': <hidden>, 'token': <hidden>}");
		p.secrets = NULL;
		assert_non_null(strstr(shown(d), "'API_KEY': 2"));
		p.secrets = &secrets;
	}
	raddr_t nothing = support_objects_dict(&o, true, e, 0);
	assert_shown(nothing, "{}", "{}");
}
static void test_dicts(void **state)
{
	in_all(dicts);
}

/* The values of a split table come in the order in which they were set: 3.11 and later. */
static void split_order(void)
{
	struct support_objects_entry e[] = {{support_objects_ascii(&o, "a"), integer(1)},
	                                    {support_objects_ascii(&o, "b"), integer(2)}};
	if (layout_minor(o.l) < 0x30b)
		return;
	raddr_t d = support_objects_split_dict(&o, e, 2), values;
	memcpy(&values, support_memory_at(&m, d + o.l->dict.values, 8), 8);
	support_objects_size(&o, d + p.shape->dict.used, 2);
	raddr_t order = o.l->dict.values_first ? values + o.l->dict.values_first + 16 : values - 4;
	support_memory_u8(&m, order, !o.l->dict.values_first ? 0 : 1);
	support_memory_u8(&m, order + 1, !o.l->dict.values_first ? 1 : 0);
	assert_shown(d, "{'b': 2, 'a': 1}", "");
}
static void test_split_order(void **state)
{
	in_all(split_order);
}

static void others(void)
{
	char want[100];
	raddr_t at = support_objects_new(&o, support_objects_type(&o, "some.module.Thing", 0, 0), 64, 0);
	snprintf(want, sizeof want, "<some.module.Thing object at 0x%llx>", (unsigned long long)at);
	assert_string_equal(shown(at), want);
	raddr_t hostile = support_objects_new(&o, support_objects_type(&o, "x.\x1b[31m\xff", 0, 0), 64, 0);
	assert_non_null(strstr(shown(hostile), "\\x1b[31m\\xff"));
	assert_string_equal(shown(0), "<unreadable>");
	assert_string_equal(shown(UINT64_MAX - 7), "<unreadable>");
	raddr_t list = support_objects_list(&o, &at, 1);
	cache.deadline_ns = 1;
	assert_string_equal(shown(list), "<not read>");
	cache.deadline_ns = 0;
	p.limits.bytes = 8;
	repr_forget(&p);
	assert_string_equal(shown(list), "<not read>");
}
static void test_others(void **state)
{
	in_all(others);
}

/* --- lies */

static uint64_t seed = 1;
static uint32_t draw(uint32_t below)
{
	return support_draw(&seed, below);
}

static void assert_harmless(raddr_t value)
{
	uint64_t before = clock_mono_ns();
	const char *s = shown(value);
	uint32_t cp;
	assert_true(clock_mono_ns() - before < CLOCK_NS_PER_S);
	assert_true(text.len < 8000);
	for (size_t i = 0; i < text.len;) {
		i += utf8_next(s + i, text.len - i, &cp);
		assert_false(utf8_is_unsafe(cp));
	}
}

static void change(struct support_memory *memory, uint64_t call)
{
	struct support_memory_region *r = &memory->regions[draw((uint32_t)memory->n_regions)];
	uint64_t word = draw(3) ? memory->regions[draw((uint32_t)memory->n_regions)].at : UINT64_C(1) << draw(63);
	if (r->n >= 8)
		memcpy(r->bytes + draw((uint32_t)(r->n / 8)) * 8, &word, 8);
	(void)call;
}

static void lies(void)
{
	struct support_objects_entry e[] = {{support_objects_ascii(&o, "a"), integer(1)},
	                                    {support_objects_ascii(&o, "b"), support_objects_ascii(&o, "text")}};
	raddr_t items[] = {integer(5), support_objects_ascii(&o, "x"), support_objects_dict(&o, true, e, 2),
	                   support_objects_split_dict(&o, e, 2), support_objects_bytes(&o, "abc", 3)};
	raddr_t list = support_objects_list(&o, items, N_OF(items));
	const raddr_t sizes[] = {list + o.l->list.ob_size, items[1] + o.l->unicode.length,
	                         items[4] + o.l->bytes.ob_size, items[0] + o.l->integer.tag};
	for (size_t i = 0; i < N_OF(sizes); i++)
		for (unsigned bit = 20; bit < 64; bit++) {
			uint64_t was;
			if (!support_memory_has(&m, sizes[i], 8))
				continue;
			memcpy(&was, support_memory_at(&m, sizes[i], 8), 8);
			support_memory_u64(&m, sizes[i], UINT64_C(1) << bit);
			assert_harmless(list);
			support_memory_u64(&m, sizes[i], was);
		}
	m.before = change; /* from now on at each read */
	for (int i = 0; i < 60; i++)
		assert_harmless(list);
	m.before = NULL;
}
static void test_lies(void **state)
{
	in_all(lies);
}

/* What was printable stays so; the edges of its table. */
static void test_printable(void **state)
{
	assert_true(repr_is_printable('~', 0x30b) && repr_is_printable(0xe9, 0x30b) &&
	            repr_is_printable(0x1f600, 0x303));
	assert_false(repr_is_printable(0x1f, 0x30b) || repr_is_printable(0x7f, 0x30b) ||
	             repr_is_printable(0xad, 0x30b) || repr_is_printable(0xd800, 0x30b) ||
	             repr_is_printable(0x10ffff, 0x30f) || repr_is_printable(0x202e, 0x30f) ||
	             repr_is_printable(UINT32_MAX, 0x30f));
	assert_true(repr_is_printable(0x1fae8, 0x30c)); /* Unicode 15 */
	assert_false(repr_is_printable(0x1fae8, 0x30b));
}

static void test_secrets(void **state)
{
	struct secrets s, none = {0};
	char why[64] = "";
	assert_int_equal(secrets_init(&s, "a[b", why, sizeof why), ERR_USAGE);
	assert_true(*why);
	assert_int_equal(secrets_init(&s, SECRETS_DEFAULT, why, sizeof why), 0);
	for (const char *const *name =
	         (const char *const[]){"password", "DB_PASSWD", "apikey", "API_KEY", "private_key", "privatekey",
	                               "oauth", "clientSecret", "CREDENTIALS", NULL};
	     *name; name++)
		assert_true(secrets_hides(&s, *name, strlen(*name)));
	assert_false(secrets_hides(&s, "key", 3) || secrets_hides(&s, "passage", 7) || secrets_hides(&s, "", 0));
	assert_true(secrets_hides(&s, "a\0token", 7));
	assert_false(secrets_hides(&none, "password", 8) || secrets_hides(NULL, "password", 8));
	secrets_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_numbers), cmocka_unit_test(test_doubles), cmocka_unit_test(test_texts),
	    cmocka_unit_test(test_lists),   cmocka_unit_test(test_dicts),   cmocka_unit_test(test_split_order),
	    cmocka_unit_test(test_others),  cmocka_unit_test(test_lies),    cmocka_unit_test(test_printable),
	    cmocka_unit_test(test_secrets),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
