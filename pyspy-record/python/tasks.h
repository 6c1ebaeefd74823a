/* tasks: all asyncio tasks of an interpreter that are not done, with what each of them waits for.
 *
 * Flow:    memory/pagecache -> object, repr, awaits -> [tasks] -> show.
 * Where:   asyncio.tasks keeps them in weak sets (_all_tasks; 3.12 and later _scheduled_tasks, _eager_tasks); from 3.14
 * on C's tasks are in a list of their thread, or, once that has ended, of the interpreter.
 * Which:   C's Task and what derives from it; Python's Task; any other by its attributes (_coro, _name, _state).
 * Offsets: _asyncio's struct is private. They come from the table (values_layout), and are believed only when what lies
 * there is a coroutine, a name and a context; else a task is searched for these three, one behind the other.
 * Memory:  entries, frames and text, reused from look to look; all bounded.
 * Trust:   as repr. Sets of any size, lists that are circles, tasks that are none: bounded, and counted.
 */
#pragma once
#include "pyspy-record/python/awaits.h"

enum { TASKS_MAX = 1 << 17, TASKS_FRAMES_MAX = 1 << 20, TASKS_TEXT_MAX = 64 << 20, TASKS_AWAITED_BY_MAX = 1 << 20 };

/* In tasks.text: generalised UTF-8 of any content. */
struct tasks_text {
	size_t at, n;
};

/* A future, a task, or whatever else. */
struct tasks_thing {
	raddr_t at;
	struct tasks_text type; /* "_asyncio.Future" */
	struct tasks_text name; /* of a task; else empty */
	char state;             /* 'p'ending, 'c'ancelled, 'f'inished; 0: not known */
};

struct tasks_entry {
	raddr_t at;
	uint32_t interp; /* the caller's number of the interpreter */
	struct tasks_text type, name;
	raddr_t coroutine;
	struct tasks_text coroutine_name; /* its qualified name, or its type's */
	bool is_running, is_begun, is_cut;
	bool is_certain; /* the caller's: read while nothing moved */
	size_t first, n; /* in tasks.frames, the outermost first */
	bool waits;      /* for `waiter` */
	struct tasks_thing waiter;
	size_t first_child, n_children;        /* in tasks.things: what a gather() that it waits for waits for */
	struct tasks_text awaits;              /* type of what the innermost coroutine waits for; empty: none */
	bool has_awaited_by;                   /* this version keeps it */
	size_t first_awaited_by, n_awaited_by; /* in tasks.awaited_by */
	raddr_t loop;
	struct tasks_text loop_type;
	uint64_t ident; /* threading's, of the thread that runs its loop; 0: not known */
	raddr_t tstate; /* 3.14 and later: it is in the list of this thread state; 0: not known */
};

/* Where the fields of C's tasks are. */
struct tasks_places {
	uint32_t loop, state, waiter, coroutine, name, context, awaited_by, awaited_by_is_set, node, of_thread,
	    of_interpreter;
	bool is_proved, is_wrong;
};

struct tasks_found {
	raddr_t at, tstate;
};

struct tasks {
	struct pagecache cache;
	struct repr repr;
	const struct layout *layout;
	const struct values_layout *shape;
	struct tasks_places places;
	uint32_t interp;

	VEC(struct tasks_found) found; /* of this interpreter */
	struct map seen;
	size_t next;         /* in found: to be read */
	bool is_listed_cut;  /* not all were found ... */
	bool is_listed_late; /* ... because there was no time, or there were no bytes left */
	raddr_t last_loop;   /* what was found for it: */
	struct tasks_text last_loop_type;
	uint64_t last_loop_ident;

	VEC(struct tasks_entry) list;
	struct awaits_frames frames;
	VEC(struct tasks_thing) things;
	VEC(raddr_t) awaited_by;
	struct buf text;
	size_t not_understood; /* objects among the tasks that are none that we know */
	bool has_asyncio;      /* some interpreter has imported it */
};

/* *r and *l are kept. ERR_UNSUPPORTED: older than 3.8. */
int tasks_init(struct tasks *t, struct reader *r, const struct layout *l);
void tasks_done(struct tasks *t);
/* 3.14 and later: what the program says of itself (the section .AsyncioDebug, `n` bytes) instead of the table; used if
 * it makes sense. */
void tasks_debug_offsets(struct tasks *t, const void *raw, size_t n);
/* Begin a look: forget what was read before. Nothing is read after deadline_ns (CLOCK_MONOTONIC; 0: there is none). */
void tasks_begin(struct tasks *t, uint64_t deadline_ns);
/* The same out of the pages that pagecache_again brought; of others none are brought along. */
void tasks_again(struct tasks *t, uint64_t deadline_ns);
/* Go on after that, with what was found: no page that was read is kept. */
void tasks_resume(struct tasks *t, uint64_t deadline_ns);
/* List the tasks of this interpreter; none are read. 0, also where there is no asyncio; ERR_GONE; ERR_NO_MEMORY. */
int tasks_find(struct tasks *t, raddr_t interp, uint32_t number);
/* Read the next one of those that were listed: 1, and it is the last of t->list; 0: it is done, or was not understood;
 * ERR_AGAIN: there are no more; ERR_FULL: no more fit; ERR_MEMORY_READ: no time or no bytes are left (it stays the next
 * one); ERR_GONE; ERR_NO_MEMORY. */
int tasks_read(struct tasks *t);
static inline size_t tasks_left(const struct tasks *t)
{
	return t->found.n - t->next;
}
static inline const char *tasks_bytes(const struct tasks *t, struct tasks_text text)
{
	return (const char *)t->text.data + text.at;
}
