/* object_dict: dicts as each kind of version and build lays them out: whole, split, deleted from, torn, and with tables
 * of any width. */
#include "pyspy-record/python/object.h"

#include "libcommon/err.h"
#include "tests/unit/support_objects.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_test.h"

static struct support_memory m;
static struct support_objects o;
static uint64_t seed = 1;

static void in_all(void (*test)(void))
{
	support_objects_in_all(&o, &m, test);
}

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
	assert_int_equal(object_dict(&m.reader, o.l, dict, see, &s, NULL), 0);
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
	assert_int_equal(object_dict(&m.reader, o.l, dict, see, &s, NULL), 1);
	assert_int_equal(s.n, 2);
	s = (struct seen){.error = ERR_NO_MEMORY};
	assert_int_equal(object_dict(&m.reader, o.l, dict, see, &s, NULL), ERR_NO_MEMORY);
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
				e[i].value = deleted && support_draw(&seed, 3) < (unsigned)deleted ? 0 : value + 16 * i;
			raddr_t d[] = {support_objects_dict(&o, true, e, n), support_objects_dict(&o, false, e, n),
			               support_objects_split_dict(&o, e, n)};
			for (size_t k = 0; k < N_OF(d); k++) {
				walk_and_compare(d[k], e, n);
				for (size_t i = 0; i < n; i += 1 + support_draw(&seed, 40)) {
					char name[32];
					snprintf(name, sizeof name, "key %zu", i);
					int rc = object_dict_get(&m.reader, o.l, d[k], name, &got, NULL);
					assert_int_equal(rc, e[i].value ? 0 : ERR_AGAIN);
					if (rc == 0)
						assert_true(got == e[i].value);
				}
				assert_int_equal(object_dict_get(&m.reader, o.l, d[k], "key", &got, NULL), ERR_AGAIN);
				assert_int_equal(object_dict_get(&m.reader, o.l, d[k], "key 5000", &got, NULL),
				                 ERR_AGAIN);
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
	    {o.l->is_python2 ? support_objects_small(&o, 4) : support_objects_bytes(&o, "name", 4), v},
	    {support_objects_ascii(&o, "nam"), v},
	    {support_objects_ascii(&o, "named"), v},
	    {0x11110, v}, /* nothing there */
	    {support_objects_ascii(&o, "other"), 4},
	    {support_objects_ascii(&o, "name"), v + 16},
	    {support_objects_ascii(&o, name), v + 32},
	};
	for (int general = 0; general < 2; general++) {
		raddr_t d = support_objects_dict(&o, general, e, N_OF(e));
		assert_int_equal(object_dict_get(&m.reader, o.l, d, "name", &got, NULL), 0);
		assert_true(got == v + 16);
		assert_int_equal(object_dict_get(&m.reader, o.l, d, name, &got, NULL), 0);
		assert_true(got == v + 32);
		assert_int_equal(object_dict_get(&m.reader, o.l, d, "other", &got, NULL), ERR_AGAIN);
		name[64] = 'k'; /* longer than any that is looked for */
		name[65] = 0;
		assert_int_equal(object_dict_get(&m.reader, o.l, d, name, &got, NULL), ERR_AGAIN);
		name[64] = 0;
	}
}
static void test_odd_keys(void **state)
{
	in_all(odd_keys);
}

static int walk(raddr_t dict, struct seen *s)
{
	*s = (struct seen){0};
	return object_dict(&m.reader, o.l, dict, see, s, NULL);
}

/* Numbers of entries that cannot be. */
static void torn_counts(raddr_t d, raddr_t keys)
{
	static struct seen s;
	const struct layout *l = o.l;
	if (l->is_python2 || l->keys.slots) { /* powers of two, up to a bound */
		static const uint64_t wild[] = {6, 0x100000000, UINT64_MAX, 1ull << 63, 1ull << 41, 3ull << 19};
		for (size_t i = 0; i < N_OF(wild); i++) {
			uint64_t value = l->is_python2 ? wild[i] - 1 : wild[i];
			if (l->is_python2)
				support_objects_size(&o, d + l->dict.mask, value);
			else
				support_memory_u64(&m, keys + l->keys.slots, value);
			/* an index table of 2^32 entries there may be */
			int rc = walk(d, &s);
			assert_true(rc == ERR_TORN ||
			            (l->keys.n_entries && wild[i] == 1ull << 32 && rc == ERR_MEMORY_READ));
		}
		if (l->is_python2)
			support_objects_size(&o, d + l->dict.mask, 7);
		else
			support_memory_u64(&m, keys + l->keys.slots, 8);
		assert_int_equal(walk(d, &s), 0);
		assert_int_equal(s.n, 2);
		if (l->is_python2)
			support_objects_size(&o, d + l->dict.mask, (1 << 20) - 1);
		else
			support_memory_u64(&m, keys + l->keys.slots, 1 << 20);
		assert_int_equal(walk(d, &s), ERR_MEMORY_READ);
		if (!l->is_python2)
			support_memory_u64(&m, keys + l->keys.slots, 8);
	}
	if (!l->keys.n_entries)
		return;
	static const uint64_t wild[] = {(1 << 20) + 1, UINT64_MAX, 1ull << 63};
	for (size_t i = 0; i < N_OF(wild); i++) {
		support_memory_u64(&m, keys + l->keys.n_entries, wild[i]);
		assert_int_equal(walk(d, &s), ERR_TORN);
	}
	support_memory_u64(&m, keys + l->keys.n_entries, 1 << 20);
	assert_int_equal(walk(d, &s), l->keys.slots ? ERR_TORN : ERR_MEMORY_READ);
	support_memory_u64(&m, keys + l->keys.n_entries, 2);
	for (unsigned log2 = 0; log2 < 256 && !l->keys.slots; log2++) {
		support_memory_u8(&m, keys + l->keys.log2_index_bytes, (uint8_t)log2);
		int rc = walk(d, &s);
		assert_true(log2 == 3   ? rc == 0 && s.n == 2
		            : log2 > 40 ? rc == ERR_TORN
		                        : rc == ERR_MEMORY_READ || s.n <= 2);
	}
	if (!l->keys.slots)
		support_memory_u8(&m, keys + l->keys.log2_index_bytes, 3);
}

static void torn_dicts(void)
{
	raddr_t v = support_objects_ascii(&o, "v"), got, keys = 0;
	struct support_objects_entry e[] = {{support_objects_ascii(&o, "a"), v}, {support_objects_ascii(&o, "b"), v}};
	raddr_t d = support_objects_dict(&o, false, e, 2);
	uint32_t link = o.l->is_python2 ? o.l->dict.table : o.l->dict.keys;
	static struct seen s;
	memcpy(&keys, support_memory_at(&m, d + link, 8), 8);
	assert_int_equal(object_dict_get(&m.reader, o.l, d, "b", &got, NULL), 0);
	torn_counts(d, keys);
	if (!o.l->is_python2) { /* split values that cannot be read */
		support_memory_u64(&m, d + o.l->dict.values, 0x10);
		assert_int_equal(walk(d, &s), ERR_MEMORY_READ);
		support_memory_u64(&m, d + o.l->dict.values, UINT64_MAX);
		assert_int_equal(walk(d, &s), ERR_MEMORY_READ);
	}
	support_memory_u64(&m, d + link, 0);
	assert_int_equal(walk(d, &s), ERR_TORN);
	if (o.l->is_python2)
		support_objects_size(&o, d + o.l->dict.mask, 7);
	support_memory_u64(&m, d + link, 0x10000);
	assert_int_equal(walk(d, &s), ERR_MEMORY_READ);
	assert_int_equal(walk(0, &s), ERR_TORN);
	assert_int_equal(object_dict_get(&m.reader, o.l, 3, "a", &got, NULL), ERR_TORN);
	/* one whose entries are itself */
	support_memory_u64(&m, d + link, d);
	walk(d, &s);
	object_dict_get(&m.reader, o.l, d, "a", &got, NULL);
}
static void test_torn_dicts(void **state)
{
	in_all(torn_dicts);
}

/* 3.6 to 3.10: how wide an index is follows from their number. */
static void wide_indices(void)
{
	static const struct {
		uint64_t slots;
		size_t width;
	} cases[] = {{128, 1}, {256, 2}, {1 << 15, 2}, {1 << 16, 4}, {1 << 17, 4}};
	if (!o.l->keys.slots || o.l->keys.entries)
		return;
	raddr_t v = support_objects_ascii(&o, "v"), got;
	struct support_objects_entry e = {support_objects_ascii(&o, "a"), v};
	for (size_t i = 0; i < N_OF(cases); i++) {
		raddr_t d = support_objects_dict(&o, false, &e, 1);
		raddr_t keys = support_objects_new(&o, 0, o.l->keys.indices + cases[i].slots * cases[i].width + 24, 0);
		support_memory_u64(&m, keys + o.l->keys.slots, cases[i].slots);
		support_memory_u64(&m, keys + o.l->keys.n_entries, 1);
		raddr_t entry = keys + o.l->keys.indices + cases[i].slots * cases[i].width;
		support_memory_u64(&m, entry + 8, e.key);
		support_memory_u64(&m, entry + 16, v);
		support_memory_u64(&m, d + o.l->dict.keys, keys);
		assert_int_equal(object_dict_get(&m.reader, o.l, d, "a", &got, NULL), 0);
		assert_true(got == v);
	}
}
static void test_wide_indices(void **state)
{
	in_all(wide_indices);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_dicts),
	    cmocka_unit_test(test_odd_keys),
	    cmocka_unit_test(test_torn_dicts),
	    cmocka_unit_test(test_wide_indices),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
