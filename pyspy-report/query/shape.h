/* shape: (thread, stack, flags) -> the frames that a view shows of it, root first, after all filters.
 *
 * Flow:    profile + filter + naming -> [shape] -> query/tree; and directly what shows samples in order of time.
 * A path is a node of one tree of visible frames: rows for process and thread, [cut], then the frames. Two samples look
 * the same when their paths are the same number; what two have in common are their common ancestors. Paths are found
 * once per stack (and row), so a million stacks or a very deep one cost what is new in each. Parents have smaller
 * numbers than their children; 0 is the root: no frame.
 */
#pragma once
#include "pyspy-report/query/filter.h"
#include "pyspy-report/query/naming.h"

#define SHAPE_DROPPED UINT32_MAX

struct shape_node {
	uint32_t parent, frame; /* first: children. frame: of the naming; of the root SHAPE_DROPPED */
	uint32_t depth;         /* the root: 0 */
};

/* Of the stacks below one top node: stack -> node + 1, 0 = not known yet. */
struct shape_known {
	uint32_t *nodes;
	size_t n;
};

struct shape_options {
	bool processes; /* the process is the first frame */
	bool threads;   /* the thread is, behind the process */
	bool collapse; /* a function that calls itself is one frame: the innermost of them, so that the line is right */
};

struct shape {
	struct naming *naming;
	const struct filter *filter;
	struct shape_options options;
	VEC(struct shape_node) nodes;
	struct branches children; /* of nodes */
	struct map tops;          /* (process, node of the rows) -> place in known + 1 */
	VEC(struct shape_known) known;
	size_t n_known;        /* entries of all of known */
	struct map known_more; /* (place in known, stack) -> node, where arrays would be too much memory */
	VEC(uint32_t) todo;
};

/* 0 or ERR_NO_MEMORY; shape_done in any case. `f` is prepared; both stay the caller's. */
int shape_init(struct shape *s, struct naming *n, const struct filter *f, const struct shape_options *o);
void shape_done(struct shape *s);
/* No more paths are asked for: free what is not needed for the nodes. */
void shape_forget(struct shape *s);
/* *path: SHAPE_DROPPED when the filter drops the sample; else a node that is not the root. All frames hidden:
 * "[hidden]". 0, ERR_FULL, ERR_NO_MEMORY. */
int shape_path(struct shape *s, uint32_t thread, uint32_t stack, uint32_t flags, uint32_t *path);
/* Frames of rows that stand before the stack's own in every path (processes, threads). */
uint32_t shape_rows(const struct shape *s);
