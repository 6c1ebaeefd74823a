/* line_shares: what each line of each source file weighs.
 *
 * Flow:    query/tree, built with a naming by line and full file names -> [line_shares] -> view/.
 * A line, and a file, that is several times in one stack counts once for it.
 */
#pragma once
#include "pyspy-report/query/rank.h"

/* A code object whose samples are in the tree: where it began, by which a source is recognised. */
struct line_function {
	uint32_t first_line, name; /* string: qualified name */
};

struct line_file {
	struct rank_row row; /* of the file; row.text = its name, as recorded */
	size_t first, n;     /* of lines: in order of their number */
	size_t function, n_functions;
	uint32_t last_line;
};

struct line_shares {
	struct rank files_rank, lines_rank;
	VEC(struct line_file) files;         /* heaviest first */
	VEC(struct rank_row) lines;          /* rank_row.frame's line is the line's number, 0 = not known */
	VEC(struct line_function) functions; /* by file; in order of their first line, each once */
	VEC(struct rank_row) others;         /* frames without a file: "[in motion]" */
};

/* 0 or ERR_NO_MEMORY; line_shares_done in any case. */
int line_shares_build(struct line_shares *l, const struct tree *t, const struct naming *n, enum rank_order order);
void line_shares_done(struct line_shares *l);
