#include "pyspy-report/cmd.h"

#include <string.h>
#include <unistd.h>

#include "libcommon/log.h"
#include "pyspy-report/report_job.h"
#include "pyspy-report/view/caption.h"
#include "pyspy-report/view/pprof.h"

enum { COMMENTS = 8 };

struct comments {
	struct buf texts[COMMENTS];
	const char *list[COMMENTS];
	size_t n;
};

static struct buf *next(struct comments *c)
{
	buf_init(&c->texts[c->n], 0);
	return &c->texts[c->n++];
}

static void make(struct comments *c, const struct report_job *j)
{
	const struct profile *p = &j->profile;
	struct buf *b = next(c);

	buf_printf(b, "made by pyspy-report %s", report_version);
	b = next(c);
	buf_str(b, "of: ");
	caption_command(b, p, &j->summary);
	b = next(c);
	caption_samples(b, p, &j->summary, &j->filter);
	caption_frames(b, &j->naming, &(struct tree_options){.shape = j->shape.options});
	b = next(c);
	buf_str(b, "lost: ");
	size_t before = b->len;
	caption_losses(b, p, &j->summary);
	if (b->len == before)
		buf_str(b, "nothing");
	if (p->n_damage)
		buf_printf(next(c), "damaged input: %llu places", (unsigned long long)p->n_damage);
	for (size_t i = 0; i < c->n; i++)
		c->list[i] = buf_cstr(&c->texts[i]);
}

static enum pprof_type shown(const struct report_job *j)
{
	if (j->filter.measure == FILTER_BY_CPU)
		return PPROF_CPU;
	return filter_by_time(&j->filter, &j->profile) ? PPROF_WALL : PPROF_SAMPLES;
}

static int write_it(struct report_job *j)
{
	struct comments c = {.n = 0};
	struct labelled samples;
	int rc = labelled_build(&samples, &j->shape);

	make(&c, j);
	for (size_t i = 0; i < c.n && !rc; i++)
		rc = c.texts[i].err;
	if (!rc)
		rc = pprof_write(j->output.file, &j->shape, &samples,
		                 &(struct pprof_options){shown(j), c.list, c.n, caption_duration_ns(&j->profile)});
	for (size_t i = 0; i < c.n; i++)
		buf_done(&c.texts[i]);
	labelled_done(&samples);
	return rc;
}

static int cmd_pprof(const struct report_verb *verb, int argc, char **argv)
{
	struct report_job j;
	int status = report_job_begin(&j, verb, argc, argv);

	if (status != REPORT_GO_ON)
		return status;
	if (j.output.is_stdout && isatty(j.output.fd)) {
		log_error("the profile is binary, and standard output is a terminal; name a file: -o profile.pb.gz");
		return report_job_drop(&j, REPORT_USAGE);
	}
	struct naming_options naming = report_options_naming(&j.options, &j.profile);
	struct shape_options rows = report_job_rows(&j).shape;
	naming.by_column = true;
	rows.processes = j.options.processes == REPORT_YES; /* they are labels */
	status = report_job_shape(&j, &naming, &rows);
	return status == REPORT_GO_ON ? report_job_end(&j, write_it(&j), false) : status;
}

const struct report_verb cmd_pprof_verb = {
    .name = "pprof",
    .summary = "A profile for `go tool pprof`, Pyroscope, Parca and others that read its format.",
    .examples = "  pyspy-report pprof -o app.pb.gz app.pyspy && go tool pprof -top app.pb.gz\n"
                "  go tool pprof -tagfocus thread=worker-1 -http :8080 app.pb.gz      one thread, in the browser\n"
                "  pyspy-report pprof --full-filenames -o app.pb.gz app.pyspy && go tool pprof -list handle app.pb.gz\n"
                "  go tool pprof -top -diff_base before.pb.gz after.pb.gz\n",
    .about =
        "A gzip'd profile.proto. Each sample has three values: samples (count), wall and cpu (nanoseconds); `go tool\n"
        "pprof` shows samples first, or wall where shares are of time (-sample_index=cpu shows another). Its labels\n"
        "are thread, thread id, process, pid, state (on-cpu, sleeping ...), gil (held, waited for), gc and, in\n"
        "sub-interpreters, interpreter. Functions are named module.qualname, those of the program itself (__main__)\n"
        "by their qualname; lines, columns (1 = the first byte) and first lines of functions are all in it: -F and\n"
        "--nolineno leave out lines. What was recorded, filtered and lost stands in its comments (go tool pprof\n"
        "-comments). Control characters in names are written \\n, \\x1b and so on. The format has no order in time:\n"
        "times of samples are not in it. The same input and options give the same bytes.",
    .groups = REPORT_FILTER | REPORT_NAMING | REPORT_THREADS | REPORT_SHAPE | REPORT_MEASURE,
    .run = cmd_pprof,
};
