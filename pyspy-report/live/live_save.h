/* live_save: what was seen, as a recording of its own in the current folder. */
#pragma once
#include "pyspy-report/live/live_source.h"

/* Locked. `program`: what it is named after. *name (room for `size`): the file; it appears only when it is whole.
 * 0; ERR_SYSTEM, ERR_IO: errno; ERR_FULL: it is too long to have been kept; ERR_GONE: nothing was seen yet. */
int live_save(struct live_source *s, const char *program, char *name, size_t size);
