#include "pyspy-report/query/invert.h"

#include "libcommon/err.h"

/* A path that is being walked from its innermost frame out. */
struct invert_item {
	uint32_t at;   /* node of the shape that comes next */
	uint32_t path; /* where it began */
};

/* Paths that are the same so far: items begin .. end-1. */
struct invert_group {
	uint32_t node; /* of the tree */
	uint32_t begin, end;
	uint64_t weight;
};

struct invert {
	struct tree *t;
	struct naming *n;
	const struct shape *s;
	const struct tree_weight *weights;
	uint32_t rows;
	uint32_t *row_of; /* by node of the shape: node of the tree that stands for the rows above it */
	VEC(struct invert_item) items;
	VEC(struct invert_group) heap; /* the heaviest first */
};

static bool invert_is_over(const struct invert *v, const struct invert_item *i)
{
	return v->s->nodes.v[i->at].depth <= v->rows;
}

static bool invert_before(const struct invert_group *a, const struct invert_group *b)
{
	return a->weight != b->weight ? a->weight > b->weight : a->node < b->node;
}

static int invert_push(struct invert *v, struct invert_group g)
{
	size_t i = v->heap.n;

	for (uint32_t k = g.begin; k < g.end; k++) {
		const struct tree_weight *w = &v->weights[v->items.v[k].path];
		g.weight += v->t->by_time ? w->ns : w->n;
	}
	if (!vec_push(&v->heap, g))
		return ERR_NO_MEMORY;
	for (; i && invert_before(&g, &v->heap.v[(i - 1) / 2]); i = (i - 1) / 2)
		v->heap.v[i] = v->heap.v[(i - 1) / 2];
	v->heap.v[i] = g;
	return 0;
}

static struct invert_group invert_pop(struct invert *v)
{
	struct invert_group first = v->heap.v[0], last = v->heap.v[--v->heap.n];
	size_t i = 0, child;

	while ((child = 2 * i + 1) < v->heap.n) {
		if (child + 1 < v->heap.n && invert_before(&v->heap.v[child + 1], &v->heap.v[child]))
			child++;
		if (!invert_before(&v->heap.v[child], &last))
			break;
		v->heap.v[i] = v->heap.v[child];
		i = child;
	}
	if (v->heap.n)
		v->heap.v[i] = last;
	return first;
}

/* Those that are over first, then by frame. */
static int invert_by_frame(const void *a, const void *b, void *ctx)
{
	const struct invert *v = ctx;
	const struct invert_item *x = a, *y = b;
	bool over[2] = {invert_is_over(v, x), invert_is_over(v, y)};
	uint32_t f = v->s->nodes.v[x->at].frame, g = v->s->nodes.v[y->at].frame;

	if (over[0] != over[1])
		return over[0] ? -1 : 1;
	if (!over[0] && f != g)
		return f < g ? -1 : 1;
	return (x->path > y->path) - (x->path < y->path);
}

static int invert_by_row(const void *a, const void *b, void *ctx)
{
	const struct invert *v = ctx;
	const struct invert_item *x = a, *y = b;
	uint32_t r = v->row_of[x->path], s = v->row_of[y->path];

	if (r != s)
		return r < s ? -1 : 1;
	return (x->path > y->path) - (x->path < y->path);
}

static void invert_credit(struct invert *v, uint32_t node, uint32_t path)
{
	v->t->nodes.v[node].self_n += v->weights[path].n;
	v->t->nodes.v[node].self_ns += v->weights[path].ns;
}

static int invert_unfold(struct invert *v, struct invert_group g)
{
	if (g.end - g.begin > 1)
		qsort_r(v->items.v + g.begin, g.end - g.begin, sizeof *v->items.v, invert_by_frame, v);
	for (; g.begin < g.end && invert_is_over(v, &v->items.v[g.begin]); g.begin++)
		invert_credit(v, g.node, v->items.v[g.begin].path);
	while (g.begin < g.end) {
		struct invert_group child = {.begin = g.begin, .end = g.begin};
		uint32_t frame = v->s->nodes.v[v->items.v[g.begin].at].frame;

		for (; child.end < g.end && v->s->nodes.v[v->items.v[child.end].at].frame == frame; child.end++)
			v->items.v[child.end].at = v->s->nodes.v[v->items.v[child.end].at].parent;
		TRY(tree_add(v->t, g.node, frame, &child.node));
		TRY(invert_push(v, child));
		g.begin = child.end;
	}
	return 0;
}

static int invert_leave_out(struct invert *v, const struct invert_group *g)
{
	uint32_t node = 0, frame;

	for (uint32_t i = g->begin; i < g->end; i++) {
		if (invert_is_over(v, &v->items.v[i])) {
			invert_credit(v, g->node, v->items.v[i].path);
			continue;
		}
		if (!node) {
			TRY(naming_made(v->n, "[callers left out]", &frame));
			TRY(tree_add(v->t, g->node, frame, &node));
		}
		invert_credit(v, node, v->items.v[i].path);
	}
	return 0;
}

static int invert_rows(struct invert *v)
{
	const struct shape_node *nodes = v->s->nodes.v;

	for (uint32_t i = 1; i < v->s->nodes.n; i++) {
		v->row_of[i] = v->row_of[nodes[i].parent];
		if (nodes[i].depth <= v->rows)
			TRY(tree_add(v->t, v->row_of[i], nodes[i].frame, &v->row_of[i]));
	}
	return 0;
}

static int invert_begin(struct invert *v, size_t n_weights)
{
	for (uint32_t i = 1; i < n_weights; i++)
		if ((v->weights[i].n || v->weights[i].ns) && !vec_push(&v->items, ((struct invert_item){i, i})))
			return ERR_NO_MEMORY;
	if (v->items.n)
		qsort_r(v->items.v, v->items.n, sizeof *v->items.v, invert_by_row, v);
	for (uint32_t i = 0, end; i < v->items.n; i = end) {
		uint32_t row = v->row_of[v->items.v[i].path];

		for (end = i; end < v->items.n && v->row_of[v->items.v[end].path] == row;)
			end++;
		TRY(invert_push(v, (struct invert_group){.node = row, .begin = i, .end = end}));
	}
	return 0;
}

int invert_paths(struct tree *t, struct naming *n, const struct shape *s, const struct tree_weight *weights,
                 size_t n_weights, size_t most)
{
	struct invert v = {.t = t, .n = n, .s = s, .weights = weights, .rows = shape_rows(s)};
	int rc = ERR_NO_MEMORY;

	v.row_of = calloc(s->nodes.n, sizeof *v.row_of);
	if (v.row_of)
		rc = invert_rows(&v);
	if (!rc)
		rc = invert_begin(&v, n_weights);
	while (!rc && v.heap.n && t->nodes.n < most)
		rc = invert_unfold(&v, invert_pop(&v));
	for (size_t i = 0; i < v.heap.n && !rc; i++)
		rc = invert_leave_out(&v, &v.heap.v[i]);
	free(v.row_of);
	vec_free(&v.items);
	vec_free(&v.heap);
	return rc;
}
