/* labelled: the samples that pass a filter, by what is seen of their stack, and by what is known of them beside it:
 * thread, state, GIL.
 *
 * Flow:    tally + shape -> [labelled] -> view/pprof. For outputs without a tree of their own, which keep each stack
 * with its labels.
 */
#pragma once
#include "pyspy-report/query/shape.h"

/* The flags of a sample that make labels. */
#define LABELLED_FLAGS (WIRE_FLAG_STATE | WIRE_FLAG_GIL | WIRE_FLAG_GIL_WAIT | WIRE_FLAG_GC)

struct labelled_row {
	uint32_t path, thread, flags; /* path: of the shape; flags: LABELLED_FLAGS */
	uint64_t n, wall_ns, cpu_ns;
};
struct labelled {
	VEC(struct labelled_row) rows; /* in the order in which they were first seen */
};

int labelled_build(struct labelled *l, struct shape *s); /* 0, ERR_FULL, ERR_NO_MEMORY; labelled_done in any case */
void labelled_done(struct labelled *l);
