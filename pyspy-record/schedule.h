/* schedule: when to look. Gaps are exponential, so that nothing runs in step with the sampling; what is late is skipped
 * and counted.
 *
 * All times CLOCK_MONOTONIC ns.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct schedule {
	uint64_t random[2]; /* state of the generator */
	uint64_t mean_gap_ns;
	uint64_t next_ns;          /* the next tick */
	uint64_t late;             /* ticks whose time had passed */
	uint64_t stop_next_ns;     /* the next stop, 0 = none is planned */
	uint64_t stop_ppm;         /* budget: stops may take this part of wall time */
	int64_t stop_credit_ns;    /* what is left of the budget */
	uint64_t stop_credited_ns; /* until when it was given */
};

enum { SCHEDULE_CREDIT_S = 5, SCHEDULE_STOP_NS = 60000 /* what a stop takes, to begin with */ };

/* `seed`: any number. */
void schedule_init(struct schedule *s, uint64_t mean_gap_ns, uint32_t stop_ppm, uint64_t now_ns, uint64_t seed);
uint64_t schedule_random(struct schedule *s);
/* A random gap with this mean. */
uint64_t schedule_gap(struct schedule *s, uint64_t mean_ns);
/* After a tick at `now_ns`: draw the next; those that are over already are counted as late and skipped. */
void schedule_next(struct schedule *s, uint64_t now_ns);
/* After a stop (or anything that delayed us): a new gap from now on, so that samples do not follow stops in lockstep.
 */
void schedule_again(struct schedule *s, uint64_t now_ns);
/* A stop is wanted: plan one at a moment of its own, if the budget allows for it and none is planned. */
void schedule_want_stop(struct schedule *s, uint64_t now_ns);
/* A stop took this long. */
void schedule_pay_stop(struct schedule *s, uint64_t took_ns);
