/* invert: paths of a shape, with weights -> a tree in which callees are the parents of their callers.
 *
 * Rows stay on top. Paths that end alike are many more nodes this way round than they were in the shape: a million
 * stacks could fill any memory. So the heaviest parts are unfolded first, and where there are `most` nodes the callers
 * of what is left are one node "[callers left out]" for each place.
 */
#pragma once
#include "pyspy-report/query/tree.h"

enum { INVERT_MOST = 4 << 20 };

/* t holds its root alone. weights: by node of the shape. 0, ERR_FULL, ERR_NO_MEMORY. */
int invert_paths(struct tree *t, struct naming *n, const struct shape *s, const struct tree_weight *weights,
                 size_t n_weights, size_t most);
