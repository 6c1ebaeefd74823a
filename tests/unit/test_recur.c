/* recur: whether the same come again. */
#include "pyspy-record/sample/recur.h"

#include "tests/unit/support_test.h"

enum { N = 20000 };

static struct recur r;

static void put(uint32_t from, uint32_t n)
{
	for (uint32_t i = from; i < from + n; i++)
		recur_put(&r, i * UINT32_C(0x85ebca6b) ^ i >> 3);
}

static void test_again(void **state)
{
	assert_false(recur_is_again(&r)); /* nothing yet */
	put(0, N);
	assert_false(recur_is_again(&r)); /* and nothing before */
	recur_turn(&r);
	assert_false(recur_is_again(&r));
	put(0, N);
	assert_true(recur_is_again(&r));
	assert_int_equal(r.n_again, N);
	recur_turn(&r);
	put(N / 4, N); /* three quarters of them */
	assert_true(recur_is_again(&r));
	recur_done(&r);
}

/* In turn: none of them were there the last time, all of them the time before. */
static void test_in_turn(void **state)
{
	for (uint32_t round = 0; round < 12; round++) {
		put(round % 4 * N, N);
		assert_int_equal(recur_is_again(&r), round >= 4);
		recur_turn(&r);
	}
	recur_done(&r);
}

/* Ever new ones: few are taken for old ones. */
static void test_new(void **state)
{
	for (uint32_t round = 0; round < 20; round++) {
		put(round * N, N);
		assert_true(r.n_again < N * 2 / 5);
		assert_false(recur_is_again(&r));
		recur_turn(&r);
	}
	recur_done(&r);
	assert_null(r.now);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_again), cmocka_unit_test(test_in_turn),
	                                   cmocka_unit_test(test_new)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
