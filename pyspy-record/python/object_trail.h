/* object_trail: the pieces of memory that an answer depended on, so that one call tells that it still holds.
 *
 * Flow:    object_* enter what they read -> [trail] -> object_trail_holds, as often as one likes.
 * Cost:    one system call for each READER_BATCH_MAX pieces.
 * Memory:  at most OBJECT_TRAIL_PIECES pieces; one that needs more never holds, as one that memory was lacking for.
 */
#pragma once
#include "libcommon/buf.h"
#include "libcommon/vec.h"
#include "pyspy-record/memory/reader.h"

enum { OBJECT_TRAIL_PIECES = 32768 };

struct object_piece {
	raddr_t at;
	uint32_t n, pos; /* pos: in bytes */
};
struct object_trail {
	VEC(struct object_piece) pieces;
	struct buf bytes; /* as they were */
	bool is_broken;   /* not all of it is here */
};

/* All zero is an empty one, which holds. */
void object_trail_done(struct object_trail *t);
/* Forget all of it. */
void object_trail_clear(struct object_trail *t);
/* The answer depends on these n bytes at `at`. t may be NULL: nothing is done. */
void object_trail_add(struct object_trail *t, raddr_t at, const void *bytes, size_t n);
/* The answer depends on what is not entered: it never holds. */
void object_trail_break(struct object_trail *t);
/* Is all as it was? False also when that could not be told. */
bool object_trail_holds(struct object_trail *t, struct reader *r);
