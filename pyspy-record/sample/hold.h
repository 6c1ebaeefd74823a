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

struct hold {
	cpu_set_t allowed;        /* where we might run when we came */
	bool may_move;            /* holding is possible, and not all the time anyway */
	int cpu;                  /* the only CPU we run on now; -1 = several */
	uint64_t paused_until_ns; /* CLOCK_MONOTONIC: wake-ups came too late too often, no holding until then */
	uint32_t wakes, late;     /* wake-ups on a CPU held, and those that came too late */
	bool is_ready;            /* we are hurried for the next tick */
};

void hold_init(struct hold *h);
/* Is it worth while to look for a CPU to hold? */
bool hold_may(const struct hold *h, uint64_t now_ns);
/* Sit on this CPU from the next sleep on. False: we may not. */
bool hold_take(struct hold *h, int cpu);
/* Anywhere again. */
void hold_release(struct hold *h);
/* While a thread stands for us nobody shall take our CPU away: run before all ordinary programs, where we may (on), as
 * usual again (off). */
void hold_hurry(bool on);
/* Around the sleep that a tick ends, where a CPU is held: the thread is put aside when our timer fires, not when the
 * scheduler next thinks of it. Without that (no right to a real-time priority) one in fourteen wake-ups waits until the
 * thread's time is counted, up to a tick: a system call that asks for CPU time has more samples than it should. */
void hold_before(struct hold *h);
void hold_after(struct hold *h);
/* A wake-up on a CPU held came at `now_ns`, late_ns after its time. Where that happens often holding is given up for a
 * while: moments would not be random. */
void hold_woke(struct hold *h, uint64_t now_ns, uint64_t late_ns);
