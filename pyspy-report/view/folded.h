/* folded: one line for each stack: frames from the root, separated by ';', a space, a whole number.
 *
 * The number counts samples. Where the tree weighs by time it is the stack's time in samples' worth: time divided by
 * profile_sample_worth_ns and rounded, what rounding gives or takes made up for in the next line. So all lines add up
 * to the whole time, and readers of folded stacks get numbers of the size they know. A stack whose number would be 0
 * has no line: its time is in its neighbours'.
 */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/tree.h"

struct folded_result {
	uint64_t unit_ns; /* of one sample's worth; 0 = the numbers count samples */
	uint64_t n_small; /* stacks without a line */
};

/* Lines are in the tree's order. 0 or ERR_NO_MEMORY; write errors stay in `out` (ferror). */
int folded_write(FILE *out, const struct tree *t, const struct naming *n, struct folded_result *r);
