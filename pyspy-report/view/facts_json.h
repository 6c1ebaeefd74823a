/* facts_json: what every table for programs says before its rows: of what it is, what was left out, what was lost.
 *
 * "schema_version", "command" (the verb), "shares_of" ("samples" or "time"), "program" and "recordings", "filters"
 * (those that were on), "totals" ("all", "kept", "idle", "gil": each with "samples" and "ns"; percentages are of
 * "kept"), "lost" (of what is kept: "in_motion", "unproved", "cut", "stack_lost"; of the recordings: ticks and samples
 * by cause, "not_sampled_ns", "damage"), "caption" (the same in words). Fields are only ever added to a schema_version.
 */
#pragma once
#include <jansson.h>

#include "pyspy-report/query/filter.h"
#include "pyspy-report/query/summary.h"
#include "pyspy-report/query/tree.h"
#include "pyspy-report/view/sheet.h"

enum { FACTS_JSON_SCHEMA = 1 };
/* NULL without memory. The caller's, who may add to it. */
json_t *facts_json(const char *verb, const struct profile *p, const struct summary *s, const struct filter *f);
/* "frames": what a frame is, in words, "" for a frame for each line. */
void facts_json_frames(json_t *facts, const struct naming *n, const struct tree_options *t);
/* Where times are CPU time (--measure cpu), columns self_ns and total_ns are self_cpu_ns and total_cpu_ns. */
void facts_json_columns(struct sheet_column *columns, size_t n, enum filter_measure measure);
