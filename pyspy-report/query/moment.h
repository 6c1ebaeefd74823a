/* moment: what each thread was doing at a moment: of all its samples the one that is nearest.
 *
 * Flow:    profile, and its samples in order of time -> [moment] -> view/.
 * Of two that are as near the earlier one is taken. Filters come afterwards: a thread whose nearest sample is not
 * wanted has none, and not one from further away.
 */
#pragma once
#include "pyspy-report/profile/replay.h"
#include "pyspy-report/profile/span.h"

struct moment_thread {
	bool is_seen;
	uint64_t distance_ns; /* between the sample and the moment */
	struct replay_sample sample;
};

struct moment {
	VEC(uint64_t) at_ns; /* by recording: the moment, in its own time (CLOCK_BOOTTIME) */
	VEC(struct moment_thread) threads;
};

/* The profile is whole. 0 or ERR_NO_MEMORY; moment_done in any case. */
int moment_init(struct moment *m, const struct profile *p, const struct span_point *at);
void moment_done(struct moment *m);
void moment_take(struct moment *m, const struct replay_sample *s);
/* The thread existed then, as far as is known: it had not ended before, nor did it start after it (starts are known to
 * MOMENT_START_NS). */
#define MOMENT_START_NS UINT64_C(10000000)
bool moment_has(const struct moment *m, const struct profile *p, uint32_t thread);
