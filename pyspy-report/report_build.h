/* report_build: an index at its place: made under another name, once at a time, and renamed when it is whole.
 *
 * FILE.tmp is locked (flock) while it is written: a second builder waits and then finds the work done; the lock of one
 * that was killed is gone, and what it left is written over.
 */
#pragma once
#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

struct report_build {
	char path[PATH_MAX], temporary[PATH_MAX + 8];
	int fd; /* of the temporary file */
};

/* Get the lock. 0 or REPORT_ERROR (said on stderr). */
int report_build_begin(struct report_build *b, const char *path);
/* The temporary file becomes a copy of what is at `path`, or empty. The same. */
int report_build_copy(struct report_build *b);
int report_build_empty(struct report_build *b);
/* It is whole: make it appear. The same. */
int report_build_end(struct report_build *b);
/* Leave nothing behind. */
void report_build_drop(struct report_build *b);
/* Say that it could not be written; REPORT_ERROR. */
int report_build_failed(const struct report_build *b, int error_number);
