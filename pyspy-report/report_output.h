/* report_output: where a view's text goes: standard output, or a file that appears only when it is whole.
 *
 * A regular file is written under another name beside its place and renamed at the end; a signal removes what is
 * unfinished. Devices and fifos are written as they are.
 */
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>

#include "pyspy-report/report_options.h"

struct report_output {
	FILE *file; /* write here */
	int fd;
	uint64_t bytes;   /* written, after fflush(file) */
	int error_number; /* of the first write that failed; stdio would forget it */
	char path[PATH_MAX], temporary[PATH_MAX + 16];
	bool is_stdout;
};

/* Its name ends in .html or .htm, in either case. */
bool report_output_is_html(const struct report_options *o);
/* 0 or REPORT_ERROR (said on stderr). */
int report_output_open(struct report_output *out, const struct report_options *o);
/* It holds a whole recording: a file is for its owner only, as recordings are. */
void report_output_private(const struct report_output *out);
/* Done: make it appear. 0; REPORT_ERROR (said on stderr: disk full ...). A reader of a pipe who went away is no error.
 */
int report_output_close(struct report_output *out);
/* Something failed: leave nothing behind. */
void report_output_drop(struct report_output *out);
