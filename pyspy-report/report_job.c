#include "pyspy-report/report_job.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/log.h"
#include "pyspy-report/report_progress.h"
#include "pyspy-report/view/caption.h"

static void done(struct report_job *j)
{
	report_progress_end();
	if (j->has_shape)
		shape_done(&j->shape);
	if (j->has_tree)
		tree_done(&j->tree);
	if (j->has_naming)
		naming_done(&j->naming);
	if (j->has_summary)
		summary_done(&j->summary);
	if (j->has_output)
		report_output_drop(&j->output);
	filter_done(&j->filter);
	if (j->has_profile) {
		report_input_done(&j->input);
		profile_done(&j->profile);
	}
	report_options_done(&j->options);
}

static int give_up(struct report_job *j, const char *what, int code)
{
	int status = report_trouble_failed(what, code);

	done(j);
	return status;
}

int report_job_begin(struct report_job *j, const struct report_verb *v, int argc, char **argv)
{
	bool replays;
	int rc;

	memset(j, 0, sizeof *j);
	rc = report_options_parse(&j->options, v, argc, argv);
	if (rc) {
		done(j);
		return rc < 0 ? REPORT_USAGE : REPORT_OK;
	}
	replays = v->groups & REPORT_REPLAY && (!v->replays || v->replays(&j->options));
	j->has_output = report_output_open(&j->output, &j->options) == 0;
	j->has_profile = true;
	if (!j->has_output || report_input_load(&j->input, &j->profile, &j->options, replays)) {
		j->has_profile = j->has_output;
		done(j);
		return REPORT_ERROR;
	}
	j->filter = report_options_filter(&j->options, &j->profile);
	rc = filter_prepare(&j->filter, &j->profile);
	j->has_summary = !rc;
	if (!rc)
		rc = summary_build(&j->summary, &j->profile, &j->filter);
	return rc < 0 ? give_up(j, "cannot count the samples", rc) : REPORT_GO_ON;
}

struct tree_options report_job_rows(const struct report_job *j)
{
	const struct report_options *o = &j->options;
	bool processes =
	    o->processes == REPORT_UNSET ? tree_wants_processes(&j->profile, &j->filter) : o->processes == REPORT_YES;

	return (struct tree_options){.shape = {.threads = report_options_threads(o, &j->profile),
	                                       .processes = processes,
	                                       .collapse = o->collapse},
	                             .invert = o->invert};
}

int report_job_tree(struct report_job *j, const struct naming_options *naming, const struct tree_options *tree)
{
	int rc;

	report_progress_say("sorting the stacks ...");
	j->has_naming = j->has_tree = true;
	rc = naming_init(&j->naming, &j->profile, naming);
	memset(&j->tree, 0, sizeof j->tree);
	if (!rc)
		rc = tree_build(&j->tree, &j->naming, &j->filter, tree);
	report_progress_end(); /* before anything is written to a terminal */
	if (!j->output.is_stdout)
		report_progress_say("writing the view ...");
	return rc < 0 ? give_up(j, "cannot build the call tree", rc) : REPORT_GO_ON;
}

int report_job_shape(struct report_job *j, const struct naming_options *naming, const struct shape_options *shape)
{
	int rc;

	j->has_naming = j->has_shape = true;
	rc = naming_init(&j->naming, &j->profile, naming);
	if (rc)
		j->has_shape = false;
	else
		rc = shape_init(&j->shape, &j->naming, &j->filter, shape);
	return rc < 0 ? give_up(j, "cannot name the frames", rc) : REPORT_GO_ON;
}

struct job_visit {
	struct report_job *j;
	report_job_visit *visit;
	void *ctx;
};

static int on_sample(void *ctx, const struct profile *p, const struct replay_sample *s)
{
	struct job_visit *v = ctx;
	uint32_t path;

	(void)p;
	TRY(shape_path(&v->j->shape, s->thread, s->stack, s->flags, &path));
	return path == SHAPE_DROPPED ? 0 : v->visit(v->ctx, v->j, s, path);
}

int report_job_replay(struct report_job *j, report_job_visit *visit, void *ctx, int *rc)
{
	struct job_visit v = {j, visit, ctx};

	return report_job_replay_all(j, on_sample, &v, rc);
}

int report_job_replay_all(struct report_job *j, replay_visit *visit, void *ctx, int *rc)
{
	*rc = report_input_replay(&j->input, &j->profile, &j->options, visit, ctx);
	if (*rc <= 0)
		return REPORT_GO_ON;
	done(j);
	return REPORT_ERROR;
}

int report_job_drop(struct report_job *j, int status)
{
	done(j);
	return status;
}

int report_job_end(struct report_job *j, int rc, bool quiet)
{
	int status = REPORT_OK;

	if (rc < 0 && rc != ERR_IO) /* the output's failure is report_output_close's to tell */
		return give_up(j, "cannot make the view", rc);
	if (j->has_output)
		status = report_output_close(&j->output);
	j->has_output = false;
	if (status == REPORT_OK) {
		if (!quiet)
			caption_log(&j->profile, &j->summary, &j->filter);
		status = report_trouble_damage(&j->profile, &j->options);
	}
	done(j);
	return status;
}
