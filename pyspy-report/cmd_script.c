#include "pyspy-report/cmd.h"

#include "pyspy-report/report_job.h"
#include "pyspy-report/view/sample_lines.h"

static int on_sample(void *lines, struct report_job *j, const struct replay_sample *s, uint32_t path)
{
	return sample_lines_write(lines, &j->profile, &j->shape, s, path);
}

static int cmd_script(const struct report_verb *verb, int argc, char **argv)
{
	struct sample_lines lines;
	struct report_job j;
	int rc, status = report_job_begin(&j, verb, argc, argv);

	if (status != REPORT_GO_ON)
		return status;
	struct naming_options naming = report_options_naming(&j.options, &j.profile);
	struct shape_options rows = report_job_rows(&j).shape;
	rows.processes &= j.options.processes == REPORT_YES; /* column 2 tells them apart */
	status = report_job_shape(&j, &naming, &rows);
	if (status != REPORT_GO_ON)
		return status;
	sample_lines_init(&lines, j.output.file, &j.naming);
	status = report_job_replay(&j, on_sample, &lines, &rc);
	sample_lines_done(&lines);
	return status == REPORT_GO_ON ? report_job_end(&j, rc, false) : status;
}

const struct report_verb cmd_script_verb = {
    .name = "script",
    .summary = "Every sample on a line of its own, in order of time, for scripts.",
    .examples = "  pyspy-report script -i app.pyspy | less -S\n"
                "  pyspy-report script app.pyspy | awk -F'\\t' '$3 == \"MainThread\" {print $7}'\n",
    .about =
        "Columns, separated by tabs:\n"
        "  1 time    seconds since the recording began, 6 decimals\n"
        "  2 thread  pid/tid\n"
        "  3 name    of the thread; - when it has none\n"
        "  4 state   unknown on-cpu runnable active (on-cpu or runnable) sleeping disk stopped\n"
        "  5 marks   separated by commas, - when there are none:\n"
        "            gil (holds it), gil-wait (waits for it), gc (the collector runs), in-motion (never certified:\n"
        "            shown as [in motion]), cut (outer frames missing: [cut]), lost (stack not in the file: [lost]),\n"
        "            unproved (a code object could not be proved), event=NS (stands for NS of the thread's\n"
        "            time: on a CPU when the state is on-cpu or active, else off it)\n"
        "  6 way     outside (read while it ran) still (it slept, or its CPU was held)\n"
        "            kernel (on its CPU; or the stack with which it left it, when the state is another one) stopped\n"
        "  7 stack   frames from the outermost in, separated by ';', as `pyspy-report raw` writes them\n"
        "Control characters in names are written \\n, \\t, \\x1b and so on.",
    .groups = REPORT_FILTER | REPORT_NAMING | REPORT_THREADS | REPORT_SHAPE | REPORT_REPLAY,
    .run = cmd_script,
};
