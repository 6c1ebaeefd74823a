/* labelled: the samples of a call tree by node, and by what is known of them beside their stack: thread, state, GIL.
 *
 * Flow:    tree (with keep_rows) + tally -> [labelled] -> view/pprof.
 * For outputs without a tree of their own, which keep each stack with its labels.
 */
#pragma once
#include "pyspy-report/query/tree.h"

/* The flags of a sample that make labels. */
#define LABELLED_FLAGS (WIRE_FLAG_STATE | WIRE_FLAG_GIL | WIRE_FLAG_GIL_WAIT | WIRE_FLAG_GC)

struct labelled_row {
	uint32_t node, thread, flags; /* flags: LABELLED_FLAGS */
	uint64_t n, wall_ns, cpu_ns;
};
struct labelled {
	VEC(struct labelled_row) rows; /* in the order in which they were first seen */
};

int labelled_build(struct labelled *l, const struct tree *t, const struct profile *p); /* 0 or ERR_NO_MEMORY */
void labelled_done(struct labelled *l);
