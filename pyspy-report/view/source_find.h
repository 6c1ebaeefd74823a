/* source_find: where the source of a recorded file is on this machine.
 *
 * Tried in this order: the recorded path; under each of the given folders the longest tail of the path that is there
 * (of a/b/c.py: a/b/c.py, b/c.py, c.py); where the path is relative, under the processes' working folder and sys.path,
 * then here. The first that looks as recorded (source_check) is taken; when none does, the first that is there. Trust:
 * a recording may name any file. One that is no *.py (or .pyw, .pyx, .pxd, .pxi) is taken only when a function begins
 * in it where it did, or it begins as a Python script does.
 */
#pragma once
#include "pyspy-report/view/source_check.h"

struct source_find {
	bool is_found;
	struct buf path; /* where; "" when it was not found */
	struct source_file file;
	struct source_check check;
};

/* Folders end with NULL. 0 (found or not) or ERR_NO_MEMORY; source_find_done in any case. */
int source_find(struct source_find *s, const struct profile *p, const struct line_shares *l, const struct line_file *f,
                const char *const *folders);
void source_find_done(struct source_find *s);
