#include "pyspy-report/report_timeline.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/human.h"
#include "libcommon/log.h"
#include "pyspy-report/view/caption.h"

const char report_timeline_exporter[] = "pyspy-report@" PYSPY_VERSION;

static void done(struct report_timeline *j)
{
	if (j->is_ready) {
		paths_done(&j->paths);
		naming_done(&j->naming);
	}
	if (j->has_summary)
		summary_done(&j->summary);
	if (j->has_output)
		report_output_drop(&j->output);
	timeline_done(&j->timeline);
	spool_done(&j->waiting);
	meters_done(&j->meters);
	buf_done(&j->command);
	buf_done(&j->samples);
	buf_done(&j->losses);
	profile_done(&j->profile);
	report_options_done(&j->options);
}

static int give_up(struct report_timeline *j, const char *what, int code)
{
	int status = REPORT_ERROR, error = j->timeline.spool.error_number | j->waiting.error_number;

	if (code == ERR_IO)
		log_error("%s: temporary file: %s; free some space, or name another folder in TMPDIR", what,
		          strerror(error));
	else
		status = report_input_failed(what, code);
	done(j);
	return status;
}

/* The first stretch: the recording's view defaults are known now. */
static int get_ready(struct report_timeline *j)
{
	struct naming_options o = report_options_naming(&j->options, &j->profile);

	j->is_ready = true;
	j->filter = report_options_filter(&j->options, &j->profile);
	TRY(naming_init(&j->naming, &j->profile, &o));
	return paths_init(&j->paths, &j->naming, report_options_threads(&j->options, &j->profile));
}

static int on_stretch(void *ctx, const struct profile *p, const struct lane_stretch *s)
{
	struct report_timeline *j = ctx;
	uint32_t path;

	if (!j->is_ready)
		TRY(get_ready(j));
	if (j->has_meters)
		TRY(meters_add(&j->meters, p, s));
	if (!filter_keeps(&j->filter, s->flags))
		return 0;
	TRY(paths_get(&j->paths, s->thread, s->stack, s->flags, &path));
	return timeline_add(&j->timeline, s, path);
}

int report_timeline_begin(struct report_timeline *j, const struct report_verb *v, int argc, char **argv,
                          const struct report_timeline_options *o)
{
	int rc;

	memset(j, 0, sizeof *j);
	rc = report_options_parse(&j->options, v, argc, argv);
	if (rc) {
		report_options_done(&j->options);
		return rc < 0 ? REPORT_USAGE : REPORT_OK;
	}
	if (report_output_open(&j->output, &j->options)) {
		report_options_done(&j->options);
		return REPORT_ERROR;
	}
	j->has_output = true;
	j->has_meters = o->meters;
	timeline_init(&j->timeline, &j->profile, o->by_state);
	meters_init(&j->meters);
	buf_init(&j->command, 0);
	buf_init(&j->samples, 0);
	buf_init(&j->losses, 0);
	rc = report_input_load(&j->profile, &j->options,
	                       &(struct load_options){.lane = on_stretch, .ctx = j, .spool = &j->waiting});
	if (rc > 0) {
		done(j);
		return REPORT_ERROR;
	}
	if (!rc && !j->is_ready)
		rc = get_ready(j);
	if (!rc)
		rc = timeline_settle(&j->timeline);
	if (rc < 0)
		return give_up(j, "cannot put the samples in order", rc);
	j->has_summary = true;
	rc = summary_build(&j->summary, &j->profile, &j->filter);
	if (rc < 0)
		return give_up(j, "cannot count the samples", rc);
	caption_command(&j->command, &j->profile, &j->summary);
	caption_samples(&j->samples, &j->profile, &j->summary, &j->filter);
	caption_losses(&j->losses, &j->profile, &j->summary);
	return REPORT_GO_ON;
}

int report_timeline_end(struct report_timeline *j, int rc)
{
	int status;
	char a[HUMAN_SIZE];

	if (rc < 0)
		return give_up(j, "cannot make the view", rc);
	status = report_output_close(&j->output);
	j->has_output = false;
	if (status == REPORT_OK) {
		caption_log(&j->profile, &j->summary, &j->filter);
		if (j->timeline.timeless && !profile_by_time(&j->profile))
			log_info("%s of these samples stand for no time and have no length",
			         human_count(a, j->timeline.timeless));
		status = report_input_damage(&j->profile, &j->options);
	}
	done(j);
	return status;
}
