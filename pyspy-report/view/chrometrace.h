/* chrometrace: the Trace Event Format (JSON object form), for chrome://tracing, Perfetto, speedscope.
 *
 * Each track is a pair (pid, tid): B and E events, nested, in order of time; a frame that stands on in the next run
 * stays open. So a slice says that its frame was in all samples of that time. No args on B and E, because viewers make
 * them part of the name. In front stand the metadata: names of processes and threads, and their order. Behind, counters
 * of each process: GIL, threads that wait for it, threads that run. Times are microseconds since the timeline's begin.
 * pid and tid are the real ones where they are unambiguous; another process with a pid that is taken (used again,
 * another host, another program in the same process), or another thread with such a tid, gets a number above 2^22, the
 * kernel's limit.
 */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/meters.h"
#include "pyspy-report/query/timeline.h"

struct chrometrace_options {
	const char *exporter;                   /* NUL-terminated, all three */
	const char *command, *samples, *losses; /* raw */
};

/* 0, ERR_NO_MEMORY, ERR_IO (the timeline's spool); write errors stay in `out`. */
int chrometrace_write(FILE *out, struct timeline *t, const struct shape *p, const struct meters *m,
                      const struct chrometrace_options *o);
