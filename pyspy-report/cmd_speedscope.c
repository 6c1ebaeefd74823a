#include "pyspy-report/cmd.h"

#include "pyspy-report/report_timeline.h"
#include "pyspy-report/view/speedscope.h"

static int cmd_speedscope(const struct report_verb *verb, int argc, char **argv)
{
	struct report_timeline j;
	int status = report_timeline_begin(&j, verb, argc, argv, &(struct report_timeline_options){0});

	if (status != REPORT_GO_ON)
		return status;
	const struct speedscope_options o = {(const char *)j.command.data, j.command.len, report_timeline_exporter};
	return report_timeline_end(&j, speedscope_write(j.output.file, &j.timeline, &j.paths, &o));
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
        "samples, or with samples that were left out, is empty.\n" REPORT_TIMELINE_LAYOUT
        "The same input and options give the same bytes.",
    .groups = REPORT_FILTER | REPORT_NAMING | REPORT_THREADS,
    .run = cmd_speedscope,
};
