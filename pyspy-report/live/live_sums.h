/* live_sums: a recording as it comes -> what was seen in the last moments, and since the start.
 *
 * Flow:    bytes -> profile/load -> [live_sums] -> live/live_ranks.
 * Both are rows of a tally. What waits for certificates is shown as it would stand if the recording ended now, so that
 * the sums at any moment are those of a recording that was cut there.
 * Memory:  what is different, and the rows of the blocks of the last moments; not how long it runs.
 */
#pragma once
#include "pyspy-report/profile/load.h"

enum live_part { LIVE_NOW, LIVE_SINCE, LIVE_PARTS };

struct live_slot {   /* of one block */
	uint64_t ns; /* of time that it covers and that was sampled */
	VEC(struct tally_row) rows;
	bool is_resolved; /* stacks are global; else of the epoch that is being read */
};

struct live_sums {
	struct profile profile;
	struct load *load;
	struct load_tap tap;
	struct tally block;   /* the block that was read last; stacks of the epoch */
	struct tally waiting; /* of the epoch since it or the counting began */
	struct tally since;   /* of the epochs before; stacks are global */
	VEC(struct live_slot) slots;
	uint64_t window_ns; /* how much time LIVE_NOW is of, at least one block */
	bool has_block;
	uint64_t block_ns, end_ns; /* of the block that was read last */
	uint64_t since_ns;         /* time that LIVE_SINCE is of */
	uint64_t missed_ns;        /* recordings' not_sampled_ns, as far as it was taken off */
	uint64_t reset_ns;         /* when counting began again (CLOCK_BOOTTIME of the recording); 0 = never */
};

/* 0 or ERR_NO_MEMORY; live_sums_done in any case. `input`: its name. */
int live_sums_init(struct live_sums *s, const char *input, uint64_t window_ns);
void live_sums_done(struct live_sums *s);
/* As load_feed and load_finish. */
int live_sums_feed(struct live_sums *s, const void *bytes, size_t n);
int live_sums_finish(struct live_sums *s);
/* LIVE_SINCE begins again, with the next block. 0 or ERR_NO_MEMORY. */
int live_sums_reset(struct live_sums *s);
/* Bytes of the input that the sums are of. */
uint64_t live_sums_bytes(const struct live_sums *s);
/* All rows of a part, with global stacks. `visit`: 0, or what ends it. 0, ERR_*. */
typedef int live_visit(void *ctx, const struct tally_row *row);
int live_sums_visit(struct live_sums *s, enum live_part part, live_visit *visit, void *ctx);
/* Sampled time that a part is of. */
uint64_t live_sums_ns(const struct live_sums *s, enum live_part part);
