/* load_parts: what loading a stream (profile/load) and loading an index (index/index_load) have in common: from a block
 * whose samples are in `runs` to the tally, the replay and the lanes.
 */
#pragma once
#include "format/decode.h"
#include "pyspy-report/profile/load.h"

struct load {
	struct profile *profile;
	struct load_options options;
	uint32_t input; /* string */
	struct stream *stream;
	struct epoch epoch;
	struct runs runs;
	struct replay replay;
	struct lanes lanes;
	bool has_recording;             /* `at` is of this input */
	uint32_t at;                    /* in profile->recordings */
	struct profile_recording again; /* replays: what was counted before is counted here, for nobody */
};

/* All but the stream. load_done in any case. */
void load_init(struct load *l, struct profile *p, const struct load_options *o);
void load_done(struct load *l);
/* The recording that is being read: where its facts go. */
struct profile_recording *load_recording(struct load *l);
/* The epoch that was being read, if any, is over. 0, ERR_*, or what a visitor returned. */
int load_end_epoch(struct load *l);
/* What of a block's time is asked for: in l->runs, and shown in the recording's totals. */
void load_span(struct load *l, const struct rec_block *b, uint64_t started_ns);
/* Count the block whose samples are in l->runs. `to`: gets its totals, and has the mean gap and the start by which its
 * samples are meant. The same returns. */
int load_count(struct load *l, const struct rec_block *b, struct profile_recording *to);
