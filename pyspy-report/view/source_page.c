#include "pyspy-report/view/source_page.h"

#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "pyspy-report/view/caption.h"
#include "pyspy-report/view/page.h"
#include "pyspy-report/view/source_find.h"

extern const unsigned char asset_lines_js[], asset_lines_css[];
extern const unsigned int asset_lines_js_len, asset_lines_css_len;
extern const char asset_lines_js_sha256[], asset_lines_css_sha256[];

enum { HEATS = 10 };

struct view {
	FILE *out;
	const struct line_shares *l;
	const struct naming *n;
	const struct profile *p;
	const struct source_lines_options *o;
	uint64_t all, hottest; /* weight of everything; of the line that has most of its own */
	struct buf raw, safe, xml;
	VEC(size_t) shown; /* of l->files */
	uint64_t small, unwanted;
};

/* What is in raw, visible, as text. */
static void put_raw(struct view *v)
{
	buf_reset(&v->safe);
	buf_reset(&v->xml);
	escape_text(&v->safe, buf_cstr(&v->raw), v->raw.len);
	escape_xml(&v->xml, buf_cstr(&v->safe), v->safe.len);
	fwrite(buf_cstr(&v->xml), 1, v->xml.len, v->out);
	buf_reset(&v->raw);
}

static void put_name(struct view *v, const struct line_file *f)
{
	size_t len;
	const char *name = profile_text(v->p, f->row.text, &len);

	buf_put(&v->raw, name, len);
	put_raw(v);
}

/* 0 to HEATS: by the root, so that what is a tenth of the hottest can still be told from nothing. */
static int heat(uint64_t weight, uint64_t most)
{
	return weight && most ? (int)ceil(HEATS * sqrt((double)weight / (double)most)) : 0;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static uint32_t number_of(const struct view *v, size_t line)
{
	return v->n->frames.v[v->l->lines.v[line].frame].line;
}

static void put_line(struct view *v, const struct source_find *s, uint32_t line, const struct rank_row *r)
{
	size_t n;
	const char *text = s->is_found ? source_file_line(&s->file, line, &n) : NULL;
	char time[HUMAN_SIZE];

	if (r) {
		uint64_t self = rank_self(&v->l->lines_rank, r), total = rank_total(&v->l->lines_rank, r);

		fprintf(v->out,
		        "<tr class=\"h%d\" data-self-n=\"%" PRIu64 "\" data-total-n=\"%" PRIu64
		        "\" data-self-ns=\"%" PRIu64 "\" data-total-ns=\"%" PRIu64 "\"><td>",
		        heat(self, v->hottest), r->self_n, r->total_n, r->self_ns, r->total_ns);
		if (self)
			fprintf(v->out, "%.2f %%", percent(self, v->all));
		fprintf(v->out, "</td><td class=\"t%d\" title=\"%s, %" PRIu64 " samples\">%.2f %%</td>",
		        heat(total, v->all), human_duration(time, r->total_ns), r->total_n, percent(total, v->all));
	} else {
		fputs("<tr><td></td><td></td>", v->out);
	}
	if (line)
		fprintf(v->out, "<th scope=\"row\">%u</th><td>", line);
	else
		fputs("<th scope=\"row\">-</th><td>(line not known)", v->out);
	if (text)
		source_lines_text(&v->raw, text, n);
	put_raw(v);
	fputs("</td></tr>\n", v->out);
}

static void put_plain(struct view *v, const struct source_find *s, uint32_t from, uint32_t end)
{
	for (uint32_t i = from; i < end && !ferror(v->out); i++)
		put_line(v, s, i, NULL);
}

/* Lines of the source from `from` to before `end`, none of which weighs anything. */
static void put_between(struct view *v, const struct source_find *s, uint32_t from, uint32_t end, bool is_last)
{
	uint32_t n = s->is_found ? (uint32_t)source_file_lines(&s->file) : 0, after, before;
	uint32_t context = v->o->whole ? UINT32_MAX : v->o->context;

	if (context == UINT32_MAX && !v->o->whole && n > SOURCE_PAGE_WHOLE)
		context = SOURCE_PAGE_CONTEXT;
	end = end > n + 1 ? n + 1 : end;
	if (from >= end)
		return;
	after = from == 1 ? from : end - from < context ? end : from + context;
	before = is_last ? end : end - from < context ? from : end - context;
	if (context == UINT32_MAX || after >= before) {
		put_plain(v, s, from, end);
		return;
	}
	put_plain(v, s, from, after);
	fprintf(v->out, "<tr class=\"gap\"><td></td><td></td><th>...</th><td>%u lines that took no time</td></tr>\n",
	        before - after);
	put_plain(v, s, before, end);
}

static void put_remarks(struct view *v, const struct source_find *s, const struct line_file *f)
{
	size_t len;
	const char *name = profile_text(v->p, f->row.text, &len);

	if (!s->is_found) {
		fprintf(v->out, "<p class=\"remark\">its source is not here%s</p>\n",
		        len && name[0] == '<' ? "" : "; --source-dir DIR says where to look");
		return;
	}
	if (s->path.len != len || memcmp(s->path.data, name, len) != 0) {
		fputs("<p class=\"remark\">source: ", v->out);
		buf_put(&v->raw, s->path.data, s->path.len);
		put_raw(v);
		fputs("</p>\n", v->out);
	}
	source_check_words(&v->raw, v->p, &s->check, &s->file, f);
	if (!v->raw.len)
		return;
	fputs(source_check_is_right(&s->check) ? "<p class=\"remark\">note: "
	                                       : "<p class=\"warning\">not the source that was recorded: ",
	      v->out);
	put_raw(v);
	fputs("</p>\n", v->out);
}

static int put_file(struct view *v, size_t number)
{
	const struct line_file *f = &v->l->files.v[v->shown.v[number]];
	struct source_find s;
	uint32_t next = 1;
	int rc = source_find(&s, v->p, v->l, f, v->o->folders);

	if (!rc) {
		fprintf(v->out, "<section id=\"file-%zu\">\n<h2>", number + 1);
		put_name(v, f);
		fprintf(v->out, "</h2>\n<p>self %.2f %%, total %.2f %%</p>\n",
		        percent(rank_self(&v->l->files_rank, &f->row), v->all),
		        percent(rank_total(&v->l->files_rank, &f->row), v->all));
		put_remarks(v, &s, f);
		fputs(
		    "<div class=\"code\"><table><thead><tr><th scope=\"col\">Self</th><th scope=\"col\">Total</th><th "
		    "scope=\"col\">Line</th><th scope=\"col\">Source</th></tr></thead><tbody>\n",
		    v->out);
		for (size_t i = 0; i < f->n && !ferror(v->out); i++) {
			uint32_t line = number_of(v, f->first + i);

			if (line)
				put_between(v, &s, next, line, false);
			put_line(v, &s, line, &v->l->lines.v[f->first + i]);
			next = line + 1;
		}
		put_between(v, &s, next, UINT32_MAX, true);
		fputs("</tbody></table></div>\n</section>\n", v->out);
	}
	source_find_done(&s);
	return rc;
}

static void put_header(struct view *v, const struct summary *s, const struct filter *f)
{
	fputs("<header>\n<button type=\"button\" id=\"theme\" hidden></button>\n<h1>", v->out);
	caption_command(&v->raw, v->p, s);
	put_raw(v);
	fputs("</h1>\n<p>", v->out);
	caption_samples(&v->raw, v->p, s, f);
	put_raw(v);
	fputs("</p>\n<p>lost: ", v->out);
	caption_losses(&v->raw, v->p, s);
	if (!v->raw.len)
		buf_str(&v->raw, "nothing");
	put_raw(v);
	fputs("</p>\n<p>self: the line itself ran; total: it, or what it called. Colour: self. <span id=\"keys\" "
	      "hidden>n and N go from "
	      "hot line to hot line, the hottest first.</span></p>\n</header>\n",
	      v->out);
}

static void put_contents(struct view *v)
{
	fputs(
	    "<nav aria-label=\"Files\">\n<table><thead><tr><th scope=\"col\">Self</th><th scope=\"col\">Total</th><th "
	    "scope=\"col\">File</th></tr></thead><tbody>\n",
	    v->out);
	for (size_t i = 0; i < v->shown.n; i++) {
		const struct line_file *f = &v->l->files.v[v->shown.v[i]];
		uint64_t self = rank_self(&v->l->files_rank, &f->row), total = rank_total(&v->l->files_rank, &f->row);

		fprintf(v->out,
		        "<tr class=\"h%d\"><td>%.2f %%</td><td class=\"t%d\">%.2f %%</td><td><a href=\"#file-%zu\">",
		        heat(self, v->all), percent(self, v->all), heat(total, v->all), percent(total, v->all), i + 1);
		put_name(v, f);
		fputs("</a></td></tr>\n", v->out);
	}
	for (size_t i = 0; i < v->l->others.n; i++) {
		const struct rank_row *r = &v->l->others.v[i];
		size_t len;
		const char *name = naming_name(v->n, r->frame, &len);

		fprintf(v->out, "<tr><td>%.2f %%</td><td>%.2f %%</td><td>",
		        percent(rank_self(&v->l->files_rank, r), v->all),
		        percent(rank_total(&v->l->files_rank, r), v->all));
		buf_put(&v->raw, name, len);
		put_raw(v);
		fputs("</td></tr>\n", v->out);
	}
	fputs("</tbody></table>\n", v->out);
	if (!v->shown.n && !v->l->others.n)
		fputs("<p>Nothing is left: nothing was recorded, or the filters leave nothing.</p>\n", v->out);
	if (v->small)
		fprintf(v->out, "<p>%" PRIu64 " more file%s, of less than %g %% each; --min-share 0 shows all</p>\n",
		        v->small, v->small == 1 ? "" : "s", v->o->min_percent);
	if (v->unwanted)
		fprintf(v->out, "<p>%" PRIu64 " more file%s that --file leaves out</p>\n", v->unwanted,
		        v->unwanted == 1 ? "" : "s");
	fputs("</nav>\n", v->out);
}

static int put_all(struct view *v, const struct summary *s, const struct filter *f)
{
	struct page_asset style = PAGE_ASSET(lines_css), script = PAGE_ASSET(lines_js);
	struct buf title;

	for (size_t i = 0; i < v->l->files.n; i++) {
		enum source_lines_choice choice = source_lines_choose(v->o, v->p, v->l, &v->l->files.v[i], v->all);

		v->small += choice == SOURCE_LINES_SMALL;
		v->unwanted += choice == SOURCE_LINES_UNWANTED;
		if (choice == SOURCE_LINES_SHOWN && !vec_push(&v->shown, i))
			return ERR_NO_MEMORY;
	}
	for (size_t i = 0; i < v->l->lines.n; i++) {
		uint64_t self = rank_self(&v->l->lines_rank, &v->l->lines.v[i]);

		v->hottest = self > v->hottest ? self : v->hottest;
	}
	caption_command(&v->raw, v->p, s);
	buf_init(&title, 0);
	escape_text(&title, buf_cstr(&v->raw), v->raw.len < 1000 ? v->raw.len : 1000);
	buf_reset(&v->raw);
	page_head(v->out, &style, &script, &title);
	int rc = title.err;
	buf_done(&title);
	put_header(v, s, f);
	put_contents(v);
	fputs("<main>\n", v->out);
	for (size_t i = 0; i < v->shown.n && !rc && !ferror(v->out); i++)
		rc = put_file(v, i);
	fputs("</main>\n", v->out);
	page_tail(v->out, &script);
	return rc;
}

int source_page_write(FILE *out, const struct line_shares *l, const struct naming *n, const struct summary *s,
                      const struct filter *f, const struct source_lines_options *o)
{
	struct view v = {.out = out, .l = l, .n = n, .p = n->profile, .o = o, .all = summary_shares(s, &s->kept)->n};
	int rc;

	buf_init(&v.raw, 0);
	buf_init(&v.safe, 0);
	buf_init(&v.xml, 0);
	rc = put_all(&v, s, f);
	rc = rc ? rc : v.raw.err ? v.raw.err : v.safe.err ? v.safe.err : v.xml.err;
	buf_done(&v.raw);
	buf_done(&v.safe);
	buf_done(&v.xml);
	vec_free(&v.shown);
	return rc;
}
