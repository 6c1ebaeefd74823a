/* rank: a call tree -> how much each frame has itself and in total, in samples and in time.
 *
 * Rows are in order of time where the tree is (tree.by_time), else of samples.
 * A frame that is several times in one stack (recursion) counts once for it.
 */
#pragma once
#include "pyspy-report/query/tree.h"

struct rank_row {
	uint32_t frame;
	uint64_t self_n, total_n, self_ns, total_ns;
};
struct rank {
	VEC(struct rank_row) rows;
	bool by_time; /* as the tree */
};
enum rank_order { RANK_SELF, RANK_TOTAL };

/* 0 or ERR_NO_MEMORY; rank_done in any case. */
int rank_build(struct rank *r, const struct tree *t, const struct naming *n, enum rank_order order);
void rank_done(struct rank *r);
