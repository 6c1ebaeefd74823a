/* info_json: everything a recording says about itself, for programs.
 *
 * The document begins with "schema_version"; fields are only ever added to a version. Texts of the profiled program
 * that are no UTF-8 have U+FFFD in place of the bad bytes; everything but ASCII is written as \uNNNN.
 * Where shares are of time ("shares_of": "time"; a recording by the kernel) each count of samples has a "time_ns" with
 * the same names beside it, and "taken" says how the samples were taken.
 * Each of "recordings" has "stops", threads that were stopped to be read: "count", "total_ns", "median_ns", "p99_ns"
 * (from buckets of an eighth of an octave and less; null when there were none, or the recorder did not count them by
 * length), "longest_ns", "in_syscall" (came to rest in a system call), "given_up" (did not come to rest in time; not in
 * "count").
 * One whose recorder's CPU time was bounded (--max-cpu) has "max_cpu": "ppm" (of one CPU), "cpu_ns" (used, without the
 * start), "held", "lowered", "lowered_ns" (time at a lower rate than asked for), "mean_rate_hz", "lowest_rate_hz".
 * "filters" is there when some are on, as one types them; then "samples" and "processes" are of what they leave
 * (summary_build_kept), and "duration_ns" is of what --time asks for.
 */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/summary.h"

enum { INFO_JSON_SCHEMA = 1 };
/* 0 or ERR_NO_MEMORY; write errors stay in `out`. */
int info_json_write(FILE *out, const struct profile *p, const struct summary *s, const struct filter *f);
/* The same as CSV rows of key and value: "recordings.0.duration_ns,4000000000". The same returns. */
int info_json_csv(FILE *out, const struct profile *p, const struct summary *s, const struct filter *f);
