#include "pyspy-record/throttle.h"

#include <math.h>

#include "libcommon/clock.h"

#define MS         1e6
#define S          1e9
#define STEP_NS    (250 * MS) /* a measurement is made at least so often ... */
#define STEP_PART  0.5        /* ... and when so much of its budget may be used */
#define GAP_MOST   (100 * S)  /* the lowest rate, as with -r */
#define FADE_SOON  (250 * MS) /* of what is known of the cost: the larger of the two counts */
#define FADE_LATE  (2 * S)
#define FADE_GAPS  32      /* mean gaps: of fewer looks nothing is known */
#define RISE_NS    (3 * S) /* the rate grows by a factor e in this time at most; sooner when we have just begun */
#define RISE_LEAST (100 * MS)
#define MARGIN     0.85       /* of the bound is aimed at */
#define PAY_NS     S          /* what is owed is paid back in this time, if a ... */
#define PAY_LEAST  0.25       /* ... part of the bound is left */
#define SAVE_NS    (500 * MS) /* the bound of so much time can be saved up */
#define FAILS_NS   (10 * S)   /* what is owed grows for so long, and is more than the bound of ... */
#define FAILS_OWED (5 * S)    /* ... so much time: it cannot be held */
#define SURPRISE   4          /* times what was expected: one dear look does not make all of them dear */
#define WORTH_DOWN 1.05       /* changes of the rate that are smaller than these are not made: each costs */
#define WORTH_UP   1.2

void throttle_init(struct throttle *t, uint32_t ppm, uint64_t gap_ns, uint64_t now_ns, uint64_t cpu_ns)
{
	*t = (struct throttle){
	    .part = (double)ppm / THROTTLE_PPM,
	    .stretch = 1,
	    .wanted = 1,
	    .longest = 1,
	    .most = gap_ns && (double)gap_ns < GAP_MOST ? GAP_MOST / (double)gap_ns : 1,
	    .gap_ns = gap_ns,
	    .begin_ns = now_ns,
	    .begin_cpu_ns = cpu_ns,
	    .at_ns = now_ns,
	    .judged_ns = now_ns,
	    .cpu_ns = cpu_ns,
	};
}

bool throttle_is_due(const struct throttle *t, uint64_t now_ns, uint64_t busy_ns)
{
	return t->part > 0 && now_ns > t->at_ns &&
	       ((double)(now_ns - t->at_ns) >= STEP_NS || (double)busy_ns >= STEP_PART * STEP_NS * t->part);
}

static double at_least(double a, double b)
{
	return a > b ? a : b;
}

/* The part of a CPU that may be used for now. */
static double aim(const struct throttle *t)
{
	double part = t->part * MARGIN;
	return t->credit_ns >= 0 ? part : at_least(part + t->credit_ns / PAY_NS, t->part * PAY_LEAST);
}

/* What looking at the full rate costs: the part of a CPU c / g of a look that takes c, g after the one before was done.
 */
static double full_cost(const struct throttle *t, const struct throttle_cost *c)
{
	/* one gap more: measured is mostly right behind a look, whose own gap is still to come */
	return c->spent_ns / (c->looked_ns + (double)t->gap_ns);
}

/* The stretch with which that takes so much of a CPU: c / (g x stretch + c). */
static double stretch_for(double cost, double part)
{
	return part < 1 ? cost * (1 - part) / part : 1;
}

static double fitting(const struct throttle *t)
{
	double soon = full_cost(t, &t->soon), late = full_cost(t, &t->late);
	double stretch = stretch_for(soon > late ? soon : late, aim(t));
	return stretch < 1 ? 1 : stretch > t->most ? t->most : stretch;
}

static void learn(struct throttle_cost *c, double fade_ns, double passed, double spent, double stretch)
{
	double fade = exp(-passed / fade_ns);
	c->spent_ns = c->spent_ns * fade + spent;
	c->looked_ns = c->looked_ns * fade + at_least(passed - spent, passed / 1000) / stretch;
}

static void judge(struct throttle *t, double few)
{
	double owed = -t->part * FAILS_OWED;
	if ((double)(t->at_ns - t->judged_ns) < at_least(FAILS_NS, few / 16))
		return;
	t->fails = t->credit_ns < t->judged_credit_ns && t->judged_credit_ns < owed;
	t->judged_ns = t->at_ns;
	t->judged_credit_ns = t->credit_ns;
}

static bool is_worth_it(const struct throttle *t)
{
	if (t->wanted > t->stretch)
		return t->wanted >= t->stretch * WORTH_DOWN || t->wanted >= t->most;
	return t->wanted < t->stretch && (t->wanted <= t->stretch / WORTH_UP || t->wanted <= 1);
}

void throttle_guess(struct throttle *t, double cost)
{
	if (t->part <= 0)
		return;
	double stretch = stretch_for(cost, t->part * MARGIN);
	t->wanted = t->stretch = stretch < 1 ? 1 : stretch > t->most ? t->most : stretch;
	t->longest = t->stretch;
}

void throttle_other(struct throttle *t, uint64_t cpu_ns)
{
	t->other_ns += (double)cpu_ns;
}

bool throttle_measure(struct throttle *t, uint64_t now_ns, uint64_t cpu_ns)
{
	if (t->part <= 0 || now_ns <= t->at_ns || cpu_ns < t->cpu_ns)
		return false;
	double passed = (double)(now_ns - t->at_ns), spent = (double)(cpu_ns - t->cpu_ns);
	double age = (double)(now_ns - t->begin_ns), few = FADE_GAPS * (double)throttle_gap_ns(t);
	t->at_ns = now_ns;
	t->cpu_ns = cpu_ns;
	t->lowered_ns += t->stretch > 1 ? passed : 0;
	t->rate_ns += passed / t->stretch;
	t->credit_ns += t->part * passed - spent;
	if (t->credit_ns > t->part * SAVE_NS)
		t->credit_ns = t->part * SAVE_NS;
	judge(t, few);
	spent = spent > t->other_ns ? spent - t->other_ns : 0;
	t->other_ns = 0;
	double expected = full_cost(t, &t->late) * (passed / t->stretch + (double)t->gap_ns);
	if (expected > 0 && spent > SURPRISE * expected) /* the surplus is owed all the same */
		spent = SURPRISE * expected;
	learn(&t->soon, at_least(FADE_SOON, few), passed, spent, t->stretch);
	learn(&t->late, at_least(FADE_LATE, few), passed, spent, t->stretch);
	double slowly = age / 2 < RISE_LEAST ? RISE_LEAST : age / 2 < RISE_NS ? age / 2 : RISE_NS;
	slowly = at_least(slowly, few / 8);
	t->wanted = at_least(fitting(t), t->wanted * exp(-passed / slowly));
	if (!is_worth_it(t))
		return false;
	t->stretch = t->wanted;
	t->longest = at_least(t->longest, t->stretch);
	return true;
}

uint64_t throttle_gap_ns(const struct throttle *t)
{
	return (uint64_t)((double)t->gap_ns * t->stretch + 0.5);
}

bool throttle_fails(const struct throttle *t)
{
	return t->fails;
}

void throttle_tell(const struct throttle *t, struct writer *w)
{
	if (t->longest > 1)
		writer_count(w, WIRE_COUNTER_LONGEST_GAP_NS, (uint64_t)((double)t->gap_ns * t->longest));
	writer_count(w, WIRE_COUNTER_LOWERED_NS, (uint64_t)t->lowered_ns);
	writer_count(w, WIRE_COUNTER_RATE_NS, (uint64_t)t->rate_ns);
	writer_count(w, WIRE_COUNTER_BOUNDED_CPU_NS, clock_process_cpu_ns() - t->begin_cpu_ns);
}
