/* support_stack: a thread of a fake target, with its stack as CPython 3.11, 3.12 or 3.13 builds it, or as those up to
 * 3.10 do, and who walks it from outside.
 *
 * Use:    support_stack_begin, then calls and pushes as the evaluator makes them; `frames` says what a walk must find.
 * Layout: the thread state at SUPPORT_STACK_TSTATE, data-stack chunks around SUPPORT_STACK_CHUNKS, 16 MiB from each
 * other, cframes and shims on a C stack, generators among the objects; up to 3.10 all frames are there, and calls of
 * the evaluator leave no mark. Errors: none; a test that builds nonsense dies.
 */
#pragma once
#include "libcommon/vec.h"
#include "pyspy-record/python/walk.h"
#include "tests/unit/support_memory.h"

#define SUPPORT_STACK_TSTATE  UINT64_C(0x10000000)
#define SUPPORT_STACK_CHUNKS  UINT64_C(0x200000000000)
#define SUPPORT_STACK_C       UINT64_C(0x7ff000000000)
#define SUPPORT_STACK_OBJECTS UINT64_C(0x50000000)
enum {
	SUPPORT_STACK_C_BYTES = 1 << 20,
	SUPPORT_STACK_OBJECTS_BYTES = 16 << 20,
	SUPPORT_STACK_GENERATOR = 160, /* bytes between two of them */
	SUPPORT_STACK_CHUNK = 16384,
};
enum { OWNER_THREAD = 0, OWNER_GENERATOR = 1, OWNER_CSTACK = 3 };

struct support_stack_frame {
	raddr_t at, chunk, top; /* chunk and top as they were before it was pushed */
	raddr_t cframe, c_was;  /* of its call; the C stack as it was before that */
	struct walk_frame want;
	bool is_shim, is_first; /* of its evaluator call */
};

struct support_stack {
	struct support_memory m;
	const struct layout *l;
	uint32_t version;                       /* as it was asked for */
	VEC(struct support_stack_frame) frames; /* outermost first */
	VEC(raddr_t) chunks;                    /* likewise */
	raddr_t chunk, top, chunk_end, cframe, c_next, call_c, object_next;
	uint32_t chunk_size, serial, c_bytes; /* c_bytes: of the C stack that a call takes beside cframe and shim */
	size_t frame_bytes;
	uint32_t locals; /* of frame objects, less than that */
	bool next_is_first;
	uint64_t seed;
	/* who walks it */
	struct walk w;
	struct walk_thread t;
	struct reader_batch batch;
};

extern const uint32_t support_stack_versions[3];
extern const uint32_t support_stack_old_versions[6]; /* frames are objects */

void support_stack_begin(struct support_stack *s, uint32_t version);
void support_stack_end(struct support_stack *s);
uint32_t support_stack_draw(struct support_stack *s, uint32_t below);
bool support_stack_has_cframe(const struct support_stack *s);
bool support_stack_is_old(const struct support_stack *s);
/* Address of the innermost frame, 0 = none. */
raddr_t support_stack_innermost(const struct support_stack *s);
/* n bytes of the C stack, lower than all before. */
raddr_t support_stack_on_c(struct support_stack *s, size_t n);
/* Write the thread state's words about the data stack anew. */
void support_stack_set_top(struct support_stack *s);
/* A frame's words at `at`, and what is wanted of it. */
void support_stack_put(struct support_stack *s, raddr_t at, unsigned owner, raddr_t previous);
void support_stack_set_innermost(struct support_stack *s, raddr_t at);
/* C code calls the evaluator: as _PyEval_EvalFrameDefault begins. */
void support_stack_call(struct support_stack *s);
void support_stack_push(struct support_stack *s, unsigned owner);
/* A generator whose frame lies at `at`, not among the objects. */
void support_stack_push_generator(struct support_stack *s, raddr_t at);
/* The innermost frame returns, and its call with it if it was its first. */
void support_stack_pop(struct support_stack *s);
/* A call, and n frames of the thread in it. */
void support_stack_call_and_push(struct support_stack *s, unsigned n);
/* Frame `frame` (place in `frames`) was called by whoever is at `previous`. */
void support_stack_link(struct support_stack *s, size_t frame, raddr_t previous);
/* w->frames are the innermost `n` frames, SIZE_MAX = all of them. */
void support_stack_compare(const struct support_stack *s, const struct walk *w, size_t n);
/* Read from outside, it is all there. */
void support_stack_expect_whole(struct support_stack *s);
/* The same, after as many walks as it takes to find it all. */
void support_stack_expect_found(struct support_stack *s);
/* In one system call, nothing read in addition. */
void support_stack_expect_at_once(struct support_stack *s);
/* As ticks would see it: then it is all planned. */
void support_stack_expect_planned(struct support_stack *s);
