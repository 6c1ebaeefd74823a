/* walk_chain: from a thread state along the chain of its frames, in images of its memory. The one place that knows how
 * a chain may look; where the images come from is the business of walk.c (read from outside, and repaired on the way)
 * and walk_copy.c (copied at one instant).
 *
 * Memory:  frames go to w->frames, which grows; else none.
 * Trust:   addresses lead anywhere, chains may be circular, chunks may overlap. Only bytes inside of a piece are looked
 * at, and the number of steps is bounded.
 */
#pragma once
#include "pyspy-record/python/walk.h"

/* struct _PyStackChunk (3.11+): previous, size in bytes, top in words, data (Include/cpython/pystate.h) */
enum { WALK_CHUNK_PREVIOUS = 0, WALK_CHUNK_SIZE = 8, WALK_CHUNK_TOP = 16, WALK_CHUNK_DATA = 24 };
enum { WALK_CHAIN_CHECKED = 1 }; /* no address */
enum { WALK_FIRST_ADDRESS = 4096 };

struct walk_chain {
	const struct layout *layout;
	/* Of the data stack, innermost first, from their headers on: each with an address that walk_is_address agrees
	 * to, and WALK_CHUNK_DATA to WALK_CHUNK_MAX bytes. */
	const struct walk_piece *chunks;
	size_t n_chunks;
	/* A frame or cframe outside of the chunks: n bytes from `at` on, good until the next call; NULL = not to be
	 * had. */
	const unsigned char *(*outside)(struct walk_chain *c, raddr_t at, size_t n);
	/* Memory may be missing: then a chain that leads out of it is cut, else it is torn. */
	bool may_lack;
	bool is_tired; /* set by `outside`: it has brought as much as one walk may cost; the chain is cut there */
	/* 3.11, 3.12: begin at the caller of the innermost call of the evaluator, which has no frame of its own yet. */
	bool from_caller;

	/* --- of the walk */
	/* 3.11, 3.12: current_frame of the cframe before: what the innermost call of the evaluator must lead to.
	 * WALK_CHAIN_CHECKED: it does, or it need not. */
	raddr_t before;
	bool is_lacking; /* torn only because the innermost frame is missing, as it may be */
	size_t frame_bytes;
	/* How far down the data stack it has come. */
	size_t entered;            /* chunks that it came into, or passed */
	raddr_t base;              /* of the last of them: the first byte behind its header ... */
	const unsigned char *data; /* ... its image ... */
	size_t room;               /* ... and callers lie below this offset */
	raddr_t low, high;         /* all chunks lie between these */
};

/* Walk from `tstate` (an image that holds all fields of the layout): w->frames, w->is_cut. 0; ERR_TORN; ERR_NO_MEMORY.
 */
int walk_chain_follow(struct walk_chain *c, const unsigned char *tstate, struct walk *w);

static inline struct walk_frame walk_frame_of_object(const struct layout *l, raddr_t at, raddr_t code, raddr_t globals,
                                                     int32_t lasti)
{
	uint64_t instr = lasti < 0 ? WALK_NOT_STARTED : (uint64_t)lasti * l->frame.instr_unit;
	return (struct walk_frame){.code = code, .instr = instr, .globals = globals, .at = at};
}

static inline bool walk_is_address(raddr_t a)
{
	return a >= WALK_FIRST_ADDRESS && a < (raddr_t)1 << 47 && a % 8 == 0;
}
