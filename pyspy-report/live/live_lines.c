#include "pyspy-report/live/live_lines.h"

#include <stdio.h>
#include <string.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/utf8.h"
#include "pyspy-report/live/live_keys.h"
#include "pyspy-report/view/caption.h"
#include "pyspy-report/view/words.h"

enum {
	SELF_COLUMNS = 10,
	TOTAL_COLUMNS = 8,
	TIME_COLUMNS = 10,
	THREAD_COLUMNS = 24, /* of a thread's number and name */
	WIDE = 104,          /* columns from which on both parts' percentages are shown */
	NARROW = 60,         /* below: no times */
	TALL = 16,           /* lines from which on the whole head is shown */
	COMBINING = 3,       /* marks over one character; more are left out */
	NAMES = 1024,        /* bytes of a name that are looked at, beside four for each column */
};

void live_lines_init(struct live_lines *l)
{
	memset(l, 0, sizeof *l);
	buf_init(&l->text, 0);
}

void live_lines_done(struct live_lines *l)
{
	buf_done(&l->text);
	vec_free(&l->v);
}

size_t live_lines_text(struct buf *out, const char *s, size_t n, size_t columns, bool is_ascii)
{
	size_t most = columns ? NAMES + 4 * columns : n, used = 0, good = 0, marks = 0;
	size_t good_at = out->len, room = columns > 2 ? columns - 2 : 0;
	struct buf safe;
	uint32_t cp;

	buf_init(&safe, 0);
	escape_text(&safe, s, n < most ? n : most);
	for (size_t i = 0, k; i < safe.len; i += k) {
		k = utf8_next((const char *)safe.data + i, safe.len - i, &cp);
		size_t width = (size_t)utf8_width(cp), was = out->len;

		marks = width ? 0 : marks + 1;
		if (marks > COMBINING || (!width && (!used || is_ascii)))
			continue; /* at the begin it would go onto what stands before */
		if (is_ascii && cp >= 0x80) {
			buf_printf(out, cp > 0xFFFF ? "\\U%08x" : "\\u%04x", cp);
			width = out->len - was;
		} else {
			buf_put(out, safe.data + i, k);
		}
		if (columns && used + width > columns) {
			out->len = good_at;
			while (good < columns && good < room + 2) {
				buf_u8(out, '.');
				good++;
			}
			used = good;
			break;
		}
		used += width;
		if (used <= room) {
			good = used;
			good_at = out->len;
		}
	}
	buf_done(&safe);
	return used;
}

static void begin(struct live_lines *l, enum live_style style)
{
	if (!vec_push(&l->v, ((struct live_line){.begin = l->text.len, .style = style})))
		l->text.err = ERR_NO_MEMORY;
}

static void end(struct live_lines *l)
{
	if (l->v.n)
		l->v.v[l->v.n - 1].n = l->text.len - l->v.v[l->v.n - 1].begin;
}

/* A line of raw text, cut at the end. */
static void put(struct live_lines *l, enum live_style style, const struct buf *b)
{
	begin(l, style);
	live_lines_text(&l->text, b->len ? (const char *)b->data : "", b->len, l->width, l->is_ascii);
	end(l);
}

static void put_words(struct live_lines *l, enum live_style style, const char *words)
{
	begin(l, style);
	live_lines_text(&l->text, words, strlen(words), l->width, l->is_ascii);
	end(l);
}

static void percent(struct buf *out, uint64_t part, uint64_t whole)
{
	buf_printf(out, "%.0f %%", whole ? 100.0 * (double)part / (double)whole : 0.0);
}

static const struct profile *profile_of(const struct live_model *m)
{
	return &m->ranks.sums->profile;
}

static const struct profile_recording *recording_of(const struct live_model *m)
{
	const struct profile *p = profile_of(m);

	return p->recordings.n ? &p->recordings.v[p->recordings.n - 1] : NULL;
}

/* The folder of the interpreter says less than what stands behind it. */
static void put_cmdline(struct buf *out, const struct profile *p, const struct profile_process *q)
{
	size_t n, at = out->len;
	const char *first;

	caption_cmdline(out, p, q);
	if (!q->cmdline.n || out->err)
		return;
	first = profile_text(p, q->cmdline.v[0], &n);
	const char *slash = n ? memrchr(first, '/', n) : NULL;
	size_t folder = slash ? (size_t)(slash - first) + 1 : 0;
	if (!folder || folder == n)
		return;
	memmove(out->data + at, out->data + at + folder, out->len - at - folder);
	out->len -= folder;
}

/* "pid 12, CPython 3.11.2: python3 app.py", and how it is going. */
static void put_command(struct live_lines *l, const struct live_model *m)
{
	const struct profile *p = profile_of(m);
	struct buf b;

	buf_init(&b, 0);
	if (m->is_over)
		buf_str(&b, "[ended] ");
	else if (m->is_paused)
		buf_str(&b, "[held: space goes on] ");
	if (p->processes.n > 1) {
		const struct profile_process *q = &p->processes.v[1];
		size_t n, k = 0;
		const char *version = profile_text(p, q->version, &n);

		/* the command may be of any length: what stands behind it is more important */
		while (k < n && version[k] != ' ')
			k++;
		buf_printf(&b, "pid %u", q->pid);
		if (k) {
			buf_str(&b, ", CPython ");
			buf_put(&b, version, k);
		}
		if (p->processes.n > 2)
			buf_printf(&b, ", and %zu more", p->processes.n - 2);
		buf_str(&b, ": ");
		put_cmdline(&b, p, q);
	} else {
		buf_str(&b, l->command ? l->command : "");
	}
	put(l, m->is_paused ? LIVE_WARN : LIVE_STRONG, &b);
	buf_done(&b);
}

static uint64_t count_lost(const struct live_model *m)
{
	const struct profile *p = profile_of(m);
	uint64_t n = p->missing_samples;

	for (size_t i = 0; i < p->recordings.n; i++)
		for (int k = 0; k < WIRE_LOST_END_; k++)
			n += p->recordings.v[i].lost[k];
	return n + m->ranks.totals[LIVE_SINCE].lost.n;
}

/* "5,120 samples at 100 Hz (kernel) in 12 s, lost 0, in motion 0 %" */
static void put_samples(struct live_lines *l, const struct live_model *m)
{
	uint64_t lost = count_lost(m);
	const struct profile_recording *r = recording_of(m);
	const struct live_totals *t = &m->ranks.totals[LIVE_SINCE];
	char n[HUMAN_SIZE];
	struct buf b;

	buf_init(&b, 0);
	buf_printf(&b, "%s samples", human_count(n, t->all.n));
	if (r && r->mean_gap_ns)
		buf_printf(&b, " at %.4g Hz (%s)", (double)CLOCK_NS_PER_S / (double)r->mean_gap_ns,
		           words_engine(r->engine));
	buf_printf(&b, " in %s", human_duration(n, t->ns));
	if (m->ranks.sums->reset_ns)
		buf_str(&b, " since r");
	buf_printf(&b, ", lost %s", human_count(n, lost));
	if (t->in_motion.n) {
		buf_str(&b, ", in motion ");
		buf_str(&b, human_percent(n, (double)t->in_motion.n, (double)t->all.n));
	}
	if (profile_of(m)->n_damage)
		buf_str(&b, ", DAMAGED INPUT");
	if (l->output) {
		buf_str(&b, "; output: ");
		buf_str(&b, l->output);
	}
	put(l, LIVE_PLAIN, &b);
	buf_done(&b);
}

/* "GIL 87 %, active 27 %: 3.2 of 12 threads; 1 process" */
static void put_activity(struct live_lines *l, const struct live_model *m)
{
	const struct live_totals *t = &m->ranks.totals[LIVE_NOW];
	uint64_t gil = t->ns * (t->n_processes ? t->n_processes : 1);
	struct buf b;

	buf_init(&b, 0);
	buf_str(&b, "GIL ");
	percent(&b, t->gil.ns < gil ? t->gil.ns : gil, gil);
	buf_str(&b, ", active ");
	percent(&b, t->active.ns, t->all.ns);
	buf_printf(&b, ": %.1f of %u thread%s, %u process%s", t->ns ? (double)t->active.ns / (double)t->ns : 0.0,
	           t->n_threads, t->n_threads == 1 ? "" : "s", t->n_processes, t->n_processes == 1 ? "" : "es");
	if (m->want.gil_only)
		buf_str(&b, "; GIL holders only (g)");
	if (m->want.idle)
		buf_str(&b, "; idle too (i)");
	else if (l->height > TALL || !l->height) {
		buf_str(&b, "; idle left out: ");
		percent(&b, t->idle.ns, t->all.ns);
		buf_str(&b, " (i shows)");
	}
	if (m->filter.len && !m->is_typing) {
		buf_str(&b, "; with /");
		buf_put(&b, m->filter.data, m->filter.len);
	}
	put(l, LIVE_PLAIN, &b);
	buf_done(&b);
}

static void put_scale(struct live_lines *l, const struct live_model *m)
{
	const struct live_totals *t = &m->ranks.totals[LIVE_NOW], *s = &m->ranks.totals[LIVE_SINCE];
	char n[HUMAN_SIZE];
	struct buf b;

	buf_init(&b, 0);
	if (m->is_of_shown)
		buf_str(&b, "100 % = the time that the rows are of; p: of threads' whole time");
	else if (m->want.by_thread)
		buf_str(&b, "100 % = the whole time of the row's own thread");
	else if (t->n_kept == s->n_kept || !t->n_kept)
		buf_printf(&b, "100 %% = whole time of %u thread%s", s->n_kept, s->n_kept == 1 ? "" : "s");
	else
		buf_printf(&b, "100 %% = whole time of %u threads (all: %u)", t->n_kept, s->n_kept);
	if (!m->want.by_thread && t->n_kept > 1 && !m->is_of_shown)
		buf_printf(&b, ", of one: %.3g %%", 100.0 / (double)t->n_kept);
	buf_printf(&b, "; now = last %s", human_duration(n, t->ns));
	put(l, LIVE_FAINT, &b);
	buf_done(&b);
}

struct columns {
	bool now, since, times;
};

static struct columns columns_of(const struct live_lines *l, const struct live_model *m)
{
	if (!l->width || l->width >= WIDE)
		return (struct columns){true, true, true};
	return (struct columns){!m->shows_since, m->shows_since, l->width >= NARROW};
}

static void put_title(struct buf *out, int columns, const char *title, bool is_first)
{
	char marked[16];

	snprintf(marked, sizeof marked, "%s%s", is_first ? ">" : "", title); /* rows are in its order */
	buf_printf(out, "%*s", columns, marked);
}

static void put_head(struct live_lines *l, const struct live_model *m)
{
	const struct columns c = columns_of(l, m);
	struct buf b;

	buf_init(&b, 0);
	if (c.now) {
		put_title(&b, SELF_COLUMNS, "now self%", m->sort == LIVE_BY_SELF_NOW);
		put_title(&b, TOTAL_COLUMNS, "total%", m->sort == LIVE_BY_TOTAL_NOW);
	}
	if (c.since) {
		put_title(&b, SELF_COLUMNS, "all self%", !c.times && m->sort == LIVE_BY_SELF_SINCE);
		put_title(&b, TOTAL_COLUMNS, "total%", !c.times && m->sort == LIVE_BY_TOTAL_SINCE);
	}
	if (c.times) {
		put_title(&b, TIME_COLUMNS, "all self", m->sort == LIVE_BY_SELF_SINCE);
		put_title(&b, TIME_COLUMNS, "total", m->sort == LIVE_BY_TOTAL_SINCE);
	}
	buf_printf(&b, "  %s%s", m->want.by_thread ? "thread | " : "",
	           m->want.by_line ? "line (file:line)" : "function (file:line)");
	while (l->width && b.len < l->width) /* reverse video to the edge */
		buf_u8(&b, ' ');
	put(l, LIVE_HEAD, &b);
	buf_done(&b);
}

static void put_share(struct buf *out, int columns, uint64_t part, uint64_t whole)
{
	if (part)
		buf_printf(out, "%*.1f", columns, whole ? 100.0 * (double)part / (double)whole : 0.0);
	else
		buf_printf(out, "%*s", columns, "");
}

static void put_time(struct buf *out, const struct live_weight *w)
{
	char n[HUMAN_SIZE];

	buf_printf(out, "%*s", TIME_COLUMNS, w->ns ? human_duration(n, w->ns) : "");
}

static void put_item(struct live_lines *l, const struct live_model *m, const struct live_item *item, bool is_chosen)
{
	const struct columns c = columns_of(l, m);
	const struct live_group *g = item->group == LIVE_NO_GROUP ? NULL : &m->ranks.groups.v[item->group];
	/* of the function that is looked at, where its thread is told apart */
	const struct live_group *of = g                                  ? g
	                              : m->around_group == LIVE_NO_GROUP ? NULL
	                                                                 : &m->ranks.groups.v[m->around_group];
	size_t begin_at = l->text.len, used;
	struct buf name;

	begin(l, is_chosen ? LIVE_CHOSEN : item->kind == LIVE_ITSELF ? LIVE_STRONG : LIVE_PLAIN);
	for (int part = 0; part < LIVE_PARTS; part++) {
		uint64_t whole = live_model_whole(m, of, (enum live_part)part);

		if (part == LIVE_NOW ? !c.now : !c.since)
			continue;
		put_share(&l->text, SELF_COLUMNS, live_weigh(&m->ranks, &item->self[part]), whole);
		put_share(&l->text, TOTAL_COLUMNS, live_weigh(&m->ranks, &item->total[part]), whole);
	}
	if (c.times) {
		put_time(&l->text, &item->self[LIVE_SINCE]);
		put_time(&l->text, &item->total[LIVE_SINCE]);
	}
	buf_str(&l->text, "  ");
	used = l->text.len - begin_at;
	buf_init(&name, 0);
	if (g && g->thread != LIVE_NO_GROUP && (!l->width || used + 6 < l->width)) {
		size_t room = l->width ? (l->width - used) / 3 : 0;

		live_model_thread(m, item->group, &name);
		used += live_lines_text(&l->text, name.len ? (const char *)name.data : "", name.len,
		                        room < THREAD_COLUMNS || !l->width ? room : THREAD_COLUMNS, l->is_ascii);
		buf_str(&l->text, " | ");
		used += 3;
		buf_reset(&name);
	}
	if (g)
		naming_text(&m->ranks.naming, g->frame, &name);
	else
		buf_str(&name, "nobody: it is the outermost");
	if (!l->width || used < l->width)
		used += live_lines_text(&l->text, name.len ? (const char *)name.data : "", name.len,
		                        l->width ? l->width - used : 0, l->is_ascii);
	while (is_chosen && l->width && used++ < l->width)
		buf_u8(&l->text, ' ');
	buf_done(&name);
	end(l);
}

static void put_footer(struct live_lines *l, const struct live_model *m)
{
	struct buf b;

	buf_init(&b, 0);
	if (m->is_typing) {
		buf_u8(&b, '/');
		buf_put(&b, m->filter.data, m->filter.len);
		buf_str(&b, "_");
		if (m->message.len)
			buf_printf(&b, "   %s", buf_cstr((struct buf *)&m->message));
	} else if (m->message.len) {
		buf_put(&b, m->message.data, m->message.len);
	} else if (m->view == LIVE_HELP) {
		buf_str(&b, "up, down: more  any other key: back");
	} else if (m->view == LIVE_AROUND) {
		buf_str(&b, "enter: this one  esc: back  space: hold  s: save  ?: help  q: quit");
	} else {
		buf_str(
		    &b,
		    "? help  q quit  1-4 sort  / find  enter callers  l lines  t threads  i idle  g GIL  space hold  "
		    "s save  r reset");
	}
	put(l, m->message.len ? LIVE_WARN : LIVE_FAINT, &b);
	buf_done(&b);
}

/* Where a line of at most `width` bytes ends: before a word. */
static size_t wrap(const char *s, size_t width)
{
	size_t n = strlen(s), at = width;

	if (!width || n <= width)
		return n;
	while (at && s[at] != ' ')
		at--;
	return at ? at : width;
}

/* Wrapped; from m->from on, which is kept where something is to be seen. */
static void put_help(struct live_lines *l, struct live_model *m)
{
	size_t room = l->height > l->v.n + 1 ? l->height - l->v.n - 1 : 0, n = 0, first = l->v.n;

	for (int pass = 0; pass < 2; pass++) {
		if (pass && m->at + room > n)
			m->at = n > room ? n - room : 0;
		n = 0;
		for (size_t i = 0; live_keys_help[i]; i++) {
			const char *s = live_keys_help[i];
			do {
				size_t k = wrap(s, l->width);

				if (pass && n >= m->at && l->v.n - first < room) {
					begin(l, LIVE_PLAIN);
					live_lines_text(&l->text, s, k, 0, l->is_ascii);
					end(l);
				}
				n++;
				s += k + (s[k] == ' ');
			} while (*s);
		}
	}
	m->page = room;
	m->help_lines = n;
}

static const char *kind_words(const struct live_item *item)
{
	return item->kind == LIVE_CALLER ? "called by" : item->kind == LIVE_CALLEE ? "calls" : "";
}

/* The rows from m->from on; above each kind its name. */
static void put_items(struct live_lines *l, struct live_model *m, size_t room)
{
	enum live_kind kind = LIVE_ROW;
	size_t end_at = l->v.n + room;

	for (size_t i = m->from; i < m->items.n && l->v.n < end_at; i++) {
		const struct live_item *item = &m->items.v[i];

		if (item->kind != kind && kind_words(item)[0] && l->v.n + 1 < end_at)
			put_words(l, LIVE_FAINT, kind_words(item));
		kind = item->kind;
		put_item(l, m, item, l->height && i == m->at);
	}
}

/* The chosen row is on the screen; titles of kinds take room, too. */
static void scroll(struct live_model *m, size_t room)
{
	size_t titles = m->view == LIVE_AROUND ? 2 : 0, rows = room > titles + 1 ? room - titles : 1;

	m->page = rows;
	if (m->at < m->from)
		m->from = m->at;
	if (m->at >= m->from + rows)
		m->from = m->at - rows + 1;
	if (m->from && m->from + rows > m->items.n)
		m->from = m->items.n > rows ? m->items.n - rows : 0;
}

static void put_nothing(struct live_lines *l, const struct live_model *m)
{
	put_words(l, LIVE_FAINT,
	          m->is_waiting               ? "waiting for the first samples ..."
	          : m->filter.len             ? "no row matches; / and enter shows all"
	          : m->view == LIVE_AROUND    ? "it was not seen again; esc: back"
	          : m->want.gil_only          ? "nobody held the GIL; g shows all threads"
	          : m->ranks.totals[1].idle.n ? "all threads are idle; i shows what they wait in"
	                                      : "nothing was seen yet");
}

int live_lines_make(struct live_lines *l, struct live_model *m)
{
	bool is_tall = !l->height || l->height >= TALL;
	size_t room;

	buf_reset(&l->text);
	l->v.n = 0;
	put_command(l, m);
	if (is_tall)
		put_samples(l, m);
	put_activity(l, m);
	if (is_tall)
		put_scale(l, m);
	if (m->view == LIVE_HELP) {
		put_help(l, m);
	} else {
		put_head(l, m);
		room = !l->height ? l->rows : l->height > l->v.n + 1 ? l->height - l->v.n - 1 : 0;
		if (l->height)
			scroll(m, room);
		else
			m->from = 0;
		if (m->items.n)
			put_items(l, m, room);
		else if (room)
			put_nothing(l, m);
	}
	if (l->height) {
		while (l->v.n + 1 < l->height)
			put_words(l, LIVE_PLAIN, "");
		if (l->v.n >= l->height)
			l->v.n = l->height - 1;
		put_footer(l, m);
	}
	return l->text.err;
}
