/* query/buckets: sums are exact, whatever is split, put together or shared out. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include "pyspy-report/query/buckets.h"

#define S UINT64_C(1000000000)

static struct buckets_cell sum_of(const struct buckets *b, uint32_t node, uint32_t thread, uint32_t from, uint32_t to)
{
	struct buckets_cell sum = {.node = node, .thread = thread};

	for (size_t i = 0; i < b->cells.n; i++) {
		const struct buckets_cell *c = &b->cells.v[i];

		if (c->node != node || c->thread != thread || c->bucket < from || c->bucket >= to)
			continue;
		sum.n += c->n;
		sum.ns += c->ns;
	}
	return sum;
}

static void widths_are_round(void **state)
{
	static const struct {
		uint64_t end, width;
		uint32_t count;
	} cases[] = {
	    {0, 1, 1},
	    {1, 1, 1},
	    {599, 1, 599},
	    {600, 2, 300},
	    {4 * S, 10000000, 400},
	    {4 * S + 1, 10000000, 401},
	    {3600 * S, 10 * S, 360},
	    {86400 * S, 200 * S, 432},
	    {UINT64_C(1) << 62, UINT64_C(10000000000000000), 462},
	    {UINT64_MAX, UINT64_C(50000000000000000), 369},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct buckets b;

		assert_int_equal(buckets_init(&b, cases[i].end, 100), 0);
		assert_int_equal(b.width_ns, cases[i].width);
		assert_int_equal(b.count, cases[i].count);
		buckets_done(&b);
	}
}

static void samples_are_shared_out(void **state)
{
	struct buckets b;

	assert_int_equal(buckets_init(&b, 600 * S - 1, 1000), 0);
	assert_int_equal(b.width_ns, S);
	/* 7 samples of 3.5 s from 1.25 s on: 0.75, 1, 1, 0.75 s */
	assert_int_equal(buckets_add(&b, 5, 2, 5 * S / 4, 7 * S / 2, 7), 0);
	assert_int_equal(buckets_add(&b, 5, 2, 1 * S, 0, 3), 0);               /* stands for no time */
	assert_int_equal(buckets_add(&b, 5, 3, 700 * S, 5 * S, 1), 0);         /* behind the end */
	assert_int_equal(buckets_add(&b, 6, 3, 598 * S, 50 * S, 50), 0);       /* over it */
	assert_int_equal(buckets_add(&b, 6, 3, UINT64_MAX - 1, 10 * S, 1), 0); /* where sums would overflow */
	assert_int_equal(buckets_finish(&b), 0);
	assert_int_equal(sum_of(&b, 5, 2, 0, 600).ns, 7 * S / 2);
	assert_int_equal(sum_of(&b, 5, 2, 0, 600).n, 10);
	assert_int_equal(sum_of(&b, 5, 2, 1, 2).ns, 3 * S / 4);
	assert_int_equal(sum_of(&b, 5, 2, 1, 2).n, 1 + 3);
	assert_int_equal(sum_of(&b, 5, 2, 2, 3).n, 2);
	assert_int_equal(sum_of(&b, 5, 2, 3, 4).n, 2);
	assert_int_equal(sum_of(&b, 5, 2, 4, 5).ns, 3 * S / 4);
	assert_int_equal(sum_of(&b, 5, 2, 4, 5).n, 2);
	assert_int_equal(sum_of(&b, 5, 3, 599, 600).ns, 5 * S);
	assert_int_equal(sum_of(&b, 6, 3, 598, 599).ns, S);
	assert_int_equal(sum_of(&b, 6, 3, 599, 600).ns, 59 * S);
	assert_int_equal(sum_of(&b, 6, 3, 0, 600).n, 51);
	for (size_t i = 1; i < b.cells.n; i++)
		assert_true(buckets_compare(&b.cells.v[i - 1], &b.cells.v[i]) < 0);
	buckets_done(&b);
}

/* More than may stay: wider buckets, the same sums. */
static void cells_are_bounded(void **state)
{
	uint64_t n = 0, ns = 0, got_n = 0, got_ns = 0, seed = 88172645463325252u;
	struct buckets b;

	assert_int_equal(buckets_init(&b, 600 * S - 1, 5000), 0);
	for (int i = 0; i < 200000; i++) {
		seed ^= seed << 13;
		seed ^= seed >> 7;
		seed ^= seed << 17;
		uint64_t length = seed % (3 * S), count = seed % 5;

		assert_int_equal(buckets_add(&b, (uint32_t)(seed >> 20 & 255), (uint32_t)(seed >> 30 & 3),
		                             seed % (600 * S), length, count),
		                 0);
		n += count;
		ns += length;
		assert_true(b.cells.n <= b.most + b.most / 2 + BUCKETS_RECENT + 4);
	}
	assert_int_equal(buckets_finish(&b), 0);
	assert_true(b.cells.n <= 5000 && b.count >= 2 && b.count < 10);
	for (size_t i = 0; i < b.cells.n; i++) {
		assert_true(b.cells.v[i].bucket < b.count);
		got_n += b.cells.v[i].n;
		got_ns += b.cells.v[i].ns;
	}
	assert_int_equal(got_n, n);
	assert_int_equal(got_ns, ns);
	buckets_done(&b);
	/* more different nodes than may stay: one bucket, and none is lost */
	assert_int_equal(buckets_init(&b, 600 * S - 1, 10), 0);
	for (uint32_t i = 0; i < 100000; i++)
		assert_int_equal(buckets_add(&b, i, 1, i * (S / 1000), S, 1), 0);
	assert_int_equal(buckets_finish(&b), 0);
	assert_int_equal(b.count, 1);
	assert_int_equal(b.cells.n, 100000);
	assert_int_equal(sum_of(&b, 77777, 1, 0, 1).ns, S);
	buckets_done(&b);
}

static void cells_agree_with_sums(void **state)
{
	const struct buckets_cell sums[] = {
	    {.node = 1, .thread = 1, .n = 10, .ns = 1000000007}, /* CPU time: less than the time, by its proportions */
	    {.node = 1, .thread = 2, .n = 4, .ns = 0},
	    {.node = 2, .thread = 1, .n = 3, .ns = 5},                 /* nothing is known of when */
	    {.node = 3, .thread = 1, .n = 6, .ns = UINT64_C(1) << 62}, /* only samples: by their number */
	};
	struct buckets b;

	assert_int_equal(buckets_init(&b, 600 * S - 1, 1000), 0);
	assert_int_equal(buckets_add(&b, 1, 1, 0, 3 * S, 6), 0);
	assert_int_equal(buckets_add(&b, 1, 1, 3 * S, S, 4), 0);
	assert_int_equal(buckets_add(&b, 1, 2, 0, 4 * S, 4), 0);
	assert_int_equal(buckets_add(&b, 3, 1, 10 * S, 0, 2), 0);
	assert_int_equal(buckets_add(&b, 3, 1, 20 * S, 0, 4), 0);
	assert_int_equal(buckets_finish(&b), 0);
	assert_int_equal(buckets_agree(&b, sums, sizeof sums / sizeof *sums), 0);
	for (size_t i = 0; i < sizeof sums / sizeof *sums; i++) {
		assert_int_equal(sum_of(&b, sums[i].node, sums[i].thread, 0, 600).n, sums[i].n);
		assert_int_equal(sum_of(&b, sums[i].node, sums[i].thread, 0, 600).ns, sums[i].ns);
	}
	assert_in_range(sum_of(&b, 1, 1, 0, 1).ns, 250000001, 250000002);
	assert_int_equal(sum_of(&b, 1, 1, 3, 4).n, 4);
	assert_int_equal(sum_of(&b, 3, 1, 20, 21).ns, (UINT64_C(1) << 62) - (UINT64_C(1) << 62) / 3);
	assert_int_equal(sum_of(&b, 2, 1, 0, 1).ns, 5);
	buckets_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(widths_are_round),
	    cmocka_unit_test(samples_are_shared_out),
	    cmocka_unit_test(cells_are_bounded),
	    cmocka_unit_test(cells_agree_with_sums),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
