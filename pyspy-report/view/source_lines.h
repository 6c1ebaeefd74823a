/* source_lines: the source text of the files that took time, with what each line weighs, as text or as a sheet.
 *
 * A source that does not look like the one that was recorded is said to be so, over its lines; without a source the
 * lines stand with their numbers alone. The sheet has the lines that weigh something: file, line, shares, "source"
 * (same, differs, missing), "source_path", "text" (as it is in the source, none when that is missing).
 */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/line_shares.h"
#include "pyspy-report/query/summary.h"
#include "pyspy-report/view/sheet.h"

struct source_lines_options {
	const char *const *folders; /* --source-dir; ends with NULL */
	bool (*wants)(void *ctx, const char *file, size_t n);
	void *ctx;
	double min_percent; /* files with less in total are only counted */
	uint32_t context;   /* lines around those that weigh something */
	bool whole;         /* all lines of a file */
};

/* Whether a file is shown; `all`: the weight of everything that is kept. */
enum source_lines_choice { SOURCE_LINES_SHOWN, SOURCE_LINES_SMALL, SOURCE_LINES_UNWANTED };
enum source_lines_choice source_lines_choose(const struct source_lines_options *o, const struct profile *p,
                                             const struct line_shares *l, const struct line_file *f, uint64_t all);
/* A line of source: tabs as blanks, a very long one cut. Raw. */
void source_lines_text(struct buf *out, const char *text, size_t n);
/* 0 or ERR_NO_MEMORY; write errors stay in `out`. */
int source_lines_write(FILE *out, const struct line_shares *l, const struct naming *n, const struct summary *s,
                       const struct source_lines_options *o);
int source_lines_sheet(FILE *out, enum sheet_format format, const struct line_shares *l, const struct naming *n,
                       const struct summary *s, const struct filter *f, const struct source_lines_options *o);
