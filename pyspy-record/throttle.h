/* throttle: how much slower than asked for must we look, so that our own CPU time stays under a bound (--max-cpu)?
 *
 * Flow:    session (CPU and wall time so far) -> [throttle: stretch] -> schedule, kernel/engine, drain, seats.
 * How:     what a full rate would cost is learned from what was spent lately, and the rate follows: down
 * at once, up slowly. What was spent beyond the bound is owed, and is saved until it is paid back. Only the past
 * decides, never what a sample finds, so that a sample stands for its mean gap whenever it is taken. Reads no clock:
 * the same numbers give the same rate. Times in ns of any steady clock; CPU time of the process.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "pyspy-record/emit/writer.h"

enum { THROTTLE_PPM = 1000000 }; /* of one CPU */

struct throttle {
	double part;    /* the bound: part of one CPU; 0 = there is none */
	double stretch; /* mean gaps are so many times what was asked for: 1 or more ... */
	double most;    /* ... up to this */
	uint64_t gap_ns;
	uint64_t begin_ns, begin_cpu_ns, at_ns, cpu_ns; /* the beginning, the last measurement */
	double wanted;                                  /* stretch, before it is worth a change */
	struct throttle_cost {
		double spent_ns, looked_ns; /* fading sums: CPU time; time between looks, as if the rate were full */
	} soon, late;
	double other_ns;  /* since the last measurement: CPU time that was not for looks */
	double credit_ns; /* CPU time that may be used beyond the bound; negative: is owed */
	bool fails;
	uint64_t judged_ns;
	double judged_credit_ns;
	/* for the file */
	double longest; /* stretch so far */
	double lowered_ns, rate_ns;
};

/* ppm: millionths of one CPU, 0 = no bound. gap_ns: the mean gap asked for. What was used before cpu_ns is the start's,
 * and not counted. */
void throttle_init(struct throttle *t, uint32_t ppm, uint64_t gap_ns, uint64_t now_ns, uint64_t cpu_ns);
/* At the beginning: the full rate may cost so much of a CPU (1 = all of it, and more). It is begun with a rate that
 * fits, and the first measurements decide. */
void throttle_guess(struct throttle *t, double full_cost);
/* Is it time to measure? busy_ns: wall time that was spent on work since the last measurement, which may be all of it
 * CPU time. Never without a bound. */
bool throttle_is_due(const struct throttle *t, uint64_t now_ns, uint64_t busy_ns);
/* So much CPU time went into something else than looks: it counts, but says nothing of what they cost. */
void throttle_other(struct throttle *t, uint64_t cpu_ns);
/* True: t->stretch is another one. */
bool throttle_measure(struct throttle *t, uint64_t now_ns, uint64_t cpu_ns);
/* The mean gap now. */
uint64_t throttle_gap_ns(const struct throttle *t);
/* More is used than the bound, for long and at a rate that was lowered for it: what does not depend on the rate is too
 * much. */
bool throttle_fails(const struct throttle *t);
/* For the file, before a flush. */
void throttle_tell(const struct throttle *t, struct writer *w);
