#include "pyspy-report/query/tree.h"

#include <string.h>

#include "libcommon/err.h"

struct tree_at {
	struct tree *t;
	struct naming *n;
	struct map children; /* (parent node, frame) -> node */
	struct map known;    /* (first node of the rows above, stack) -> node */
	VEC(uint32_t) path;
};

bool tree_wants_processes(const struct profile *p)
{
	uint32_t first = 0;
	bool has_first = false;

	for (size_t i = 0; i < p->tally.rows.n; i++) {
		uint32_t process = p->threads.v[p->tally.rows.v[i].thread].process;

		if (has_first && process != first)
			return true;
		first = process;
		has_first = true;
	}
	return false;
}

static int tree_child(struct tree_at *a, uint32_t parent, uint32_t frame, uint32_t *node)
{
	struct tree *t = a->t;
	bool is_new;
	uint32_t *slot = map_put(&a->children, parent, frame, &is_new);

	if (!slot)
		return ERR_NO_MEMORY;
	if (is_new) {
		uint32_t depth = t->nodes.v[parent].depth + 1;

		if (t->nodes.n >= UINT32_MAX - 1)
			return ERR_FULL;
		if (!vec_push(
		        &t->nodes,
		        ((struct tree_node){
		            .parent = parent, .frame = frame, .sibling = t->nodes.v[parent].child, .depth = depth})))
			return ERR_NO_MEMORY;
		*slot = (uint32_t)t->nodes.n - 1;
		t->nodes.v[parent].child = *slot;
		if (depth > t->max_depth)
			t->max_depth = depth;
	}
	*node = *slot;
	return 0;
}

static int tree_rows(struct tree_at *a, const struct tree_options *o, const struct tally_row *r, uint32_t *node)
{
	uint32_t frame;

	*node = 0;
	if (o->processes) {
		TRY(naming_process(a->n, a->n->profile->threads.v[r->thread].process, &frame));
		TRY(tree_child(a, *node, frame, node));
	}
	if (o->threads) {
		TRY(naming_thread(a->n, r->thread, &frame));
		TRY(tree_child(a, *node, frame, node));
	}
	if (r->flags & WIRE_FLAG_CUT) {
		TRY(naming_cut(a->n, &frame));
		TRY(tree_child(a, *node, frame, node));
	}
	return 0;
}

/* The node of `stack` below `top`. Names depend on the process (short file names), so `known` is asked per process. */
static int tree_stack(struct tree_at *a, uint32_t top, uint32_t process, uint32_t stack, uint32_t *node)
{
	const struct profile *p = a->n->profile;
	uint64_t below = (uint64_t)process << 32 | top;
	uint32_t *known, frame;
	bool is_new;

	a->path.n = 0;
	for (*node = top; stack; stack = p->stacks.v[stack].parent) {
		known = map_get(&a->known, below, stack);
		if (known) {
			*node = *known;
			break;
		}
		if (!vec_push(&a->path, stack))
			return ERR_NO_MEMORY;
	}
	while (a->path.n) {
		stack = a->path.v[--a->path.n];
		TRY(naming_location(a->n, process, p->stacks.v[stack].location, &frame));
		TRY(tree_child(a, *node, frame, node));
		known = map_put(&a->known, below, stack, &is_new);
		if (!known)
			return ERR_NO_MEMORY;
		*known = *node;
	}
	return 0;
}

static int tree_fill(struct tree_at *a, const struct filter *f, const struct tree_options *o)
{
	const struct profile *p = a->n->profile;

	for (size_t i = 0; i < p->tally.rows.n; i++) {
		const struct tally_row *r = &p->tally.rows.v[i];
		uint32_t node;

		if (o->keep_rows && !vec_push(&a->t->row_nodes, TREE_NONE))
			return ERR_NO_MEMORY;
		if (!r->n || !filter_keeps(f, r->flags))
			continue;
		TRY(tree_rows(a, o, r, &node));
		TRY(tree_stack(a, node, p->threads.v[r->thread].process, r->stack, &node));
		a->t->nodes.v[node].self_n += r->n;
		a->t->nodes.v[node].self_ns += r->wall_ns;
		if (o->keep_rows)
			a->t->row_nodes.v[i] = node;
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

int tree_build(struct tree *t, struct naming *n, const struct filter *f, const struct tree_options *o)
{
	struct tree_at a = {.t = t, .n = n};
	int rc;

	memset(t, 0, sizeof *t);
	t->by_time = profile_by_time(n->profile);
	map_init(&a.children, 0);
	map_init(&a.known, 0);
	rc = vec_push(&t->nodes, ((struct tree_node){.parent = TREE_NONE, .frame = TREE_NONE})) ? 0 : ERR_NO_MEMORY;
	if (!rc)
		rc = tree_fill(&a, f, o);
	if (!rc) {
		tree_sum(t);
		rc = tree_sort(&a);
	}
	map_done(&a.children);
	map_done(&a.known);
	vec_free(&a.path);
	return rc;
}

void tree_done(struct tree *t)
{
	vec_free(&t->nodes);
	vec_free(&t->row_nodes);
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
