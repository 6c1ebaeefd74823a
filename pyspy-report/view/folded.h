/* folded: one line for each stack: frames from the root, separated by ';', a space, the number of samples. */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/tree.h"

/* Lines are in the tree's order. 0 or ERR_NO_MEMORY; write errors stay in `out` (ferror). */
int folded_write(FILE *out, const struct tree *t, const struct naming *n);
