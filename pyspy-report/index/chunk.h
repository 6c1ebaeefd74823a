/* chunk: samples of one epoch over some seconds, as an index keeps them: columns.
 *
 * Flow:    builder -> chunk_seal, chunk_seal_stacks -> two BLOBs; BLOBs -> chunk_open -> profile/runs.
 * A chunk holds what the blocks of the stream held, block by block: ticks, entries, closings, gaps, events. Threads are
 * numbered as in their epoch; `changes` say who that is from a block on. Stacks are codes (profile/epoch.h). `carries`
 * say what a thread's last entry before a block was, where that is not its last entry in this chunk: so that a chunk
 * can be read without those before it. BLOBs of stacks are apart because what became of a stack is known at the end of
 * its epoch only.
 * Trust:   chunk_open checks every number: what it gives is as sound as what the decoder gives.
 */
#pragma once
#include "format/idtable.h"
#include "format/records.h"
#include "libcommon/vec.h"
#include "pyspy-report/index/pack.h"

enum {
	CHUNK_FULL = 1 << 16, /* entries, events or ticks: then the next block begins a new chunk */
	CHUNK_FULL_BLOCKS = 4096,
	/* What no chunk reaches: the content of a block of the stream is 16 MiB, an entry five bytes, a tick one. */
	CHUNK_MAX = 1 << 22, /* entries; events */
	CHUNK_MAX_TICKS = 17 << 20,
	CHUNK_MAX_BLOCKS = CHUNK_FULL_BLOCKS,
};

struct chunk_block {
	uint64_t begin_ns, end_ns;
	int64_t anchor_ns;
	uint32_t n_ticks, n_entries, n_closings, n_gaps, n_events, n_changes, n_carries;
};
struct chunk_change {
	uint32_t id, thread; /* of the epoch, global */
};
struct chunk_carry {
	uint32_t id, stack, flags;
};

struct chunk {
	uint64_t id;
	VEC(struct chunk_block) blocks; /* what follows: one block's behind the other's */
	VEC(uint64_t) ticks_ns;
	VEC(struct rec_entry) entries; /* stack: code; of one with WIRE_FLAG_ABSENT: 0 */
	VEC(struct rec_closing) closings;
	VEC(struct rec_gap) gaps;
	VEC(struct rec_event) events; /* stack: code */
	VEC(struct chunk_change) changes;
	VEC(struct chunk_carry) carries;
};

void chunk_clear(struct chunk *c);
void chunk_done(struct chunk *c);
/* All but the stacks. 0, ERR_NO_MEMORY. */
int chunk_seal(const struct chunk *c, struct pack *k, struct buf *out);
/* The stacks that are to be sealed, in order: of entries that have one, of events, of carries. */
struct chunk_stack {
	uint32_t id, code; /* thread, of the epoch */
};
/* 0, ERR_NO_MEMORY. */
int chunk_seal_stacks(uint64_t chunk, const struct chunk_stack *s, size_t n, struct pack *k, struct buf *out);

struct chunk_bytes {
	const void *samples, *stacks;
	size_t n_samples, n_stacks;
};
/* `n_threads`, `n_nodes`: of the index; what is not below them is damage. 0, ERR_DAMAGED, ERR_NO_MEMORY. */
int chunk_open(struct chunk *c, uint64_t id, const struct chunk_bytes *b, uint32_t n_threads, uint32_t n_nodes,
               struct pack *k);
