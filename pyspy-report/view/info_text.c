#include "pyspy-report/view/info_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "libcommon/buf.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "pyspy-report/view/caption.h"
#include "pyspy-report/view/words.h"

enum { SHOWN_DAMAGE = 20 };

struct info {
	FILE *out;
	const struct profile *p;
	const struct summary *s;
};

/* A line "label   text"; an empty label goes on with the one before. */
static void __attribute__((format(printf, 3, 4))) line(struct info *i, const char *label, const char *fmt, ...)
{
	va_list ap;

	fprintf(i->out, "%-12s", label);
	va_start(ap, fmt);
	vfprintf(i->out, fmt, ap);
	va_end(ap);
	fputc('\n', i->out);
}

/* Text of the profiled program, safe for a terminal; freed by the caller with buf_done. */
static const char *safe(struct buf *b, const struct profile *p, uint32_t string)
{
	size_t n;
	const char *s = profile_text(p, string, &n);

	buf_init(b, 0);
	escape_text(b, s, n);
	return buf_cstr(b);
}

static void text_line(struct info *i, const char *label, const char *before, uint32_t string, const char *after)
{
	struct buf b;

	if (string)
		line(i, label, "%s%s%s", before, safe(&b, i->p, string), after);
	if (string)
		buf_done(&b);
}

static void put_when(struct info *i, const struct profile_recording *r)
{
	char when[64] = "at an unknown time", d[HUMAN_SIZE], u[HUMAN_SIZE];
	int64_t ns = r->has_file_header ? r->file.realtime_ns : (int64_t)r->begin_ns + r->anchor_ns;
	time_t s = (time_t)(ns / 1000000000);
	struct tm tm;

	if (r->n_blocks && gmtime_r(&s, &tm))
		strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S UTC", &tm);
	if (r->not_sampled_ns)
		line(i, "when", "%s, for %s, of which %s were not sampled", when,
		     human_duration(d, r->end_ns - r->begin_ns), human_duration(u, r->not_sampled_ns));
	else
		line(i, "when", "%s, for %s", when, human_duration(d, r->end_ns - r->begin_ns));
	if (r->has_end) {
		struct buf b;
		buf_init(&b, 0);
		if (r->end.how == WIRE_HOW_EXITED)
			buf_printf(&b, "; the program exited with status %u", r->end.status);
		else if (r->end.how == WIRE_HOW_KILLED)
			buf_printf(&b, "; the program was killed by signal %u (%s)", r->end.status,
			           strsignal((int)(r->end.status & 127)));
		line(i, "ended", "%s%s", words_reason_long(r->end.reason), buf_cstr(&b));
		buf_done(&b);
	} else {
		line(i, "ended",
		     "NOT FINISHED: the recorder was killed, or is still running; at most its last flush is "
		     "missing");
	}
}

static void put_sampling(struct info *i, const struct profile_recording *r)
{
	static const char *const how[] = {"read from outside", "by the kernel", "by the kernel and from outside"};
	char gap[HUMAN_SIZE], hz[HUMAN_SIZE] = "";

	if (!r->has_facts || !r->mean_gap_ns)
		return;
	if (r->kernel_hz)
		snprintf(hz, sizeof hz, "; CPU time to %.3g ms", 1000.0 / r->kernel_hz);
	line(i, "sampling", "%.6g a second (%s gaps, mean %s), %s%s", 1e9 / (double)r->mean_gap_ns,
	     r->schedule ? "fixed" : "random", human_duration(gap, r->mean_gap_ns), how[r->engine < 3 ? r->engine : 0],
	     hz);
}

static void put_words(struct info *i, const struct profile_recording *r)
{
	struct buf raw, out;
	const char *word;

	buf_init(&raw, 0);
	buf_init(&out, 0);
	for (size_t k = 0; k < r->options.n; k++) {
		size_t n;
		const char *s = profile_text(i->p, r->options.v[k], &n);
		buf_str(&raw, k ? " " : "");
		buf_put(&raw, s, n);
	}
	escape_text(&out, buf_cstr(&raw), raw.len);
	text_line(i, "recorder", "", r->recorder, "");
	if (out.len)
		line(i, "", "%s", buf_cstr(&out));
	buf_reset(&out);
	for (uint32_t k = 0; (word = words_view_default(k)); k++)
		if (r->view_defaults & 1u << k)
			buf_printf(&out, " --%s", word);
	if (out.len)
		line(i, "", "its views have%s unless told otherwise", buf_cstr(&out));
	buf_done(&raw);
	buf_done(&out);
	for (size_t k = 0; k < r->notes.n; k++) {
		struct buf key, value;
		const char *a = safe(&key, i->p, r->notes.v[k].key), *b = safe(&value, i->p, r->notes.v[k].value);
		line(i, k ? "" : "notes", "%s: %s", a, b);
		buf_done(&key);
		buf_done(&value);
	}
}

static void put_stops(struct info *i, const struct profile_recording *r)
{
	const uint64_t *c = r->counters;
	uint64_t span = r->end_ns - r->begin_ns;
	char n[HUMAN_SIZE], t[HUMAN_SIZE], l[HUMAN_SIZE], pc[HUMAN_SIZE];

	if (r->has_counter & 1u << WIRE_COUNTER_STOPS) {
		line(i, "stops", "%s (%.3g a second), standing %s in all (%s of the time; budget %.3g %%), longest %s",
		     human_count(n, c[WIRE_COUNTER_STOPS]),
		     span ? (double)c[WIRE_COUNTER_STOPS] * 1e9 / (double)span : 0,
		     human_duration(t, c[WIRE_COUNTER_STOPPED_NS]),
		     human_percent(pc, (double)c[WIRE_COUNTER_STOPPED_NS], (double)span), r->stop_ppm / 1e4,
		     human_duration(l, c[WIRE_COUNTER_LONGEST_STOP_NS]));
		if (c[WIRE_COUNTER_STOPS_IN_SYSCALL] || c[WIRE_COUNTER_STOPS_GIVEN_UP])
			line(i, "", "%s landed in a system call, %s were given up",
			     human_count(n, c[WIRE_COUNTER_STOPS_IN_SYSCALL]),
			     human_count(l, c[WIRE_COUNTER_STOPS_GIVEN_UP]));
	}
	if (c[WIRE_COUNTER_HELD])
		line(i, "held",
		     "%s samples were taken while the thread's CPU was held; it waited %s for us (%s of the time)",
		     human_count(n, c[WIRE_COUNTER_HELD]), human_duration(t, c[WIRE_COUNTER_HELD_NS]),
		     human_percent(pc, (double)c[WIRE_COUNTER_HELD_NS], (double)span));
	if (r->has_counter & 1u << WIRE_COUNTER_CPU_NS)
		line(i, "cost", "the recorder used %s of CPU time (%s), %.3g us a sample; %s of memory",
		     human_duration(t, c[WIRE_COUNTER_CPU_NS]),
		     human_percent(pc, (double)c[WIRE_COUNTER_CPU_NS], (double)span),
		     r->n_samples ? (double)c[WIRE_COUNTER_CPU_NS] / 1e3 / (double)r->n_samples : 0,
		     human_bytes(n, c[WIRE_COUNTER_PEAK_BYTES]));
}

static void put_lost(struct info *i, const struct profile_recording *r)
{
	uint64_t late = r->lost[WIRE_LOST_LATE], counted = r->counters[WIRE_COUNTER_LATE];
	char n[HUMAN_SIZE];
	struct buf b;

	buf_init(&b, 0);
	late = counted > late ? counted : late;
	if (late)
		buf_printf(&b, ", %s ticks came too late and were skipped", human_count(n, late));
	for (uint32_t k = 0; k <= WIRE_LOST_DROPPED; k++)
		if (k != WIRE_LOST_LATE && r->lost[k])
			buf_printf(&b, ", %s %s", human_count(n, r->lost[k]), words_lost(k));
	if (r->failed_ticks)
		buf_printf(&b, ", %s could not be read", human_count(n, r->failed_ticks));
	if (r->counters[WIRE_COUNTER_READS_FAILED] && !r->failed_ticks)
		buf_printf(&b, ", %s reads failed", human_count(n, r->counters[WIRE_COUNTER_READS_FAILED]));
	line(i, "lost", "%s", b.len ? buf_cstr(&b) + 2 : "nothing");
	buf_done(&b);
}

static void put_recording(struct info *i, const struct profile_recording *r)
{
	char a[HUMAN_SIZE], b[HUMAN_SIZE], c[HUMAN_SIZE];
	struct buf host, kernel, machine;

	text_line(i, "recording", "", r->input, "");
	put_when(i, r);
	if (r->host || r->kernel) {
		const char *x = safe(&host, i->p, r->host), *y = safe(&kernel, i->p, r->kernel),
		           *z = safe(&machine, i->p, r->machine);
		line(i, "where", "%s, Linux %s %s", x, y, z);
		buf_done(&host);
		buf_done(&kernel);
		buf_done(&machine);
	}
	put_words(i, r);
	put_sampling(i, r);
	put_stops(i, r);
	put_lost(i, r);
	line(i, "file", "format %u.%u, %s block(s) in %s epoch(s), %s ticks", r->file.major, r->file.minor,
	     human_count(a, r->n_blocks), human_count(b, r->n_epochs), human_count(c, r->n_ticks));
}

static void part(struct buf *b, const char *what, uint64_t n, uint64_t of)
{
	char p[HUMAN_SIZE];

	if (n)
		buf_printf(b, "%s%s %s", b->len ? ", " : "", what, human_percent(p, (double)n, (double)of));
}

static void put_samples(struct info *i)
{
	const struct summary_count *c = &i->s->all;
	char a[HUMAN_SIZE], d[HUMAN_SIZE], e[HUMAN_SIZE], f[HUMAN_SIZE], g[HUMAN_SIZE];
	struct buf b;

	buf_init(&b, 0);
	line(i, "samples", "%s of %u thread%s: %s busy, %s idle (left out of views unless -i)", human_count(a, c->n),
	     i->s->n_threads, i->s->n_threads == 1 ? "" : "s", human_count(d, c->n - c->idle), human_count(e, c->idle));
	if (c->n)
		line(i, "", "%.3g bytes each; they stand for %s of thread time, %s of CPU time",
		     (double)i->p->input_bytes / (double)c->n, human_duration(a, c->wall_ns),
		     human_duration(d, c->cpu_ns));
	line(i, "GIL", "%s of the samples hold it, %s wait for it", human_percent(a, (double)c->gil, (double)c->n),
	     human_percent(d, (double)c->gil_wait, (double)c->n));
	for (uint32_t k = 0; k < 8; k++)
		part(&b, words_state(k), c->state[k], c->n);
	part(&b, "collecting garbage", c->gc, c->n);
	line(i, "state", "%s", b.len ? buf_cstr(&b) : "-");
	buf_reset(&b);
	for (uint32_t k = 0; k < 4; k++)
		part(&b, words_way(k), c->way[k], c->n);
	line(i, "taken", "%s", b.len ? buf_cstr(&b) : "-");
	buf_reset(&b);
	line(i, "certainty",
	     "%s in motion (%s: shown up to their certain caller), %s with unproved code, %s cut, %s lost",
	     human_count(a, c->in_motion), human_percent(d, (double)c->in_motion, (double)c->n),
	     human_count(e, c->unproved), human_count(f, c->cut), human_count(g, c->lost));
	buf_done(&b);
}

static void put_threads(struct info *i, uint32_t process)
{
	bool any = false;

	for (uint32_t k = 0; k < i->p->threads.n; k++) {
		const struct profile_thread *t = &i->p->threads.v[k];
		const struct summary_count *c = &i->s->threads.v[k];
		char n[HUMAN_SIZE], busy[HUMAN_SIZE], gil[HUMAN_SIZE], wait[HUMAN_SIZE], cpu[HUMAN_SIZE];
		struct buf name;

		if (t->process != process || (!k && !c->n))
			continue;
		if (!any)
			fprintf(i->out, "  %10s %10s %8s %8s %8s %10s  %s\n", "thread", "samples", "busy", "GIL",
			        "waiting", "CPU time", "name");
		any = true;
		fprintf(i->out, "  %10u %10s %8s %8s %8s %10s  %s", t->tid, human_count(n, c->n),
		        human_percent(busy, (double)(c->n - c->idle), (double)c->n),
		        human_percent(gil, (double)c->gil, (double)c->n),
		        human_percent(wait, (double)c->gil_wait, (double)c->n), human_duration(cpu, c->cpu_ns),
		        k ? safe(&name, i->p, t->name) : "(threads that the file does not define)");
		if (k)
			buf_done(&name);
		if (t->flags & WIRE_THREAD_MAIN)
			fputs(" (main)", i->out);
		if (t->interpreter)
			fprintf(i->out, " (interpreter %u)", t->interpreter);
		if (t->has_ended)
			fputs(" (ended)", i->out);
		fputc('\n', i->out);
	}
}

static void put_process(struct info *i, uint32_t process)
{
	const struct profile_process *q = &i->p->processes.v[process];
	struct buf raw, out;

	buf_init(&raw, 0);
	buf_init(&out, 0);
	caption_cmdline(&raw, i->p, q);
	escape_text(&out, buf_cstr(&raw), raw.len);
	if (!process)
		fprintf(i->out, "\nprocesses that the file does not define\n");
	else
		fprintf(i->out, "\nprocess %u%s%s\n", q->pid, out.len ? ": " : "", buf_cstr(&out));
	buf_done(&raw);
	buf_done(&out);
	text_line(i, "  Python", "", q->version,
	          q->build & WIRE_BUILD_FREE_THREADED ? " free-threaded"
	          : q->build & WIRE_BUILD_DEBUG       ? " debug build"
	                                              : "");
	text_line(i, "  program", "", q->exe, "");
	text_line(i, "  folder", "", q->cwd, "");
	if (process)
		line(i, "  who", "user %u, parent %u%s%s", q->uid, q->parent_pid,
		     q->flags & WIRE_PROCESS_STARTED ? ", started by the recorder" : "",
		     q->exec_number ? ", after exec" : "");
	if (q->has_ended && q->how == WIRE_HOW_EXITED)
		line(i, "  ended", "with exit status %u", q->status);
	else if (q->has_ended)
		line(i, "  ended", "%s (%u)", words_how(q->how), q->status);
	put_threads(i, process);
}

static void put_damage(struct info *i)
{
	const struct profile *p = i->p;
	char a[HUMAN_SIZE], b[HUMAN_SIZE], c[HUMAN_SIZE];

	if (!p->n_damage) {
		line(i, "damage", "none");
		return;
	}
	line(i, "damage", "%s place%s: %s passed over; known to be missing: %s blocks, %s samples",
	     human_count(a, p->n_damage), p->n_damage == 1 ? "" : "s", human_bytes(b, p->damaged_bytes),
	     human_count(c, p->missing_blocks), human_count((char[HUMAN_SIZE]){0}, p->missing_samples));
	for (size_t k = 0; k < p->damage.n && k < SHOWN_DAMAGE; k++) {
		const struct profile_damage *d = &p->damage.v[k];
		struct buf name;

		line(i, "", "%s, byte %" PRIu64 ": %s%s%s", safe(&name, p, d->input), d->offset,
		     words_problem_long(d->problem), d->what ? "; " : "", d->what ? d->what : "");
		buf_done(&name);
	}
	if (p->n_damage > SHOWN_DAMAGE)
		line(i, "", "... and %s more", human_count(a, p->n_damage - SHOWN_DAMAGE));
}

void info_text_write(FILE *out, const struct profile *p, const struct summary *s)
{
	struct info i = {out, p, s};

	for (size_t k = 0; k < p->recordings.n; k++) {
		put_recording(&i, &p->recordings.v[k]);
		fputc('\n', out);
	}
	put_samples(&i);
	put_damage(&i);
	for (uint32_t k = 0; k < p->processes.n; k++)
		if (k || s->threads.v[0].n)
			put_process(&i, k);
}
