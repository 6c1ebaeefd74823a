#include "pyspy-report/query/tree.h"

#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/query/invert.h"

struct tree_at {
	struct tree *t;
	struct naming *n;
	const struct filter *f;
	struct shape *shape;
	VEC(struct tree_weight) weights; /* by node of the shape */
	VEC(uint32_t) path;
};

int tree_heavier(const void *a, const void *b, void *ctx)
{
	const struct tree *t = ctx;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	uint64_t x = tree_total(t, i), y = tree_total(t, j);

	if (x != y)
		return x > y ? -1 : 1;
	/* callers before what they call, so that what is kept hangs together */
	if (t->nodes.v[i].depth != t->nodes.v[j].depth)
		return t->nodes.v[i].depth < t->nodes.v[j].depth ? -1 : 1;
	return (i > j) - (i < j);
}

bool tree_wants_processes(const struct profile *p, const struct filter *f)
{
	uint32_t first = 0;
	bool has_first = false;

	for (size_t i = 0; i < p->tally.rows.n; i++) {
		const struct tally_row *r = &p->tally.rows.v[i];
		uint32_t process = p->threads.v[r->thread].process;

		if (!filter_keeps(f, r->thread, r->stack, r->flags))
			continue;
		if (has_first && process != first)
			return true;
		first = process;
		has_first = true;
	}
	return false;
}

static int tree_fill(struct tree_at *a)
{
	const struct profile *p = a->n->profile;

	for (size_t i = 0; i < p->tally.rows.n; i++) {
		const struct tally_row *r = &p->tally.rows.v[i];
		uint32_t node;

		if (!r->n && !filter_row_ns(a->f, r))
			continue;
		TRY(shape_path(a->shape, r->thread, r->stack, r->flags, &node));
		if (node == SHAPE_DROPPED)
			continue;
		if (!vec_room(&a->weights, node + 1 - a->weights.n))
			return ERR_NO_MEMORY;
		while (a->weights.n <= node)
			a->weights.v[a->weights.n++] = (struct tree_weight){0};
		a->weights.v[node].n += r->n;
		a->weights.v[node].ns += filter_row_ns(a->f, r);
	}
	return 0;
}

int tree_add(struct tree *t, uint32_t parent, uint32_t frame, uint32_t *node)
{
	uint32_t depth = parent == TREE_NONE ? 0 : t->nodes.v[parent].depth + 1;

	if (t->nodes.n >= TREE_NONE - 1)
		return ERR_FULL;
	if (!vec_push(&t->nodes, ((struct tree_node){.parent = parent, .frame = frame, .depth = depth})))
		return ERR_NO_MEMORY;
	*node = (uint32_t)t->nodes.n - 1;
	if (depth > t->max_depth)
		t->max_depth = depth;
	if (parent != TREE_NONE) {
		t->nodes.v[*node].sibling = t->nodes.v[parent].child;
		t->nodes.v[parent].child = *node;
	}
	return 0;
}

/* The tree is that of the shape. */
static int tree_grow(struct tree_at *a)
{
	uint32_t node;

	for (size_t i = 1; i < a->shape->nodes.n; i++) {
		TRY(tree_add(a->t, a->shape->nodes.v[i].parent, a->shape->nodes.v[i].frame, &node));
		if (i < a->weights.n) {
			a->t->nodes.v[node].self_n = a->weights.v[i].n;
			a->t->nodes.v[node].self_ns = a->weights.v[i].ns;
		}
	}
	return 0;
}

static void tree_sum(struct tree *t)
{
	for (size_t i = t->nodes.n; i-- > 0;) {
		struct tree_node *n = &t->nodes.v[i];

		n->total_n += n->self_n;
		n->total_ns += n->self_ns;
		if (i) {
			t->nodes.v[n->parent].total_n += n->total_n;
			t->nodes.v[n->parent].total_ns += n->total_ns;
		}
	}
}

struct tree_order {
	const struct tree *t;
	const struct naming *n;
};

static int tree_compare(const void *a, const void *b, void *ctx)
{
	const struct tree_order *o = ctx;

	return naming_compare(o->n, o->t->nodes.v[*(const uint32_t *)a].frame,
	                      o->t->nodes.v[*(const uint32_t *)b].frame);
}

static int tree_sort(struct tree_at *a)
{
	struct tree *t = a->t;
	struct tree_order order = {t, a->n};

	for (size_t i = 0; i < t->nodes.n; i++) {
		a->path.n = 0;
		for (uint32_t c = t->nodes.v[i].child; c; c = t->nodes.v[c].sibling)
			if (!vec_push(&a->path, c))
				return ERR_NO_MEMORY;
		if (a->path.n < 2)
			continue;
		qsort_r(a->path.v, a->path.n, sizeof *a->path.v, tree_compare, &order);
		t->nodes.v[i].child = a->path.v[0];
		for (size_t k = 0; k < a->path.n; k++)
			t->nodes.v[a->path.v[k]].sibling = k + 1 < a->path.n ? a->path.v[k + 1] : 0;
	}
	return 0;
}

static int tree_begin(struct tree_at *a)
{
	struct tree *t = a->t;
	uint32_t root;

	t->by_time = filter_by_time(a->f, a->n->profile);
	t->measure = a->f->measure;
	TRY(tree_add(t, TREE_NONE, TREE_NONE, &root));
	return tree_fill(a);
}

static int tree_end(struct tree_at *a, int rc)
{
	if (!rc) {
		tree_sum(a->t);
		rc = tree_sort(a);
	}
	vec_free(&a->weights);
	vec_free(&a->path);
	return rc;
}

int tree_build(struct tree *t, struct naming *n, const struct filter *f, const struct tree_options *o)
{
	struct shape shape;
	struct tree_at a = {.t = t, .n = n, .f = f, .shape = &shape};
	int rc;

	memset(t, 0, sizeof *t);
	t->options = *o;
	rc = shape_init(&shape, n, f, &o->shape);
	if (!rc)
		rc = tree_begin(&a);
	shape_forget(&shape); /* what is not needed from here on is much, where there are many stacks */
	if (!rc)
		rc = o->invert ? invert_paths(t, n, &shape, a.weights.v, a.weights.n, INVERT_MOST) : tree_grow(&a);
	shape_done(&shape);
	return tree_end(&a, rc);
}

int tree_build_shape(struct tree *t, struct shape *s)
{
	struct tree_at a = {.t = t, .n = s->naming, .f = s->filter, .shape = s};
	int rc;

	memset(t, 0, sizeof *t);
	t->options.shape = s->options;
	rc = tree_begin(&a);
	return tree_end(&a, rc ? rc : tree_grow(&a));
}

void tree_done(struct tree *t)
{
	vec_free(&t->nodes);
}

uint32_t tree_skip(const struct tree *t, uint32_t node)
{
	while (node && !t->nodes.v[node].sibling)
		node = t->nodes.v[node].parent;
	return node ? t->nodes.v[node].sibling : 0;
}

uint32_t tree_next(const struct tree *t, uint32_t node)
{
	return t->nodes.v[node].child ? t->nodes.v[node].child : tree_skip(t, node);
}
