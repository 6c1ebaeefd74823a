#include "pyspy-report/view/caption.h"

#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/log.h"

uint64_t caption_duration_ns(const struct profile *p)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < p->recordings.n; i++)
		ns += p->recordings.v[i].shown_end_ns - p->recordings.v[i].shown_begin_ns;
	return ns;
}

void caption_cmdline(struct buf *out, const struct profile *p, const struct profile_process *q)
{
	for (size_t i = 0; i < q->cmdline.n; i++) {
		size_t n;
		const char *s = profile_text(p, q->cmdline.v[i], &n);

		if (i)
			buf_u8(out, ' ');
		buf_put(out, s, n);
	}
}

/* CPython's version words are long ("3.11.2 (main, Mar 13 ...) [GCC]"): the first one is enough. */
static void put_version(struct buf *out, const struct profile *p, const struct profile_process *q)
{
	size_t n, k = 0;
	const char *s = profile_text(p, q->version, &n);

	while (k < n && s[k] != ' ')
		k++;
	if (k)
		buf_str(out, ", CPython ");
	buf_put(out, s, k);
}

void caption_command(struct buf *out, const struct profile *p, const struct summary *s)
{
	uint32_t first = 0, most = 0;

	for (uint32_t i = 0; i < s->threads.n && !first; i++)
		if (s->threads.v[i].samples.n)
			first = p->threads.v[i].process;
	if (!first && p->processes.n > 1)
		first = 1;
	if (!first)
		return;
	const struct profile_process *q = &p->processes.v[first];
	caption_cmdline(out, p, q);
	buf_printf(out, "%s(pid %u", q->cmdline.n ? " " : "", q->pid);
	put_version(out, p, q);
	buf_u8(out, ')');
	most = s->n_processes > 1 ? s->n_processes - 1 : 0;
	if (most)
		buf_printf(out, " and %u more process%s", most, most == 1 ? "" : "es");
}

const char *caption_amount(char *out, bool is_time, uint64_t amount)
{
	return is_time ? human_duration(out, amount) : human_count(out, amount);
}

/* "38.5 s of 98.7 s of thread time (3,850 of 9,870 samples)"; by counts: "3,850 of 9,870 samples". */
static void put_amount(struct buf *out, const struct summary *s)
{
	char a[HUMAN_SIZE], b[HUMAN_SIZE];
	uint64_t n = s->all.samples.n + s->outside_n;
	bool is_all = s->kept.samples.n == n;

	if (s->by_time) {
		if (!is_all)
			buf_printf(out, "%s of ", human_duration(a, s->kept.ns.n));
		buf_printf(out, "%s of %s time (", human_duration(a, s->all.ns.n + s->outside_ns),
		           s->measure == FILTER_BY_CPU ? "CPU" : "thread");
	}
	if (!is_all)
		buf_printf(out, "%s of ", human_count(a, s->kept.samples.n));
	buf_printf(out, "%s samples%s", human_count(b, n), s->by_time ? ")" : "");
}

/* "3 threads", "1 of 3 threads of 2 processes": as many as the filters leave. */
static void put_threads(struct buf *out, const struct summary *s, const struct filter *f)
{
	bool some = f->rules && s->n_kept_threads < s->n_threads;

	buf_str(out, " of ");
	if (some)
		buf_printf(out, "%u of ", s->n_kept_threads);
	buf_printf(out, "%u thread%s", s->n_threads, s->n_threads == 1 ? "" : "s");
	if (s->n_processes > 1) {
		buf_str(out, " of ");
		if (some && s->n_kept_processes < s->n_processes)
			buf_printf(out, "%u of ", s->n_kept_processes);
		buf_printf(out, "%u processes", s->n_processes);
	}
}

static void put_duration(struct buf *out, const struct profile *p)
{
	char a[HUMAN_SIZE];
	uint64_t shown = caption_duration_ns(p), all = 0;

	for (size_t i = 0; i < p->recordings.n; i++)
		all += p->recordings.v[i].end_ns - p->recordings.v[i].begin_ns;
	buf_printf(out, " in %s", human_duration(a, shown));
	if (shown != all)
		buf_printf(out, " of %s", human_duration(a, all));
}

static void put_measure(struct buf *out, const struct summary *s)
{
	static const char *const words[] = {
	    [FILTER_BY_SAMPLES] = "; shares are of samples (--measure samples)",
	    [FILTER_BY_WALL] = "; shares are of time (--measure wall)",
	    [FILTER_BY_CPU] = "; shares are of CPU time (--measure cpu)",
	};

	if (s->measure != FILTER_BY_RECORDING)
		buf_str(out, words[s->measure]);
	else if (s->by_time)
		buf_str(out, "; shares are of time");
}

void caption_samples(struct buf *out, const struct profile *p, const struct summary *s, const struct filter *f)
{
	char a[HUMAN_SIZE];
	uint64_t idle = summary_shares(s, &s->idle)->n;
	struct buf words;

	put_amount(out, s);
	put_threads(out, s, f);
	put_duration(out, p);
	if (f->gil_only)
		buf_str(out, "; only GIL holders (-g)");
	if (idle)
		buf_printf(out, "; %s idle left out (-i shows %s)", caption_amount(a, s->by_time, idle),
		           s->by_time ? "it" : "them");
	buf_init(&words, 0);
	filter_words(f, &words);
	if (words.len) {
		buf_str(out, "; filters:");
		buf_put(out, words.data, words.len);
	}
	buf_done(&words);
	if (!s->kept.samples.n && s->all.samples.n + s->outside_n)
		buf_str(out, "; nothing is left");
	put_measure(out, s);
}

void caption_filters(struct buf *out, const struct filter *f)
{
	struct buf b;

	buf_init(&b, 0);
	if (f->gil_only)
		buf_str(&b, " -g");
	if (!f->idle)
		buf_str(&b, " --no-idle");
	filter_words(f, &b);
	if (b.len)
		buf_put(out, b.data + 1, b.len - 1);
	buf_done(&b);
}

void caption_frames(struct buf *out, const struct naming *n, const struct tree_options *t)
{
	const struct naming_options *o = &n->options;

	if (o->group != NAMING_FUNCTIONS)
		buf_str(out, o->group == NAMING_FILES ? "; by file (--level file)" : "; by module (--level module)");
	else
		buf_str(out, o->by_function ? "; by function (-F)" : o->no_lines ? "; without lines (--nolineno)" : "");
	if (o->full_filenames)
		buf_str(out, "; full file names");
	for (size_t i = 0; i < o->n_strip; i++)
		buf_printf(out, "%s%s", i ? ", " : "; file names without ", o->strip[i]);
	if (t->shape.collapse)
		buf_str(out, "; recursion collapsed");
	if (t->invert)
		buf_str(out, "; inverted: callees above their callers");
}

static void put_part(struct buf *out, bool *any, const char *what, uint64_t n, uint64_t of)
{
	char a[HUMAN_SIZE];

	if (!n)
		return;
	buf_printf(out, "%s%s %s", *any ? ", " : "", what,
	           of ? human_percent(a, (double)n, (double)of) : human_count(a, n));
	*any = true;
}

void caption_losses(struct buf *out, const struct profile *p, const struct summary *s)
{
	uint64_t late = summary_lost(p, WIRE_LOST_LATE), counted = summary_counter(p, WIRE_COUNTER_LATE), gap = 0;
	uint64_t overrun = summary_lost(p, WIRE_LOST_OVERRUN), full = summary_counter(p, WIRE_COUNTER_EVENTS_OVERRUN);
	const struct summary_count *kept = summary_shares(s, &s->kept);
	bool any = false;
	char a[HUMAN_SIZE];

	put_part(out, &any, "in motion", kept->in_motion, kept->n);
	put_part(out, &any, "taken by stops (biased: too often in system calls)", kept->taken[SUMMARY_STOPPED],
	         kept->n);
	put_part(out, &any, "unproved", kept->unproved, kept->n);
	put_part(out, &any, "cut", kept->cut, kept->n);
	put_part(out, &any, "stack lost", kept->lost, kept->n);
	put_part(out, &any, "late ticks", counted > late ? counted : late, 0);
	put_part(out, &any, "unreadable", summary_lost(p, WIRE_LOST_UNREADABLE), 0);
	put_part(out, &any, "torn", summary_lost(p, WIRE_LOST_TORN), 0);
	put_part(out, &any, "not stopped in time", summary_lost(p, WIRE_LOST_UNSTOPPED), 0);
	put_part(out, &any, "over the recorder's memory limit", summary_lost(p, WIRE_LOST_LIMIT), 0);
	put_part(out, &any, "dropped", summary_lost(p, WIRE_LOST_DROPPED), 0);
	put_part(out, &any, "buffer of the kernel full", overrun > full ? overrun : full, 0);
	put_part(out, &any, "missing through damage", p->missing_samples + summary_lost(p, WIRE_LOST_DAMAGE), 0);
	for (size_t i = 0; i < p->recordings.n; i++)
		gap += p->recordings.v[i].not_sampled_ns;
	if (gap)
		buf_printf(out, "%snot sampled %s", any ? ", " : "", human_duration(a, gap));
}

void caption_log(const struct profile *p, const struct summary *s, const struct filter *f)
{
	struct buf b, safe;

	buf_init(&b, 0);
	buf_init(&safe, 0);
	caption_samples(&b, p, s, f);
	buf_str(&b, "; ");
	size_t before = b.len;
	caption_losses(&b, p, s);
	if (b.len == before)
		buf_str(&b, "nothing lost");
	escape_text(&safe, buf_cstr(&b), b.len);
	log_info("%s", buf_cstr(&safe));
	buf_done(&b);
	buf_done(&safe);
}
