/* throttle: the recorder's CPU time stays under its bound, whatever a look costs and whenever that changes; the rate
 * comes back; without need nothing is lowered. A recorder is played: it looks after random gaps (schedule), each look
 * costs what the test says, and a flush each second does too. */
#include "pyspy-record/throttle.h"

#include <stdio.h>

#include "pyspy-record/schedule.h"
#include "tests/unit/support_test.h"

#define US UINT64_C(1000)
#define MS UINT64_C(1000000)
#define S  UINT64_C(1000000000)
enum { SECONDS_MAX = 200 };

struct play {
	uint32_t ppm;
	uint64_t gap_ns, flush_cost_ns;
	uint64_t (*look_costs)(uint64_t time_ns);
	uint64_t seconds, seed;
	double guess;    /* of the cost of the full rate */
	bool is_crowded; /* while it works, others get its CPU half of the time */
	/* what came of it, by seconds */
	uint64_t cpu[SECONDS_MAX], looks[SECONDS_MAX];
	struct throttle t;
	uint64_t changes;
};

static void work(struct play *p, uint64_t *now, uint64_t *cpu, uint64_t cost)
{
	uint64_t second = *now / S;
	*now += p->is_crowded ? 2 * cost : cost;
	*cpu += cost;
	if (second < SECONDS_MAX)
		p->cpu[second] += cost;
}

static void play(struct play *p)
{
	struct schedule s;
	uint64_t now = 0, cpu = 77 * MS, flush = S, busy = 0; /* 77 ms: the start */
	schedule_init(&s, p->gap_ns, 0, now, p->seed);
	throttle_init(&p->t, p->ppm, p->gap_ns, now, cpu);
	throttle_guess(&p->t, p->guess);
	while (now < p->seconds * S) {
		uint64_t wake = s.next_ns < flush ? s.next_ns : flush;
		now = wake > now ? wake : now;
		uint64_t woke = now;
		if (now >= s.next_ns) {
			if (now / S < SECONDS_MAX)
				p->looks[now / S]++;
			work(p, &now, &cpu, p->look_costs(now));
			s.mean_gap_ns = throttle_gap_ns(&p->t);
			schedule_next(&s, now);
		}
		if (now >= flush) {
			work(p, &now, &cpu, p->flush_cost_ns);
			flush += S;
		}
		busy += now - woke;
		if (throttle_is_due(&p->t, now, busy)) {
			p->changes += throttle_measure(&p->t, now, cpu);
			busy = 0;
		}
	}
}

static double used(const struct play *p, uint64_t from, uint64_t until)
{
	uint64_t sum = 0;
	for (uint64_t i = from; i < until; i++)
		sum += p->cpu[i];
	return (double)sum / (double)((until - from) * S);
}

static double rate(const struct play *p, uint64_t from, uint64_t until)
{
	uint64_t sum = 0;
	for (uint64_t i = from; i < until; i++)
		sum += p->looks[i];
	return (double)sum / (double)(until - from);
}

/* Of any so many seconds, as a part of the bound. */
static double worst(const struct play *p, uint64_t window, uint64_t from)
{
	double most = 0;
	for (uint64_t i = from; i + window <= p->seconds; i++) {
		double u = used(p, i, i + window) / ((double)p->ppm / THROTTLE_PPM);
		most = u > most ? u : most;
	}
	return most;
}

#define at_most(a, b)                                                                                                  \
	do {                                                                                                           \
		double a_ = (a), b_ = (b);                                                                             \
		if (!(a_ <= b_))                                                                                       \
			fail_msg("%s = %g > %g", #a, a_, b_);                                                          \
	} while (0)

static uint64_t cheap(uint64_t t)
{
	return 20 * US;
}
static uint64_t dear(uint64_t t)
{
	return 300 * US;
}
static uint64_t huge(uint64_t t)
{
	return 30 * MS;
}

static void no_bound_and_no_need(void **state)
{
	struct play p = {.gap_ns = 10 * MS, .flush_cost_ns = MS, .look_costs = dear, .seconds = 10, .seed = 1};
	play(&p); /* no bound */
	assert_int_equal(p.changes, 0);
	assert_true(p.t.stretch == 1 && p.t.lowered_ns == 0);
	p = (struct play){
	    .ppm = 50000, .gap_ns = 10 * MS, .flush_cost_ns = MS, .look_costs = dear, .seconds = 60, .seed = 2};
	play(&p); /* 3.1 % of 5 %, by chance 4 % for a second */
	assert_true(p.t.stretch == 1 && p.t.lowered_ns == 0);
	assert_int_equal(throttle_gap_ns(&p.t), 10 * MS);
	p = (struct play){.ppm = 1000000, .gap_ns = 100 * US, .look_costs = dear, .seconds = 5, .seed = 3};
	play(&p); /* all of a CPU may be used: 75 % is */
	assert_true(p.t.stretch == 1);
	assert_false(throttle_fails(&p.t));
}

/* From the first second on, for every bound, cost and rate; and not much less is used than may be. */
static void steady(void **state)
{
	static const uint32_t ppms[] = {1000, 5000, 20000, 100000, 500000};
	static uint64_t (*const costs[])(uint64_t) = {cheap, dear, huge};
	static const uint64_t gaps[] = {10 * US, 100 * US, MS, 10 * MS};
	for (size_t i = 0; i < N_OF(ppms); i++)
		for (size_t k = 0; k < N_OF(costs); k++)
			for (size_t g = 0; g < N_OF(gaps); g++) {
				struct play p = {.ppm = ppms[i],
				                 .gap_ns = gaps[g],
				                 .look_costs = costs[k],
				                 .seconds = 120,
				                 .seed = 7 + i + k + g};
				play(&p);
				double part = ppms[i] / 1e6,
				       full = (double)costs[k](0) / (double)(costs[k](0) + gaps[g]);
				double look = (double)costs[k](0) / 1e9; /* one more by chance */
				bool is_coarse = look > 0.2 * part;      /* a look in several seconds */
				at_most(used(&p, 0, 120), part + look / 120 * 3);
				at_most(worst(&p, 5, 0), is_coarse ? 12 : 1.0 + 8 * look / (5 * part));
				if (full > part && !is_coarse)
					at_most(0.6 * part, used(&p, 20, 120));
				if (full < 0.8 * part)
					assert_true(p.t.stretch == 1);
				assert_false(throttle_fails(&p.t));
			}
}

static uint64_t ten_times_after_30_s(uint64_t t)
{
	return t < 30 * S || t >= 60 * S ? 30 * US : 300 * US;
}

/* The program starts threads, and ends them. */
static void steps(void **state)
{
	for (uint64_t seed = 1; seed < 20; seed++) {
		struct play p = {
		    .ppm = 20000, .gap_ns = 100 * US, .look_costs = ten_times_after_30_s, .seconds = 120, .seed = seed};
		play(&p);
		at_most(used(&p, 0, 120), 0.02);
		at_most(worst(&p, 5, 0), 1.15); /* also across the step */
		at_most(worst(&p, 1, 0), 2.5);
		double before = rate(&p, 20, 30), in = rate(&p, 50, 60), after = rate(&p, 75, 120);
		at_most(450, before); /* 2 % at 30 us: 667 a second */
		at_most(in, 68);
		at_most(50, in);
		at_most(450, after);
		at_most(rate(&p, 60, 61), 3 * in); /* slowly */
	}
}

static uint64_t once_200_ms(uint64_t t)
{
	static bool was_there;
	was_there &= t >= 30 * S;
	if (t < 30 * S || was_there)
		return 30 * US;
	was_there = true;
	return 200 * MS; /* ten seconds of the bound, at once */
}

/* It is owed and paid back, and meanwhile a quarter of the bound is left for looking. */
static void bursts(void **state)
{
	struct play p = {.ppm = 20000, .gap_ns = MS, .look_costs = once_200_ms, .seconds = 120, .seed = 5};
	play(&p);
	at_most(used(&p, 0, 30), 0.02);
	at_most(used(&p, 30, 50), 0.02 * 1.02); /* paid */
	at_most(used(&p, 32, 38), 0.4 * 0.02);
	at_most(0.15 * 0.02, used(&p, 32, 38));
	at_most(450, rate(&p, 80, 120)); /* 667 at most: as before */
	at_most(450, rate(&p, 20, 30));
	assert_false(throttle_fails(&p.t));
}

static uint64_t new_things_at_first(uint64_t t)
{
	return t < S ? 2 * MS : 100 * US;
}

/* What is learned in the first second (names, lines) is dear: the rate comes back sooner than later. */
static void beginning(void **state)
{
	struct play p = {.ppm = 20000, .gap_ns = MS, .look_costs = new_things_at_first, .seconds = 60, .seed = 9};
	play(&p);
	at_most(worst(&p, 3, 0), 1.1);
	at_most(120, rate(&p, 8, 12)); /* 200 at most */
	at_most(150, rate(&p, 20, 60));
}

/* A guess that is ten times too much or too little does not last. */
static void guesses(void **state)
{
	for (int wrong = 0; wrong < 2; wrong++) {
		struct play p = {.ppm = 20000,
		                 .gap_ns = MS,
		                 .look_costs = dear,
		                 .seconds = 20,
		                 .seed = 9,
		                 .guess = wrong ? 3 : 0.03};
		play(&p); /* 30 % of a CPU */
		at_most(worst(&p, 3, 0), 1.1);
		at_most(35, rate(&p, 1, 3)); /* 67 at most */
	}
}

/* Flushes alone take more than the bound: the rate goes down as far as it can, and that is told. */
static void fixed_costs(void **state)
{
	struct play p = {
	    .ppm = 5000, .gap_ns = 10 * MS, .flush_cost_ns = 8 * MS, .look_costs = dear, .seconds = 200, .seed = 4};
	play(&p);
	assert_true(throttle_fails(&p.t));
	assert_true(p.t.stretch > 1000);
	at_most(rate(&p, 30, 100), 0.3);
	p = (struct play){
	    .ppm = 5000, .gap_ns = 10 * MS, .flush_cost_ns = 3 * MS, .look_costs = dear, .seconds = 100, .seed = 4};
	play(&p); /* 0.3 % of 0.5 %: the looks get what is left */
	assert_false(throttle_fails(&p.t));
	at_most(used(&p, 0, 100), 0.005);
	at_most(worst(&p, 5, 0), 1.1);
	at_most(2, rate(&p, 20, 100)); /* 0.15 % of 300 us: 5 */
}

/* Others use the CPU too: time that passes is not time that is used. */
static void crowded(void **state)
{
	struct play p = {
	    .ppm = 20000, .gap_ns = 100 * US, .look_costs = dear, .seconds = 60, .seed = 6, .is_crowded = true};
	play(&p);
	at_most(used(&p, 0, 60), 0.02);
	at_most(0.6 * 0.02, used(&p, 10, 60));
}

/* What the file tells. */
static void totals(void **state)
{
	struct play p = {.ppm = 20000, .gap_ns = 100 * US, .look_costs = dear, .seconds = 60, .seed = 6};
	play(&p);
	double passed = (double)(p.t.at_ns - p.t.begin_ns), mean = 1e4 * p.t.rate_ns / passed;
	assert_true(passed > 59e9 && passed < 61e9);
	at_most(rate(&p, 0, 60), 1.1 * mean); /* as many looks as the mean rate says */
	at_most(0.85 * mean, rate(&p, 0, 60));
	at_most(0.99 * passed, p.t.lowered_ns);
	at_most(p.t.lowered_ns, passed);
	assert_true(p.t.longest >= p.t.stretch && p.t.longest < 1000);
	assert_int_equal(p.t.cpu_ns - p.t.begin_cpu_ns > 0, 1);
}

/* The same numbers, the same rate; clocks that stand still or go back change nothing. */
static void the_same_again(void **state)
{
	struct play p = {.ppm = 5000, .gap_ns = 100 * US, .look_costs = dear, .seconds = 30, .seed = 11}, q = p;
	play(&p);
	play(&q);
	assert_memory_equal(p.looks, q.looks, sizeof p.looks);
	assert_true(p.t.stretch == q.t.stretch);
	struct throttle before = p.t;
	assert_false(throttle_is_due(&p.t, p.t.at_ns, UINT64_MAX));
	assert_false(throttle_measure(&p.t, p.t.at_ns, p.t.cpu_ns + S));
	assert_false(throttle_measure(&p.t, p.t.at_ns - 1, p.t.cpu_ns + S));
	assert_false(throttle_measure(&p.t, p.t.at_ns + S, p.t.cpu_ns - 1));
	assert_memory_equal(&p.t, &before, sizeof before);
	throttle_measure(&p.t, p.t.at_ns + 1000000 * S, p.t.cpu_ns); /* suspended */
	assert_true(p.t.stretch >= 1 && p.t.stretch <= p.t.most);
	throttle_measure(&p.t, p.t.at_ns + 1, p.t.cpu_ns + 1000000 * S);
	assert_true(p.t.stretch >= 1 && p.t.stretch <= p.t.most);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_bound_and_no_need),
	    cmocka_unit_test(steady),
	    cmocka_unit_test(steps),
	    cmocka_unit_test(bursts),
	    cmocka_unit_test(beginning),
	    cmocka_unit_test(guesses),
	    cmocka_unit_test(fixed_costs),
	    cmocka_unit_test(crowded),
	    cmocka_unit_test(totals),
	    cmocka_unit_test(the_same_again),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
