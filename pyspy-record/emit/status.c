#include "pyspy-record/emit/status.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/buf.h"
#include "libcommon/clock.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/log.h"

#define STATUS_ABOUT 1.02 /* as pyspy-report's info */

static bool is_live;

void status_init(bool live)
{
	is_live = live;
}

static void put_count(struct buf *b, uint64_t n, const char *one, const char *many)
{
	char text[HUMAN_SIZE];
	buf_printf(b, "%s %s", human_count(text, n), n == 1 ? one : many);
}

static double per_second(uint64_t n, uint64_t ns)
{
	return ns ? (double)n * (double)CLOCK_NS_PER_S / (double)ns : 0;
}

/* A file name for a line of text. */
static void put_path(struct buf *b, const char *path)
{
	if (!strcmp(path, "-"))
		buf_str(b, "standard output");
	else
		escape_text(b, path, strlen(path));
}

/* A file name as a word of a command line that can be pasted into a shell. */
static void put_word(struct buf *b, const char *word, size_t n)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./+,:@%-";
	if (n && *word != '-' && strspn(word, plain) >= n) {
		buf_put(b, word, n);
		return;
	}
	buf_str(b, *word == '-' ? "'./" : "'");
	for (const char *end = word + n; word < end;) {
		const char *quote = memchr(word, '\'', (size_t)(end - word));
		escape_text(b, word, (size_t)((quote ? quote : end) - word));
		word = quote ? quote + 1 : end;
		if (quote)
			buf_str(b, "'\\''");
	}
	buf_str(b, "'");
}

void status_started(const char *target, double rate_hz, const char *output)
{
	struct buf b;
	buf_init(&b, 0);
	put_path(&b, output);
	log_info("recording %s at %g Hz -> %s", target, rate_hz, buf_cstr(&b));
	buf_done(&b);
}

void status_progress(const struct status_now *n)
{
	char text[HUMAN_SIZE];
	struct buf b;

	if (!is_live)
		return;
	buf_init(&b, 0);
	uint64_t s = n->elapsed_ns / CLOCK_NS_PER_S;
	if (s >= 3600)
		buf_printf(&b, "%u:%02u:%02u  ", (unsigned)(s / 3600), (unsigned)(s / 60 % 60), (unsigned)(s % 60));
	else
		buf_printf(&b, "%u:%02u  ", (unsigned)(s / 60), (unsigned)(s % 60));
	put_count(&b, n->samples, "sample", "samples");
	buf_printf(&b, "  %.1f ticks/s", per_second(n->ticks, n->elapsed_ns));
	if (n->late)
		buf_printf(&b, "  late %s", human_percent(text, (double)n->late, (double)(n->ticks + n->late)));
	if (n->uncertified)
		buf_printf(&b, "  uncertain %s", human_percent(text, (double)n->uncertified, (double)n->samples));
	buf_str(&b, "  ");
	put_count(&b, n->threads, "thread", "threads");
	buf_printf(&b, "  %s  Ctrl-C stops", human_bytes(text, n->bytes));
	log_progress(buf_cstr(&b));
	buf_done(&b);
}

/* The shell would take "-" for standard output. */
static bool is_stdout(const char *path)
{
	return !strcmp(path, "-");
}

void status_wrote(const struct sink *sink, const char *verb, const char *view)
{
	const char *path = sink->path;
	char text[HUMAN_SIZE];
	struct buf b, svg;

	buf_init(&b, 0);
	buf_init(&svg, 0);
	buf_str(&b, "wrote ");
	put_path(&b, path);
	buf_printf(&b, " (%s)", human_bytes(text, sink->bytes));
	if (sink->is_regular && !is_stdout(path)) {
		size_t n = strlen(path), stem = n > 6 && !strcmp(path + n - 6, ".pyspy") ? n - 6 : n;
		buf_put(&svg, path, stem);
		buf_str(&svg, ".svg");
		if (!view)
			view = buf_cstr(&svg);
		buf_printf(&b, "; see it with\n    pyspy-report %s ", verb);
		if (!is_stdout(view)) {
			buf_str(&b, "-o ");
			put_word(&b, view, strlen(view));
			buf_str(&b, " ");
		}
		put_word(&b, path, n);
	}
	log_info("%s", buf_cstr(&b));
	buf_done(&svg);
	buf_done(&b);
}

void status_wrote_view(const char *path, uint64_t bytes, const struct sink *kept)
{
	char text[HUMAN_SIZE];
	struct buf b;

	buf_init(&b, 0);
	buf_str(&b, "wrote ");
	put_path(&b, path);
	if (bytes)
		buf_printf(&b, " (%s)", human_bytes(text, bytes));
	if (kept) {
		buf_str(&b, " and ");
		put_path(&b, kept->path);
		buf_printf(&b, " (%s); another view of it:\n    pyspy-report top ", human_bytes(text, kept->bytes));
		put_word(&b, kept->path, strlen(kept->path));
	}
	log_info("%s", buf_cstr(&b));
	buf_done(&b);
}

static void put_bound(struct buf *b, const struct status_now *n, const char *between)
{
	char text[HUMAN_SIZE];
	double part = n->elapsed_ns ? (double)n->cpu_ns / (double)n->elapsed_ns : 0;

	buf_printf(b, "%sused %s of a CPU of at most %.4g %%", between, human_percent(text, part, 1), n->cpu_ppm / 1e4);
	if (part * 1e6 > STATUS_ABOUT * n->cpu_ppm)
		buf_str(b, " (NOT HELD)");
	if (n->lowest_hz < n->asked_hz)
		buf_printf(b, ", so %.4g samples a second in the mean, at least %.4g", n->mean_hz, n->lowest_hz);
}

void status_summary(const struct status_now *n, const char *why)
{
	char text[HUMAN_SIZE];
	struct buf b;

	log_progress("");
	buf_init(&b, 0);
	put_count(&b, n->samples, "sample", "samples");
	if (n->threads) {
		buf_str(&b, " of ");
		put_count(&b, n->threads, "thread", "threads");
	}
	buf_printf(&b, " in %s (%s)", human_duration(text, n->elapsed_ns), why);
	const char *between = "; ";
	if (n->late) {
		buf_str(&b, between);
		put_count(&b, n->late, "tick late", "ticks late");
		between = ", ";
	}
	if (n->uncertified) {
		buf_str(&b, between);
		put_count(&b, n->uncertified, "sample uncertain when taken", "samples uncertain when taken");
		between = ", ";
	}
	if (n->reads_failed) {
		buf_str(&b, between);
		put_count(&b, n->reads_failed, "read failed", "reads failed");
		between = ", ";
	}
	if (n->stops) {
		buf_str(&b, between);
		put_count(&b, n->stops, "stop", "stops");
		buf_printf(&b, " (%s of the time)", human_percent(text, (double)n->stopped_ns, (double)n->elapsed_ns));
		between = ", ";
	}
	if (n->cpu_ppm)
		put_bound(&b, n, between);
	log_info("%s", buf_cstr(&b));
	buf_done(&b);
}
