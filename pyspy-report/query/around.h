/* around: the callers and the callees of what matches, as two call trees.
 *
 * Flow:    query/tree -> [around] -> view/.
 * Of each stack the outermost matching frame counts, so that recursion counts once and both trees have the same total:
 * the samples whose stack has a match. In `callees` it is the first frame and what it calls stands below; in `callers`
 * it is the first frame too, and below it stand those who called it, from the innermost outwards ("self" there: who has
 * no caller left; at `depth`: whoever it is).
 */
#pragma once
#include "pyspy-report/query/tree.h"

struct around {
	struct tree callers, callees;
	uint32_t n_frames; /* different frames that matched as the outermost */
};

struct around_options {
	const bool *matches; /* by frame of the naming */
	uint32_t depth;      /* of callers at most: the matching frame is 1; 0 = all */
};

/* 0, ERR_FULL, ERR_NO_MEMORY; around_done in any case. */
int around_build(struct around *a, const struct tree *t, const struct naming *n, const struct around_options *o);
void around_done(struct around *a);
