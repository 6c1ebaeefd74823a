/* lengths: buckets of stop lengths, and what is asked of them. */
#include "format/lengths.h"

#include <string.h>

#include "format/wire.h"
#include "tests/unit/support_test.h"

/* The formula of FORMAT.md 5.2. */
static uint64_t spec(uint64_t b)
{
	uint64_t n = 8 + b % 8;
	for (uint64_t i = 0; i < 7 + b / 8; i++)
		n *= 2;
	return n;
}

static void buckets_are_those_of_the_specification(void **state)
{
	for (uint32_t b = 0; b <= WIRE_STOP_LENGTHS; b++)
		assert_int_equal(lengths_begin_ns(b), spec(b));
	assert_int_equal(lengths_begin_ns(0), 1024);
	assert_int_equal(lengths_begin_ns(WIRE_STOP_LENGTHS), 67108864);
}

static void each_length_is_in_its_bucket(void **state)
{
	for (uint32_t b = 0; b < WIRE_STOP_LENGTHS; b++) {
		assert_int_equal(lengths_bucket(spec(b)), b);
		assert_int_equal(lengths_bucket(spec(b + 1) - 1), b);
	}
	assert_int_equal(lengths_bucket(0), 0);
	assert_int_equal(lengths_bucket(1), 0);
	assert_int_equal(lengths_bucket(1023), 0);
	assert_int_equal(lengths_bucket(67108864), WIRE_STOP_LENGTHS - 1);
	assert_int_equal(lengths_bucket(UINT64_MAX), WIRE_STOP_LENGTHS - 1);
}

/* Against the lengths themselves, sorted by construction. */
static void quantiles_are_as_exact_as_a_bucket(void **state)
{
	uint64_t counts[WIRE_STOP_LENGTHS] = {0};
	const uint64_t first = 3000, step = 37, n = 20000;
	for (uint64_t i = 0; i < n; i++)
		counts[lengths_bucket(first + i * step)]++;
	for (int q = 1; q <= 100; q++) {
		double want = (double)first + (double)step * (double)n * q / 100;
		double got = (double)lengths_quantile_ns(counts, q / 100.0);
		double allowed = q <= 95 ? 0.03 : 0.125; /* the last bucket is not full */
		if (got < want * (1 - allowed) || got > want * (1 + allowed))
			fail_msg("quantile %d: %g, not %g", q, got, want);
	}
	memset(counts, 0, sizeof counts);
	assert_int_equal(lengths_quantile_ns(counts, 0.5), 0);
	counts[40] = 1;
	assert_in_range(lengths_quantile_ns(counts, 0.99), spec(40), spec(41));
	counts[127] = UINT64_MAX; /* a hostile file */
	assert_in_range(lengths_quantile_ns(counts, 0.5), spec(127), spec(128));
	counts[126] = UINT64_MAX;
	assert_in_range(lengths_quantile_ns(counts, 1), spec(127), spec(128));
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(buckets_are_those_of_the_specification),
	                                   cmocka_unit_test(each_length_is_in_its_bucket),
	                                   cmocka_unit_test(quantiles_are_as_exact_as_a_bucket)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
