/* source_file: a Python source on this machine, in lines.
 *
 * Trust: the path may come from a recording, so from anybody. Only regular files are read, never waited for, none under
 * /proc, /sys, /dev, none with a NUL in it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/vec.h"

enum { SOURCE_FILE_MAX = 64 << 20 };

struct source_file {
	char *bytes;
	size_t len;
	VEC(size_t) begins; /* of each line, and the end */
	int64_t changed_ns; /* CLOCK_REALTIME of its last change */
};

/* 0; ERR_GONE: no such regular file, or not to be read; ERR_FORMAT: no text; ERR_FULL: too long; ERR_NO_MEMORY.
 * source_file_done in any case. */
int source_file_read(struct source_file *f, const char *path);
void source_file_done(struct source_file *f);
size_t source_file_lines(const struct source_file *f);
/* Line `n`, from 1, without its end; lines end as Python's do (\n, \r\n, \r). NULL: there is none. */
const char *source_file_line(const struct source_file *f, uint32_t n, size_t *len);
