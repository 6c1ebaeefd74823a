/* locals: the variables of one frame, by name, with their values as repr() would print them.
 *
 * Flow:    walk (struct walk_frame), memory/pagecache -> [locals] -> show.
 * Which:   of a function its arguments, locals, cells and free variables, in the order of its code; what is not bound
 * is left out. Of a module, a class body and what exec runs, the names of its namespace; of these level 1 leaves out
 * `__names__`, modules, classes and functions, level 2 `__names__` only, level 3 nothing.
 * When:    while the frame's thread stands still, or is asleep; else what is read may be torn, and a frame that is no
 * longer there gives ERR_TORN.
 * Memory:  the list's, reused; the reader's pages (pagecache.h).
 * Trust:   as repr.
 */
#pragma once
#include "libcommon/buf.h"
#include "libcommon/vec.h"
#include "pyspy-record/python/repr.h"
#include "pyspy-record/python/walk.h"

enum locals_kind {
	LOCALS_LOCAL,
	LOCALS_CELL, /* shared with functions inside */
	LOCALS_FREE, /* shared with a function around */
	LOCALS_NAME, /* of a namespace: a module's, a class's */
};

struct locals_entry {
	size_t name, name_len;   /* in the list's text: safe to print, UTF-8 */
	size_t value, value_len; /* the same */
	enum locals_kind kind;
	bool is_argument;
	bool is_hidden; /* its name is that of a secret; the value says so */
};

struct locals_list {
	struct buf text;
	VEC(struct locals_entry) v;
	size_t left_out; /* more variables than were listed */
};

struct locals {
	struct pagecache cache;
	struct repr repr;
	const struct layout *layout;
	const struct values_layout *shape;
	unsigned level;
	size_t most; /* variables of one frame */
};

/* level: 1 for -l, 2 for -ll, 3 for more. secrets NULL: nothing is hidden. *r, *l and *secrets are kept. */
int locals_init(struct locals *c, struct reader *r, const struct layout *l, unsigned level,
                const struct secrets *secrets);
void locals_done(struct locals *c);
/* Begin a look: forget what was read before. Nothing is read after deadline_ns (CLOCK_MONOTONIC; 0: there is none):
 * values say so then. modules: the interpreter's sys.modules, 0: not known. */
void locals_begin(struct locals *c, uint64_t deadline_ns, raddr_t modules);
/* Fill *list (all zero to begin with) with the variables of a frame. 0; ERR_TORN, ERR_MEMORY_READ: the frame is not
 * what it was, the list is empty; ERR_GONE; ERR_NO_MEMORY. */
int locals_read(struct locals *c, const struct walk_frame *f, struct locals_list *list);
void locals_list_done(struct locals_list *list);
