/* speedscope: the JSON file of https://www.speedscope.app: one sampled profile a thread, all from 0 to the same end, in
 * ns.
 *
 * Each run of the timeline is one sample, what lies between runs is a sample without frames, and so the weights of a
 * profile add up to its end. A frame stands once in shared.frames, whoever uses it: viewers merge by its index.
 */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/timeline.h"

struct speedscope_options {
	const char *name; /* of the whole: raw */
	size_t name_length;
	const char *exporter; /* "pyspy-report@1.0" */
};

/* 0, ERR_NO_MEMORY, ERR_IO (the timeline's spool); write errors stay in `out`. */
int speedscope_write(FILE *out, struct timeline *t, const struct shape *p, const struct speedscope_options *o);
