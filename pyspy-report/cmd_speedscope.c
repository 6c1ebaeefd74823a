#include "pyspy-report/cmd.h"

#include "pyspy-report/report_timeline.h"
#include "pyspy-report/view/speedscope.h"

static int cmd_speedscope(const struct report_verb *verb, int argc, char **argv)
{
	int status;
	struct report_timeline *j =
	    report_timeline_begin(verb, argc, argv, &(struct report_timeline_options){0}, &status);

	if (!j)
		return status;
	const struct speedscope_options o = {(const char *)j->command.data, j->command.len, report_timeline_exporter};
	return report_timeline_end(j, speedscope_write(j->job.output.file, &j->timeline, &j->job.shape, &o));
}

const struct report_verb cmd_speedscope_verb = {
    .name = "speedscope",
    .summary = "A file for https://www.speedscope.app: what each thread did when.",
    .examples =
        "  pyspy-report speedscope -o app.speedscope.json app.pyspy\n"
        "  pyspy-report speedscope -i -F -o threads.speedscope.json app.pyspy   idle threads too, by function\n",
    .about =
        "One profile for each thread, all from 0 to the same end, so that what stands above each other happened at\n"
        "the same time; the busiest one is shown first. Consecutive samples of one stack are one box. Time without\n"
        "samples, or with samples that were left out, is empty. speedscope itself gives up at stacks of some thousand\n"
        "frames: --collapse-recursion helps.\n" REPORT_TIMELINE_LAYOUT
        "The same input and options give the same bytes.",
    .groups = REPORT_TIMELINE_GROUPS,
    .run = cmd_speedscope,
};
