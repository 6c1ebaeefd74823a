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

/* The values of each sample, in this order. */
enum pprof_type { PPROF_SAMPLES, PPROF_WALL, PPROF_CPU };

struct pprof_options {
	enum pprof_type shown;       /* unless the reader asks for another */
	const char *const *comments; /* raw bytes */
	size_t n_comments;
	uint64_t duration_ns;
};

/* Columns come with a naming that has by_column. 0, ERR_FULL, ERR_NO_MEMORY; write errors stay in `out`. */
int pprof_write(FILE *out, const struct shape *s, const struct labelled *samples, const struct pprof_options *o);
