#include "pyspy-report/view/info_text.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <time.h>

#include "libcommon/buf.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "pyspy-report/query/bound.h"
#include "pyspy-report/query/stops.h"
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

	if (r->n_blocks && ns && gmtime_r(&s, &tm)) /* 0: an imported file that does not tell */
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
	char gap[HUMAN_SIZE], hz[HUMAN_SIZE] = "";

	if (!r->has_facts || !r->mean_gap_ns)
		return;
	if (r->kernel_hz && r->engine != 1) /* the kernel engine knows it exactly */
		snprintf(hz, sizeof hz, "; CPU time to %.3g ms%s", 1000.0 / r->kernel_hz,
		         r->engine ? " from outside" : "");
	line(i, "sampling", "%.6g a second (%s gaps, mean %s)%s", 1e9 / (double)r->mean_gap_ns,
	     r->schedule ? "fixed" : "random", human_duration(gap, r->mean_gap_ns), hz);
}

/* Who took the samples: in the recorder's own words, or in those of the file's number. */
static void put_engine(struct info *i, const struct profile_recording *r)
{
	static const char *const how[] = {"outside", "kernel", "kernel, and outside for some threads"};
	uint32_t note = profile_note_text(i->p, r, WIRE_NOTE_ENGINE);

	if (note)
		text_line(i, "engine", "", note, "");
	else if (r->has_facts)
		line(i, "engine", "%s", how[r->engine < 3 ? r->engine : 0]);
	text_line(i, "", "not by the kernel: ", profile_note_text(i->p, r, WIRE_NOTE_ENGINE_WHY), "");
}

static void put_notes(struct info *i, const struct profile_recording *r)
{
	uint32_t engine = profile_note_text(i->p, r, WIRE_NOTE_ENGINE),
	         why = profile_note_text(i->p, r, WIRE_NOTE_ENGINE_WHY);
	bool any = false;

	for (size_t k = 0; k < r->notes.n; k++) {
		struct buf key, value;
		const char *a = safe(&key, i->p, r->notes.v[k].key), *b = safe(&value, i->p, r->notes.v[k].value);

		if (!(engine && strcmp(a, WIRE_NOTE_ENGINE) == 0) && !(why && strcmp(a, WIRE_NOTE_ENGINE_WHY) == 0)) {
			line(i, any ? "" : "notes", "%s: %s", a, b);
			any = true;
		}
		buf_done(&key);
		buf_done(&value);
	}
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
}

static void put_stops(struct info *i, const struct profile_recording *r)
{
	const uint64_t *c = r->counters;
	uint64_t span = r->end_ns - r->begin_ns;
	char n[HUMAN_SIZE], t[HUMAN_SIZE], l[HUMAN_SIZE], pc[HUMAN_SIZE];
	struct stops s = stops_of(r);

	if (r->has_counter & 1u << WIRE_COUNTER_STOPS) {
		char budget[HUMAN_SIZE] = "no bound";
		if (r->stop_ppm < 1000000)
			snprintf(budget, sizeof budget, "budget %.3g %%", r->stop_ppm / 1e4);
		line(i, "stops", "%s (%.3g a second), standing %s in all (%s of the time; %s)", human_count(n, s.n),
		     span ? (double)s.n * 1e9 / (double)span : 0, human_duration(t, s.total_ns),
		     human_percent(pc, (double)s.total_ns, (double)span), budget);
		if (s.has_lengths)
			line(i, "", "median %s, 99 %% of them at most %s, longest %s", human_duration(t, s.median_ns),
			     human_duration(n, s.p99_ns), human_duration(l, s.longest_ns));
		else
			line(i, "", "longest %s", human_duration(l, s.longest_ns));
		if (s.in_syscall || s.given_up)
			line(i, "", "%s landed in a system call, %s were given up", human_count(n, s.in_syscall),
			     human_count(l, s.given_up));
	}
	if (c[WIRE_COUNTER_HELD])
		line(i, "held",
		     "%s samples were taken while the thread's CPU was held; it waited %s for us (%s of the time)",
		     human_count(n, c[WIRE_COUNTER_HELD]), human_duration(t, c[WIRE_COUNTER_HELD_NS]),
		     human_percent(pc, (double)c[WIRE_COUNTER_HELD_NS], (double)span));
	if (c[WIRE_COUNTER_DRAINS])
		line(i, "buffer", "between kernel and recorder emptied %s times (%.3g a second)",
		     human_count(n, c[WIRE_COUNTER_DRAINS]),
		     span ? (double)c[WIRE_COUNTER_DRAINS] * 1e9 / (double)span : 0);
	if (r->has_counter & 1u << WIRE_COUNTER_CPU_NS)
		line(i, "cost", "the recorder used %s of CPU time (%s), %.3g us a sample; %s of memory",
		     human_duration(t, c[WIRE_COUNTER_CPU_NS]),
		     human_percent(pc, (double)c[WIRE_COUNTER_CPU_NS], (double)span),
		     r->n_samples ? (double)c[WIRE_COUNTER_CPU_NS] / 1e3 / (double)r->n_samples : 0,
		     human_bytes(n, c[WIRE_COUNTER_PEAK_BYTES]));
}

/* --max-cpu, and what became of the rate. */
static void put_bound(struct info *i, const struct profile_recording *r)
{
	struct bound b = bound_of(r);
	char t[HUMAN_SIZE], used[HUMAN_SIZE];

	if (!b.ppm)
		return;
	line(i, "max CPU", "%.4g %% of one CPU; used, without the start: %s%s", b.ppm / 1e4,
	     human_percent(used, b.share, 1), b.is_held ? "" : ": NOT HELD");
	if (b.lowered_ns)
		line(i, "", "the rate was lowered for it for %s: mean %.4g a second, lowest %.4g",
		     human_duration(t, b.lowered_ns), b.mean_hz, b.lowest_hz);
	else
		line(i, "", "the rate was never lowered for it");
}

/* `what`: "things were lost": how many of them. */
static void loss(struct info *i, bool *any, uint64_t n, const char *what)
{
	int noun = (int)strcspn(what, " ") - (n == 1); /* it is a plural */
	char a[HUMAN_SIZE];

	if (n)
		line(i, *any ? "" : "lost", "%s %.*s%s", human_count(a, n), noun, what, strchr(what, ' '));
	*any |= n != 0;
}

static void put_lost(struct info *i, const struct profile_recording *r)
{
	bool any = false;

	for (uint32_t k = WIRE_LOST_LATE; k <= WIRE_LOST_END_; k++) {
		uint32_t cause = k % WIRE_LOST_END_; /* the unknown ones (0) come last */
		uint64_t n = r->lost[cause], counted = 0;

		/* a counter may know of more than was written down */
		if (cause == WIRE_LOST_LATE)
			counted = r->counters[WIRE_COUNTER_LATE];
		else if (cause == WIRE_LOST_OVERRUN)
			counted = r->counters[WIRE_COUNTER_EVENTS_OVERRUN];
		loss(i, &any, counted > n ? counted : n, words_lost_long(cause));
	}
	loss(i, &any, r->failed_ticks, "samples could not be read");
	if (!r->failed_ticks)
		loss(i, &any, r->counters[WIRE_COUNTER_READS_FAILED], "reads failed");
	loss(i, &any, r->counters[WIRE_COUNTER_EVENTS_CUT],
	     "samples of the kernel came in part: too deep for its buffer, or paged out");
	if (!any)
		line(i, "lost", "nothing");
}

static void put_recording(struct info *i, const struct profile_recording *r)
{
	char a[HUMAN_SIZE], b[HUMAN_SIZE], c[HUMAN_SIZE], d[HUMAN_SIZE];
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
	put_notes(i, r);
	put_engine(i, r);
	put_sampling(i, r);
	put_stops(i, r);
	put_bound(i, r);
	put_lost(i, r);
	line(i, "file", "format %u.%u, %s block(s) in %s epoch(s), %s ticks%s%s%s", r->file.major, r->file.minor,
	     human_count(a, r->n_blocks), human_count(b, r->n_epochs), human_count(c, r->n_ticks),
	     r->n_events ? ", " : "", r->n_events ? human_count(d, r->n_events) : "", r->n_events ? " events" : "");
}

static void part(struct buf *b, const char *what, uint64_t n, uint64_t of)
{
	char p[HUMAN_SIZE];

	if (n)
		buf_printf(b, "%s%s %s", b->len ? ", " : "", what, human_percent(p, (double)n, (double)of));
}

static void put_amounts(struct info *i)
{
	const struct summary_count *n = &i->s->all.samples, *ns = &i->s->all.ns;
	uint64_t known_ns = n->cpu_ns + n->off_ns, unknown_ns = n->wall_ns > known_ns ? n->wall_ns - known_ns : 0;
	uint32_t threads = i->s->n_threads;
	uint64_t all = profile_samples(i->p);
	double bytes_each = all ? (double)i->p->input_bytes / (double)all : 0;
	char a[HUMAN_SIZE], b[HUMAN_SIZE], c[HUMAN_SIZE], d[HUMAN_SIZE], e[HUMAN_SIZE], f[HUMAN_SIZE];

	if (i->s->by_time) {
		line(i, "time",
		     "%s of %u thread%s: %s on a CPU, %s off it%s%s; %s busy, %s idle (left out of views unless -i)",
		     human_duration(a, ns->n), threads, threads == 1 ? "" : "s", human_duration(b, n->cpu_ns),
		     human_duration(c, n->off_ns), unknown_ns > n->wall_ns / 100 ? ", not known of " : "",
		     unknown_ns > n->wall_ns / 100 ? human_duration(f, unknown_ns) : "",
		     human_duration(d, ns->n - ns->idle), human_duration(e, ns->idle));
		line(i, "samples", "%s, %.3g bytes each; each stands for a time of its own: shares are of time",
		     human_count(a, n->n), bytes_each);
		return;
	}
	line(i, "samples", "%s of %u thread%s: %s busy, %s idle (left out of views unless -i)", human_count(a, n->n),
	     threads, threads == 1 ? "" : "s", human_count(d, n->n - n->idle), human_count(e, n->idle));
	if (n->n)
		line(i, "", "%.3g bytes each; they stand for %s of thread time, %s of CPU time", bytes_each,
		     human_duration(a, n->wall_ns), human_duration(d, n->cpu_ns));
}

/* What the kernel's samples on a CPU were triggered by. */
static const char *trigger(struct info *i, char *out, size_t size)
{
	uint64_t tick = summary_counter(i->p, WIRE_COUNTER_EVENTS_TICK),
	         own = summary_counter(i->p, WIRE_COUNTER_EVENTS_CLOCK);
	char a[HUMAN_SIZE], b[HUMAN_SIZE];

	*out = 0;
	if (tick && own)
		snprintf(out, size, ": %s on the CPU's timer tick, %s on the thread's own clock", human_count(a, tick),
		         human_count(b, own));
	else if (tick || own)
		snprintf(out, size, ": on %s", tick ? "the CPU's timer tick" : "the thread's own clock");
	return out;
}

static void put_taken(struct info *i)
{
	const struct summary_count *n = &i->s->all.samples, *ns = &i->s->all.ns, *of = summary_shares(i->s, &i->s->all);
	char a[HUMAN_SIZE], b[HUMAN_SIZE], c[HUMAN_SIZE], more[3 * HUMAN_SIZE];

	if (n->n)
		line(i, "taken", "%10s %10s %16s", "samples", "time",
		     i->s->by_time ? "share of time" : "share of samples");
	else
		line(i, "taken", "-");
	for (uint32_t k = 0; k < SUMMARY_TAKEN_; k++)
		if (n->taken[k])
			line(i, "", "%10s %10s %16s  %s%s", human_count(a, n->taken[k]),
			     human_duration(b, ns->taken[k]), human_percent(c, (double)of->taken[k], (double)of->n),
			     words_taken_long(k), k == SUMMARY_KERNEL ? trigger(i, more, sizeof more) : "");
}

static void put_samples(struct info *i)
{
	const struct summary_count *n = &i->s->all.samples, *c = summary_shares(i->s, &i->s->all);
	char a[HUMAN_SIZE], d[HUMAN_SIZE], e[HUMAN_SIZE], f[HUMAN_SIZE], g[HUMAN_SIZE];
	struct buf b;

	buf_init(&b, 0);
	put_amounts(i);
	line(i, "GIL",
	     i->s->by_time ? "threads hold it for %s of their time, wait for it for %s"
	                   : "%s of the samples hold it, %s wait for it",
	     human_percent(a, (double)c->gil, (double)c->n), human_percent(d, (double)c->gil_wait, (double)c->n));
	for (uint32_t k = 0; k < 8; k++)
		part(&b, words_state(k), c->state[k], c->n);
	part(&b, "collecting garbage", c->gc, c->n);
	line(i, "state", "%s", b.len ? buf_cstr(&b) : "-");
	put_taken(i);
	line(i, "certainty",
	     "%s in motion (%s: shown up to their certain caller), %s with unproved code, %s cut, %s lost",
	     human_count(a, n->in_motion), human_percent(d, (double)c->in_motion, (double)c->n),
	     human_count(e, n->unproved), human_count(f, n->cut), human_count(g, n->lost));
	buf_done(&b);
}

static void put_thread_name(struct info *i, uint32_t thread)
{
	const struct profile_thread *t = &i->p->threads.v[thread];
	struct buf name;

	if (thread) {
		fprintf(i->out, "  %s", safe(&name, i->p, t->name));
		buf_done(&name);
	} else {
		fputs("  (threads that the file does not define)", i->out);
	}
	if (t->flags & WIRE_THREAD_MAIN)
		fputs(" (main)", i->out);
	if (t->interpreter)
		fprintf(i->out, " (interpreter %u)", t->interpreter);
	if (t->has_ended)
		fputs(" (ended)", i->out);
	fputc('\n', i->out);
}

static void put_thread(struct info *i, uint32_t thread)
{
	const struct summary_part *of = &i->s->threads.v[thread];
	const struct summary_count *n = &of->samples, *c = summary_shares(i->s, of);
	char amount[HUMAN_SIZE], off[HUMAN_SIZE], cpu[HUMAN_SIZE], wall[HUMAN_SIZE], share[3][HUMAN_SIZE];

	human_count(amount, n->n);
	human_duration(wall, n->wall_ns);
	human_duration(off, n->off_ns);
	human_duration(cpu, n->cpu_ns);
	human_percent(share[0], (double)(c->n - c->idle), (double)c->n);
	human_percent(share[1], (double)c->gil, (double)c->n);
	human_percent(share[2], (double)c->gil_wait, (double)c->n);
	fprintf(i->out, "  %10u", i->p->threads.v[thread].tid);
	if (i->s->by_time)
		fprintf(i->out, " %10s %10s %10s %8s %8s %8s %10s", wall, cpu, off, share[0], share[1], share[2],
		        amount);
	else
		fprintf(i->out, " %10s %8s %8s %8s %10s", amount, share[0], share[1], share[2], cpu);
	put_thread_name(i, thread);
}

static void put_threads(struct info *i, uint32_t process)
{
	bool any = false;

	for (uint32_t k = 0; k < i->p->threads.n; k++) {
		if (i->p->threads.v[k].process != process || (!k && !i->s->threads.v[k].samples.n))
			continue;
		if (!any && i->s->by_time)
			fprintf(i->out, "  %10s %10s %10s %10s %8s %8s %8s %10s  %s\n", "thread", "wall time",
			        "CPU time", "off CPU", "busy", "GIL", "waiting", "samples", "name");
		else if (!any)
			fprintf(i->out, "  %10s %10s %8s %8s %8s %10s  %s\n", "thread", "samples", "busy", "GIL",
			        "waiting", "CPU time", "name");
		any = true;
		put_thread(i, k);
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

/* What is left out of all that follows. */
static void put_filters(struct info *i, const struct filter *f)
{
	char a[HUMAN_SIZE], b[HUMAN_SIZE];
	struct buf raw, safe;

	buf_init(&raw, 0);
	buf_init(&safe, 0);
	caption_filters(&raw, f);
	escape_text(&safe, buf_cstr(&raw), raw.len);
	if (safe.len)
		line(i, "filters", "%s: they leave %s of %s samples; what follows is of these", buf_cstr(&safe),
		     human_count(a, i->s->all.samples.n), human_count(b, profile_samples(i->p)));
	buf_done(&raw);
	buf_done(&safe);
}

void info_text_write(FILE *out, const struct profile *p, const struct summary *s, const struct filter *f)
{
	struct info i = {out, p, s};

	for (size_t k = 0; k < p->recordings.n; k++) {
		put_recording(&i, &p->recordings.v[k]);
		fputc('\n', out);
	}
	put_filters(&i, f);
	put_samples(&i);
	put_damage(&i);
	for (uint32_t k = 0; k < p->processes.n; k++)
		if (k || s->threads.v[0].samples.n)
			put_process(&i, k);
}
