#include "pyspy-report/report_copy.h"

#include <string.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "libcommon/log.h"
#include "pyspy-report/report_job.h"
#include "pyspy-report/report_progress.h"

int report_copy_drop(struct report_copy *c, int status)
{
	report_progress_end();
	copyist_free(c->copyist);
	c->copyist = NULL;
	if (c->has_scribe)
		scribe_done(&c->scribe);
	if (c->has_output)
		report_output_drop(&c->output);
	if (c->has_damage)
		profile_done(&c->damage);
	report_input_done(&c->input);
	report_options_done(&c->options);
	return status;
}

int report_copy_begin(struct report_copy *c, const struct report_verb *v, int argc, char **argv)
{
	memset(c, 0, sizeof *c);
	int rc = report_options_parse(&c->options, v, argc, argv);

	if (rc)
		return report_copy_drop(c, rc < 0 ? REPORT_USAGE : REPORT_OK);
	if ((!c->options.output || strcmp(c->options.output, "-") == 0) && isatty(STDOUT_FILENO)) {
		log_error("a recording is nothing for a terminal; name a file with -o");
		return report_copy_drop(c, REPORT_USAGE);
	}
	if (report_output_open(&c->output, &c->options))
		return report_copy_drop(c, REPORT_ERROR);
	report_output_private(&c->output);
	c->has_output = c->has_scribe = c->has_damage = true;
	rc = profile_init(&c->damage);
	if (!rc)
		rc = scribe_init(&c->scribe, c->output.file);
	return rc ? report_copy_drop(c, report_trouble_failed("cannot start", rc)) : REPORT_GO_ON;
}

struct copy_from {
	struct report_copy *c;
	uint32_t input; /* string */
};

static int on_damage(void *ctx, const struct decode_damage *d)
{
	struct copy_from *from = ctx;

	return profile_add_damage(&from->c->damage, from->input, d);
}

/* Once the output has failed, more work is for nothing. */
static int feed(void *ctx, const void *bytes, size_t n)
{
	struct report_copy *c = ctx;

	return c->output.error_number ? ERR_IO : copyist_feed(c->copyist, bytes, n);
}

static int finish(void *ctx)
{
	return copyist_finish(((struct report_copy *)ctx)->copyist);
}

int report_copy_run(struct report_copy *c, const struct copyist_hooks *hooks)
{
	int rc = 0;

	if (!c->input.sources.n && report_input_list(&c->input, &c->options))
		return report_copy_drop(c, REPORT_ERROR);
	c->copyist = copyist_new(&c->scribe, hooks);
	if (!c->copyist)
		return report_copy_drop(c, report_trouble_failed("cannot start", ERR_NO_MEMORY));
	for (size_t i = 0; i < c->input.sources.n && !c->output.error_number; i++) {
		struct report_source *s = &c->input.sources.v[i];
		const char *name = strcmp(s->name, "-") == 0 ? "standard input" : s->name;
		struct copy_from from = {.c = c};

		rc = profile_string(&c->damage, name, strlen(name), &from.input);
		if (!rc)
			rc = copyist_begin(c->copyist, on_damage, &from);
		if (rc)
			return report_copy_drop(c, report_trouble_failed("cannot start", rc));
		rc = report_input_read(s, &(struct feed_to){feed, finish, c, report_progress_bytes}, false);
		if (rc && !c->output.error_number)
			return report_copy_drop(c, rc);
	}
	rc = scribe_finish(&c->scribe);
	return rc ? report_copy_drop(c, report_trouble_failed("cannot write the recording", rc)) : REPORT_GO_ON;
}

int report_copy_end(struct report_copy *c)
{
	int status = report_output_close(&c->output);

	c->has_output = false;
	if (status == REPORT_OK)
		status = report_trouble_damage(&c->damage, &c->options);
	return report_copy_drop(c, status);
}
