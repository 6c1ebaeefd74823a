#include "pyspy-report/cmd.h"

#include "libcommon/err.h"
#include "pyspy-report/query/moment.h"
#include "pyspy-report/query/when.h"
#include "pyspy-report/report_job.h"
#include "pyspy-report/view/moment_stacks.h"

enum { STACKS_AT = REPORT_OWN, STACKS_CSV, STACKS_JSON };

static const struct arg_option rows[] = {
    {STACKS_AT, 0, "at", "TIME", "the moment; default: the end of the recording"},
    {STACKS_CSV, 0, "csv", NULL, "for programs and spreadsheets: CSV, a row for each frame"},
    {STACKS_JSON, 'j', "json", NULL, "for programs: one JSON document with schema_version, filters, rows"},
    {0},
};

static struct {
	struct span_point at;
	enum sheet_format format;
} stacks = {.at = {.kind = SPAN_FROM_END}};

static int stacks_option(int id, const char *value, char *message, size_t size)
{
	char why[200];
	int rc;

	if (id == STACKS_AT) {
		rc = when_parse(value, &stacks.at, why, sizeof why);
		if (rc == ERR_USAGE)
			snprintf(message, size, "--at: %s", why);
		return rc;
	}
	stacks.format = id == STACKS_CSV ? SHEET_CSV : SHEET_JSON;
	return 0;
}

static int on_sample(void *moment, const struct profile *p, const struct replay_sample *s)
{
	moment_take(moment, s);
	return 0;
}

static int write_stacks(struct report_job *j, struct moment *m)
{
	return stacks.format ? moment_stacks_sheet(j->output.file, stacks.format, m, &j->shape, &j->summary)
	                     : moment_stacks_write(j->output.file, m, &j->shape, &j->summary);
}

/* A dump has all threads, until told otherwise. */
static int show_idle(struct report_job *j)
{
	if (j->options.idle != REPORT_UNSET || j->filter.idle)
		return 0;
	j->filter.idle = true;
	summary_done(&j->summary);
	return summary_build(&j->summary, &j->profile, &j->filter);
}

static int cmd_stacks(const struct report_verb *verb, int argc, char **argv)
{
	struct report_job j;
	struct moment m;
	int rc, status = report_job_begin(&j, verb, argc, argv);

	if (status != REPORT_GO_ON)
		return status;
	struct naming_options naming = report_options_naming(&j.options, &j.profile);
	struct shape_options shape = {.collapse = j.options.collapse};
	rc = show_idle(&j);
	if (rc)
		return report_job_end(&j, rc, true);
	status = report_job_shape(&j, &naming, &shape);
	if (status != REPORT_GO_ON)
		return status;
	rc = moment_init(&m, &j.profile, &stacks.at);
	if (!rc)
		status = report_job_replay_all(&j, on_sample, &m, &rc);
	if (status == REPORT_GO_ON && !rc)
		rc = write_stacks(&j, &m);
	moment_done(&m);
	return status == REPORT_GO_ON ? report_job_end(&j, rc, stacks.format == SHEET_TEXT) : status;
}

const struct report_verb cmd_stacks_verb = {
    .name = "stacks",
    .summary = "What every thread was doing at a moment: a dump from the past.",
    .examples = "  pyspy-report stacks --at 12.5s app.pyspy             since the recording began\n"
                "  pyspy-report stacks --at 50% app.pyspy               half way\n"
                "  pyspy-report stacks --at -1s app.pyspy               a second before its end\n"
                "  pyspy-report stacks --at 2026-11-28T07:13:44Z app.pyspy\n"
                "  pyspy-report stacks app.pyspy                        at its end\n",
    .about =
        "Of each thread that was there the sample that is nearest to the moment, innermost frame first, with its "
        "state,\n"
        "who holds the GIL (gil) or waits for it (gil-wait), and how far from the moment the sample was taken. Idle\n"
        "threads are shown (--no-idle: not). TIME: seconds or 1m30s since the recording began, -10s before its end,\n"
        "25%, or a date and time, local when it has no zone.",
    .groups = REPORT_FILTER | REPORT_NAMING | REPORT_SHAPE | REPORT_REPLAY,
    .own = rows,
    .own_option = stacks_option,
    .run = cmd_stacks,
};
