#include "pyspy-report/view/caption.h"

#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/log.h"

uint64_t caption_duration_ns(const struct profile *p)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < p->recordings.n; i++)
		ns += p->recordings.v[i].end_ns - p->recordings.v[i].begin_ns;
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
	bool is_all = s->kept.samples.n == s->all.samples.n;

	if (s->by_time) {
		if (!is_all)
			buf_printf(out, "%s of ", human_duration(a, s->kept.ns.n));
		buf_printf(out, "%s of thread time (", human_duration(a, s->all.ns.n));
	}
	if (!is_all)
		buf_printf(out, "%s of ", human_count(a, s->kept.samples.n));
	buf_printf(out, "%s samples%s", human_count(b, s->all.samples.n), s->by_time ? ")" : "");
}

void caption_samples(struct buf *out, const struct profile *p, const struct summary *s, const struct filter *f)
{
	char a[HUMAN_SIZE], c[HUMAN_SIZE];
	uint64_t idle = summary_shares(s, &s->all)->idle;

	put_amount(out, s);
	buf_printf(out, " of %u thread%s", s->n_threads, s->n_threads == 1 ? "" : "s");
	if (s->n_processes > 1)
		buf_printf(out, " of %u processes", s->n_processes);
	buf_printf(out, " in %s", human_duration(c, caption_duration_ns(p)));
	if (f->gil_only)
		buf_str(out, "; only GIL holders (-g)");
	else if (!f->idle && idle)
		buf_printf(out, "; %s idle left out (-i shows %s)", caption_amount(a, s->by_time, idle),
		           s->by_time ? "it" : "them");
	if (s->by_time)
		buf_str(out, "; shares are of time");
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
