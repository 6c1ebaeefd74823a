/* top_table: what took the time, ranked: a table for people, and the same for programs.
 *
 * Columns of the sheet: what the rank is of (function, file, line; line's file; file; module; pid, tid, thread), then
 * self and total in percent, samples and ns (threads: total only).
 */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/rank.h"
#include "pyspy-report/query/summary.h"
#include "pyspy-report/view/sheet.h"

struct top_table_options {
	size_t limit; /* rows; 0 = all */
};

/* Over every table for people: of what it is, what was left out, what was lost, what a frame is (`t` NULL: not said;
 * that it is a function neither). */
void top_table_header(FILE *out, const struct naming *n, const struct tree_options *t, const struct summary *s,
                      const struct filter *f);
/* 0 or ERR_NO_MEMORY, both. */
int top_table_write(FILE *out, const struct rank *r, const struct naming *n, const struct tree_options *t,
                    const struct summary *s, const struct filter *f, const struct top_table_options *o);
int top_table_sheet(FILE *out, enum sheet_format format, const struct rank *r, const struct naming *n,
                    const struct tree_options *t, const struct summary *s, const struct filter *f,
                    const struct top_table_options *o);
