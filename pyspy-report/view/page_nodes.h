/* page_nodes: a call tree as the page holds it: nodes in the order of a walk, frames in the order of their names, and
 * the function that each frame is of.
 *
 * At most max_frames nodes, the heaviest; what is below one and has no node of its own is one node "more", behind the
 * others. Nothing is left out silently: its weight is there, and it is counted.
 */
#pragma once
#include "pyspy-report/query/tree.h"

struct page_node {
	uint32_t node; /* of the tree; of a "more": that below which it is */
	uint32_t depth;
	uint64_t n_more; /* 0, or how many nodes of the tree it stands for */
	uint64_t self_n, self_ns;
};

/* What `top` makes one row of: all lines of a function. */
struct page_function {
	uint32_t name, file; /* strings */
	uint32_t line;       /* the first; 0 = none */
};

struct page_nodes {
	VEC(struct page_node) list;
	uint32_t *place;       /* by node of the tree: the one of list that has its weight */
	VEC(uint32_t) frames;  /* of the naming */
	uint32_t *frame_of;    /* by frame of the naming: its index in frames */
	VEC(uint32_t) belongs; /* by index in frames: its function */
	VEC(struct page_function) functions;
	uint64_t n_all, n_hidden; /* nodes of the tree but its root; those of them in a "more" */
};

/* 0 or ERR_NO_MEMORY; page_nodes_done in any case. */
int page_nodes_make(struct page_nodes *p, const struct tree *t, const struct naming *n, uint64_t max_frames);
void page_nodes_done(struct page_nodes *p);
