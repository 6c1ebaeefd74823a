/* walk_extras: what a thread's stack has outside of the data stack (frames of generators, shims and cframes on the C
 * stack), remembered from pass to pass by address, so that it comes over with the one read of the thread. */
#pragma once
#include "pyspy-record/python/walk.h"

/* Forget what was not met for WALK_EXTRA_KEPT passes. */
void walk_extras_age(struct walk *w, struct walk_thread *t);
/* How many pieces walk_extras_plan will add. */
size_t walk_extras_spans(struct walk_thread *t);
/* Add what walk_extras_spans counted to the batch, which has room for it. */
void walk_extras_plan(struct walk *w, struct walk_thread *t, struct reader_batch *b);
/* This one of the planned pieces could not be read: forget what is in it. */
void walk_extras_failed(struct walk_thread *t, size_t span);
/* n bytes (at most WALK_PIECE) at `at`, out of what was read in this pass, else by a repair; good until the next call.
 * NULL: they cannot be read. */
const unsigned char *walk_extras_get(struct walk *w, struct walk_thread *t, raddr_t at, size_t n);
void walk_extras_done(struct walk_thread *t);
