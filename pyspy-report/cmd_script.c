#include "pyspy-report/cmd.h"

#include "pyspy-report/report_job.h"
#include "pyspy-report/view/sample_lines.h"
#include "pyspy-report/view/sample_sheet.h"

enum { SCRIPT_COLUMNS = REPORT_OWN, SCRIPT_CSV, SCRIPT_JSON };

static const struct arg_option rows[] = {
    {SCRIPT_COLUMNS, 0, "columns", "A,B,...",
     "which: time_s time_ns utc pid tid thread state marks way weight_ns depth function file line stack"},
    {SCRIPT_CSV, 0, "csv", NULL, "CSV with a header row that names units"},
    {SCRIPT_JSON, 'j', "json", NULL, "a JSON object on each line; stack is a list of frames"},
    {0},
};

static struct {
	enum sheet_format format;
	const char *columns; /* NULL: the usual ones */
	struct sample_sheet sheet;
} script;

static int script_option(int id, const char *value, char *message, size_t size)
{
	if (id == SCRIPT_COLUMNS) {
		script.columns = value;
		return sample_sheet_choose(&script.sheet, value, message, size);
	}
	script.format = id == SCRIPT_CSV ? SHEET_CSV : SHEET_JSON_LINES;
	return 0;
}

static int on_line(void *lines, struct report_job *j, const struct replay_sample *s, uint32_t path)
{
	return sample_lines_write(lines, &j->profile, &j->shape, s, path);
}

static int on_row(void *sheet, struct report_job *j, const struct replay_sample *s, uint32_t path)
{
	return sample_sheet_write(sheet, &j->profile, s, path);
}

static int write_lines(struct report_job *j, int *rc)
{
	struct sample_lines lines;
	int status;

	sample_lines_init(&lines, j->output.file, &j->naming);
	status = report_job_replay(j, on_line, &lines, rc);
	sample_lines_done(&lines);
	return status;
}

static int write_rows(struct report_job *j, int *rc)
{
	char message[256];
	int status = REPORT_GO_ON, end;

	if (!script.columns)
		sample_sheet_choose(&script.sheet, NULL, message, sizeof message);
	*rc = sample_sheet_begin(&script.sheet, j->output.file, script.format ? script.format : SHEET_TABS, &j->shape);
	if (!*rc)
		status = report_job_replay(j, on_row, &script.sheet, rc);
	end = sample_sheet_end(&script.sheet);
	*rc = *rc ? *rc : end;
	return status;
}

static int cmd_script(const struct report_verb *verb, int argc, char **argv)
{
	struct report_job j;
	int rc, status = report_job_begin(&j, verb, argc, argv);

	if (status != REPORT_GO_ON)
		return status;
	struct naming_options naming = report_options_naming(&j.options, &j.profile);
	struct shape_options shape = report_job_rows(&j).shape;
	shape.processes &= j.options.processes == REPORT_YES; /* columns tell them apart */
	status = report_job_shape(&j, &naming, &shape);
	if (status != REPORT_GO_ON)
		return status;
	status = script.format || script.columns ? write_rows(&j, &rc) : write_lines(&j, &rc);
	return status == REPORT_GO_ON ? report_job_end(&j, rc, false) : status;
}

const struct report_verb cmd_script_verb = {
    .name = "script",
    .summary = "Every sample on a line of its own, in order of time, for scripts.",
    .examples = "  pyspy-report script -i app.pyspy | less -S\n"
                "  pyspy-report script app.pyspy | awk -F'\\t' '$3 == \"MainThread\" {print $7}'\n"
                "  pyspy-report script --columns time_s,tid,function,line app.pyspy\n"
                "  pyspy-report script --json app.pyspy | jq -r .stack[-1]\n",
    .about =
        "Columns, separated by tabs (--columns chooses others):\n"
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
        "Control characters in names are written \\n, \\t, \\x1b and so on; in JSON they are as they were. --csv and\n"
        "--json have, when --columns says nothing: time_ns pid tid thread state marks way weight_ns stack. function,\n"
        "file and line are the innermost frame's; weight_ns is that of event=NS.",
    .groups = REPORT_FILTER | REPORT_NAMING | REPORT_THREADS | REPORT_SHAPE | REPORT_REPLAY,
    .own = rows,
    .own_option = script_option,
    .run = cmd_script,
};
