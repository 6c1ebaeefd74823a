/* priority: run before all ordinary programs (SCHED_FIFO, lowest level), where we may: root, CAP_SYS_NICE,
 * RLIMIT_RTPRIO. */
#pragma once
#include <stdbool.h>

enum priority_for {
	PRIORITY_STOP = 1, /* a thread stands because of us */
	PRIORITY_TICK = 2, /* sleeping for a sample, and taking it */
};

/* It is wanted for this, or no longer; we have it while it is wanted for anything. Costs nothing where nothing changes.
 * Where we may not nothing happens. */
void priority_want(enum priority_for what, bool on);
bool priority_is_had(void);
