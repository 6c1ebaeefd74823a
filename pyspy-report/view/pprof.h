/* pprof: a gzip'd profile.proto, for `go tool pprof` and whatever else reads its format
 * (github.com/google/pprof, proto/profile.proto).
 *
 * Written as a stream: each message as soon as it is known, the strings last. In memory are the texts of the strings
 * and one stack, never the whole.
 */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/labelled.h"
#include "pyspy-report/query/summary.h"

struct pprof_options {
	const char *const *comments; /* raw bytes */
	size_t n_comments;
	uint64_t duration_ns;
};

/* What has to be set in the naming's and the tree's options beside what the user wants. */
void pprof_prepare(struct naming_options *naming, struct tree_options *rows);
/* 0, ERR_FULL, ERR_NO_MEMORY; write errors stay in `out`. */
int pprof_write(FILE *out, const struct tree *t, const struct naming *n, const struct labelled *samples,
                const struct pprof_options *o);
