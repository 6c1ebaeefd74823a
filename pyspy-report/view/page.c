#include "pyspy-report/view/page.h"

#include <inttypes.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/jsonout.h"
#include "libcommon/utf8.h"
#include "pyspy-report/view/caption.h"
#include "pyspy-report/view/packed_out.h"
#include "pyspy-report/view/palette.h"
#include "pyspy-report/view/track_names.h"

extern const unsigned char asset_page_js[], asset_page_css[], asset_page_html[];
extern const unsigned int asset_page_js_len, asset_page_css_len, asset_page_html_len;
extern const char asset_page_js_sha256[], asset_page_css_sha256[];

enum { NAME_MAX_BYTES = 2000 }; /* of a name that is shown; what is longer says how long it is */

struct page {
	FILE *out;
	const struct tree *t;
	const struct naming *n;
	const struct summary *s;
	const struct filter *f;
	const struct page_nodes *p;
	const struct buckets *b;
	const struct page_options *o;
	unsigned shift; /* nanoseconds are given >> shift: a script's numbers are exact below 2^53 */
	struct buf raw, safe;
	VEC(uint32_t) strings; /* of the profile, by their number in the page; the first is empty */
	struct map numbers;    /* of them */
	VEC(uint32_t) threads;
	uint32_t *thread_of;
	struct packed_out packed;
};

static int page_string(struct page *g, uint32_t string, uint32_t *number)
{
	bool is_new;
	uint32_t *slot = map_put(&g->numbers, string, 1, &is_new);

	if (!slot || (is_new && !vec_push(&g->strings, string)))
		return ERR_NO_MEMORY;
	if (is_new)
		*slot = (uint32_t)g->strings.n - 1;
	*number = *slot;
	return 0;
}

/* All that frames and functions are called. */
static int page_strings(struct page *g)
{
	uint32_t number;

	TRY(page_string(g, 0, &number));
	for (size_t i = 0; i < g->p->frames.n; i++) {
		TRY(page_string(g, g->n->frames.v[g->p->frames.v[i]].name, &number));
		TRY(page_string(g, g->n->frames.v[g->p->frames.v[i]].file, &number));
	}
	for (size_t i = 0; i < g->p->functions.n; i++) {
		TRY(page_string(g, g->p->functions.v[i].name, &number));
		TRY(page_string(g, g->p->functions.v[i].file, &number));
	}
	return 0;
}

/* Threads that have cells, in their order. */
static int page_threads(struct page *g)
{
	const struct profile *p = g->n->profile;

	g->thread_of = calloc(p->threads.n + 1, sizeof *g->thread_of);
	if (!g->thread_of)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < g->b->cells.n; i++)
		g->thread_of[g->b->cells.v[i].thread] = 1;
	for (uint32_t i = 0; i < p->threads.n; i++) {
		if (!g->thread_of[i])
			continue;
		g->thread_of[i] = (uint32_t)g->threads.n;
		if (!vec_push(&g->threads, i))
			return ERR_NO_MEMORY;
	}
	return 0;
}

/* raw -> safe: visible, and not longer than people read. */
static void make_safe(struct page *g)
{
	size_t n = g->raw.len;
	char bytes[HUMAN_SIZE];

	buf_reset(&g->safe);
	if (n > NAME_MAX_BYTES)
		for (n = NAME_MAX_BYTES; n > NAME_MAX_BYTES - 4 && (g->raw.data[n] & 0xC0) == 0x80;)
			n--; /* not inside a character */
	escape_text(&g->safe, buf_cstr(&g->raw), n);
	if (n < g->raw.len)
		buf_printf(&g->safe, "\xE2\x80\xA6 (%s bytes)", human_count(bytes, g->raw.len));
}

static void put_word(struct page *g, struct jsonout *j, const char *key)
{
	make_safe(g);
	if (key)
		jsonout_key(j, key);
	jsonout_string(j, buf_cstr(&g->safe), g->safe.len);
	buf_reset(&g->raw);
}

static void put_captions(struct page *g, struct jsonout *j)
{
	const struct profile *p = g->n->profile;
	char a[HUMAN_SIZE], b[HUMAN_SIZE];

	if (g->o->title)
		buf_str(&g->raw, g->o->title);
	else
		caption_command(&g->raw, p, g->s);
	put_word(g, j, "title");
	caption_samples(&g->raw, p, g->s, g->f);
	caption_frames(&g->raw, g->n, &g->t->options);
	put_word(g, j, "samples");
	caption_losses(&g->raw, p, g->s);
	if (p->n_damage)
		buf_printf(&g->raw, "%sthe input is damaged in %s place%s", g->raw.len ? "; " : "",
		           human_count(a, p->n_damage), p->n_damage == 1 ? "" : "s");
	if (g->p->n_hidden)
		buf_printf(&g->raw,
		           "%s%s of %s frames are too light to be in this page: hatched boxes stand for them, and the "
		           "table has no rows for them (--max-frames N takes in more)",
		           g->raw.len ? "; " : "", human_count(a, g->p->n_hidden), human_count(b, g->p->n_all));
	put_word(g, j, "losses");
}

static void put_palette(struct jsonout *j)
{
	jsonout_line(j);
	jsonout_key(j, "palette");
	jsonout_open(j, '[');
	for (int i = 0; i < NAMING_ORIGINS; i++) {
		unsigned char base[3], spread[3];

		palette_parts((enum naming_origin)i, base, spread);
		jsonout_open(j, '[');
		jsonout_word(j, palette_label((enum naming_origin)i));
		for (int k = 0; k < 3; k++)
			jsonout_number(j, base[k]);
		for (int k = 0; k < 3; k++)
			jsonout_number(j, spread[k]);
		jsonout_close(j, ']');
	}
	jsonout_close(j, ']');
}

static void put_threads(struct page *g, struct jsonout *j)
{
	const struct profile *p = g->n->profile;

	jsonout_line(j);
	jsonout_key(j, "threads"); /* process, name, number */
	jsonout_open(j, '[');
	for (size_t i = 0; i < g->threads.n; i++) {
		uint32_t thread = g->threads.v[i];

		jsonout_open(j, '[');
		jsonout_number(j, p->threads.v[thread].process);
		track_names_thread(&g->raw, p, &(struct timeline_track){.thread = thread});
		if (!thread) {
			buf_reset(&g->raw);
			buf_str(&g->raw, "[unknown thread]");
		}
		put_word(g, j, NULL);
		jsonout_number(j, thread ? p->threads.v[thread].tid : 0);
		jsonout_close(j, ']');
	}
	jsonout_close(j, ']');
	jsonout_line(j);
	jsonout_key(j, "processes"); /* number here, name, pid */
	jsonout_open(j, '[');
	for (uint32_t i = 0; i < p->processes.n; i++) {
		size_t k = 0;

		while (k < g->threads.n && p->threads.v[g->threads.v[k]].process != i)
			k++;
		if (k == g->threads.n)
			continue;
		jsonout_open(j, '[');
		jsonout_number(j, i);
		track_names_process(&g->raw, p, i);
		put_word(g, j, NULL);
		jsonout_number(j, i ? p->processes.v[i].pid : 0);
		jsonout_close(j, ']');
	}
	jsonout_close(j, ']');
}

static int put_facts(struct page *g)
{
	const char *measure = !g->t->by_time ? "samples" : g->t->measure == FILTER_BY_CPU ? "cpu" : "wall";
	struct jsonout j;

	jsonout_init(&j, g->out);
	fputs("<script type=\"application/json\" id=\"facts\">", g->out);
	jsonout_open(&j, '{');
	jsonout_key_number(&j, "version", 1);
	put_captions(g, &j);
	jsonout_key_word(&j, "measure", measure);
	jsonout_key_word(&j, "nanoseconds", g->t->measure == FILTER_BY_CPU ? "cpu" : "wall");
	jsonout_key_number(&j, "shift", g->shift);
	jsonout_key_number(&j, "rows", (uint64_t)g->t->options.shape.processes + (uint64_t)g->t->options.shape.threads);
	jsonout_key_word(&j, "order", g->o->by_weight ? "weight" : "name");
	jsonout_key_word(&j, "view", g->o->invert ? "inverted" : "icicle");
	jsonout_key_number(&j, "width", g->b->width_ns);
	jsonout_key_number(&j, "buckets", g->b->count);
	jsonout_key_number(&j, "end", g->b->end_ns);
	jsonout_key_number(&j, "origin", g->o->origin_ns > 0 ? (uint64_t)g->o->origin_ns / 1000000 : 0);
	put_palette(&j);
	put_threads(g, &j);
	jsonout_close(&j, '}');
	fputs("</script>\n", g->out);
	return jsonout_done(&j);
}

/* A script counts in UTF-16. */
static size_t utf16_units(const unsigned char *s, size_t n)
{
	size_t units = 0;

	for (size_t i = 0; i < n; i++)
		units += (s[i] & 0xC0) == 0x80 ? 0 : s[i] >= 0xF0 ? 2 : 1;
	return units;
}

static void pack_strings(struct page *g)
{
	struct buf all;

	buf_init(&all, 0);
	packed_out_number(&g->packed, g->strings.n);
	for (size_t i = 0; i < g->strings.n; i++) {
		size_t n;
		const char *s = profile_text(g->n->profile, g->strings.v[i], &n);

		buf_reset(&g->raw);
		buf_put(&g->raw, s, n);
		make_safe(g);
		packed_out_number(&g->packed, utf16_units(g->safe.data, g->safe.len));
		buf_put(&all, g->safe.data, g->safe.len);
	}
	buf_reset(&g->raw);
	packed_out_number(&g->packed, all.len);
	packed_out_bytes(&g->packed, all.data, all.len);
	g->raw.err = all.err;
	buf_done(&all);
}

/* Column by column: equal things side by side pack well, and a script reads them in short loops. */
static int pack_frames(struct page *g)
{
	const struct page_nodes *p = g->p;
	uint32_t number;

	packed_out_number(&g->packed, p->functions.n);
	for (int column = 0; column < 3; column++) {
		for (size_t i = 0; i < p->functions.n; i++) {
			const struct page_function *f = &p->functions.v[i];

			number = f->line;
			if (column < 2)
				TRY(page_string(g, column ? f->file : f->name, &number));
			packed_out_number(&g->packed, number);
		}
	}
	packed_out_number(&g->packed, p->frames.n);
	for (int column = 0; column < 5; column++) {
		for (size_t i = 0; i < p->frames.n; i++) {
			const struct naming_frame *f = &g->n->frames.v[p->frames.v[i]];
			size_t len;
			const char *name = naming_name(g->n, p->frames.v[i], &len);

			number = column == 2   ? p->belongs.v[i]
			         : column == 3 ? f->line
			                       : f->origin << 8 | palette_shade(name, len);
			if (column < 2)
				TRY(page_string(g, column ? f->file : f->name, &number));
			packed_out_number(&g->packed, number);
		}
	}
	return 0;
}

static void pack_nodes(struct page *g)
{
	const struct page_nodes *p = g->p;
	uint32_t depth = 0;

	packed_out_number(&g->packed, p->list.n);
	for (size_t i = 0; i < p->list.n; i++) { /* how many levels up from one below the node before */
		packed_out_number(&g->packed, i ? depth + 1 - p->list.v[i].depth : 0);
		depth = p->list.v[i].depth;
	}
	for (size_t i = 1; i < p->list.n; i++) { /* a "more" has no frame, and how many it stands for instead */
		const struct page_node *k = &p->list.v[i];

		packed_out_number(&g->packed, k->n_more ? 0 : p->frame_of[g->t->nodes.v[k->node].frame] + 1);
	}
	for (size_t i = 1; i < p->list.n; i++)
		if (p->list.v[i].n_more)
			packed_out_number(&g->packed, p->list.v[i].n_more);
	for (size_t i = 0; i < p->list.n; i++)
		packed_out_number(&g->packed, p->list.v[i].self_n);
	for (size_t i = 0; i < p->list.n; i++)
		packed_out_number(&g->packed, p->list.v[i].self_ns >> g->shift);
}

static void pack_cells(struct page *g, size_t from, size_t until)
{
	const struct buckets_cell *c = g->b->cells.v;

	packed_out_number(&g->packed, until - from);
	for (size_t i = from; i < until; i++)
		packed_out_number(&g->packed, i == from ? c[i].node : c[i].node - c[i - 1].node);
	for (size_t i = from; i < until; i++)
		packed_out_number(&g->packed, g->thread_of[c[i].thread]);
	for (size_t i = from; i < until; i++)
		packed_out_number(&g->packed, c[i].bucket);
	for (size_t i = from; i < until; i++)
		packed_out_number(&g->packed, c[i].n);
	for (size_t i = from; i < until; i++)
		packed_out_number(&g->packed, c[i].ns >> g->shift);
}

static int put_data(struct page *g)
{
	size_t n = g->b->cells.n;

	fputs("<script type=\"text/plain\" id=\"profile\">", g->out);
	TRY(packed_out_begin(&g->packed, g->out));
	pack_strings(g);
	int rc = pack_frames(g);
	pack_nodes(g);
	packed_out_end(&g->packed);
	TRY(rc);
	fputs("</script>\n<script type=\"text/plain\" id=\"times\">", g->out);
	TRY(packed_out_begin(&g->packed, g->out));
	for (uint32_t meter = 0; meter <= PAGE_METERS; meter++) {
		size_t from = meter ? n : 0, until;

		for (until = from; until < g->b->cells.n && g->b->cells.v[until].node < PAGE_METER(meter);)
			until++;
		pack_cells(g, from, until);
		n = until;
	}
	packed_out_end(&g->packed);
	fputs("</script>\n", g->out);
	return 0;
}

static int put_all(struct page *g)
{
	struct page_asset style = PAGE_ASSET(page_css), script = PAGE_ASSET(page_js);

	TRY(page_strings(g));
	TRY(page_threads(g));
	if (g->o->title)
		buf_str(&g->raw, g->o->title);
	else
		caption_command(&g->raw, g->n->profile, g->s);
	make_safe(g);
	page_head(g->out, &style, &script, &g->safe);
	buf_reset(&g->raw);
	fwrite(asset_page_html, 1, asset_page_html_len, g->out);
	TRY(put_facts(g));
	TRY(put_data(g));
	page_tail(g->out, &script);
	return g->raw.err ? g->raw.err : g->safe.err;
}

int page_write(FILE *out, const struct tree *t, const struct naming *n, const struct summary *s, const struct filter *f,
               const struct page_nodes *p, const struct buckets *b, const struct page_options *o)
{
	struct page *g = calloc(1, sizeof *g);
	int rc;

	if (!g)
		return ERR_NO_MEMORY;
	*g = (struct page){.out = out, .t = t, .n = n, .s = s, .f = f, .p = p, .b = b, .o = o};
	while (t->nodes.v[0].total_ns >> g->shift >= UINT64_C(1) << 53)
		g->shift++;
	buf_init(&g->raw, 0);
	buf_init(&g->safe, 0);
	map_init(&g->numbers, 0);
	rc = put_all(g);
	buf_done(&g->raw);
	buf_done(&g->safe);
	map_done(&g->numbers);
	vec_free(&g->strings);
	vec_free(&g->threads);
	free(g->thread_of);
	free(g);
	return rc;
}
