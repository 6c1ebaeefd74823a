/* top_table: frames by their own or total share, as a table for people. */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/rank.h"
#include "pyspy-report/query/summary.h"

struct top_table_options {
	size_t limit; /* rows; 0 = all */
	enum rank_order order;
};

/* 0 or ERR_NO_MEMORY. */
int top_table_write(FILE *out, const struct rank *r, const struct naming *n, const struct summary *s,
                    const struct filter *f, const struct top_table_options *o);
