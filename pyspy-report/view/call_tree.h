/* call_tree: a call tree as text, heaviest children first, or as a sheet in the same order.
 *
 * What is too small or too deep has no line; each parent says how many of its callees that are and what they weigh, so
 * that the shares on the page add up. Memory: one entry for each sibling on the way down, whatever the depth.
 */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/tree.h"
#include "pyspy-report/view/sheet.h"

struct call_tree_options {
	double min_percent; /* of `all`: less has no line; 0 = all have */
	uint32_t depth;     /* levels; 0 = all */
	uint64_t all;       /* what 100 % are, as the tree weighs */
	bool is_callers;    /* below a frame stand its callers */
};

/* The head of the columns, then lines. 0 or ERR_NO_MEMORY; write errors stay in `out`. */
int call_tree_write(FILE *out, const struct tree *t, const struct naming *n, const struct call_tree_options *o);

/* The same as rows: "part" ("tree", "callers", "callees"), "id", "parent" (numbers of nodes in their part; none for the
 * outermost), "depth", the frame, shares (callers: no self), "left_out": children that are too small or too deep for a
 * row. 0, ERR_NO_MEMORY, ERR_IO as sheet_row. */
enum { CALL_TREE_COLUMNS = 14 };
extern const struct sheet_column call_tree_columns[CALL_TREE_COLUMNS];
int call_tree_rows(struct sheet *s, const char *part, const struct tree *t, const struct naming *n,
                   const struct call_tree_options *o);
