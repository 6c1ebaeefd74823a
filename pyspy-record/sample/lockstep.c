#include "pyspy-record/sample/lockstep.h"

#include <math.h>
#include <string.h>

enum {
	CODES_MOST = 1 << 16,
	CLOCKS_LEAST = 100, /* samples by clocks before the tick is trusted */
	CLOCKS_EARLY = 12,  /* so many may be enough to distrust it */
	KEPT = 1 << 13,     /* samples that are remembered, about: a program may begin to run in step later */
};
/* Of the G statistic with one degree of freedom: by chance once in 10^8 */
#define G_MOST 33.0

void lockstep_done(struct lockstep *l)
{
	vec_free(&l->by_code);
}

void lockstep_forget(struct lockstep *l)
{
	l->by_code.n = 0;
	l->n_tick = l->n_clock = 0;
	l->expected = 0;
}

void lockstep_count(struct lockstep *l, uint32_t code, bool by_clock)
{
	if (code >= CODES_MOST)
		code = 0;
	if (code >= l->by_code.n) {
		size_t more = code + 1 - l->by_code.n;
		if (!vec_room(&l->by_code, more))
			return;
		memset(l->by_code.v + l->by_code.n, 0, more * sizeof *l->by_code.v);
		l->by_code.n = code + 1;
	}
	if (by_clock) {
		l->by_code.v[code].clock++;
		l->n_clock++;
	} else {
		l->by_code.v[code].tick++;
		l->n_tick++;
	}
}

static double part(double seen, double expected)
{
	return seen > 0 ? seen * log(seen / expected) : 0;
}

/* How little a of n and b of m look like the same share (log-likelihood ratio). */
static double unlike(double a, double n, double b, double m)
{
	double p = (a + b) / (n + m);
	return 2 * (part(a, n * p) + part(n - a, n * (1 - p)) + part(b, m * p) + part(m - b, m * (1 - p)));
}

/* Half of all that is remembered is forgotten. */
static void fade(struct lockstep *l)
{
	l->n_tick = l->n_clock = 0;
	l->expected /= 2;
	for (size_t i = 0; i < l->by_code.n; i++) {
		l->n_tick += l->by_code.v[i].tick /= 2;
		l->n_clock += l->by_code.v[i].clock /= 2;
	}
}

static bool is_in_step(const struct lockstep *l)
{
	double expected = l->expected;
	/* ticks that hit by chance are as many as the CPU time says */
	if (expected > 30 && fabs(l->n_tick - expected) > 6 * sqrt(expected) + 0.2 * expected)
		return true;
	for (size_t i = 0; i < l->by_code.n; i++)
		if ((l->by_code.v[i].tick || l->by_code.v[i].clock) && l->n_tick &&
		    unlike(l->by_code.v[i].tick, l->n_tick, l->by_code.v[i].clock, l->n_clock) > G_MOST)
			return true;
	return false;
}

bool lockstep_weigh(struct lockstep *l)
{
	enum lockstep_verdict before = l->verdict;
	if (l->verdict == LOCKSTEP_YES || l->n_clock < CLOCKS_EARLY)
		return false;
	if (is_in_step(l))
		l->verdict = LOCKSTEP_YES;
	else if (l->n_clock >= CLOCKS_LEAST && l->n_tick)
		l->verdict = LOCKSTEP_NO;
	if (l->n_tick + l->n_clock > KEPT)
		fade(l);
	return l->verdict != before;
}
