/* copies: free-threaded builds of 3.14 and later: each thread runs a copy of its own of the instructions. Where they
 * are.
 *
 * Flow:    walk (frame: code, tlbc_index, instr), memory/reader -> [copies] -> the instruction's offset.
 * Facts:   PyCodeObject.co_tlbc -> _PyCodeArray {size, entries[]}, entry 0 the code object's own instructions, entry i
 * those of the thread with index i, made when it first runs the code. The array is replaced when it grows, copies stay.
 * An index goes to another thread when its own ends, and keeps its copies; sys._clear_internal_caches() frees those
 * whose index no thread has. tlbc_indices.tlbc_generation of the interpreter ("generation") counts threads that began
 * or ended: unless it has moved, no copy that a thread runs was freed or made anew.
 * (Objects/codeobject.c, Include/internal/pycore_code.h; the generation as seen in 3.14.9 and 3.15.1.)
 * Memory:  capped; at the cap copies_is_full().
 * Trust:   read from a running target: a copy counts only if the instruction lies in it.
 */
#pragma once
#include "libcommon/map.h"
#include "libcommon/vec.h"
#include "pyspy-record/memory/reader.h"
#include "pyspy-record/python/layout.h"

enum { COPIES_MAX = 1 << 20, COPIES_ARRAY_MAX = 1 << 14 };
#define COPIES_UNKNOWN UINT64_MAX /* a generation that could not be read: they are 4 bytes */

struct copies_start {
	raddr_t start;
	uint64_t generation; /* it was there then */
};

struct copies {
	struct reader *reader;
	const struct layout *layout;
	struct map by_code; /* (the caller's number of the code object, index) -> place in v */
	VEC(struct copies_start) v;
	uint64_t reads; /* arrays looked at */
};

struct copies_wanted {
	uint32_t code; /* number of the code object ... */
	raddr_t at;    /* ... its address ... */
	uint32_t size_bytes, index;
	raddr_t instr; /* an instruction in the copy */
	uint64_t generation;
};

void copies_init(struct copies *c, struct reader *r, const struct layout *l);
void copies_done(struct copies *c);
void copies_clear(struct copies *c);
static inline bool copies_is_full(const struct copies *c)
{
	return c->v.n >= COPIES_MAX;
}
/* Where the copy begins that holds w->instr: the one with w->index or, of a frame that is on its way from one thread's
 * to another's, whichever it is. `w->generation`: read after the frame was. *known: it was there at an earlier look
 * already; else it is certain only if the generation has not moved since before the frame was read. 0; ERR_TORN: none
 * holds it (any more); the error of reading; ERR_NO_MEMORY. */
int copies_find(struct copies *c, const struct copies_wanted *w, raddr_t *start, bool *known);
