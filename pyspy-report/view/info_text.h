/* info_text: everything a recording says about itself, for people. */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/summary.h"

/* `s` is by summary_build_kept of `f`, which is named where it leaves something out. */
void info_text_write(FILE *out, const struct profile *p, const struct summary *s, const struct filter *f);
