#include "pyspy-report/report_timeline.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/human.h"
#include "libcommon/log.h"
#include "pyspy-report/view/caption.h"

const char report_timeline_exporter[] = "pyspy-report@" PYSPY_VERSION;

static void done(struct report_timeline *j)
{
	timeline_done(&j->timeline);
	meters_done(&j->meters);
	spool_done(&j->waiting);
	buf_done(&j->command);
	buf_done(&j->samples);
	buf_done(&j->losses);
	free(j);
}

static int give_up(struct report_timeline *j, int rc)
{
	int status, error = j->timeline.spool.error_number ? j->timeline.spool.error_number : j->waiting.error_number;
	bool is_spool = rc == ERR_IO && error;

	if (is_spool)
		log_error(
		    "cannot put samples aside in a temporary file: %s; free some space, or name another folder in "
		    "TMPDIR",
		    strerror(error));
	status = is_spool ? report_job_drop(&j->job, REPORT_ERROR) : report_job_end(&j->job, rc, false);
	done(j);
	return status;
}

/* Stretches come thread by thread, and most look like one before. */
static int path_of(struct report_timeline *j, const struct lane_stretch *s, uint32_t *path)
{
	uint64_t hash = map_hash((uint64_t)s->thread << 32 | s->stack, s->flags);
	struct report_timeline_known *k = &j->known[hash % REPORT_TIMELINE_KNOWN];

	if (k->stack != s->stack || k->thread != s->thread || k->flags != s->flags) {
		TRY(shape_path(&j->job.shape, s->thread, s->stack, s->flags, path));
		*k = (struct report_timeline_known){s->thread, s->stack, s->flags, *path};
	}
	*path = k->path;
	return 0;
}

static int on_stretch(void *ctx, const struct profile *p, const struct lane_stretch *s)
{
	struct report_timeline *j = ctx;
	uint32_t path;

	if (j->has_meters)
		TRY(meters_add(&j->meters, p, s));
	TRY(path_of(j, s, &path));
	return path == SHAPE_DROPPED ? 0 : timeline_add(&j->timeline, s, path);
}

static int fill(struct report_timeline *j, bool by_text, int *status)
{
	struct report_job *k = &j->job;
	struct naming_options naming = report_options_naming(&k->options, &k->profile);
	struct shape_options rows = report_job_rows(k).shape;
	int rc;

	naming.by_text = by_text;
	rows.processes &= k->options.processes == REPORT_YES; /* tracks tell them apart */
	*status = report_job_shape(k, &naming, &rows);
	if (*status != REPORT_GO_ON)
		return 0;
	for (size_t i = 0; i < REPORT_TIMELINE_KNOWN; i++) /* no stack has this number */
		j->known[i].stack = UINT32_MAX;
	rc = report_input_lanes(&k->input, &k->profile, &k->options, on_stretch, j, &j->waiting);
	if (!rc)
		rc = timeline_settle(&j->timeline);
	spool_done(&j->waiting);
	caption_command(&j->command, &k->profile, &k->summary);
	caption_samples(&j->samples, &k->profile, &k->summary, &k->filter);
	caption_losses(&j->losses, &k->profile, &k->summary);
	return rc;
}

struct report_timeline *report_timeline_begin(const struct report_verb *v, int argc, char **argv,
                                              const struct report_timeline_options *o, int *status)
{
	struct report_timeline *j = calloc(1, sizeof *j);
	int rc;

	if (!j) {
		*status = report_trouble_failed("cannot start", ERR_NO_MEMORY);
		return NULL;
	}
	j->has_meters = o->meters;
	timeline_init(&j->timeline, &j->job.profile, o->by_state);
	meters_init(&j->meters);
	buf_init(&j->command, 0);
	buf_init(&j->samples, 0);
	buf_init(&j->losses, 0);
	*status = report_job_begin(&j->job, v, argc, argv);
	if (*status == REPORT_GO_ON) {
		rc = fill(j, o->by_text, status);
		if (*status == REPORT_GO_ON && !rc)
			return j;
		if (*status == REPORT_GO_ON) {
			*status = rc > 0 ? report_job_drop(&j->job, rc) : give_up(j, rc);
			if (rc < 0)
				return NULL;
		}
	}
	done(j);
	return NULL;
}

int report_timeline_end(struct report_timeline *j, int rc)
{
	uint64_t timeless = profile_by_time(&j->job.profile) ? 0 : j->timeline.timeless;
	char a[HUMAN_SIZE];
	int status;

	if (rc < 0)
		return give_up(j, rc);
	status = report_job_end(&j->job, 0, false);
	if (status == REPORT_OK && timeless)
		log_info("%s of these samples stand for no time and have no length", human_count(a, timeless));
	done(j);
	return status;
}
