#include "pyspy-report/view/source_lines.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "pyspy-report/view/facts_json.h"
#include "pyspy-report/view/json_text.h"
#include "pyspy-report/view/source_find.h"

enum { TAB = 8, SHOWN_MAX = 1000 /* bytes of a line */ };

struct view {
	FILE *out;
	const struct line_shares *l;
	const struct naming *n;
	const struct profile *p;
	const struct source_lines_options *o;
	uint64_t all;
	struct buf raw, safe;
};

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static uint32_t number_of(const struct view *v, size_t line)
{
	return v->n->frames.v[v->l->lines.v[line].frame].line;
}

enum source_lines_choice source_lines_choose(const struct source_lines_options *o, const struct profile *p,
                                             const struct line_shares *l, const struct line_file *f, uint64_t all)
{
	size_t len;
	const char *s = profile_text(p, f->row.text, &len);

	if (o->wants && !o->wants(o->ctx, s, len))
		return SOURCE_LINES_UNWANTED;
	return 100.0 * (double)rank_total(&l->files_rank, &f->row) >= o->min_percent * (double)all ? SOURCE_LINES_SHOWN
	                                                                                           : SOURCE_LINES_SMALL;
}

static enum source_lines_choice choose(const struct view *v, const struct line_file *f)
{
	return source_lines_choose(v->o, v->p, v->l, f, v->all);
}

void source_lines_text(struct buf *out, const char *text, size_t n)
{
	size_t column = 0;

	for (size_t i = 0; i < n && i < SHOWN_MAX; i++) {
		size_t width = text[i] == '\t' ? TAB - column % TAB : 1;

		for (size_t k = 0; k < width; k++)
			buf_u8(out, text[i] == '\t' || text[i] == '\f' ? ' ' : (uint8_t)text[i]);
		column += width;
	}
	if (n > SHOWN_MAX)
		buf_str(out, " ...");
}

static const char *safe(struct view *v, const char *s, size_t n)
{
	v->safe.len = 0;
	escape_text(&v->safe, s, n);
	return buf_cstr(&v->safe);
}

static void put_note(struct view *v, const char *before, const struct source_find *s, const struct line_file *f)
{
	v->raw.len = 0;
	source_check_words(&v->raw, v->p, &s->check, &s->file, f);
	if (v->raw.len)
		fprintf(v->out, "  %s%s\n", before, safe(v, (const char *)v->raw.data, v->raw.len));
}

static void put_head(struct view *v, const struct source_find *s, const struct line_file *f)
{
	size_t len;
	const char *name = profile_text(v->p, f->row.text, &len);

	fprintf(v->out, "\n%s: self %.2f %%, total %.2f %%\n", safe(v, name, len),
	        percent(rank_self(&v->l->files_rank, &f->row), v->all),
	        percent(rank_total(&v->l->files_rank, &f->row), v->all));
	if (!s->is_found)
		fprintf(v->out, "  its source is not here%s\n",
		        len && name[0] == '<' ? "" : "; --source-dir DIR says where to look");
	else if (s->path.len != len || memcmp(s->path.data, name, len) != 0)
		fprintf(v->out, "  source: %s\n", safe(v, (const char *)s->path.data, s->path.len));
	if (s->is_found)
		put_note(v,
		         source_check_is_right(&s->check) ? "note: " : "WARNING: not the source that was recorded: ", s,
		         f);
}

/* The source's text, tabs as blanks. */
static void put_text(struct view *v, const struct source_find *s, uint32_t line)
{
	size_t n;
	const char *text = s->is_found ? source_file_line(&s->file, line, &n) : NULL;

	if (!text)
		return;
	v->raw.len = 0;
	source_lines_text(&v->raw, text, n);
	if (v->raw.len)
		fprintf(v->out, "  %s", safe(v, (const char *)v->raw.data, v->raw.len));
}

static void put_row(struct view *v, const struct source_find *s, uint32_t line, const struct rank_row *r)
{
	char time[HUMAN_SIZE];

	if (r && rank_self(&v->l->lines_rank, r))
		fprintf(v->out, "%7.2f %7.2f %10s", percent(rank_self(&v->l->lines_rank, r), v->all),
		        percent(rank_total(&v->l->lines_rank, r), v->all), human_duration(time, r->total_ns));
	else if (r)
		fprintf(v->out, "%7s %7.2f %10s", "", percent(rank_total(&v->l->lines_rank, r), v->all),
		        human_duration(time, r->total_ns));
	else
		fprintf(v->out, "%7s %7s %10s", "", "", "");
	if (line)
		fprintf(v->out, " %7u", line);
	else
		fprintf(v->out, " %7s  (line not known)", "-");
	put_text(v, s, line);
	fputc('\n', v->out);
}

static void put_plain(struct view *v, const struct source_find *s, uint32_t from, uint32_t end)
{
	for (uint32_t i = from; i < end && !ferror(v->out); i++)
		put_row(v, s, i, NULL);
}

/* Lines of the source from `from` to before `end`, none of which weighs anything: those near one that does. */
static void put_between(struct view *v, const struct source_find *s, uint32_t from, uint32_t end, bool is_last)
{
	uint32_t n = s->is_found ? (uint32_t)source_file_lines(&s->file) : 0, context = v->o->context, after, before;

	end = end > n + 1 ? n + 1 : end;
	if (from >= end)
		return;
	after = from == 1 ? from : from + (end - from < context ? end - from : context);
	before = is_last ? end : end - (end - from < context ? end - from : context);
	if (v->o->whole || after >= before) {
		put_plain(v, s, from, end);
		return;
	}
	put_plain(v, s, from, after);
	fprintf(v->out, "%34s\n", "...");
	put_plain(v, s, before, end);
}

static void put_file(struct view *v, const struct source_find *s, const struct line_file *f)
{
	uint32_t next = 1;

	put_head(v, s, f);
	fprintf(v->out, "%7s %7s %5s %-4s %7s\n", "self %", "total %", "total",
	        v->l->lines_rank.measure == FILTER_BY_CPU ? "CPU" : "time", "line");
	for (size_t i = 0; i < f->n && !ferror(v->out); i++) {
		uint32_t line = number_of(v, f->first + i);

		if (line)
			put_between(v, s, next, line, false);
		put_row(v, s, line, &v->l->lines.v[f->first + i]);
		next = line + 1;
	}
	put_between(v, s, next, UINT32_MAX, true);
}

static void put_rest(struct view *v, uint64_t small, uint64_t unwanted)
{
	char count[HUMAN_SIZE];

	if (v->l->others.n)
		fprintf(v->out, "\nwithout a file:\n");
	for (size_t i = 0; i < v->l->others.n; i++) {
		const struct rank_row *r = &v->l->others.v[i];
		char time[HUMAN_SIZE];
		size_t len;
		const char *name = naming_name(v->n, r->frame, &len);

		fprintf(v->out, "%7.2f %7.2f %10s          %s\n", percent(rank_self(&v->l->files_rank, r), v->all),
		        percent(rank_total(&v->l->files_rank, r), v->all), human_duration(time, r->total_ns),
		        safe(v, name, len));
	}
	if (small)
		fprintf(v->out, "\n... %s more file%s, of less than %g %% each; --min-share 0 shows all\n",
		        human_count(count, small), small == 1 ? "" : "s", v->o->min_percent);
	if (unwanted)
		fprintf(v->out, "\n... %s more file%s that --file leaves out\n", human_count(count, unwanted),
		        unwanted == 1 ? "" : "s");
}

static struct view view_of(FILE *out, const struct line_shares *l, const struct naming *n, const struct summary *s,
                           const struct source_lines_options *o)
{
	struct view v = {.out = out, .l = l, .n = n, .p = n->profile, .o = o, .all = summary_shares(s, &s->kept)->n};

	buf_init(&v.raw, 0);
	buf_init(&v.safe, 0);
	return v;
}

static int view_done(struct view *v, int rc)
{
	rc = rc ? rc : v->raw.err ? v->raw.err : v->safe.err;
	buf_done(&v->raw);
	buf_done(&v->safe);
	return rc;
}

int source_lines_write(FILE *out, const struct line_shares *l, const struct naming *n, const struct summary *s,
                       const struct source_lines_options *o)
{
	struct view v = view_of(out, l, n, s, o);
	uint64_t small = 0, unwanted = 0;
	int rc = 0;

	for (size_t i = 0; i < l->files.n && !rc && !ferror(out); i++) {
		enum source_lines_choice choice = choose(&v, &l->files.v[i]);
		struct source_find found;

		unwanted += choice == SOURCE_LINES_UNWANTED;
		small += choice == SOURCE_LINES_SMALL;
		if (choice != SOURCE_LINES_SHOWN)
			continue;
		rc = source_find(&found, v.p, l, &l->files.v[i], o->folders);
		if (!rc)
			put_file(&v, &found, &l->files.v[i]);
		source_find_done(&found);
	}
	put_rest(&v, small, unwanted);
	return view_done(&v, rc);
}

enum { COLUMNS = 11 };
static const struct sheet_column all_columns[COLUMNS] = {
    {"file", NULL},
    {"line", NULL},
    {"self_percent", "percent of what is kept"},
    {"total_percent", "percent of what is kept"},
    {"self_samples", "samples"},
    {"total_samples", "samples"},
    {"self_ns", "ns"},
    {"total_ns", "ns"},
    {"source", "same, differs or missing"},
    {"source_path", NULL},
    {"text", NULL},
};

static const char *words_source(const struct source_find *s)
{
	return !s->is_found ? "missing" : source_check_is_right(&s->check) ? "same" : "differs";
}

static int sheet_line(struct sheet *t, const struct view *v, const struct source_find *s, size_t line)
{
	const struct rank_row *r = &v->l->lines.v[line];
	const struct rank *rank = &v->l->lines_rank;
	const char *word = words_source(s), *text;
	size_t len;

	text = profile_text(v->p, r->text, &len);
	sheet_text(t, text, len);
	sheet_number_or_none(t, number_of(v, line));
	sheet_percent(t, rank_self(rank, r), v->all);
	sheet_percent(t, rank_total(rank, r), v->all);
	sheet_number(t, r->self_n);
	sheet_number(t, r->total_n);
	sheet_number(t, r->self_ns);
	sheet_number(t, r->total_ns);
	sheet_text(t, word, strlen(word));
	if (s->is_found)
		sheet_text(t, (const char *)s->path.data, s->path.len);
	else
		sheet_none(t);
	text = s->is_found ? source_file_line(&s->file, number_of(v, line), &len) : NULL;
	if (text)
		sheet_text(t, text, len);
	else
		sheet_none(t);
	return sheet_row(t);
}

static json_t *head_file(struct view *v, const struct source_find *s, const struct line_file *f)
{
	json_t *o = json_object();

	json_object_set_new(o, "file", json_text_string(v->p, f->row.text));
	json_object_set_new(o, "self_samples", json_text_number(f->row.self_n));
	json_object_set_new(o, "total_samples", json_text_number(f->row.total_n));
	json_object_set_new(o, "self_ns", json_text_number(f->row.self_ns));
	json_object_set_new(o, "total_ns", json_text_number(f->row.total_ns));
	json_object_set_new(o, "source", json_string(words_source(s)));
	json_object_set_new(o, "source_path",
	                    s->is_found ? json_text_bytes((const char *)s->path.data, s->path.len) : json_null());
	v->raw.len = 0;
	if (s->is_found)
		source_check_words(&v->raw, v->p, &s->check, &s->file, f);
	json_object_set_new(o, "remark", json_text_bytes(buf_cstr(&v->raw), v->raw.len));
	return o;
}

/* Files are looked for once more than for their rows: the document says first what it is of. */
static int head_files(struct view *v, json_t *head)
{
	json_t *list = json_array();
	int rc = 0;

	for (size_t i = 0; i < v->l->files.n && !rc; i++) {
		struct source_find found;

		if (choose(v, &v->l->files.v[i]) != SOURCE_LINES_SHOWN)
			continue;
		rc = source_find(&found, v->p, v->l, &v->l->files.v[i], v->o->folders);
		if (!rc)
			json_array_append_new(list, head_file(v, &found, &v->l->files.v[i]));
		source_find_done(&found);
	}
	json_object_set_new(head, "files", list);
	return rc;
}

int source_lines_sheet(FILE *out, enum sheet_format format, const struct line_shares *l, const struct naming *n,
                       const struct summary *s, const struct filter *f, const struct source_lines_options *o)
{
	struct view v = view_of(out, l, n, s, o);
	json_t *head = format == SHEET_JSON ? facts_json("lines", v.p, s, f) : NULL;
	int rc = head ? head_files(&v, head) : 0, err;
	struct sheet_column columns[COLUMNS];
	struct sheet t;

	memcpy(columns, all_columns, sizeof columns);
	facts_json_columns(columns, COLUMNS, l->lines_rank.measure);
	err = sheet_begin(&t, out, format, columns, COLUMNS, head);
	rc = rc ? rc : err;
	for (size_t i = 0; i < l->files.n && !rc; i++) {
		const struct line_file *file = &l->files.v[i];
		struct source_find found;

		if (choose(&v, file) != SOURCE_LINES_SHOWN)
			continue;
		rc = source_find(&found, v.p, l, file, o->folders);
		for (size_t k = 0; k < file->n && !rc; k++)
			rc = sheet_line(&t, &v, &found, file->first + k);
		source_find_done(&found);
	}
	err = sheet_end(&t);
	return view_done(&v, rc == ERR_IO ? 0 : rc ? rc : err);
}
