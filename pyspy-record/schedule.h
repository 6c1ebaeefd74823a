/* schedule: when to look. Gaps are exponential, so that nothing runs in step with the sampling; what is late is skipped
 * and counted.
 *
 * All times CLOCK_MONOTONIC ns.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

/* Time that threads may be made to stand still: a part of wall time. */
struct budget {
	uint64_t ppm;         /* millionths */
	int64_t credit_ns;    /* what is left */
	uint64_t credited_ns; /* until when it was given */
};

struct schedule {
	uint64_t random[2]; /* state of the generator */
	uint64_t mean_gap_ns;
	uint64_t next_ns;      /* the next tick */
	uint64_t late;         /* ticks whose time had passed */
	uint64_t stop_next_ns; /* the next stop, 0 = none is planned */
	struct budget stops, holds;
};

enum {
	SCHEDULE_CREDIT_S = 5,    /* so much wall time's budget is saved up at most */
	SCHEDULE_STOP_NS = 60000, /* a stop needs so much credit to be planned */
	SCHEDULE_HOLD_NS = 30000, /* a hold */
	SCHEDULE_HOLD_TIMES =
	    5, /* threads may wait for us for 5 times as long as they may stand for stops: 1 % by default */
	SCHEDULE_HOLD_GAP_NS = 50 * 1000 * 1000, /* rarer samples are certified by stops */
};

/* stop_ppm 0: no stops, and no holds. `seed`: any number. */
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
/* After stops that were paid for, threads waited so long for a CPU. */
void schedule_pay_way_back(struct schedule *s, uint64_t ns);
/* May the CPU of a thread be held at the next tick? */
bool schedule_may_hold(struct schedule *s, uint64_t now_ns);
void schedule_pay_hold(struct schedule *s, uint64_t took_ns);
