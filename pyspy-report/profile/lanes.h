/* lanes: every sample as a stretch of its thread's time: one lane a thread, stretches that never overlap.
 *
 * Flow:    profile/runs -> [lanes] -> whoever asked for stretches (load_options.lane).
 * Layout (also in the room's README): a stretch is as long as the time that its samples stand for, the same as the
 * tally's, so that sums over lanes are sums over the tally. Ticks:  the time of a block is shared out over its ticks in
 * their order (FORMAT.md 4.3), and all threads have their sample of a tick at the same place; what is "not sampled" is
 * a hole where it was. Events: their weights are what they stand for, not when it was, so that before each there may be
 * more or less room than it weighs. The events of a block of one thread are laid end to end in their order, and the
 * whole row as near to where their own times put it as the row before it, the thread's life and the end of the block
 * allow. So the ends of blocks (about a second) are exact; inside, a stretch may stand some samples' worth beside its
 * moment. Memory:  of one epoch, beyond some megabytes in a temporary file.
 */
#pragma once
#include "libcommon/spool.h"
#include "pyspy-report/profile/runs.h"

#define LANES_MAX_NS (UINT64_C(1) << 62) /* no time in here is beyond it */

struct lane_stretch {
	uint32_t recording, thread, stack; /* global */
	uint32_t id;                       /* of an unknown thread (0): its number in the epoch; else 0 */
	uint32_t flags;                    /* enum wire_flag, tally_flag */
	uint32_t n;                        /* samples */
	uint64_t begin_ns, length_ns;      /* in the recording's own clock; a length may be 0 */
};
/* Of one lane: in order of time. 0, or anything else to end reading with it. */
typedef int lanes_visit(void *ctx, const struct profile *p, const struct lane_stretch *s);

struct lanes {
	VEC(struct lane_stretch) kept; /* of the epoch; its stacks are of the epoch, too */
	struct spool *spool;           /* of the same, what came before; the caller's */
	VEC(uint64_t) ends;            /* where each thread's lane ends so far */
	VEC(uint64_t) unknown_ends;    /* by id, of unknown threads */
	VEC(struct rec_event) events;  /* of a block, by thread */
	VEC(uint32_t) order;
	uint32_t recording; /* that the ends are of */
};

void lanes_done(struct lanes *l);
/* Keep what `r` holds of the block that just ended. 0, ERR_NO_MEMORY, ERR_IO (the temporary file: spool->error_number).
 */
int lanes_keep(struct lanes *l, const struct runs *r, const struct epoch *e, const struct rec_block *b);
/* The epoch is settled: show its stretches and forget them. 0, the same errors, or what `visit` returned. */
int lanes_show(struct lanes *l, struct epoch *e, lanes_visit *visit, void *ctx);
