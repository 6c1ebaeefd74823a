#include "pyspy-report/view/flame_svg.h"

#include <inttypes.h>
#include <string.h>

#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/utf8.h"
#include "pyspy-report/view/caption.h"
#include "pyspy-report/view/palette.h"

extern const unsigned char asset_flame_svg_js[], asset_flame_svg_css[];
extern const unsigned int asset_flame_svg_js_len, asset_flame_svg_css_len;

/* In units of the viewBox; flame_svg.js reads those it needs from the attributes. */
enum { WIDTH = 1200, MARGIN = 10, INNER = WIDTH - 2 * MARGIN, TOP = 124, ROW = 17, BOX = 16, FONT = 12, BOTTOM = 12 };
#define CHAR_WIDTH 7.25                           /* of a 12 unit monospace font, the widest that are in use */
enum { COLUMNS = 162, LINES_MAX = 6, LINE = 17 }; /* of a text of the header */
#define MIN_WIDTH 0.1                             /* a frame narrower than this goes into a box for more */

struct svg {
	FILE *out;
	const struct tree *t;
	const struct naming *n;
	const struct summary *s;
	struct flame_layout layout;
	uint64_t all;   /* weight of the root */
	unsigned shift; /* data-x and data-w are weights >> shift */
	struct buf raw, safe, xml;
	struct buf name; /* of the box at hand */
	struct svg_text {
		struct buf safe; /* made visible */
		size_t n_lines, ends[LINES_MAX];
		bool is_cut;
	} samples, losses; /* of the header */
	int extra;         /* what lines beyond the first of each push down */
};

/* Bytes of s that fit into `columns`; a cut leaves room for an ellipsis. */
static size_t fit(const char *s, size_t n, size_t columns, bool *is_cut)
{
	size_t used = 0, room = 0, i = 0;

	*is_cut = false;
	while (i < n) {
		uint32_t cp;
		size_t len = utf8_next(s + i, n - i, &cp);

		used += cp == 0xFFFFFFFF ? 1 : (size_t)utf8_width(cp);
		if (used > columns) {
			*is_cut = true;
			return room;
		}
		i += len;
		if (used + 1 <= columns)
			room = i;
	}
	return n;
}

/* `raw` made visible (control characters as \x1b ...) and cut to `columns`, as XML text. */
static void put(struct svg *g, struct buf *raw, size_t columns)
{
	bool is_cut;
	size_t n;

	buf_reset(&g->safe);
	buf_reset(&g->xml);
	escape_text(&g->safe, buf_cstr(raw), raw->len);
	n = fit(buf_cstr(&g->safe), g->safe.len, columns, &is_cut);
	escape_xml(&g->xml, buf_cstr(&g->safe), n);
	if (is_cut)
		buf_str(&g->xml, "\xE2\x80\xA6");
	fwrite(buf_cstr(&g->xml), 1, g->xml.len, g->out);
}

static void put_text(struct svg *g, size_t columns)
{
	put(g, &g->raw, columns);
}

/* Where the lines of the text end: at spaces, where there are any. */
static void wrap(struct svg_text *t)
{
	const char *s = buf_cstr(&t->safe);
	size_t at = 0;

	for (t->n_lines = 0; at < t->safe.len && t->n_lines < LINES_MAX; t->n_lines++) {
		size_t n = fit(s + at, t->safe.len - at, COLUMNS, &t->is_cut), k = n;

		while (t->is_cut && k > n / 2 && s[at + k - 1] != ' ')
			k--;
		at += t->is_cut && k > n / 2 && t->n_lines + 1 < LINES_MAX ? k : n;
		t->ends[t->n_lines] = at;
	}
}

static void take_text(struct svg *g, struct svg_text *t)
{
	buf_init(&t->safe, 0);
	escape_text(&t->safe, buf_cstr(&g->raw), g->raw.len);
	buf_reset(&g->raw);
	wrap(t);
	g->extra += t->n_lines > 1 ? (int)(t->n_lines - 1) * LINE : 0;
}

/* Everything that stands over the picture and may need several lines. */
static void make_header(struct svg *g, const struct filter *f)
{
	const struct profile *p = g->n->profile;
	char a[HUMAN_SIZE], b[HUMAN_SIZE];

	caption_samples(&g->raw, p, g->s, f);
	caption_frames(&g->raw, g->n, &g->t->options);
	take_text(g, &g->samples);
	buf_str(&g->raw, "lost: ");
	caption_losses(&g->raw, p, g->s);
	if (g->raw.len == 6)
		buf_str(&g->raw, "nothing");
	if (g->layout.n_hidden)
		buf_printf(&g->raw, "; %s of %s frames are too small to draw: hatched boxes stand for them",
		           human_count(a, g->layout.n_hidden), human_count(b, g->layout.n_frames));
	take_text(g, &g->losses);
}

static void put_lines(struct svg *g, const char *id, struct svg_text *t, int y)
{
	size_t at = 0;

	fprintf(g->out, "<text id=\"%s\" x=\"%d\" y=\"%d\">", id, MARGIN, y);
	for (size_t i = 0; i < t->n_lines; i++) {
		buf_reset(&g->xml);
		escape_xml(&g->xml, buf_cstr(&t->safe) + at, t->ends[i] - at);
		if (i)
			fprintf(g->out, "<tspan x=\"%d\" dy=\"%d\">", MARGIN, LINE);
		fwrite(buf_cstr(&g->xml), 1, g->xml.len, g->out);
		if (t->is_cut && i + 1 == t->n_lines)
			fputs("\xE2\x80\xA6", g->out);
		if (i)
			fputs("</tspan>", g->out);
		at = t->ends[i];
	}
	fputs("</text>\n", g->out);
}

static void put_header(struct svg *g, const struct flame_svg_options *o)
{
	if (o->title)
		buf_str(&g->raw, o->title);
	else
		caption_command(&g->raw, g->n->profile, g->s);
	fputs("<title>", g->out);
	put_text(g, 1000);
	fprintf(g->out, "</title>\n<text id=\"title\" x=\"%d\" y=\"24\">", MARGIN);
	put_text(g, COLUMNS);
	fputs("</text>\n", g->out);
	buf_reset(&g->raw);
	put_lines(g, "samples", &g->samples, 43);
	put_lines(g, "losses", &g->losses, 60 + (g->samples.n_lines > 1 ? (int)(g->samples.n_lines - 1) * LINE : 0));
}

static void put_legend(struct svg *g, const struct flame_svg_options *o)
{
	char color[PALETTE_SIZE];
	int x = MARGIN;

	fprintf(g->out, "<g id=\"legend\" transform=\"translate(0,%d)\">\n", g->extra);
	for (int i = 0; i < NAMING_ORIGINS; i++) {
		fprintf(g->out,
		        "<rect x=\"%d\" y=\"70\" width=\"10\" height=\"10\" fill=\"%s\"/><text x=\"%d\" "
		        "y=\"79\">%s</text>\n",
		        x, palette_color(color, (enum naming_origin)i, "", 0), x + 14,
		        palette_label((enum naming_origin)i));
		x += 30 + (int)(CHAR_WIDTH * (double)strlen(palette_label((enum naming_origin)i)));
	}
	fprintf(g->out, "<text x=\"%d\" y=\"79\">left to right: by %s, not by time%s</text>\n</g>\n", x,
	        o->by_weight ? "weight" : "name",
	        !g->t->by_time                   ? ""
	        : g->t->measure == FILTER_BY_CPU ? "; width: CPU time"
	                                         : "; width: time");
}

static void put_controls(struct svg *g)
{
	fprintf(g->out,
	        "<text id=\"unzoom\" class=\"button hide\" x=\"%d\" y=\"%d\" tabindex=\"0\" role=\"button\">Reset "
	        "zoom</text>\n"
	        "<text id=\"search\" class=\"button hide\" x=\"%d\" y=\"%d\" tabindex=\"0\" "
	        "role=\"button\">Search</text>\n"
	        "<text id=\"matched\" x=\"%d\" y=\"%d\" text-anchor=\"end\"/>\n"
	        "<text id=\"details\" x=\"%d\" y=\"%d\">Open this file in a browser to zoom and search.</text>\n",
	        MARGIN, 100 + g->extra, MARGIN + 120, 100 + g->extra, WIDTH - MARGIN, 100 + g->extra, MARGIN,
	        117 + g->extra);
}

static double to_x(const struct svg *g, uint64_t weight)
{
	return MARGIN + (double)INNER * (double)weight / (double)g->all;
}

/* A script's numbers are exact below 2^53. Ends are shifted and not widths, so that boxes stay within their parents. */
static unsigned exact_shift(uint64_t all)
{
	unsigned shift = 0;

	while (all >> shift >= UINT64_C(1) << 53)
		shift++;
	return shift;
}

static void put_numbers(struct svg *g, const struct flame_box *b)
{
	const struct tree_node *k = &g->t->nodes.v[b->node];
	uint64_t self = tree_self(g->t, b->node);
	bool by_time = g->t->by_time;
	char n[HUMAN_SIZE], p[HUMAN_SIZE], d[HUMAN_SIZE];

	buf_reset(&g->raw);
	buf_printf(&g->raw, "%s%s, %s", caption_amount(n, by_time, b->total), by_time ? "" : " samples",
	           human_percent(p, (double)b->total, (double)g->all));
	if (!b->n_more) {
		if (by_time)
			buf_printf(&g->raw, ", %s samples", human_count(d, k->total_n));
		else
			buf_printf(&g->raw, ", %s", human_duration(d, k->total_ns));
		buf_printf(&g->raw, "; self %s, %s", caption_amount(n, by_time, self),
		           human_percent(p, (double)self, (double)g->all));
	}
	fputc('\n', g->out);
	put_text(g, SIZE_MAX - 1); /* "<0.1 %" has its own '<' */
}

static void put_box(struct svg *g, const struct flame_box *b)
{
	double x = to_x(g, b->begin), w = to_x(g, b->begin + b->total) - x;
	uint64_t begin = b->begin >> g->shift;
	int y = TOP + g->extra + ROW * (int)b->depth;
	char color[PALETTE_SIZE] = "", count[HUMAN_SIZE], share[HUMAN_SIZE];

	buf_reset(&g->name);
	if (b->n_more) {
		buf_printf(&g->name, "+%s frame%s, %s", human_count(count, b->n_more), b->n_more == 1 ? "" : "s",
		           human_percent(share, (double)b->total, (double)g->all));
	} else if (b->node == 0) {
		buf_str(&g->name, "all");
		palette_color(color, NAMING_MADE, "", 0);
	} else {
		uint32_t frame = g->t->nodes.v[b->node].frame;
		size_t len;
		const char *name = naming_name(g->n, frame, &len);

		palette_color(color, g->n->frames.v[frame].origin, name, len);
		naming_text(g->n, frame, &g->name);
	}
	fprintf(g->out, "<g%s data-x=\"%" PRIu64 "\" data-w=\"%" PRIu64 "\"><title>",
	        b->n_more ? " class=\"more\"" : "", begin, ((b->begin + b->total) >> g->shift) - begin);
	put(g, &g->name, SIZE_MAX - 1);
	put_numbers(g, b);
	fprintf(
	    g->out,
	    "</title><rect x=\"%.2f\" y=\"%d\" width=\"%.2f\" height=\"%d\" fill=\"%s\"/><text x=\"%.2f\" y=\"%d\">", x,
	    y, w, BOX, b->n_more ? "url(#hatch)" : color, x + 3, y + BOX - 4);
	if (w >= 3 * CHAR_WIDTH + 6)
		put(g, &g->name, (size_t)((w - 6) / CHAR_WIDTH));
	fputs("</text></g>\n", g->out);
}

static void put_asset(struct svg *g, const char *before, const unsigned char *s, unsigned n, const char *after)
{
	fputs(before, g->out);
	fwrite(s, 1, n, g->out);
	fputs(after, g->out);
}

static void put_document(struct svg *g, const struct flame_svg_options *o)
{
	int64_t height = TOP + g->extra + ROW * ((int64_t)g->layout.max_depth + 1) + BOTTOM;

	fprintf(g->out,
	        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
	        "<svg xmlns=\"http://www.w3.org/2000/svg\" version=\"1.1\" width=\"100%%\" viewBox=\"0 0 %d %" PRId64
	        "\" "
	        "preserveAspectRatio=\"xMinYMin meet\" data-all=\"%" PRIu64 "\" data-left=\"%d\" data-inner=\"%d\" "
	        "data-top=\"%d\" data-row=\"%d\">\n",
	        WIDTH, height, g->all >> g->shift, MARGIN, INNER, TOP + g->extra, ROW);
	put_header(g, o);
	put_asset(g, "<style><![CDATA[\n", asset_flame_svg_css, asset_flame_svg_css_len, "]]></style>\n");
	fputs("<defs><pattern id=\"hatch\" width=\"6\" height=\"6\" patternUnits=\"userSpaceOnUse\" "
	      "patternTransform=\"rotate(45)\"><rect width=\"6\" height=\"6\" fill=\"#ddd\"/><rect width=\"2\" "
	      "height=\"6\" fill=\"#999\"/></pattern></defs>\n",
	      g->out);
	put_legend(g, o);
	put_controls(g);
	fputs("<g id=\"frames\">\n", g->out);
	if (!g->all)
		fprintf(g->out,
		        "<text x=\"%d\" y=\"%d\">No %s left: nothing was recorded, or the filters leave "
		        "nothing (-i shows idle samples).</text>\n",
		        MARGIN, TOP + g->extra + BOX, g->t->by_time ? "time is" : "samples are");
	for (size_t i = 0; i < g->layout.boxes.n && g->all; i++)
		put_box(g, &g->layout.boxes.v[i]);
	fputs("</g>\n", g->out);
	put_asset(g, "<script><![CDATA[\n", asset_flame_svg_js, asset_flame_svg_js_len, "]]></script>\n</svg>\n");
}

int flame_svg_write(FILE *out, const struct tree *t, const struct naming *n, const struct summary *s,
                    const struct filter *f, const struct flame_svg_options *o)
{
	struct flame_layout_options how = {
	    .max_frames = o->max_frames, .min_share = MIN_WIDTH / INNER, .by_weight = o->by_weight};
	struct svg g = {.out = out, .t = t, .n = n, .s = s, .all = tree_total(t, 0)};
	int rc = flame_layout_make(&g.layout, t, &how);

	g.shift = exact_shift(g.all);
	buf_init(&g.name, 0);
	buf_init(&g.raw, 0);
	buf_init(&g.safe, 0);
	buf_init(&g.xml, 0);
	if (!rc) {
		make_header(&g, f);
		put_document(&g, o);
		rc = g.name.err ? g.name.err : g.raw.err ? g.raw.err : g.safe.err ? g.safe.err : g.xml.err;
		rc = rc ? rc : g.samples.safe.err ? g.samples.safe.err : g.losses.safe.err;
		buf_done(&g.samples.safe);
		buf_done(&g.losses.safe);
	}
	buf_done(&g.name);
	buf_done(&g.raw);
	buf_done(&g.safe);
	buf_done(&g.xml);
	flame_layout_done(&g.layout);
	return rc;
}
