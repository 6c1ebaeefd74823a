/* firefox: a processed profile for https://profiler.firefox.com (preprocessedProfileVersion 61; newer readers upgrade
 * it).
 *
 * The tree of paths is its stackTable, one to one. A track is a thread; its samples have weights: numbers of samples,
 * or milliseconds where the profile counts time. A run is one sample, in the middle of its time; a long one is several,
 * so that a part of the time can be selected; time without samples has samples without a stack, of weight 0. The
 * category of a frame says where its code comes from. That of the innermost one says, too, what the thread was up to:
 * Idle, or the subcategory for who holds the GIL or waits for it.
 */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/timeline.h"

struct firefox_options {
	const char *exporter;                   /* NUL-terminated, all of them */
	const char *command, *samples, *losses; /* raw */
	bool by_time;                           /* weights are milliseconds */
};

/* 0, ERR_NO_MEMORY, ERR_IO (the timeline's spool); write errors stay in `out`. The timeline is one by state. */
int firefox_write(FILE *out, struct timeline *t, const struct shape *p, const struct firefox_options *o);
