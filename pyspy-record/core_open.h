/* core_open: find the interpreter in a core file, or say why it cannot be found. */
#pragma once
#include "pyspy-record/sample/target.h"
#include "pyspy-record/target/corefile.h"

/* `places`: see corefile_open. 0; else the error, with *message (one line: what failed: why; what to do). The core is
 * to be closed in any case, the target only when this is 0. */
int core_open(struct target *t, struct corefile *core, const char *path, const char *const *places, size_t n_places,
              char *message, size_t size);
/* The same of a core whose interpreter was found, but no threads (snapshot_take said rc). */
void core_no_threads(const struct corefile *core, const char *path, int rc, char *message, size_t size);
/* What is missing for the whole of it, in lines for people; when all was read. */
void core_tell(const struct corefile *core, const char *path);
