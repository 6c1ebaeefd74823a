/* info_text: everything a recording says about itself, for people. */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/summary.h"

void info_text_write(FILE *out, const struct profile *p, const struct summary *s);
