#include "pyspy-report/query/around.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/map.h"

enum { AROUND_MOST = 16 << 20 }; /* nodes: beyond, ERR_FULL */

/* A tree that grows; sums and order are made at its end. */
struct around_grow {
	struct tree *t;
	struct map children; /* (parent node, frame) -> node */
};

static int around_child(struct around_grow *g, uint32_t parent, uint32_t frame, uint32_t *node)
{
	struct tree *t = g->t;
	bool is_new;
	uint32_t *slot = map_put(&g->children, parent, frame, &is_new);

	if (!slot)
		return ERR_NO_MEMORY;
	if (is_new) {
		struct tree_node k = {.parent = parent,
		                      .frame = frame,
		                      .sibling = t->nodes.v[parent].child,
		                      .depth = t->nodes.v[parent].depth + 1};

		if (t->nodes.n >= AROUND_MOST)
			return ERR_FULL;
		if (!vec_push(&t->nodes, k))
			return ERR_NO_MEMORY;
		*slot = (uint32_t)t->nodes.n - 1;
		t->nodes.v[parent].child = *slot;
		t->max_depth = k.depth > t->max_depth ? k.depth : t->max_depth;
	}
	*node = *slot;
	return 0;
}

static int around_begin(struct around_grow *g, struct tree *t, const struct tree *from)
{
	g->t = t;
	map_init(&g->children, 0);
	t->by_time = from->by_time;
	t->measure = from->measure;
	return vec_push(&t->nodes, ((struct tree_node){.parent = TREE_NONE, .frame = TREE_NONE})) ? 0 : ERR_NO_MEMORY;
}

static void around_sum(struct tree *t)
{
	for (size_t i = t->nodes.n; i-- > 0;) {
		struct tree_node *k = &t->nodes.v[i];

		k->total_n += k->self_n;
		k->total_ns += k->self_ns;
		if (i) {
			t->nodes.v[k->parent].total_n += k->total_n;
			t->nodes.v[k->parent].total_ns += k->total_ns;
		}
	}
}

/* The chain of `node` and its callers, the other way round, weighs what `node` weighs in total. */
static int around_chain(struct around_grow *g, const struct tree *t, uint32_t node, const struct around_options *o)
{
	const struct tree_node *k = &t->nodes.v[node];
	uint32_t at = 0;

	for (uint32_t i = node; i; i = t->nodes.v[i].parent) {
		if (o->depth && g->t->nodes.v[at].depth >= o->depth)
			break;
		TRY(around_child(g, at, t->nodes.v[i].frame, &at));
	}
	g->t->nodes.v[at].self_n += k->total_n;
	g->t->nodes.v[at].self_ns += k->total_ns;
	return 0;
}

static int around_fill(struct around *a, struct around_grow *callers, struct around_grow *callees, const struct tree *t,
                       const struct around_options *o, uint32_t *at)
{
	/* `at`: the node of `callees` for each of t, 0 = no match so far. Parents stand before their children. */
	for (uint32_t i = 1; i < t->nodes.n; i++) {
		const struct tree_node *k = &t->nodes.v[i];
		uint32_t above = at[k->parent];

		if (!above && !o->matches[k->frame])
			continue;
		TRY(around_child(callees, above, k->frame, &at[i]));
		a->callees.nodes.v[at[i]].self_n += k->self_n;
		a->callees.nodes.v[at[i]].self_ns += k->self_ns;
		if (!above)
			TRY(around_chain(callers, t, i, o));
	}
	return 0;
}

int around_build(struct around *a, const struct tree *t, const struct naming *n, const struct around_options *o)
{
	struct around_grow callers, callees;
	uint32_t *at = calloc(t->nodes.n, sizeof *at);
	int rc, more;

	memset(a, 0, sizeof *a);
	rc = around_begin(&callers, &a->callers, t);
	more = around_begin(&callees, &a->callees, t);
	if (!at || more)
		rc = ERR_NO_MEMORY;
	if (!rc)
		rc = around_fill(a, &callers, &callees, t, o, at);
	free(at);
	map_done(&callers.children);
	map_done(&callees.children);
	TRY(rc);
	around_sum(&a->callers);
	around_sum(&a->callees);
	for (uint32_t i = a->callees.nodes.v[0].child; i; i = a->callees.nodes.v[i].sibling)
		a->n_frames++;
	return 0;
}

void around_done(struct around *a)
{
	tree_done(&a->callers);
	tree_done(&a->callees);
}
