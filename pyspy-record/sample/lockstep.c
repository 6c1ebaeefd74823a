#include "pyspy-record/sample/lockstep.h"

#include <math.h>
#include <string.h>

enum {
	CODES_MOST = 1 << 16,
	CLOCKS_LEAST = 200, /* samples by clocks before the tick is trusted */
	CLOCKS_EARLY = 12,  /* so many may be enough to distrust it */
	KEPT = 1 << 13,     /* samples that are remembered, about: a program may begin to run in step later */
};
/* Of the G statistic with one degree of freedom: by chance once in 10^8; once in 2000, too much to trust the tick yet
 */
#define G_MOST  33.0
#define G_TRUST 12.0

void lockstep_done(struct lockstep *l)
{
	vec_free(&l->innermost.codes);
	vec_free(&l->callers.codes);
}

void lockstep_forget(struct lockstep *l)
{
	l->innermost.codes.n = l->callers.codes.n = 0;
	l->n_tick = l->n_clock = 0;
	l->expected = 0;
}

/* NULL: no memory. */
static struct lockstep_count *find(struct lockstep_table *t, uint32_t code)
{
	if (code >= CODES_MOST)
		code = 0;
	if (code >= t->codes.n) {
		size_t more = code + 1 - t->codes.n;
		if (!vec_room(&t->codes, more))
			return NULL;
		memset(t->codes.v + t->codes.n, 0, more * sizeof *t->codes.v);
		t->codes.n = code + 1;
	}
	return &t->codes.v[code];
}

void lockstep_count(struct lockstep *l, uint32_t code, bool by_clock)
{
	struct lockstep_count *c = find(&l->innermost, code);
	if (!c)
		return;
	l->samples++;
	*(by_clock ? &c->clock : &c->tick) += 1;
	*(by_clock ? &l->n_clock : &l->n_tick) += 1;
}

void lockstep_count_caller(struct lockstep *l, uint32_t code, bool by_clock)
{
	struct lockstep_count *c = find(&l->callers, code);
	if (!c || c->sample == l->samples)
		return;
	c->sample = l->samples;
	*(by_clock ? &c->clock : &c->tick) += 1;
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

/* Half of all that is remembered is forgotten. What cannot be halved goes to the next code: a program of thousands of
 * functions would lose most of what was seen but once, and more of what there is less of. */
static void fade(struct lockstep_table *t, uint32_t *n_tick, uint32_t *n_clock)
{
	uint32_t tick = 0, clock = 0;
	*n_tick = *n_clock = 0;
	for (size_t i = 0; i < t->codes.n; i++) {
		struct lockstep_count *c = &t->codes.v[i];
		tick += c->tick;
		clock += c->clock;
		*n_tick += c->tick = tick / 2;
		*n_clock += c->clock = clock / 2;
		tick %= 2;
		clock %= 2;
	}
}

static void fade_all(struct lockstep *l)
{
	uint32_t tick, clock;
	fade(&l->callers, &tick, &clock); /* a sample has many: their sum is of no use */
	fade(&l->innermost, &l->n_tick, &l->n_clock);
	l->expected /= 2;
}

/* Ticks that hit by chance are as many as the CPU time says. */
static bool misses(const struct lockstep *l)
{
	return l->expected > 30 && fabs(l->n_tick - l->expected) > 6 * sqrt(l->expected) + 0.2 * l->expected;
}

/* Of the code object whose shares differ most. */
static double most_unlike(const struct lockstep *l, const struct lockstep_table *t)
{
	double most = 0;
	for (size_t i = 0; i < t->codes.n && l->n_tick; i++) {
		const struct lockstep_count *c = &t->codes.v[i];
		double g = c->tick || c->clock ? unlike(c->tick, l->n_tick, c->clock, l->n_clock) : 0;
		most = g > most ? g : most;
	}
	return most;
}

bool lockstep_weigh(struct lockstep *l)
{
	enum lockstep_verdict before = l->verdict;
	if (l->verdict == LOCKSTEP_YES || l->n_clock < CLOCKS_EARLY)
		return false;
	double g = fmax(most_unlike(l, &l->innermost), most_unlike(l, &l->callers));
	if (g > G_MOST || misses(l)) {
		l->verdict = LOCKSTEP_YES;
	} else if (before == LOCKSTEP_UNKNOWN && l->n_clock >= CLOCKS_LEAST && l->n_tick && g < G_TRUST) {
		l->verdict = LOCKSTEP_NO;
		lockstep_forget(l); /* the clocks are slower from now on: what is seen now has other weights */
	}
	if (l->n_tick + l->n_clock > KEPT)
		fade_all(l);
	return l->verdict != before;
}
