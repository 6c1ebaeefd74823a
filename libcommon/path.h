/* path: file names. */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The part after the last '/'. */
const char *path_base(const char *path);
/* "<program>-<UTC time>.pyspy" with only [A-Za-z0-9._-], e.g. app-20261122T071344Z.pyspy; `program` is cut at 60
 * bytes, "" and names of nothing but bad characters become "python". */
void path_default_name(char *out, size_t size, const char *program, int64_t realtime_ns);
/* The newest regular file named *.pyspy in folder `dir`: 0 and its name (with dir unless dir is "."), ERR_GONE when
 * there is none, ERR_SYSTEM (errno kept), ERR_FULL (out is too small). */
int path_newest(const char *dir, char *out, size_t size);
