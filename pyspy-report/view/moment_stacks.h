/* moment_stacks: the stacks of all threads at a moment, as a dump of a living process shows them, or as a sheet.
 *
 * The sheet has a row for each frame, "frame" 0 the innermost; "sample_offset_ns" is negative when the sample was taken
 * before the moment.
 */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/moment.h"
#include "pyspy-report/query/shape.h"
#include "pyspy-report/query/summary.h"
#include "pyspy-report/view/sheet.h"

/* 0, ERR_FULL, ERR_NO_MEMORY; write errors stay in `out`. */
int moment_stacks_write(FILE *out, const struct moment *m, struct shape *shape, const struct summary *s);
int moment_stacks_sheet(FILE *out, enum sheet_format format, const struct moment *m, struct shape *shape,
                        const struct summary *s);
