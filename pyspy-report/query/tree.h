/* tree: the samples that pass a filter, as a call tree of frames, with counts and times.
 *
 * Flow:    profile (tally, stacks) + filter + naming -> [tree] -> query/rank, view/.
 * Parents stand before their children; node 0 is the root ("all"). The tree is the same for the same input: children
 * are in order of their text (naming_compare).
 */
#pragma once
#include "pyspy-report/query/shape.h"

#define TREE_NONE UINT32_MAX

struct tree_node {
	uint32_t parent, frame;  /* of the root: TREE_NONE both */
	uint32_t child, sibling; /* first child, next sibling; 0 = none */
	uint32_t depth;          /* the root: 0 */
	uint64_t self_n, total_n;
	uint64_t self_ns, total_ns; /* of time (tally_row.wall_ns); with FILTER_BY_CPU of CPU time */
};

struct tree_options {
	struct shape_options shape;
	/* Callees are the parents of their callers: the first frame (behind rows) is the innermost, and self is of
	 * stacks that begin there (query/invert). */
	bool invert;
};

struct tree {
	VEC(struct tree_node) nodes;
	uint32_t max_depth;
	bool by_time; /* widths, shares and orders are of time, not of samples (filter_by_time) */
	enum filter_measure measure;
	struct tree_options options; /* as it was built */
};

/* What a node weighs in the view: nanoseconds or samples. */
static inline uint64_t tree_self(const struct tree *t, uint32_t node)
{
	return t->by_time ? t->nodes.v[node].self_ns : t->nodes.v[node].self_n;
}

static inline uint64_t tree_total(const struct tree *t, uint32_t node)
{
	return t->by_time ? t->nodes.v[node].total_ns : t->nodes.v[node].total_n;
}

/* Of qsort_r, for node numbers of the tree `ctx`: the heaviest first, callers before what they call. */
int tree_heavier(const void *a, const void *b, void *ctx);

/* More than one process has samples that are kept. */
bool tree_wants_processes(const struct profile *p, const struct filter *f);
/* 0, ERR_FULL, ERR_NO_MEMORY. t need not be initialised; tree_done in any case. */
int tree_build(struct tree *t, struct naming *n, const struct filter *f, const struct tree_options *o);
/* The same, of a shape that the caller has and that goes on to answer: node i of the tree is node i of the shape. For
 * views that show sums and moments side by side. */
int tree_build_shape(struct tree *t, struct shape *s);
void tree_done(struct tree *t);
/* What a node of the shape weighs, of its own; a further node of the tree, in front of its siblings (TREE_NONE: the
 * root). */
struct tree_weight {
	uint64_t n, ns;
};
int tree_add(struct tree *t, uint32_t parent, uint32_t frame, uint32_t *node);
/* The node after `node` in a walk: parents first, children in order. 0 = the end. */
uint32_t tree_next(const struct tree *t, uint32_t node);
/* The same, without the node's children. */
uint32_t tree_skip(const struct tree *t, uint32_t node);
