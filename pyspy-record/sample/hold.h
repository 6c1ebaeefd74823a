/* hold: sit on the CPU that a thread runs on, so that it stands still while it is looked at.
 *
 * When our timer fires there, the thread is put aside for us: the moment is one of its own CPU time, as random as our
 * gaps, and it stays aside for as long as we have the CPU. A thread whose CPU (/proc/PID/task/TID/stat) is the only one
 * that we may run on does not run; if schedstat's count is the same afterwards it did not run in between, on any CPU.
 * So its stack is certain, and the sample is a true one: unlike a stop, which comes to rest where the kernel likes. The
 * price is that the thread waits for us: only where samples want certificates, and within a budget (schedule).
 *
 * Needs a scheduler that lets a woken task run at once: up to Linux 6.5 (CFS), and from 6.12 on with a short slice of
 * our own (sched_setattr). In between a running task may finish its slice first, and moments would cling to its ends:
 * not used there. A machine, container or `taskset` with one CPU is held all the time.
 */
#pragma once
#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

#include "pyspy-record/sample/awake.h"

struct hold {
	cpu_set_t allowed;        /* where we might run when we came */
	bool may_move;            /* holding is possible, and not all the time anyway */
	bool keeps_off;           /* not where a thread was held, for a while */
	int cpu;                  /* the only CPU we run on now; -1 = several */
	uint64_t paused_until_ns; /* CLOCK_MONOTONIC: wake-ups came too late too often, no holding until then */
	uint32_t wakes, late;     /* wake-ups on a CPU held, and those that came too late */
	uint64_t work_ns;         /* what a tick takes, on average over the last ones */
	uint64_t after_ns;        /* of that, after a thread's CPU need not be held any more */
	uint64_t read_ns;         /* in this tick all is read that must be read on that CPU; 0 = not, or not there */
	uint64_t left_ns;         /* and then we left it; 0 = no */
	struct awake awake;       /* instead of the sleep before a tick */
	uint64_t gap_ns;          /* between ticks */
	uint32_t sleeps;          /* no CPU held, since the scheduler found us one */
};

/* may_stay_awake: our CPU time is not bounded. */
void hold_init(struct hold *h, bool may_stay_awake);
void hold_done(struct hold *h);
/* Is it worth while to look for a CPU to hold? */
bool hold_may(const struct hold *h, uint64_t now_ns);
/* Sit on this CPU from the next sleep on. False: we may not. */
bool hold_take(struct hold *h, int cpu);
/* Elsewhere, or anywhere again. */
void hold_release(struct hold *h);
/* Before the sleep that a tick at tick_ns ends; ticks are gap_ns apart. From here to hold_after we run before all
 * ordinary programs, where we may: else, where the thread's CPU is ours as well (held, the only one, or all are busy),
 * one wake-up in fourteen waits until the scheduler counts the thread's time, up to a tick of its own, and that is at
 * once when it asks for its CPU time: such a call has several times the samples that it should. Now and then, where we
 * may run anywhere, a part of the time is slept without it: that is when the scheduler can find us a CPU that is free.
 * False: that took too long, the tick is over. */
bool hold_before(struct hold *h, uint64_t now_ns, uint64_t tick_ns, uint64_t gap_ns);
/* Before anything else that takes time. */
void hold_after(void);
/* The sleep before a tick, or awake (awake.h), not on a CPU that is held. */
void hold_sleep_until(struct hold *h, uint64_t tick_ns, uint64_t gap_ns);
/* In a tick, on a CPU that is held: all is read that must be read there. True: what is left to do takes longer than
 * going away and coming back (new stacks, deep ones, cold caches), and the thread need not wait for that. */
bool hold_would_leave(struct hold *h);
/* Elsewhere, for the rest of the tick. */
void hold_leave(struct hold *h);
/* A tick took so long. */
void hold_worked(struct hold *h, uint64_t begin_ns, uint64_t end_ns);
/* The end of the time in this tick for which a thread waited for us. */
static inline uint64_t hold_until(const struct hold *h, uint64_t now_ns)
{
	return h->left_ns ? h->left_ns : now_ns;
}
/* A wake-up on a CPU held came at `now_ns`, late_ns after its time. Where that happens often holding is given up for a
 * while: moments would not be random. */
void hold_woke(struct hold *h, uint64_t now_ns, uint64_t late_ns);
