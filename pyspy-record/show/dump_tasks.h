/* dump_tasks: the asyncio tasks of a snapshot.
 *
 * Flow:    sample/snapshot, python/tasks -> [dump_tasks] -> dump_text, dump_json.
 * How:     read while the threads stand, or while nobody runs; what time does not suffice for then is read when they
 * run again, and is not certain. A task that runs has the innermost frames of the thread that runs it; frames of others
 * are added to the snapshot's.
 */
#pragma once
#include "pyspy-record/python/tasks.h"
#include "pyspy-record/sample/snapshot.h"

struct dump_task {
	size_t entry;                         /* in tasks.list */
	size_t first, n;                      /* in snapshot.frames, innermost first */
	const struct snapshot_thread *thread; /* that runs it, or its loop; NULL: not known */
	bool is_certain;
};

struct dump_tasks {
	struct tasks tasks;
	bool is_open;
	bool is_large; /* too many to be made out while threads stand: pages are copied then, and read afterwards */
	VEC(struct dump_task) list; /* those that run first, then by name */
	size_t left_out;            /* that were found, and not read */
	bool may_lack;              /* not all were found */
	const char *problem;        /* NULL, or why there are none: one line */
	bool has_debug_offsets;
	unsigned char debug_offsets[128];
	size_t interp;  /* of the target's: the one that is being read; */
	bool has_found; /* its tasks are listed */
};

/* Before the threads stand: all zero to begin with. What is wrong is d->problem. */
void dump_tasks_open(struct dump_tasks *d, struct target *t);
/* A snapshot_prepare: a look of which nothing is kept but where things are. */
void dump_tasks_prepare(struct dump_tasks *d, struct target *t);
/* A snapshot_visit; ctx is a struct dump_tasks that was opened. */
bool dump_tasks_visit(void *ctx, struct target *t, struct snapshot *s, uint64_t until_ns);
/* Read what was too late for the visit, and sort. Call it once, behind snapshot_take. */
void dump_tasks_finish(struct dump_tasks *d, struct target *t, struct snapshot *s);
void dump_tasks_done(struct dump_tasks *d);
