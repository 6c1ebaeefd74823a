#include "pyspy-report/view/top_table.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "pyspy-report/view/caption.h"
#include "pyspy-report/view/facts_json.h"
#include "pyspy-report/view/json_text.h"

static void put_line(FILE *out, const char *what, struct buf *raw)
{
	struct buf safe;

	buf_init(&safe, 0);
	escape_text(&safe, buf_cstr(raw), raw->len);
	if (safe.len)
		fprintf(out, "%-9s%s\n", what, buf_cstr(&safe));
	buf_done(&safe);
	buf_reset(raw);
}

void top_table_header(FILE *out, const struct naming *n, const struct tree_options *t, const struct summary *s,
                      const struct filter *f)
{
	static const char usual[] = "; by function (-F)";
	const struct profile *p = n->profile;
	struct buf b, frames;

	buf_init(&b, 0);
	buf_init(&frames, 0);
	caption_command(&b, p, s);
	put_line(out, "command", &b);
	caption_samples(&b, p, s, f);
	put_line(out, "samples", &b);
	caption_losses(&b, p, s);
	if (!b.len)
		buf_str(&b, "nothing");
	put_line(out, "lost", &b);
	if (t)
		caption_frames(&frames, n, t);
	if (frames.len > 2 && strcmp(buf_cstr(&frames), usual) != 0) {
		buf_put(&b, frames.data + 2, frames.len - 2);
		put_line(out, "frames", &b);
	}
	buf_done(&frames);
	buf_done(&b);
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static const char *title(enum rank_by by)
{
	switch (by) {
	case RANK_FILE:
		return "file";
	case RANK_MODULE:
		return "module";
	case RANK_THREAD:
		return "thread";
	case RANK_LINE:
		return "line";
	default:
		return "function (file:line)";
	}
}

static void put_head(FILE *out, const struct rank *r)
{
	const char *self = r->by_time ? "self n" : "self", *total = r->by_time ? "total n" : "total";
	const char *time = r->measure == FILTER_BY_CPU ? "CPU" : "time";

	if (r->options.by == RANK_THREAD)
		fprintf(out, "\n%7s %10s %5s %-4s  %s\n", "total %", total, "total", time, title(r->options.by));
	else
		fprintf(out, "\n%7s %7s %10s %10s %5s %-4s %5s %-4s  %s\n", "self %", "total %", self, total, "self",
		        time, "total", time, title(r->options.by));
}

static void put_row(FILE *out, const struct rank *r, const struct rank_row *k, uint64_t all, const char *text)
{
	char count[2][HUMAN_SIZE], time[2][HUMAN_SIZE];

	if (r->options.by == RANK_THREAD)
		fprintf(out, "%7.2f %10s %10s  %s\n", percent(rank_total(r, k), all), human_count(count[1], k->total_n),
		        human_duration(time[1], k->total_ns), text);
	else
		fprintf(out, "%7.2f %7.2f %10s %10s %10s %10s  %s\n", percent(rank_self(r, k), all),
		        percent(rank_total(r, k), all), human_count(count[0], k->self_n),
		        human_count(count[1], k->total_n), human_duration(time[0], k->self_ns),
		        human_duration(time[1], k->total_ns), text);
}

int top_table_write(FILE *out, const struct rank *r, const struct naming *n, const struct tree_options *t,
                    const struct summary *s, const struct filter *f, const struct top_table_options *o)
{
	uint64_t all = summary_shares(s, &s->kept)->n;
	size_t shown = o->limit && o->limit < r->rows.n ? o->limit : r->rows.n;
	char more[HUMAN_SIZE];
	struct buf raw, safe;

	buf_init(&raw, 0);
	buf_init(&safe, 0);
	top_table_header(out, n, t, s, f);
	if (r->rows.n)
		put_head(out, r);
	for (size_t i = 0; i < shown && !raw.err && !safe.err; i++) {
		buf_reset(&raw);
		buf_reset(&safe);
		rank_text(r, n, &r->rows.v[i], &raw);
		escape_text(&safe, buf_cstr(&raw), raw.len);
		put_row(out, r, &r->rows.v[i], all, buf_cstr(&safe));
	}
	if (shown < r->rows.n)
		fprintf(out, "... %s more rows; --limit 0 shows all\n", human_count(more, r->rows.n - shown));
	int err = raw.err ? raw.err : safe.err;
	buf_done(&raw);
	buf_done(&safe);
	return err;
}

enum { NAME_COLUMNS = 3, SHARE_COLUMNS = 6, COLUMNS = NAME_COLUMNS + SHARE_COLUMNS };

static size_t columns_of(enum rank_by by, struct sheet_column *c)
{
	static const struct sheet_column shares[SHARE_COLUMNS] = {
	    {"self_percent", "percent of what is kept"},
	    {"total_percent", "percent of what is kept"},
	    {"self_samples", "samples"},
	    {"total_samples", "samples"},
	    {"self_ns", "ns"},
	    {"total_ns", "ns"},
	};
	static const char *const names[][NAME_COLUMNS] = {
	    [RANK_FRAME] = {"function", "file", "line"},
	    [RANK_LINE] = {"file", "line"},
	    [RANK_FILE] = {"file"},
	    [RANK_MODULE] = {"module"},
	    [RANK_THREAD] = {"pid", "tid", "thread"},
	};
	size_t n = 0;

	for (size_t i = 0; i < NAME_COLUMNS && names[by][i]; i++)
		c[n++] = (struct sheet_column){names[by][i], NULL};
	for (size_t i = by == RANK_THREAD ? 1 : 0; i < SHARE_COLUMNS; i += by == RANK_THREAD ? 2 : 1)
		c[n++] = shares[i];
	return n;
}

static void cell_string(struct sheet *t, const struct profile *p, uint32_t string)
{
	size_t len;
	const char *s = profile_text(p, string, &len);

	sheet_text(t, s, len);
}

static void cell_names(struct sheet *t, const struct rank *r, const struct naming *n, const struct rank_row *k)
{
	const struct naming_frame *f = &n->frames.v[k->frame];
	const struct profile *p = n->profile;

	if (r->options.by == RANK_THREAD) {
		const struct profile_thread *thread = &p->threads.v[f->location];

		sheet_number(t, p->processes.v[thread->process].pid);
		sheet_number(t, thread->tid);
		cell_string(t, p, thread->name);
		return;
	}
	cell_string(t, p, r->options.by != RANK_FRAME && k->text ? k->text : f->name);
	if (r->options.by == RANK_FRAME)
		cell_string(t, p, f->file);
	if (r->options.by == RANK_FRAME || r->options.by == RANK_LINE)
		sheet_number_or_none(t, f->line);
}

static void cell_shares(struct sheet *t, const struct rank *r, const struct rank_row *k, uint64_t all)
{
	bool is_thread = r->options.by == RANK_THREAD;

	if (!is_thread)
		sheet_percent(t, rank_self(r, k), all);
	sheet_percent(t, rank_total(r, k), all);
	if (!is_thread)
		sheet_number(t, k->self_n);
	sheet_number(t, k->total_n);
	if (!is_thread)
		sheet_number(t, k->self_ns);
	sheet_number(t, k->total_ns);
}

static const char *words_by(enum rank_by by, bool by_function)
{
	return by == RANK_FRAME ? by_function ? "function" : "line" : title(by);
}

int top_table_sheet(FILE *out, enum sheet_format format, const struct rank *r, const struct naming *n,
                    const struct tree_options *t, const struct summary *s, const struct filter *f,
                    const struct top_table_options *o)
{
	uint64_t all = summary_shares(s, &s->kept)->n;
	size_t shown = o->limit && o->limit < r->rows.n ? o->limit : r->rows.n;
	struct sheet_column columns[COLUMNS];
	size_t n_columns = columns_of(r->options.by, columns);
	json_t *head = format == SHEET_JSON ? facts_json("top", n->profile, s, f) : NULL;
	struct sheet sheet;
	int rc, err;

	if (head) {
		facts_json_frames(head, n, t);
		json_object_set_new(head, "by", json_string(words_by(r->options.by, n->options.by_function)));
		json_object_set_new(head, "sort", json_string(r->options.order == RANK_SELF ? "self" : "total"));
		json_object_set_new(head, "rows_left_out", json_text_number(r->rows.n - shown));
	}
	facts_json_columns(columns, n_columns, r->measure);
	rc = sheet_begin(&sheet, out, format, columns, n_columns, head);
	for (size_t i = 0; i < shown && !rc; i++) {
		cell_names(&sheet, r, n, &r->rows.v[i]);
		cell_shares(&sheet, r, &r->rows.v[i], all);
		rc = sheet_row(&sheet);
	}
	err = sheet_end(&sheet);
	return rc == ERR_IO ? 0 : rc ? rc : err; /* a failed output is report_output_close's to tell */
}
