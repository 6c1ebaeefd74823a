/* schedule: gaps are exponential, what is late is not made up for, stops stay within their budget. */
#include "pyspy-record/schedule.h"

#include <math.h>
#include <time.h>

#include "libcommon/clock.h"
#include "tests/unit/support_test.h"

enum { US = 1000, MS = 1000 * 1000 };
#define S UINT64_C(1000000000)

static const uint64_t seeds[] = {0, 1, 12345, UINT64_MAX, UINT64_C(0x9e3779b97f4a7c15)};

static void test_gaps(void **state)
{
	enum { GAPS = 200000 };
	static double gaps[GAPS];
	static const uint64_t means[] = {50 * US, MS, 10 * MS, 1000 * MS};
	static const double at[] = {0.01, 0.1, 0.5, 1, 2, 3, 5, 8};
	for (size_t k = 0; k < N_OF(seeds); k++) {
		uint64_t mean_ns = means[k % N_OF(means)];
		struct schedule s;
		schedule_init(&s, mean_ns, 0, 5 * S, seeds[k]);
		assert_true(s.next_ns > 5 * S);
		double sum = 0, squares = 0, products = 0;
		for (size_t i = 0; i < GAPS; i++) {
			uint64_t gap = schedule_gap(&s, mean_ns);
			assert_true(gap >= 1 && gap <= 40 * mean_ns); /* 53 bits: ln 2^53 = 36.7 */
			gaps[i] = (double)gap / (double)mean_ns;
			sum += gaps[i];
			squares += gaps[i] * gaps[i];
			products += i ? (gaps[i] - 1) * (gaps[i - 1] - 1) : 0;
		}
		assert_true(fabs(sum / GAPS - 1) < 0.01);     /* 4.5 standard errors */
		assert_true(fabs(squares / GAPS - 2) < 0.05); /* 5 */
		assert_true(fabs(products / GAPS) < 0.015);   /* none remembers the one before it: 6 */
		for (size_t i = 0; i < N_OF(at); i++) {
			size_t longer = 0;
			for (size_t j = 0; j < GAPS; j++)
				longer += gaps[j] > at[i];
			double want = exp(-at[i]), error = sqrt(want * (1 - want) / GAPS);
			assert_true(fabs((double)longer / GAPS - want) < 5 * error + 1e-5);
		}
	}
}

/* Other seeds, other gaps. */
static void test_seeds(void **state)
{
	struct schedule a, b;
	unsigned same = 0;
	schedule_init(&a, MS, 0, 0, 1);
	schedule_init(&b, MS, 0, 0, 2);
	for (int i = 0; i < 1000; i++)
		same += schedule_gap(&a, MS) == schedule_gap(&b, MS);
	assert_true(same < 5);
}

/* A recorder that is always in time: as many ticks as there should be, none late. */
static void test_in_time(void **state)
{
	struct schedule s;
	uint64_t ticks = 0, now = S;
	schedule_init(&s, MS, 0, now, 7);
	for (; now < 101 * S; ticks++) {
		assert_true(s.next_ns > now);
		now = s.next_ns;
		schedule_next(&s, now);
	}
	assert_int_equal(s.late, 0);
	assert_true(ticks > 100000 - 5 * 316 && ticks < 100000 + 5 * 316);
}

/* A pass takes 3 ms at 1 kHz: ticks whose time is over are counted and skipped; the next one comes after now, at a
 * moment as random as ever, never at once to make up for them. */
static void test_late(void **state)
{
	struct schedule s;
	uint64_t now = S, ticks = 0, waited = 0;
	schedule_init(&s, MS, 0, now, 7);
	while (now < 201 * S) {
		now = s.next_ns + 3 * MS;
		schedule_next(&s, now);
		ticks++;
		assert_true(s.next_ns > now);
		waited += s.next_ns - now;
	}
	/* of 4 ms each tick: 1 waiting, 3 with late ones in them */
	assert_true(ticks > 49000 && ticks < 51000);
	assert_true(s.late > 147000 && s.late < 153000);
	assert_true(waited / ticks > 970 * US && waited / ticks < 1030 * US);
}

/* Suspended for long: bounded work, and a count that is about right. */
static void test_suspended(void **state)
{
	static const uint64_t away[] = {3600 * S, 24 * 3600 * S, 3650 * 24 * 3600 * S};
	for (size_t i = 0; i < N_OF(away); i++) {
		struct schedule s;
		schedule_init(&s, 10 * US, 0, S, 7);
		struct timespec t0, t1;
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t0);
		schedule_next(&s, S + away[i]);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t1);
		assert_true(t1.tv_sec - t0.tv_sec < 5); /* some 30 ms; one by one: minutes to years */
		assert_true(s.next_ns > S + away[i] && s.next_ns < S + away[i] + 400 * US);
		double want = (double)away[i] / (10 * US);
		assert_true((double)s.late > want * 0.99 && (double)s.late < want * 1.01);
		uint64_t late = s.late;
		schedule_next(&s, s.next_ns);
		assert_int_equal(s.late, late);
	}
}

static void test_again(void **state)
{
	struct schedule s;
	double sum = 0;
	schedule_init(&s, MS, 0, S, 7);
	for (int i = 0; i < 10000; i++) {
		uint64_t now = 2 * S + (uint64_t)i * 100 * US;
		schedule_again(&s, now);
		assert_true(s.next_ns > now);
		sum += (double)(s.next_ns - now);
	}
	assert_true(fabs(sum / 10000 / MS - 1) < 0.05);
	assert_int_equal(s.late, 0);
}

/* --- the budget */

struct world {
	uint64_t ticks_ns;              /* between two wishes for a stop */
	uint64_t took_ns;               /* by a stop */
	unsigned long_one_in;           /* one in so many takes 50 times that; 0 = none */
	uint64_t idle_from, idle_until; /* no wishes */
};

/* An hour in which a stop is always wanted (but for idle time). Returns the time stopped; no moment has more than its
 * due. */
static uint64_t live(const struct world *world, uint32_t ppm, uint64_t *n_stops)
{
	struct schedule s;
	struct {
		uint64_t at, stopped;
	} window[3] = {{0, 0}, {600 * S, 0}, {1800 * S, 0}};
	uint64_t begin = 77 * S, stopped = 0, longest = world->took_ns * (world->long_one_in ? 50 : 1);
	*n_stops = 0;
	schedule_init(&s, MS, ppm, begin, 3);
	for (uint64_t at = 0; at < 3600 * S; at += world->ticks_ns) {
		uint64_t now = begin + at;
		for (size_t i = 0; i < N_OF(window); i++)
			if (at < window[i].at)
				window[i].stopped = stopped;
		if (at < world->idle_from || at >= world->idle_until) {
			uint64_t planned = s.stop_next_ns;
			schedule_want_stop(&s, now);
			if (planned)
				assert_true(s.stop_next_ns == planned); /* what is planned stays */
			else if (s.stop_next_ns)
				assert_true(s.stop_next_ns > now); /* a moment of its own */
		}
		if (!s.stop_next_ns || s.stop_next_ns > now)
			continue;
		(*n_stops)++;
		uint64_t took = world->took_ns;
		if (world->long_one_in && *n_stops % world->long_one_in == 0)
			took *= 50;
		stopped += took;
		schedule_pay_stop(&s, took);
		assert_int_equal(s.stop_next_ns, 0);
		/* from the beginning: never more than its part and one stop. In any time: what was saved up beside it.
		 */
		double due = (double)at * ppm * 1e-6 + (double)longest + 1;
		assert_true((double)stopped <= due);
		for (size_t i = 1; i < N_OF(window); i++) {
			if (at < window[i].at)
				continue;
			due = (double)(at - window[i].at + SCHEDULE_CREDIT_S * S) * ppm * 1e-6 + (double)longest +
			      SCHEDULE_STOP_NS;
			assert_true((double)(stopped - window[i].stopped) <= due);
		}
	}
	return stopped;
}

static void test_budget(void **state)
{
	static const struct world worlds[] = {
	    {.ticks_ns = MS, .took_ns = 50 * US},
	    {.ticks_ns = MS, .took_ns = 20 * US, .long_one_in = 10},
	    {.ticks_ns = 10 * MS, .took_ns = 200 * US},
	    {.ticks_ns = 5 * MS, .took_ns = 10 * MS}, /* each far beyond what a stop should take */
	    {.ticks_ns = MS, .took_ns = 50 * US, .idle_from = 600 * S, .idle_until = 1800 * S},
	    {.ticks_ns = 137 * US, .took_ns = 50 * US},
	};
	static const uint32_t ppm[] = {1, 10, 100, 2000, 20000};
	for (size_t i = 0; i < N_OF(worlds); i++) {
		for (size_t k = 0; k < N_OF(ppm); k++) {
			uint64_t n, stopped = live(&worlds[i], ppm[k], &n),
			            idle = worlds[i].idle_until - worlds[i].idle_from;
			double due = (double)(3600 * S - idle) * ppm[k] * 1e-6;
			assert_true(n > 0);
			/* and it is used where there is time enough: at most one stop in a tick and its 2 ms */
			double most = (double)(3600 * S - idle) / (double)(worlds[i].ticks_ns + 2 * MS) *
			              (double)worlds[i].took_ns / 2;
			assert_true((double)stopped > (due < most ? due : most) * 0.9 - SCHEDULE_STOP_NS);
		}
	}
}

static void test_no_stops(void **state)
{
	uint64_t n;
	struct schedule s;
	assert_int_equal(live(&(struct world){.ticks_ns = MS, .took_ns = 1}, 0, &n), 0);
	assert_int_equal(n, 0);
	schedule_init(&s, MS, 0, 0, 1);
	for (uint64_t now = 0; now < 3600 * S; now += S) {
		schedule_want_stop(&s, now);
		assert_int_equal(s.stop_next_ns, 0);
		assert_false(schedule_may_hold(&s, now));
	}
}

/* Nothing is given in advance, and nothing is saved up for longer than SCHEDULE_CREDIT_S. */
static void test_credit(void **state)
{
	struct schedule s;
	schedule_init(&s, MS, 2000, S, 1);
	schedule_want_stop(&s, S);
	assert_int_equal(s.stop_next_ns, 0);
	schedule_want_stop(&s, S + 29 * MS); /* 58 us */
	assert_int_equal(s.stop_next_ns, 0);
	schedule_want_stop(&s, S + 31 * MS); /* 62 us */
	assert_true(s.stop_next_ns > S + 31 * MS);
	schedule_pay_stop(&s, MS); /* a long one: its debt is paid off before the next */
	schedule_want_stop(&s, S + 400 * MS);
	assert_int_equal(s.stop_next_ns, 0);
	schedule_want_stop(&s, S + 532 * MS);
	assert_true(s.stop_next_ns > 0);
	schedule_pay_stop(&s, 0);
	uint64_t now = 100000 * S;
	schedule_want_stop(&s, now);
	unsigned n = 0;
	while (s.stop_next_ns) { /* after a day: 5 s of budget, 10 ms */
		schedule_pay_stop(&s, 100 * US);
		schedule_want_stop(&s, now);
		n++;
	}
	assert_int_equal(n, 100);
}

/* What a thread waits for a CPU after its stop counts as much as the stop, whenever it is known. */
static void test_ways_back(void **state)
{
	struct schedule s;
	schedule_init(&s, MS, 2000, 0, 1);
	schedule_want_stop(&s, 31 * MS); /* 62 us */
	assert_true(s.stop_next_ns > 0);
	schedule_pay_stop(&s, 2 * US);
	schedule_want_stop(&s, 32 * MS); /* 62 us again */
	uint64_t planned = s.stop_next_ns;
	assert_true(planned > 0);
	schedule_pay_way_back(&s, 100 * US);
	assert_int_equal(s.stop_next_ns, planned); /* it stays planned */
	schedule_pay_stop(&s, 2 * US);             /* 40 us are owed, 60 needed: 50 ms */
	schedule_want_stop(&s, 81 * MS);
	assert_int_equal(s.stop_next_ns, 0);
	schedule_want_stop(&s, 83 * MS);
	assert_true(s.stop_next_ns > 0);
}

static void test_holds(void **state)
{
	struct schedule s;
	uint64_t held = 0;
	schedule_init(&s, MS, 2000, 0, 1);
	for (uint64_t now = 0; now < 600 * S; now += 100 * US) {
		if (!schedule_may_hold(&s, now))
			continue;
		held += 40 * US;
		schedule_pay_hold(&s, 40 * US);
		assert_true((double)held <= (double)now * (2000. * SCHEDULE_HOLD_TIMES) * 1e-6 + 40 * US + 1);
	}
	assert_true((double)held > 600. * S * (2000. * SCHEDULE_HOLD_TIMES) * 1e-6 * 0.95);
	schedule_init(&s, SCHEDULE_HOLD_GAP_NS + 1, 2000, 0, 1); /* rare samples */
	assert_false(schedule_may_hold(&s, 100 * S));
	schedule_init(&s, SCHEDULE_HOLD_GAP_NS, 2000, 0, 1);
	assert_true(schedule_may_hold(&s, 100 * S));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_gaps),   cmocka_unit_test(test_seeds),     cmocka_unit_test(test_in_time),
	    cmocka_unit_test(test_late),   cmocka_unit_test(test_suspended), cmocka_unit_test(test_again),
	    cmocka_unit_test(test_budget), cmocka_unit_test(test_no_stops),  cmocka_unit_test(test_credit),
	    cmocka_unit_test(test_holds),  cmocka_unit_test(test_ways_back),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
