/* hide_parts: what the two readings of hide have in common. Private to exchange/hide*.c. */
#pragma once
#include "pyspy-report/exchange/hide.h"

enum { HIDE_SHORT = 3, HIDE_NAME_MAX = 255 }; /* bytes of a name of a user or host that is looked for in texts */

bool hide_starts(const char *p, size_t n, const char *with);
bool hide_same_letters(const char *a, const char *b, size_t n);
/* Where in the path a Python's own folder begins: "/lib/python3.11/...", "/bin/python3" at its end; n: nowhere. */
size_t hide_python_part(const char *p, size_t n);
