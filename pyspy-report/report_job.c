#include "pyspy-report/report_job.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/log.h"
#include "pyspy-report/view/caption.h"

static void done(struct report_job *j)
{
	if (j->has_tree)
		tree_done(&j->tree);
	if (j->has_naming)
		naming_done(&j->naming);
	if (j->has_summary)
		summary_done(&j->summary);
	if (j->has_output)
		report_output_drop(&j->output);
	if (j->has_profile)
		profile_done(&j->profile);
	report_options_done(&j->options);
}

static int give_up(struct report_job *j, const char *what, int code)
{
	int status = report_input_failed(what, code);

	done(j);
	return status;
}

int report_job_begin(struct report_job *j, const struct report_verb *v, int argc, char **argv)
{
	int rc;

	memset(j, 0, sizeof *j);
	rc = report_options_parse(&j->options, v, argc, argv);
	if (rc) {
		done(j);
		return rc < 0 ? REPORT_USAGE : REPORT_OK;
	}
	j->has_output = report_output_open(&j->output, &j->options) == 0;
	j->has_profile = true;
	if (!j->has_output || report_input_load(&j->profile, &j->options, NULL)) {
		j->has_profile = j->has_output;
		done(j);
		return REPORT_ERROR;
	}
	j->filter = report_options_filter(&j->options, &j->profile);
	j->has_summary = true;
	rc = summary_build(&j->summary, &j->profile, &j->filter);
	return rc < 0 ? give_up(j, "cannot count the samples", rc) : REPORT_GO_ON;
}

struct tree_options report_job_rows(const struct report_job *j)
{
	return (struct tree_options){.threads = report_options_threads(&j->options, &j->profile),
	                             .processes = tree_wants_processes(&j->profile)};
}

int report_job_tree(struct report_job *j, const struct naming_options *naming, const struct tree_options *tree)
{
	int rc;

	j->has_naming = j->has_tree = true;
	rc = naming_init(&j->naming, &j->profile, naming);
	memset(&j->tree, 0, sizeof j->tree);
	if (!rc)
		rc = tree_build(&j->tree, &j->naming, &j->filter, tree);
	return rc < 0 ? give_up(j, "cannot build the call tree", rc) : REPORT_GO_ON;
}

int report_job_fail(struct report_job *j, int status)
{
	done(j);
	return status;
}

int report_job_end(struct report_job *j, int rc, bool quiet)
{
	int status = REPORT_OK;

	if (rc < 0)
		return give_up(j, "cannot make the view", rc);
	if (j->has_output)
		status = report_output_close(&j->output);
	j->has_output = false;
	if (status == REPORT_OK) {
		if (!quiet)
			caption_log(&j->profile, &j->summary, &j->filter);
		status = report_input_damage(&j->profile, &j->options);
	}
	done(j);
	return status;
}
