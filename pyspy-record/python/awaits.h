/* awaits: what a coroutine waits for, and what that waits for: the frames of an await chain.
 *
 * Flow:    memory/pagecache -> object -> [awaits] -> tasks.
 * Which:   coroutines, generators and asynchronous generators, and what stands between them in the interpreter (the
 * iterators of `__await__`, `__anext__` and types.coroutine). A chain ends at what is none of these: a future, an
 * object with an `__await__` of its own.
 * Versions: 3.8 and later.
 * Trust:   as repr. A circle is told and cut; no recursion.
 */
#pragma once
#include "pyspy-record/python/repr.h"
#include "pyspy-record/python/walk.h"

enum { AWAITS_MAX = 10000 /* frames of one chain */ };

struct awaits_frames {
	VEC(struct walk_frame) list;
};

struct awaits {
	size_t n;        /* frames that were added, the outermost first */
	raddr_t end;     /* what the innermost waits for; 0: for nothing: it runs, has not begun, or has ended */
	bool is_running; /* a frame of it is on the stack of a thread: the chain ends there */
	bool is_begun;   /* false: not one instruction of it has run */
	bool has_ended;
	bool is_cut; /* there is more, or it is a circle */
};

/* Is the object one that awaits_follow can follow? */
bool awaits_has_frame(const struct repr_type *t);
/* Add the chain's frames to `frames`. 0; ERR_TORN, ERR_MEMORY_READ: not even the first makes sense; ERR_GONE;
 * ERR_NO_MEMORY. */
int awaits_follow(struct repr *p, raddr_t coroutine, struct awaits_frames *frames, struct awaits *a);
