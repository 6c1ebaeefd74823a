/* object: bytes, lists, ints and attributes as each kind of version and build lays them out, at the
 * very end of what can be read, torn, and hostile. */
#include "pyspy-record/python/object.h"

#include "libcommon/err.h"
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
	support_objects_size(&o, b + o.l->bytes.ob_size, 8000);
	assert_int_equal(object_bytes(&m.reader, o.l, b, 10000, &text), ERR_MEMORY_READ);
	assert_int_equal(text.len, 10); /* nothing of it */
	support_objects_size(&o, b + o.l->bytes.ob_size, UINT64_MAX);
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
	support_memory_u64(&m, s + o.l->object.type, 12);
	assert_int_equal(object_type_is(&m.reader, o.l, s, "str"), ERR_TORN);
	support_memory_u64(&m, s + o.l->object.type, 0x12340);
	assert_int_equal(object_type_is(&m.reader, o.l, s, "str"), ERR_MEMORY_READ);
	assert_int_equal(object_type_is(&m.reader, o.l, 0, "str"), ERR_TORN);
}
static void test_types(void **state)
{
	in_all(types);
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
			assert_int_equal(object_list(&m.reader, o.l, list, got, cap, &n, NULL), 0);
			assert_int_equal(n, size < cap ? size : cap);
			assert_memory_equal(got, items, n * 8);
			assert_true(n == N_OF(got) || got[n] == 0);
		}
	}
	raddr_t list = support_objects_list(&o, items, 3);
	support_objects_size(&o, list + o.l->list.ob_size, UINT64_MAX);
	assert_int_equal(object_list(&m.reader, o.l, list, got, 100, &n, NULL), ERR_TORN);
	support_objects_size(&o, list + o.l->list.ob_size, (1 << 20) + 1);
	assert_int_equal(object_list(&m.reader, o.l, list, got, 100, &n, NULL), ERR_TORN);
	support_objects_size(&o, list + o.l->list.ob_size, 3);
	support_memory_u64(&m, list + o.l->list.ob_item, 0);
	assert_int_equal(object_list(&m.reader, o.l, list, got, 100, &n, NULL), ERR_MEMORY_READ);
	assert_int_equal(object_list(&m.reader, o.l, 1, got, 100, &n, NULL), ERR_TORN);
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
			assert_int_equal(object_int(&m.reader, o.l, at, &got, NULL), 0);
			assert_true(got == (negative ? 0 - cases[i].value : cases[i].value));
		}
	}
	static const uint64_t wild[] = {UINT64_MAX, 1ull << 63, (1ull << 63) + 1, 1ull << 62, 1 << 20, ~0xfffffull};
	raddr_t at = support_objects_int(&o, false, cases[1].digits, 1);
	for (size_t i = 0; i < N_OF(wild); i++) { /* -1 is one digit up to 3.11 */
		int64_t n = o.l->object.wide_sizes ? (int64_t)wild[i] : (int32_t)wild[i];
		bool few = n >= -1 && n <= 1 && !o.l->integer.tag_has_count;
		if (o.l->integer.tag_has_count)
			support_memory_u64(&m, at + o.l->integer.tag, wild[i]);
		else
			support_objects_size(&o, at + o.l->integer.tag, wild[i]);
		assert_int_equal(object_int(&m.reader, o.l, at, &got, NULL), few ? 0 : ERR_TORN);
	}
	if (o.l->is_python2) {
		static const int64_t small[] = {0, 1, -1, INT64_MAX, INT64_MIN, 0x7f1234567890};
		for (size_t i = 0; i < N_OF(small); i++) {
			assert_int_equal(object_int(&m.reader, o.l, support_objects_small(&o, small[i]), &got, NULL),
			                 0);
			assert_true(got == (uint64_t)small[i]);
		}
	}
	assert_int_equal(object_int(&m.reader, o.l, 2, &got, NULL), ERR_TORN);
	assert_int_equal(object_int(&m.reader, o.l, 0x5000, &got, NULL), ERR_MEMORY_READ);
}
static void test_ints(void **state)
{
	in_all(ints);
}

/* --- attributes */

enum { BASICSIZE = 32 };

/* An instance of a class with managed attributes: `front` bytes in front of it, values inside of it in 3.13. */
static raddr_t new_instance(raddr_t type, size_t n_inline)
{
	return support_objects_new(&o, type, BASICSIZE + o.l->dict.values_first + 8 * n_inline, 32);
}

/* Where an object says where its attributes are. */
static raddr_t managed_at(raddr_t object)
{
	return object - (layout_is_freethreaded(o.l) ? 8 : 24);
}

static raddr_t a_class(const struct support_objects_entry *e, size_t n)
{
	uint64_t flags =
	    SUPPORT_OBJECTS_MANAGED_DICT | (layout_minor(o.l) >= 0x30d ? SUPPORT_OBJECTS_INLINE_VALUES : 0);
	raddr_t type = support_objects_type(&o, "Thread", flags, BASICSIZE);
	support_memory_u64(&m, type + o.l->type.cached_keys, support_objects_keys(&o, false, true, e, n));
	return type;
}

/* 3.11 and later: the interpreter itself sees to where they are. */
static void managed_attributes(void)
{
	bool is_311 = layout_minor(o.l) == 0x30b, is_inline = layout_minor(o.l) >= 0x30d;
	raddr_t v = support_objects_ascii(&o, "v"), got;
	if (layout_minor(o.l) < 0x30b)
		return;
	struct support_objects_entry e[] = {{support_objects_ascii(&o, "_target"), v},
	                                    {support_objects_ascii(&o, "_name"), v + 16},
	                                    {support_objects_ascii(&o, "_deleted"), 0}};
	raddr_t type = a_class(e, 3);

	/* in values of its own */
	raddr_t at = new_instance(type, 3);
	raddr_t values = support_objects_values(&o, is_inline ? at + BASICSIZE : 0, e, 3);
	if (is_311)
		support_memory_u64(&m, at - 32, values);
	else if (!is_inline)
		support_memory_u64(&m, at - 24, values - 1);
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got, NULL), 0);
	assert_true(got == v + 16);
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_target", &got, NULL), 0);
	assert_true(got == v);
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_deleted", &got, NULL), ERR_AGAIN);
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_other", &got, NULL), ERR_AGAIN);
	char name[200];
	memset(name, 'k', sizeof name - 1);
	name[sizeof name - 1] = 0;
	assert_int_equal(object_attribute(&m.reader, o.l, at, name, &got, NULL), ERR_AGAIN);
	if (is_inline) { /* values that are not valid any more are not looked at */
		support_memory_u8(&m, at + BASICSIZE + 3, 0);
		assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got, NULL), ERR_AGAIN);
		support_memory_u8(&m, at + BASICSIZE + 3, 1);
	}

	/* in a dict, also of split keys */
	e[1].value = v + 32;
	for (int split = 0; split < 2; split++) {
		raddr_t d = split ? support_objects_split_dict(&o, e, 3) : support_objects_dict(&o, false, e, 3);
		support_memory_u64(&m, managed_at(at), d);
		if (is_311)
			support_memory_u64(&m, at - 32, 0);
		assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got, NULL), 0);
		assert_true(got == v + 32);
		assert_int_equal(object_attribute(&m.reader, o.l, at, "_deleted", &got, NULL), ERR_AGAIN);
	}

	/* nothing yet */
	at = new_instance(is_inline ? support_objects_type(&o, "T", SUPPORT_OBJECTS_MANAGED_DICT, BASICSIZE) : type, 0);
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got, NULL), ERR_AGAIN);
}
static void test_managed_attributes(void **state)
{
	in_all(managed_attributes);
}

/* A class with a dict pointer at tp_dictoffset: all up to 3.10, some later. */
static void attributes(void)
{
	raddr_t v = support_objects_ascii(&o, "v"), got;
	struct support_objects_entry e[] = {{support_objects_ascii(&o, "_target"), v},
	                                    {support_objects_ascii(&o, "_name"), v + 32}};
	/* flags that meant something else in 2.x */
	uint64_t flags = layout_minor(o.l) < 0x30b ? SUPPORT_OBJECTS_MANAGED_DICT | SUPPORT_OBJECTS_INLINE_VALUES : 0;
	size_t basicsize = o.l->object.size;
	raddr_t type = support_objects_type(&o, "Old", flags, basicsize + 8);
	raddr_t at = support_objects_new(&o, type, basicsize + 8, 0);
	support_memory_u64(&m, type + o.l->type.dictoffset, basicsize);
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got, NULL), ERR_AGAIN);
	for (int split = 0; split < 2; split++) {
		raddr_t d = split ? support_objects_split_dict(&o, e, 2) : support_objects_dict(&o, false, e, 2);
		support_memory_u64(&m, at + basicsize, d);
		assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got, NULL), 0);
		assert_true(got == v + 32);
		assert_int_equal(object_attribute(&m.reader, o.l, at, "_other", &got, NULL), ERR_AGAIN);
	}
	static const uint64_t offsets[] = {0, 1ull << 40, 1ull << 63, 0 - (UINT64_C(1) << 21)};
	for (size_t i = 0; i < N_OF(offsets); i++) {
		support_memory_u64(&m, type + o.l->type.dictoffset, offsets[i]);
		assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got, NULL), ERR_AGAIN);
	}

	/* behind the items of an object of variable size; the count of its items may have a sign */
	enum { ITEMS = 3, ITEM = 4 };
	size_t size = o.l->object.size + 8 + ITEMS * ITEM, whole = (size + 7) / 8 * 8 + 8;
	type = support_objects_type(&o, "Int", flags, o.l->object.size + 16);
	support_objects_size(&o, type + o.l->type.basicsize + (o.l->object.wide_sizes ? 8 : 4), ITEM);
	support_memory_u64(&m, type + o.l->type.dictoffset, 0 - UINT64_C(8));
	at = support_objects_new(&o, type, whole, 0);
	support_memory_u64(&m, at + whole - 8, support_objects_dict(&o, false, e, 2));
	for (int negative = 0; negative < 2; negative++) {
		support_objects_size(&o, at + o.l->object.size, negative ? 0 - (uint64_t)ITEMS : (uint64_t)ITEMS);
		assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got, NULL), 0);
		assert_true(got == v + 32);
	}
	support_objects_size(&o, at + o.l->object.size, 1 << 30);
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got, NULL), ERR_TORN);
	support_objects_size(&o, at + o.l->object.size, 1ull << 63);
	int rc = object_attribute(&m.reader, o.l, at, "_name", &got, NULL);
	assert_true(o.l->object.wide_sizes ? rc == ERR_TORN : rc < 0);

	support_memory_u64(&m, at + o.l->object.type, 7);
	assert_int_equal(object_attribute(&m.reader, o.l, at, "_name", &got, NULL), ERR_TORN);
	assert_int_equal(object_attribute(&m.reader, o.l, 7, "_name", &got, NULL), ERR_TORN);
}
static void test_attributes(void **state)
{
	in_all(attributes);
}

enum { ENTRIES_MOST = 2000 };
static int count_down(void *ctx, raddr_t key, raddr_t value)
{
	unsigned *left = ctx;
	return --*left == 0;
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
	if (!o.l->is_python2)
		support_memory_u64(&m, type + o.l->type.cached_keys, support_objects_keys(&o, false, true, e, 2));
	support_memory_u64(&m, type + o.l->type.dictoffset, o.l->object.size);
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
	struct object_trail trail = {0};
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
		for (size_t i = 0; i < N_OF(all); i++) {
			buf_reset(&text);
			object_string(&m.reader, o.l, all[i], &text, &trail);
			object_is_text(&m.reader, o.l, all[i]);
			object_bytes(&m.reader, o.l, all[i], 1000, &text);
			object_type_is(&m.reader, o.l, all[i], "str");
			object_dict_get(&m.reader, o.l, all[i], "_name", &value, &trail);
			unsigned left = ENTRIES_MOST;
			object_dict(&m.reader, o.l, all[i], count_down, &left, &trail);
			object_list(&m.reader, o.l, all[i], items, 4, &ignored, NULL);
			object_int(&m.reader, o.l, all[i], &value, &trail);
			object_attribute(&m.reader, o.l, all[i], "_name", &value, &trail);
		}
		assert_true(object_trail_holds(&trail, &m.reader));
		object_trail_clear(&trail);
		for (size_t i = n; i-- > 0;)
			support_memory_u64(&m, changed[i].at, changed[i].was);
	}
	object_trail_done(&trail);
}
static void test_any_memory(void **state)
{
	in_all(any_memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_bytes),
	    cmocka_unit_test(test_types),
	    cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_ints),
	    cmocka_unit_test(test_managed_attributes),
	    cmocka_unit_test(test_attributes),
	    cmocka_unit_test(test_any_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
