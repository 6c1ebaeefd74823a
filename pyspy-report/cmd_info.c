#include "pyspy-report/cmd.h"

#include "pyspy-report/report_job.h"
#include "pyspy-report/view/info_json.h"
#include "pyspy-report/view/info_text.h"

enum { INFO_JSON = REPORT_OWN, INFO_CSV };

static const struct arg_option rows[] = {
    {INFO_JSON, 'j', "json", NULL, "for programs: one JSON document with a schema_version"},
    {INFO_CSV, 0, "csv", NULL, "the same as CSV rows of key and value"},
    {0},
};

static int format; /* the option that chose it; 0 = for people */

static int info_option(int id, const char *value, char *message, size_t size)
{
	format = id;
	return 0;
}

/* It is about everything, whatever the recording's views leave out: only the command line does. */
static int narrow(struct report_job *j)
{
	j->filter.gil_only = j->options.gil == REPORT_YES;
	j->filter.idle = j->options.idle != REPORT_NO;
	summary_done(&j->summary);
	return summary_build_kept(&j->summary, &j->profile, &j->filter);
}

static int cmd_info(const struct report_verb *verb, int argc, char **argv)
{
	struct report_job j;
	int rc, status = report_job_begin(&j, verb, argc, argv);

	if (status != REPORT_GO_ON)
		return status;
	rc = narrow(&j);
	if (!rc && format == INFO_JSON)
		rc = info_json_write(j.output.file, &j.profile, &j.summary, &j.filter);
	else if (!rc && format == INFO_CSV)
		rc = info_json_csv(j.output.file, &j.profile, &j.summary, &j.filter);
	else if (!rc)
		info_text_write(j.output.file, &j.profile, &j.summary, &j.filter);
	return report_job_end(&j, rc, true);
}

const struct report_verb cmd_info_verb = {
    .name = "info",
    .summary = "What a recording is, how good it is, and what is missing in it.",
    .examples = "  pyspy-report info app.pyspy\n"
                "  pyspy-report info --json app.pyspy | jq .samples\n"
                "  pyspy-report info --csv app.pyspy >info.csv\n",
    .about =
        "Host, recorder, engine, times; samples by state, by the way they were taken, by how certain they are; stops\n"
        "of the program and what recording cost; what was lost and what is damaged; processes and threads with their\n"
        "share of CPU and GIL. Shares are of samples, in a recording by the kernel of time.\n"
        "Nothing is left out but by the filters that are named: then samples, processes and threads are of what they\n"
        "leave; what was lost and what recording cost stay those of the whole.",
    .groups = REPORT_FILTER,
    .own = rows,
    .own_option = info_option,
    .run = cmd_info,
};
