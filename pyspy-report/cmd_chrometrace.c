#include "pyspy-report/cmd.h"

#include "libcommon/human.h"
#include "libcommon/log.h"
#include "pyspy-report/report_timeline.h"
#include "pyspy-report/view/chrometrace.h"

enum { LARGE_BYTES = 256 << 20 };

static int cmd_chrometrace(const struct report_verb *verb, int argc, char **argv)
{
	int status;
	struct report_timeline *j = report_timeline_begin(
	    verb, argc, argv, &(struct report_timeline_options){.meters = true, .by_text = true}, &status);

	if (!j)
		return status;
	const struct chrometrace_options o = {report_timeline_exporter, buf_cstr(&j->command), buf_cstr(&j->samples),
	                                      buf_cstr(&j->losses)};
	int rc = chrometrace_write(j->job.output.file, &j->timeline, &j->job.shape, &j->meters, &o);
	fflush(j->job.output.file);
	uint64_t size = j->job.output.bytes;
	status = report_timeline_end(j, rc);
	if (!status && size > LARGE_BYTES) {
		char text[HUMAN_SIZE];
		log_info("that are %s, and viewers hold all of it in a browser's memory: --time, --thread, -F or "
		         "--hide make it smaller; flamegraph, firefox and pprof stay small",
		         human_bytes(text, size));
	}
	return status;
}

const struct report_verb cmd_chrometrace_verb = {
    .name = "chrometrace",
    .summary = "A trace (JSON) for chrome://tracing, Perfetto and speedscope.",
    .examples = "  pyspy-report chrometrace -o app.trace.json app.pyspy\n"
                "  pyspy-report chrometrace -i -F -o threads.trace.json app.pyspy   idle threads too, by function\n",
    .about =
        "A slice (B and E events) for each frame as long as all samples of its thread show it: it may have returned\n"
        "and been called again between two of them. Counters of each process over time: threads that run (outside\n"
        "recordings: or that wait for a CPU), the share of the time that the GIL is held, threads that wait for it;\n"
        "they count all samples of the process, whatever is left out of the slices.\n" REPORT_TIMELINE_LAYOUT
        "pid and tid are the real ones, but for a pid that another process of the input had before (or that is of\n"
        "another host): that one gets a number above 4194304, and its name tells the real one.\n"
        "The same input and options give the same bytes.",
    .groups = REPORT_TIMELINE_GROUPS,
    .run = cmd_chrometrace,
};
