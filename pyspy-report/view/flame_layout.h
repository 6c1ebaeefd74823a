/* flame_layout: a call tree -> the boxes of a flame graph. No units: positions are
 * samples or nanoseconds, as the tree weighs (tree_total), rows are depths.
 *
 * Frames too small to see are put together: each parent has at most one box "and n more frames", behind its children.
 * Nothing is left out silently: what has weight and no box of its own is in such a box, and is counted.
 */
#pragma once
#include "pyspy-report/query/tree.h"

struct flame_box {
	uint32_t node;         /* of the tree; of a box for more: the parent */
	uint32_t depth;        /* row: the root has 0 */
	uint64_t begin, total; /* weight left of it, weight of it */
	uint64_t n_more;       /* 0; else the box stands for that many frames */
};

struct flame_layout_options {
	uint64_t max_frames; /* boxes of frames, at most; each may have one for more */
	double min_share;    /* of the whole weight: less is not drawn as a frame */
	bool by_weight;      /* children heaviest first; else by name */
};

struct flame_layout {
	VEC(struct flame_box) boxes; /* parents before their children, left to right */
	uint32_t max_depth;
	uint64_t n_frames, n_hidden; /* nodes of the tree; of these, inside boxes for more, or without any */
};

int flame_layout_make(struct flame_layout *l, const struct tree *t,
                      const struct flame_layout_options *o); /* 0, memory */
void flame_layout_done(struct flame_layout *l);
