/* report_timeline: what the verbs that show samples over time do before and after their view.
 *
 * The input is read once; what the view keeps goes into the timeline meanwhile.
 */
#pragma once
#include "pyspy-report/query/meters.h"
#include "pyspy-report/query/summary.h"
#include "pyspy-report/query/timeline.h"
#include "pyspy-report/report_input.h"
#include "pyspy-report/report_job.h"
#include "pyspy-report/report_options.h"
#include "pyspy-report/report_output.h"

struct report_timeline {
	struct report_options options;
	struct report_output output;
	struct profile profile;
	struct filter filter;
	struct naming naming;
	struct paths paths;
	struct timeline timeline;
	struct spool waiting; /* stretches of an epoch that is not over */
	struct meters meters; /* only with has_meters */
	struct summary summary;
	struct buf command, samples, losses; /* the caption's words, raw */
	bool by_state, has_meters;
	bool has_output, has_summary, is_ready;
};

struct report_timeline_options {
	bool by_state; /* struct timeline */
	bool meters;
};

/* Command line -> output, timeline, summary, words. REPORT_GO_ON, or the exit status (all is said and freed). */
int report_timeline_begin(struct report_timeline *j, const struct report_verb *v, int argc, char **argv,
                          const struct report_timeline_options *o);
/* The view is written (`rc` < 0: it failed): as report_job_end. Returns the exit status. */
int report_timeline_end(struct report_timeline *j, int rc);
/* "pyspy-report@VERSION" */
extern const char report_timeline_exporter[];

/* A part of these verbs' help. */
#define REPORT_TIMELINE_LAYOUT                                                                                         \
	"Where a sample stands: it is as long as the time that it stands for, so that lengths add up to the times\n"   \
	"of all other views. Ticks share out the time of their block (a second or so, --flush of pyspy-record) in\n"   \
	"their order, the same for all threads. Samples by the kernel stand for time of their thread, which may be\n"  \
	"more or less than passed since the one before; those of a block are laid end to end in their order. So the\n" \
	"ends of blocks are exact, and inside a sample may stand some samples' worth beside its moment (`script`\n"    \
	"has the moments). Times are since the recording began; of several recordings, since the first one did.\n"
