/* replay: the samples of an epoch, one by one, in order of time, once its certificates are known.
 *
 * Flow:    profile/runs -> [replay] -> whoever asked for samples (load_options.sample).
 * Memory:  the runs of one epoch (24 bytes each), its tick times, its events (32 bytes each).
 * Order:   within an epoch, whatever block a sample came in: events may be older than their block. An event that is
 *          older than its epoch comes first in it.
 */
#pragma once
#include "pyspy-report/profile/runs.h"

struct replay_sample {
	uint32_t recording, thread, stack; /* global */
	uint32_t flags;                    /* enum wire_flag, tally_flag */
	uint64_t time_ns;
	uint64_t weight_ns; /* events: time of the thread that it stands for; else 0 */
};
/* 0, or anything else to end reading with it. */
typedef int replay_visit(void *ctx, const struct profile *p, const struct replay_sample *s);

struct replay_event {
	uint64_t time_ns, weight_ns;
	uint32_t thread, stack, flags;
	uint32_t number; /* of the epoch: the order in which they came */
};
struct replay_block {
	size_t ticks, runs; /* where those of the block begin */
};
struct replay {
	VEC(struct replay_block) blocks;
	VEC(uint64_t) ticks_ns;
	VEC(struct run) runs;
	VEC(struct replay_event) events;
	VEC(uint32_t) active; /* indexes of runs */
};

void replay_done(struct replay *y);
/* Keep what `r` holds of the block that just ended. 0 or ERR_NO_MEMORY. */
int replay_keep(struct replay *y, const struct runs *r, const struct epoch *e);
/* The epoch is settled: show its samples and forget them. 0, or what `visit` returned. */
int replay_show(struct replay *y, struct epoch *e, replay_visit *visit, void *ctx);
