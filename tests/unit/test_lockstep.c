/* lockstep: programs with known shares, sampled by a tick and by clocks; when is the tick distrusted? */
#include "pyspy-record/sample/lockstep.h"

#include "tests/unit/support_random.h"
#include "tests/unit/support_test.h"

enum { CODES = 16, EACH_DRAIN = 5, SLOW = 10 }; /* a drain each 5 periods, as with 100 Hz */

static uint64_t seed;
static double draw(void)
{
	support_random(&seed);
	return (double)(seed >> 11) / (double)(UINT64_C(1) << 53);
}

/* A program: how likely each code object (by id) is seen, by the tick and by a clock; in percent. */
struct program {
	double tick[CODES], clock[CODES];
	double hits; /* ticks for each period of CPU time; 1 = as by chance */
};

static uint32_t pick(const double *percent)
{
	double at = draw() * 100;
	uint32_t i = 0;
	for (; i < CODES - 1 && at >= percent[i]; i++)
		at -= percent[i];
	return i;
}

/* The tick is a random choice of the CPU's ticks: two chances a period. */
static void one_period(struct lockstep *l, const struct program *p)
{
	l->expected++;
	for (int chance = 0; chance < 2; chance++)
		if (draw() < p->hits / 2)
			lockstep_count(l, pick(p->tick), false);
	if (l->verdict == LOCKSTEP_UNKNOWN || draw() < 1.0 / SLOW)
		lockstep_count(l, pick(p->clock), true);
}

/* Until it is distrusted, or `most` periods. How many it took; 0 = never. */
static unsigned run(struct lockstep *l, const struct program *p, unsigned most)
{
	for (unsigned i = 1; i <= most; i++) {
		one_period(l, p);
		if (i % EACH_DRAIN == 0 && lockstep_weigh(l) && l->verdict == LOCKSTEP_YES)
			return i;
	}
	return 0;
}

static unsigned run_once(const struct program *p, unsigned most, enum lockstep_verdict *verdict)
{
	struct lockstep l = {0};
	unsigned n = run(&l, p, most);
	*verdict = l.verdict;
	lockstep_done(&l);
	return n;
}

static struct program honest(const double *percent)
{
	struct program p = {.hits = 1};
	memcpy(p.tick, percent, sizeof p.tick);
	memcpy(p.clock, percent, sizeof p.clock);
	return p;
}

static void count_n(struct lockstep *l, uint32_t code, unsigned ticks, unsigned clocks)
{
	while (ticks--)
		lockstep_count(l, code, false);
	while (clocks--)
		lockstep_count(l, code, true);
}

/* --- the verdict, by numbers */

static void test_same(void **state)
{
	struct lockstep l = {.expected = 199};
	count_n(&l, 1, 100, 100);
	count_n(&l, 2, 99, 99);
	assert_false(lockstep_weigh(&l));
	assert_int_equal(l.verdict, LOCKSTEP_UNKNOWN);
	count_n(&l, 2, 0, 1); /* the two hundredth */
	assert_true(lockstep_weigh(&l));
	assert_int_equal(l.verdict, LOCKSTEP_NO);
	assert_false(lockstep_weigh(&l));
	assert_int_equal(l.verdict, LOCKSTEP_NO);
	lockstep_done(&l);
}

/* Clocks alone tell nothing of the tick. */
static void test_no_ticks_yet(void **state)
{
	struct lockstep l = {.expected = 20};
	count_n(&l, 1, 0, 500);
	assert_false(lockstep_weigh(&l));
	assert_int_equal(l.verdict, LOCKSTEP_UNKNOWN);
	count_n(&l, 1, 20, 0);
	assert_true(lockstep_weigh(&l));
	assert_int_equal(l.verdict, LOCKSTEP_NO);
	lockstep_done(&l);
}

/* All is done by one helper; who calls it, the tick does not see. A caller that calls itself counts once a sample. */
static void test_callers(void **state)
{
	for (int differ = 0; differ < 2; differ++) {
		struct lockstep l = {.expected = 200};
		for (int i = 0; i < 400; i++) {
			bool by_clock = i % 2 != 0;
			uint32_t caller = i / 2 % 4 == 0 && (by_clock || !differ) ? 2 : 3;
			lockstep_count(&l, 1, by_clock);
			for (int times = 0; times < 3; times++)
				lockstep_count_caller(&l, caller, by_clock);
		}
		assert_int_equal(l.callers.codes.v[3].tick, differ ? 200 : 150);
		assert_int_equal(l.callers.codes.v[3].clock, 150);
		assert_true(lockstep_weigh(&l));
		assert_int_equal(l.verdict, differ ? LOCKSTEP_YES : LOCKSTEP_NO);
		lockstep_done(&l);
	}
}

static void test_different(void **state)
{
	struct lockstep l = {0};
	count_n(&l, 1, 11, 0);
	count_n(&l, 2, 0, 11);
	assert_false(lockstep_weigh(&l)); /* too few to say anything */
	count_n(&l, 1, 1, 0);
	count_n(&l, 2, 0, 1);
	assert_true(lockstep_weigh(&l));
	assert_int_equal(l.verdict, LOCKSTEP_YES);
	count_n(&l, 1, 100000, 100000); /* for good */
	assert_false(lockstep_weigh(&l));
	assert_int_equal(l.verdict, LOCKSTEP_YES);
	lockstep_done(&l);
}

static void test_ticks_do_not_hit(void **state)
{
	static const struct {
		unsigned ticks, expected;
		bool is_in_step;
	} cases[] = {{0, 30, false},  {0, 60, true},      {100, 100, false}, {130, 100, false}, {220, 100, true},
	             {15, 100, true}, {900, 1000, false}, {400, 1000, true}, {600, 1000, true}, {1400, 1000, true}};
	for (size_t i = 0; i < N_OF(cases); i++) {
		struct lockstep l = {.expected = cases[i].expected};
		count_n(&l, 1, cases[i].ticks, 50);
		lockstep_weigh(&l);
		if ((l.verdict == LOCKSTEP_YES) != cases[i].is_in_step)
			fail_msg("%u ticks of %u: %d", cases[i].ticks, cases[i].expected, l.verdict);
		lockstep_done(&l);
	}
}

static void test_forget(void **state)
{
	struct lockstep l = {.expected = 1000};
	count_n(&l, 1, 11, 0);
	count_n(&l, 2, 0, 11);
	lockstep_forget(&l);
	assert_true(l.n_tick == 0 && l.n_clock == 0 && l.expected == 0 && l.verdict == LOCKSTEP_UNKNOWN);
	count_n(&l, 1, 11, 11);
	count_n(&l, 3, 9, 9); /* beyond what is left of the table */
	assert_false(lockstep_weigh(&l));
	assert_true(l.innermost.codes.v[2].tick == 0 && l.innermost.codes.v[2].clock == 0);
	assert_true(l.innermost.codes.v[1].tick == 11 && l.innermost.codes.v[1].clock == 11 &&
	            l.innermost.codes.v[3].clock == 9);
	lockstep_done(&l);
}

static void test_code_ids(void **state)
{
	static const uint32_t ids[] = {0, 65535, 65536, 70000, 1 << 18, UINT32_MAX, 1};
	struct lockstep l = {0};
	for (size_t i = 0; i < N_OF(ids); i++)
		count_n(&l, ids[i], 3, 2);
	assert_true(l.innermost.codes.n <= 65536);
	assert_true(l.n_tick == 3 * N_OF(ids) && l.n_clock == 2 * N_OF(ids));
	assert_true(l.innermost.codes.v[65535].tick == 3 && l.innermost.codes.v[1].clock == 2);
	assert_true(l.innermost.codes.v[0].tick == 3 * 5 &&
	            l.innermost.codes.v[0].clock == 2 * 5); /* those without a place */
	lockstep_weigh(&l);
	lockstep_done(&l);
}

/* What is remembered stays bounded, in its proportions. */
static void test_fade(void **state)
{
	struct lockstep l = {0};
	for (int i = 0; i < 100000; i++) {
		count_n(&l, 1, 3, 3);
		count_n(&l, 2, 1, 1);
		l.expected += 4;
		lockstep_weigh(&l);
		assert_true(l.n_tick + l.n_clock <= 8200);
	}
	assert_int_equal(l.verdict, LOCKSTEP_NO);
	assert_int_equal(l.n_tick, l.innermost.codes.v[1].tick + l.innermost.codes.v[2].tick);
	assert_int_equal(l.n_clock, l.innermost.codes.v[1].clock + l.innermost.codes.v[2].clock);
	double share = (double)l.innermost.codes.v[1].tick / l.n_tick, hits = l.n_tick / l.expected;
	assert_true(share > 0.74 && share < 0.76 && hits > 0.99 && hits < 1.01);
	lockstep_done(&l);
}

/* --- simulated programs */

static const double FLAT[CODES] = {40, 20, 10, 9, 8, 5, 1, 1, 1, 1, 1, 1, 1, 0.5, 0.3, 0.2};

/* Rare functions make no false alarms. */
static void test_false_alarms(void **state)
{
	struct program p = honest(FLAT);
	enum lockstep_verdict verdict;
	unsigned alarms = 0, undecided = 0;
	seed = 1;
	for (int i = 0; i < 10000; i++) {
		alarms += run_once(&p, 500, &verdict) != 0;
		undecided += verdict == LOCKSTEP_UNKNOWN;
	}
	if (alarms > 2)
		fail_msg("%u false alarms of 10000", alarms);
	assert_int_equal(undecided, 0);
}

/* How soon the program of sample/README.md is known, and one that differs less. */
static void test_alarms(void **state)
{
	static const struct {
		double by_tick, by_clock; /* of the first of two functions */
		unsigned within;          /* periods, in nine of ten runs */
	} cases[] = {{100, 0, 20}, {82, 50, 300}, {65, 50, 6000}};
	for (size_t k = 0; k < N_OF(cases); k++) {
		struct program p = {.tick = {cases[k].by_tick, 100 - cases[k].by_tick},
		                    .clock = {cases[k].by_clock, 100 - cases[k].by_clock},
		                    .hits = 1};
		enum lockstep_verdict verdict;
		unsigned late = 0;
		seed = 2;
		for (int i = 0; i < 300; i++) {
			unsigned n = run_once(&p, 20000, &verdict);
			late += n == 0 || n > cases[k].within;
		}
		if (late > 30)
			fail_msg("%.0f %% against %.0f %%: %u of 300 not within %u", cases[k].by_tick,
			         cases[k].by_clock, late, cases[k].within);
	}
}

/* The same stack always, but the tick hits half as often as it should, or twice. */
static void test_too_few_hits(void **state)
{
	static const double hits[] = {0, 0.5, 1.7};
	for (size_t k = 0; k < N_OF(hits); k++) {
		struct program p = {.tick = {100}, .clock = {100}, .hits = hits[k]};
		enum lockstep_verdict verdict;
		seed = 3;
		for (int i = 0; i < 100; i++)
			assert_true(run_once(&p, 1000, &verdict) > 0);
	}
}

/* A program does this for a while, then that: the clocks run more slowly from somewhere in between. */
static void test_phases(void **state)
{
	struct program a = {.tick = {100}, .clock = {100}, .hits = 1};
	struct program b = {.tick = {0, 90, 10}, .clock = {0, 90, 10}, .hits = 1};
	seed = 4;
	for (unsigned first = 5; first < 400; first += 5)
		for (int i = 0; i < 20; i++) {
			struct lockstep l = {0};
			unsigned alarm = run(&l, &a, first) + run(&l, &b, 1500) + run(&l, &a, 500);
			if (alarm)
				fail_msg("a program that changed after %u periods", first);
			assert_int_equal(l.verdict, LOCKSTEP_NO);
			lockstep_done(&l);
		}
}

/* Thousands of functions, each of them seen hardly ever, beside one that is seen often: half of one sample is none. */
static uint32_t pick_wide(double often)
{
	return draw() < often ? 7 : (uint32_t)(draw() * 20000);
}
static void test_wide(void **state)
{
	static const double often[] = {0, 0.5, 0.9};
	seed = 5;
	for (size_t k = 0; k < N_OF(often); k++) {
		struct lockstep l = {0};
		for (unsigned i = 1; i <= 100000 && l.verdict != LOCKSTEP_YES; i++) {
			l.expected++;
			lockstep_count(&l, pick_wide(often[k]), false);
			if (l.verdict == LOCKSTEP_UNKNOWN || i % SLOW == 0)
				lockstep_count(&l, pick_wide(often[k]), true);
			if (i % 200 == 0)
				lockstep_weigh(&l);
		}
		assert_int_equal(l.verdict, LOCKSTEP_NO);
		lockstep_done(&l);
	}
}

/* It begins to run in step only later. */
static void test_later(void **state)
{
	struct program p = honest(FLAT), q = honest(FLAT);
	memset(q.tick, 0, sizeof q.tick);
	q.tick[1] = 100;
	seed = 6;
	for (int i = 0; i < 20; i++) {
		struct lockstep l = {0};
		assert_int_equal(run(&l, &p, 30000), 0);
		unsigned n = run(&l, &q, 10000);
		if (n == 0 || n > 2000)
			fail_msg("noticed after %u periods", n);
		lockstep_done(&l);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_same),
	    cmocka_unit_test(test_no_ticks_yet),
	    cmocka_unit_test(test_callers),
	    cmocka_unit_test(test_different),
	    cmocka_unit_test(test_ticks_do_not_hit),
	    cmocka_unit_test(test_forget),
	    cmocka_unit_test(test_code_ids),
	    cmocka_unit_test(test_fade),
	    cmocka_unit_test(test_false_alarms),
	    cmocka_unit_test(test_alarms),
	    cmocka_unit_test(test_too_few_hits),
	    cmocka_unit_test(test_phases),
	    cmocka_unit_test(test_wide),
	    cmocka_unit_test(test_later),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
