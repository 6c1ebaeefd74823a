#include "pyspy-report/cmd.h"

#include "pyspy-report/report_timeline.h"
#include "pyspy-report/view/firefox.h"

static int cmd_firefox(const struct report_verb *verb, int argc, char **argv)
{
	int status;
	struct report_timeline *j =
	    report_timeline_begin(verb, argc, argv, &(struct report_timeline_options){.by_state = true}, &status);

	if (!j)
		return status;
	const struct firefox_options o = {report_timeline_exporter, buf_cstr(&j->command), buf_cstr(&j->samples),
	                                  buf_cstr(&j->losses), filter_by_time(&j->job.filter, &j->job.profile)};
	return report_timeline_end(j, firefox_write(j->job.output.file, &j->timeline, &j->job.shape, &o));
}

const struct report_verb cmd_firefox_verb = {
    .name = "firefox",
    .summary = "A profile for https://profiler.firefox.com (processed, version 61).",
    .examples = "  pyspy-report firefox -o app.firefox.json app.pyspy\n"
                "  pyspy-report firefox -i -o threads.firefox.json app.pyspy            idle threads too\n",
    .about =
        "A track for each thread, with the categories own code, packages, standard library, native code and idle;\n"
        "subcategories tell who held the GIL and who waited for it. Weights are samples, in a recording by the\n"
        "kernel milliseconds. The call tree there is by function; lines are shown beside the "
        "source.\n" REPORT_TIMELINE_LAYOUT "The same input and options give the same bytes.",
    .groups = REPORT_TIMELINE_GROUPS,
    .run = cmd_firefox,
};
