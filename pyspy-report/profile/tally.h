/* tally: how often each (thread, stack, flags) was seen, and for how long.
 *
 * Flow:    profile/runs -> [tally] -> query/. One row per distinct key, so memory follows what is different in a
 * recording, not how long it is. Rows keep their first-seen order, which makes everything built from them repeatable.
 */
#pragma once
#include <stdint.h>

#include "libcommon/vec.h"

/* Beside enum wire_flag: what became of a sample on its way into the profile. */
enum tally_flag {
	TALLY_IN_MOTION = 1 << 13, /* never certified: the stack ends in [in motion] */
	TALLY_EVENT = 1 << 14,     /* from EVENTS: n events; time is the sum of their weights */
	TALLY_LOST = 1 << 15,      /* its stack was never defined: [lost] */
};

struct tally_row {
	uint32_t thread, stack, flags; /* flags: enum wire_flag and tally_flag */
	uint64_t n;                    /* samples */
	uint64_t wall_ns;              /* time of their thread that they stand for */
	uint64_t cpu_ns;               /* CPU time used meanwhile */
};

/* Additions wait here a little, while the memory they need is fetched: with a million rows each would otherwise stand
 * still for two cache misses. */
enum { TALLY_WAIT = 32 };

struct tally {
	VEC(struct tally_row) rows; /* complete after tally_flush */
	uint32_t *slots;            /* row + 1, 0 = free */
	size_t n_slots;
	struct tally_row waiting[TALLY_WAIT];
	uint64_t hashes[TALLY_WAIT];
	uint64_t n_in, n_out; /* of waiting, ever */
};

void tally_done(struct tally *t);
void tally_clear(struct tally *t); /* keeps the memory */
/* 0 or ERR_NO_MEMORY, both. Flush before looking at rows. */
int tally_add(struct tally *t, const struct tally_row *add);
int tally_flush(struct tally *t);
