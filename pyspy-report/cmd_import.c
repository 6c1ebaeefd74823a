#include "pyspy-report/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/log.h"
#include "pyspy-report/exchange/importer.h"
#include "pyspy-report/exchange/sha256.h"
#include "pyspy-report/report_job.h"
#include "pyspy-report/report_output.h"
#include "pyspy-report/report_trouble.h"

enum { IMPORT_FROM = REPORT_OWN, IMPORT_RATE };
enum { IMPORT_LOOKED_AT = 64 << 10 };

static const struct arg_option rows[] = {
    {IMPORT_FROM, 0, "from", "FORMAT",
     "what the file is, when its content does not tell: mojo, tachyon, speedscope, austin, perf or folded"},
    {IMPORT_RATE, 0, "rate", "HZ", "the rate of samples, where the file has only counts; default 100"},
    {0},
};

static const struct import_format *wanted;
static struct import_options options;

static int import_option(int id, const char *value, char *message, size_t size)
{
	double hz;

	if (id == IMPORT_RATE) {
		if (human_parse_rate(value, &hz) < 0 || hz < 0.2 || hz > 1e9) {
			snprintf(message, size, "wrong value for --rate: a number from 0.2 to 1G, like 100 or 1k");
			return ERR_USAGE;
		}
		options.gap_ns = (uint64_t)(1e9 / hz + 0.5);
		return 0;
	}
	wanted = NULL;
	for (size_t i = 0; import_formats[i]; i++)
		if (strcmp(import_formats[i]->name, value) == 0)
			wanted = import_formats[i];
	if (wanted)
		return 0;
	snprintf(message, size, "wrong value for --from: mojo, tachyon, speedscope, austin, perf or folded");
	return ERR_USAGE;
}

struct import_job {
	struct report_options options;
	struct report_output output;
	struct scribe scribe;
	struct foreign foreign;
	struct intake source;
	struct buf name;
	const char *shown; /* the input's name, escaped */
	int fd;
	bool has_output, has_scribe;
};

static int drop(struct import_job *j, int status)
{
	if (j->has_scribe) {
		foreign_done(&j->foreign);
		scribe_done(&j->scribe);
	}
	if (j->has_output)
		report_output_drop(&j->output);
	intake_done(&j->source);
	if (j->fd > STDIN_FILENO)
		close(j->fd);
	buf_done(&j->name);
	report_options_done(&j->options);
	return status;
}

static void say_problems(const struct import_job *j, bool is_fatal)
{
	const struct foreign *f = &j->foreign;
	char n[HUMAN_SIZE];
	struct buf b;

	buf_init(&b, 0);
	for (size_t i = 0; i < f->n_problems && i < FOREIGN_PROBLEMS_KEPT; i++) {
		const struct foreign_problem *p = &f->problems[i];
		char where[64] = "";

		buf_reset(&b);
		escape_text(&b, p->text, strlen(p->text));
		if (p->at || !p->is_line)
			snprintf(where, sizeof where, "%s %llu: ", p->is_line ? "line" : "byte",
			         (unsigned long long)p->at);
		if (is_fatal) {
			log_error("cannot import %s: %s%s", j->shown, where, buf_cstr(&b));
			break;
		}
		log_error("warning: %s: %s%s", j->shown, where, buf_cstr(&b));
	}
	if (!is_fatal && f->n_problems > FOREIGN_PROBLEMS_KEPT)
		log_error("warning: %s more such places", human_count(n, f->n_problems - FOREIGN_PROBLEMS_KEPT));
	buf_done(&b);
}

static int failed(struct import_job *j, int rc)
{
	int error_number = j->source.error_number;

	if (rc == ERR_SYSTEM)
		log_error("cannot read %s: %s; nothing was written", j->shown, strerror(error_number));
	else if (rc == ERR_IO)
		log_error("cannot put %s aside to read it twice: %s; free some space, or set TMPDIR", j->shown,
		          strerror(error_number));
	else if (rc == ERR_FULL)
		log_error(
		    "cannot import %s: it names more different frames and stacks than fit (16 M); nothing was written",
		    j->shown);
	else if (rc == ERR_FORMAT && j->foreign.n_problems)
		say_problems(j, true);
	else
		log_error("cannot import %s: %s; nothing was written", j->shown, err_words(rc));
	return drop(j, REPORT_ERROR);
}

static int open_input(struct import_job *j)
{
	const char *file = j->options.files.n ? j->options.files.v[0] : "-";
	bool is_stdin = strcmp(file, "-") == 0;

	buf_init(&j->name, 0);
	if (is_stdin)
		buf_str(&j->name, "standard input");
	else
		escape_text(&j->name, file, strlen(file));
	j->shown = buf_cstr(&j->name);
	j->fd = is_stdin ? STDIN_FILENO : open(file, O_RDONLY | O_CLOEXEC);
	if (j->fd < 0) {
		log_error("cannot read %s: %s; check the name", j->shown, strerror(errno));
		return REPORT_ERROR;
	}
	int rc = intake_open(&j->source, j->fd);
	if (!rc) {
		intake_need(&j->source, IMPORT_LOOKED_AT);
		rc = j->source.rc;
	}
	if (rc == ERR_SYSTEM)
		log_error("cannot read %s: %s; name a file", j->shown, strerror(j->source.error_number));
	else if (rc)
		log_error("cannot read %s: %s", j->shown, err_words(rc));
	return rc ? REPORT_ERROR : 0;
}

static const struct import_format *choose(const struct import_job *j)
{
	const char *p = (const char *)j->source.bytes + j->source.at;
	size_t n = intake_left(&j->source);

	if (n >= 4 && memcmp(p, "\x50\x2A\x4D\x18", 4) == 0) {
		log_error("%s is a pyspy recording already; the other verbs read it, and merge joins several",
		          j->shown);
		return NULL;
	}
	if (wanted)
		return wanted;
	if (n == 0) {
		log_error("cannot import %s: it is empty%s%s", j->shown, j->source.damage ? ", or: " : "",
		          j->source.damage ? j->source.damage : "");
		return NULL;
	}
	if (n >= 3 && memcmp(p, "\xEF\xBB\xBF", 3) == 0) { /* a mark before a text */
		p += 3;
		n -= 3;
	}
	for (size_t i = 0; import_formats[i]; i++)
		if (import_formats[i]->looks(p, n))
			return import_formats[i];
	log_error(
	    "cannot import %s: none of the formats that are known (austin's MOJO and text, Tachyon's .bin, speedscope "
	    "JSON, perf script, folded stacks); --from NAME says which it is meant to be",
	    j->shown);
	return NULL;
}

/* What makes the recording's id: the input's begin and size. */
static void identify(struct import_job *j)
{
	struct stat st = {0};
	struct sha256 s;
	size_t n = intake_left(&j->source);

	fstat(j->fd, &st);
	uint64_t size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : 0;
	sha256_init(&s);
	sha256_add(&s, &size, sizeof size);
	sha256_add(&s, &options.gap_ns, sizeof options.gap_ns);
	sha256_add(&s, j->source.bytes + j->source.at, n < IMPORT_LOOKED_AT ? n : IMPORT_LOOKED_AT);
	sha256_end(&s, j->foreign.facts.identity);
}

static void say(const struct import_job *j)
{
	const struct foreign *f = &j->foreign;
	char samples[HUMAN_SIZE], threads[HUMAN_SIZE];
	struct buf b;

	log_info("imported %s from %s: %s samples of %s thread%s", f->facts.format, j->shown,
	         human_count(samples, f->n_samples), human_count(threads, f->threads.n - 1),
	         f->threads.n == 2 ? "" : "s");
	if (f->facts.unit)
		log_info("numbers are %s", f->facts.unit);
	buf_init(&b, 0);
	for (size_t i = 0; i < f->n_without; i++)
		buf_printf(&b, "%s%s", i ? ", " : "", f->without[i]);
	if (f->n_without)
		log_info("what the file does not have: %s", buf_cstr(&b));
	if (f->facts.gap_is_assumed)
		log_info("100 samples a second were assumed; --rate says what it was");
	buf_done(&b);
	if (f->is_cut)
		log_error("warning: %s: times beyond 146 years were cut", j->shown);
}

static int begin(struct import_job *j, const struct report_verb *verb, int argc, char **argv)
{
	int rc = report_options_parse(&j->options, verb, argc, argv);

	if (rc)
		return rc < 0 ? REPORT_USAGE : REPORT_OK;
	if (j->options.files.n > 1) {
		log_error("import reads one file; import each, then join them with merge");
		return REPORT_USAGE;
	}
	if (!j->options.files.n && isatty(STDIN_FILENO)) {
		log_error("import needs a file, or - for standard input; see pyspy-report import --help");
		return REPORT_USAGE;
	}
	if ((!j->options.output || strcmp(j->options.output, "-") == 0) && isatty(STDOUT_FILENO)) {
		log_error("a recording is nothing for a terminal; name a file with -o");
		return REPORT_USAGE;
	}
	if (open_input(j) || report_output_open(&j->output, &j->options))
		return REPORT_ERROR;
	report_output_private(&j->output);
	j->has_output = j->has_scribe = true;
	rc = scribe_init(&j->scribe, j->output.file);
	if (!rc)
		rc = foreign_init(&j->foreign, &j->scribe);
	return rc ? report_trouble_failed("cannot start", rc) : REPORT_GO_ON;
}

static int cmd_import(const struct report_verb *verb, int argc, char **argv)
{
	struct import_job j = {.fd = -1};
	int status = begin(&j, verb, argc, argv);

	if (status != REPORT_GO_ON)
		return drop(&j, status);
	const struct import_format *format = choose(&j);
	if (!format)
		return drop(&j, REPORT_ERROR);
	identify(&j);
	if (format != &import_mojo && format != &import_tachyon)
		intake_skip_mark(&j.source);
	int rc = format->read(&j.foreign, &j.source, &options);
	if (rc)
		return failed(&j, rc);
	if (j.source.damage || j.source.copy_damage)
		foreign_problem(&j.foreign, false, intake_at(&j.source), "%s; what was unpacked is imported",
		                j.source.damage ? j.source.damage : j.source.copy_damage);
	rc = foreign_finish(&j.foreign);
	if (rc)
		return failed(&j, rc);
	status = report_output_close(&j.output);
	j.has_output = false;
	if (status == REPORT_OK) {
		say(&j);
		say_problems(&j, false);
		status = j.foreign.n_problems && j.options.strict ? REPORT_DAMAGED : REPORT_OK;
	}
	return drop(&j, status);
}

const struct report_verb cmd_import_verb = {
    .name = "import",
    .summary = "A recording of another profiler's file: py-spy, austin, Tachyon, perf.",
    .examples = "  pyspy-report import -o old.pyspy profile.speedscope.json\n"
                "  pyspy-report import -o old.pyspy --rate 200 py-spy.raw\n"
                "  perf script -F +pid | pyspy-report import - -o perf.pyspy\n"
                "  zcat day.mojo.gz | pyspy-report import - | pyspy-report top -\n",
    .about =
        "Its content tells what the file is: py-spy's raw and any folded stacks, speedscope's JSON of anybody, "
        "austin's\n"
        "MOJO (versions 1 to 4) and collapsed text, Tachyon's .bin (Python 3.15), the text of perf script (with names "
        "of\n"
        "CPython's trampolines); also packed with gzip or zstd. All verbs read the result, next to new recordings.\n"
        "Kept are processes, threads, names, files, lines, columns, states and weights, where the file has them; what "
        "it\n"
        "has not is said here and in `info`. Weights in time stay time; counts stay samples, each of 1/RATE seconds, "
        "laid\n"
        "one behind the other; cycles, bytes and the like become nanoseconds, one for one, and `info` names the unit.\n"
        "Of a file that is damaged or cut, what can be read is imported, with a warning (--strict: exit status 4).",
    .groups = 0,
    .own = rows,
    .own_option = import_option,
    .run = cmd_import,
};
