/* report_timeline: what the verbs that show samples over time do between report_job_begin and report_job_end.
 *
 * The input is read a second time; what the view keeps goes into the timeline, path by path (query/shape).
 */
#pragma once
#include "pyspy-report/query/meters.h"
#include "pyspy-report/query/timeline.h"
#include "pyspy-report/report_job.h"

enum { REPORT_TIMELINE_KNOWN = 1 << 14 };

struct report_timeline_known {
	uint32_t thread, stack, flags, path;
};

struct report_timeline {
	struct report_job job;
	struct timeline timeline;
	struct meters meters;
	struct spool waiting;                /* stretches of an epoch that is not over */
	struct buf command, samples, losses; /* the caption's words, raw */
	bool has_meters;
	struct report_timeline_known known[REPORT_TIMELINE_KNOWN]; /* paths that were asked for lately */
};

struct report_timeline_options {
	bool by_state; /* struct timeline */
	bool meters;
	bool by_text; /* struct naming_options */
};

/* Command line -> output, timeline, words. NULL: *status is the exit status (all is said and freed). */
struct report_timeline *report_timeline_begin(const struct report_verb *v, int argc, char **argv,
                                              const struct report_timeline_options *o, int *status);
/* The view is written (`rc` < 0: it failed): as report_job_end. Returns the exit status. */
int report_timeline_end(struct report_timeline *j, int rc);
/* "pyspy-report@VERSION" */
extern const char report_timeline_exporter[];

/* A part of these verbs' help. */
#define REPORT_TIMELINE_LAYOUT                                                                                         \
	"Where a sample stands: it is as long as the time that it stands for, so that lengths add up to the times "    \
	"of\n"                                                                                                         \
	"all other views. Ticks share out the time of their block (a second or so, --flush of pyspy-record) in "       \
	"their\n"                                                                                                      \
	"order, the same for all threads. Samples by the kernel stand for time of their thread, which may be more "    \
	"or\n"                                                                                                         \
	"less than passed since the one before; those of a block are laid end to end in their order. So the ends of\n" \
	"blocks are exact; inside, a sample may stand beside its moment, at 100 a second by some 30 ms and at most "   \
	"by\n"                                                                                                         \
	"one or two tenths of a second (`script` has the moments). Times are since the recording began (with\n"        \
	"--time A..B: since A); of several recordings, since the first one did.\n"
#define REPORT_TIMELINE_GROUPS (REPORT_FILTER | REPORT_NAMING | REPORT_THREADS | REPORT_SHAPE | REPORT_REPLAY)
