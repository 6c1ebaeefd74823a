#include "pyspy-report/view/call_tree.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "pyspy-report/view/frame_text.h"

enum { INDENT_MAX = 40 }; /* levels; deeper ones say how deep they are */

const struct sheet_column call_tree_columns[CALL_TREE_COLUMNS] = {
    {"part", NULL},
    {"id", NULL},
    {"parent", NULL},
    {"depth", NULL},
    {"function", NULL},
    {"file", NULL},
    {"line", NULL},
    {"self_percent", "percent of what is kept"},
    {"total_percent", "percent of what is kept"},
    {"self_samples", "samples"},
    {"total_samples", "samples"},
    {"self_ns", "ns"},
    {"total_ns", "ns"},
    {"left_out", "callees without a row of their own"},
};

/* What waits for its line: a node, or what its siblings without a line are together. */
struct call_tree_wait {
	uint32_t node; /* of a rest: the parent */
	uint64_t n_rest, rest;
};

/* The next one stands last. */
struct walk {
	const struct tree *t;
	const struct naming *n;
	const struct call_tree_options *o;
	VEC(struct call_tree_wait) wait;
};

static int by_weight(const void *a, const void *b, void *ctx)
{
	const struct walk *w = ctx;
	uint32_t x = ((const struct call_tree_wait *)a)->node, y = ((const struct call_tree_wait *)b)->node;
	uint64_t m = tree_total(w->t, x), n = tree_total(w->t, y);

	if (m != n)
		return m < n ? -1 : 1; /* the next one stands last */
	return naming_compare(w->n, w->t->nodes.v[y].frame, w->t->nodes.v[x].frame);
}

static bool has_line(const struct walk *w, uint32_t node)
{
	const struct tree_node *k = &w->t->nodes.v[node];

	if (w->o->depth && k->depth > w->o->depth)
		return false;
	return !(w->o->min_percent > 0) ||
	       100.0 * (double)tree_total(w->t, node) >= w->o->min_percent * (double)w->o->all;
}

/* The children of `node` that have a line wait from here on, and what the others are, which *n_rest counts. */
static int walk_down(struct walk *w, uint32_t node, uint64_t *n_rest)
{
	struct call_tree_wait rest = {.node = node};
	size_t from;

	for (uint32_t c = w->t->nodes.v[node].child; c; c = w->t->nodes.v[c].sibling) {
		if (has_line(w, c))
			continue;
		rest.n_rest++;
		rest.rest += tree_total(w->t, c);
	}
	*n_rest = rest.n_rest;
	if (rest.n_rest && !vec_push(&w->wait, rest))
		return ERR_NO_MEMORY;
	from = w->wait.n;
	for (uint32_t c = w->t->nodes.v[node].child; c; c = w->t->nodes.v[c].sibling)
		if (has_line(w, c) && !vec_push(&w->wait, ((struct call_tree_wait){.node = c})))
			return ERR_NO_MEMORY;
	if (w->wait.n - from > 1)
		qsort_r(w->wait.v + from, w->wait.n - from, sizeof *w->wait.v, by_weight, w);
	return 0;
}

static double percent(uint64_t part, uint64_t whole)
{
	return whole ? 100.0 * (double)part / (double)whole : 0;
}

static void put_indent(FILE *out, uint32_t depth)
{
	uint32_t levels = depth - 1;

	if (levels <= INDENT_MAX)
		fprintf(out, "%*s", (int)(2 * levels), "");
	else
		fprintf(out, "%*s(%u deep) ", 2 * INDENT_MAX, "", depth);
}

static void put_node(FILE *out, const struct walk *w, uint32_t node, const char *text, size_t len)
{
	const struct tree_node *k = &w->t->nodes.v[node];
	char time[HUMAN_SIZE], count[HUMAN_SIZE];

	fprintf(out, "%7.2f ", percent(tree_total(w->t, node), w->o->all));
	if (!w->o->is_callers)
		fprintf(out, "%7.2f ", percent(tree_self(w->t, node), w->o->all));
	fprintf(out, "%10s %10s  ", human_count(count, k->total_n), human_duration(time, k->total_ns));
	put_indent(out, k->depth);
	fwrite(text, 1, len, out);
	fputc('\n', out);
}

static void put_rest(FILE *out, const struct walk *w, const struct call_tree_wait *r)
{
	const char *what = r->node == 0 ? "stack" : w->o->is_callers ? "caller" : "callee";
	char count[HUMAN_SIZE];

	fprintf(out, "%7.2f %*s", percent(r->rest, w->o->all), w->o->is_callers ? 23 : 31, "");
	put_indent(out, w->t->nodes.v[r->node].depth + 1);
	fprintf(out, "... %s more %s%s\n", human_count(count, r->n_rest), what, r->n_rest == 1 ? "" : "s");
}

int call_tree_write(FILE *out, const struct tree *t, const struct naming *n, const struct call_tree_options *o)
{
	struct walk w = {.t = t, .n = n, .o = o};
	struct frame_text texts;
	uint64_t n_rest;
	int rc;

	if (t->nodes.n > 1)
		fprintf(out, "%7s %s%10s %5s %-4s  %s\n", "total %", o->is_callers ? "" : " self % ",
		        t->by_time ? "total n" : "total", "total", t->measure == FILTER_BY_CPU ? "CPU" : "time",
		        "function (file:line)");
	frame_text_init(&texts, n, escape_text);
	rc = walk_down(&w, 0, &n_rest);
	while (w.wait.n && !rc && !ferror(out)) {
		struct call_tree_wait k = w.wait.v[--w.wait.n];
		size_t len;

		if (k.n_rest) {
			put_rest(out, &w, &k);
			continue;
		}
		const char *text = frame_text_get(&texts, t->nodes.v[k.node].frame, &len);
		put_node(out, &w, k.node, text, len);
		rc = texts.all.err ? texts.all.err : walk_down(&w, k.node, &n_rest);
	}
	frame_text_done(&texts);
	vec_free(&w.wait);
	return rc;
}

static void cell_string(struct sheet *s, const struct profile *p, uint32_t string)
{
	size_t len;
	const char *text = profile_text(p, string, &len);

	sheet_text(s, text, len);
}

static int row(struct sheet *s, const char *part, const struct walk *w, uint32_t node, uint64_t n_rest)
{
	const struct tree_node *k = &w->t->nodes.v[node];
	const struct naming_frame *f = &w->n->frames.v[k->frame];
	bool has_self = !w->o->is_callers;

	sheet_text(s, part, strlen(part));
	sheet_number(s, node);
	sheet_number_or_none(s, k->parent);
	sheet_number(s, k->depth);
	cell_string(s, w->n->profile, f->name);
	cell_string(s, w->n->profile, f->file);
	sheet_number_or_none(s, f->line);
	sheet_percent(s, tree_self(w->t, node), has_self ? w->o->all : 0);
	sheet_percent(s, tree_total(w->t, node), w->o->all);
	if (has_self)
		sheet_number(s, k->self_n);
	else
		sheet_none(s);
	sheet_number(s, k->total_n);
	if (has_self)
		sheet_number(s, k->self_ns);
	else
		sheet_none(s);
	sheet_number(s, k->total_ns);
	sheet_number(s, n_rest);
	return sheet_row(s);
}

int call_tree_rows(struct sheet *s, const char *part, const struct tree *t, const struct naming *n,
                   const struct call_tree_options *o)
{
	struct walk w = {.t = t, .n = n, .o = o};
	uint64_t n_rest;
	int rc = walk_down(&w, 0, &n_rest);

	while (w.wait.n && !rc) {
		struct call_tree_wait k = w.wait.v[--w.wait.n];

		if (k.n_rest)
			continue;
		rc = walk_down(&w, k.node, &n_rest);
		if (!rc)
			rc = row(s, part, &w, k.node, n_rest);
	}
	vec_free(&w.wait);
	return rc;
}
