#include "libcommon/map.h"
#include "tests/unit/support_test.h"

static void test_put_get(void **state)
{
	struct map m;
	bool is_new;
	uint32_t *v;

	map_init(&m, 0);
	assert_null(map_get(&m, 0, 0));
	v = map_put(&m, 0, 0, &is_new);
	assert_non_null(v);
	assert_true(is_new);
	assert_int_equal(*v, 0);
	*v = 7;
	v = map_put(&m, 0, 0, &is_new);
	assert_false(is_new);
	assert_int_equal(*v, 7);
	assert_null(map_get(&m, 0, 1));
	assert_null(map_get(&m, 1, 0));
	map_clear(&m);
	assert_null(map_get(&m, 0, 0));
	assert_int_equal(m.n, 0);
	map_done(&m);
}

static void test_grows(void **state)
{
	struct map m;
	bool is_new;

	map_init(&m, 0);
	for (uint64_t i = 0; i < 50000; i++) {
		*map_put(&m, i, ~i, &is_new) = (uint32_t)i;
		assert_true(is_new);
	}
	assert_int_equal(m.n, 50000);
	for (uint64_t i = 0; i < 50000; i++)
		assert_int_equal(*map_get(&m, i, ~i), i);
	assert_null(map_get(&m, 50000, ~UINT64_C(50000)));
	map_done(&m);
}

static void test_limit(void **state)
{
	struct map m;
	bool is_new;

	map_init(&m, 3);
	for (uint64_t i = 0; i < 3; i++)
		assert_non_null(map_put(&m, i, i, &is_new));
	assert_null(map_put(&m, 3, 3, &is_new));
	assert_false(is_new);
	assert_int_equal(m.n, 3);
	assert_non_null(map_put(&m, 2, 2, &is_new));
	assert_false(is_new);
	map_done(&m);
}

/* Keys in a row, as ids and addresses are, must not fall on each other. */
static void test_hash_spreads(void **state)
{
	enum { BUCKETS = 1024, KEYS = 64 * BUCKETS };
	const unsigned shifts[] = {0, 4, 12, 40};

	for (unsigned k = 0; k < N_OF(shifts); k++) {
		unsigned buckets[BUCKETS] = {0}, most = 0;

		for (uint64_t i = 0; i < KEYS; i++) {
			unsigned n = ++buckets[map_hash(i << shifts[k], i & 1) % BUCKETS];

			most = n > most ? n : most;
		}
		assert_true(most < 3 * 64);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_put_get),
	    cmocka_unit_test(test_grows),
	    cmocka_unit_test(test_limit),
	    cmocka_unit_test(test_hash_spreads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
