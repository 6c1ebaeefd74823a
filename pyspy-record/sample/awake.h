/* awake: wait for the next tick without a sleep, where ticks are nearer to each other than a sleep is long.
 *
 * A sleep of 10 us takes 40 to 80 us, and some 30 us of CPU time. So who asks for more than 20 kHz would get 20 kHz and
 * pay for a whole CPU. Only while nobody else wants the CPU that we have: the kernel counts how long we waited for it
 * (schedstat), and where that is more than a trifle we sleep, and try again later.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "pyspy-record/target/taskstate.h"

struct awake {
	bool may;
	struct taskstate self;
	uint64_t looked_ns, waited_ns; /* the last look at it, CLOCK_MONOTONIC, and how long we had waited by then */
	uint32_t n_wanted;             /* looks in a row that found that somebody wants our CPU */
	uint64_t paused_until_ns;
	uint64_t pause_ns; /* the next one: longer each time, shorter while all goes well */
};

/* may: false where our CPU time is bounded. */
void awake_init(struct awake *a, bool may);
void awake_done(struct awake *a);
/* Shall we, with such gaps? `now_ns`: CLOCK_MONOTONIC. */
bool awake_wants(const struct awake *a, uint64_t now_ns, uint64_t gap_ns);
/* Until then; a signal may end it earlier. */
void awake_until(struct awake *a, uint64_t tick_ns);
