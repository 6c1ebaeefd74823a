#include "pyspy-report/view/flame_layout.h"

#include <string.h>

#include "libcommon/err.h"

struct layout {
	struct flame_layout *out;
	const struct tree *t;
	const struct flame_layout_options *o;
	uint64_t least;       /* weight that a frame needs */
	bool *keep;           /* by node */
	uint64_t *n_below;    /* by node: nodes of its subtree, itself included */
	VEC(uint32_t) sorted; /* children of the node at hand */
	VEC(struct flame_box) todo;
};

/* The heaviest nodes, at most max_frames of them; a node's parent is never lighter. */
static int layout_choose(struct layout *a)
{
	const struct tree *t = a->t;

	for (uint32_t i = 0; i < t->nodes.n; i++)
		if (tree_total(t, i) >= a->least && !vec_push(&a->sorted, i))
			return ERR_NO_MEMORY;
	if (a->sorted.n > a->o->max_frames) {
		qsort_r(a->sorted.v, a->sorted.n, sizeof *a->sorted.v, tree_heavier, (void *)t);
		a->sorted.n = a->o->max_frames;
	}
	for (size_t i = 0; i < a->sorted.n; i++)
		a->keep[a->sorted.v[i]] = true;
	a->keep[0] = true;
	return 0;
}

static int layout_children(struct layout *a, const struct flame_box *parent)
{
	const struct tree *t = a->t;
	uint64_t begin = parent->begin, hidden = 0, n_hidden = 0;
	size_t first = a->todo.n;

	a->sorted.n = 0;
	for (uint32_t c = t->nodes.v[parent->node].child; c; c = t->nodes.v[c].sibling)
		if (!vec_push(&a->sorted, c))
			return ERR_NO_MEMORY;
	if (a->o->by_weight && a->sorted.n > 1)
		qsort_r(a->sorted.v, a->sorted.n, sizeof *a->sorted.v, tree_heavier, (void *)t);
	for (size_t i = 0; i < a->sorted.n; i++) {
		uint32_t c = a->sorted.v[i];
		uint64_t total = tree_total(t, c);

		if (!a->keep[c]) {
			hidden += total;
			n_hidden += a->n_below[c];
			continue;
		}
		if (!vec_push(&a->todo, ((struct flame_box){c, parent->depth + 1, begin, total, 0})))
			return ERR_NO_MEMORY;
		begin += total;
	}
	a->out->n_hidden += n_hidden;
	if (n_hidden && hidden && /* however thin: who zooms in sees it */
	    !vec_push(&a->todo, ((struct flame_box){parent->node, parent->depth + 1, begin, hidden, n_hidden})))
		return ERR_NO_MEMORY;
	/* a stack is emptied from its end: leftmost last */
	for (size_t i = first, j = a->todo.n; i + 1 < j; i++) {
		struct flame_box swap = a->todo.v[i];
		a->todo.v[i] = a->todo.v[--j];
		a->todo.v[j] = swap;
	}
	return 0;
}

static int layout_boxes(struct layout *a)
{
	struct flame_box root = {.total = tree_total(a->t, 0)};

	if (!vec_push(&a->todo, root))
		return ERR_NO_MEMORY;
	while (a->todo.n) {
		struct flame_box b = a->todo.v[--a->todo.n];

		if (!vec_push(&a->out->boxes, b))
			return ERR_NO_MEMORY;
		if (b.depth > a->out->max_depth)
			a->out->max_depth = b.depth;
		if (!b.n_more)
			TRY(layout_children(a, &b));
	}
	return 0;
}

int flame_layout_make(struct flame_layout *l, const struct tree *t, const struct flame_layout_options *o)
{
	struct layout a = {.out = l, .t = t, .o = o};
	int rc = ERR_NO_MEMORY;

	memset(l, 0, sizeof *l);
	l->n_frames = t->nodes.n - 1;
	a.least = (uint64_t)(o->min_share * (double)tree_total(t, 0));
	a.least = a.least ? a.least : 1;
	a.keep = calloc(t->nodes.n, sizeof *a.keep);
	a.n_below = calloc(t->nodes.n, sizeof *a.n_below);
	if (a.keep && a.n_below) {
		for (size_t i = t->nodes.n; i-- > 0;) {
			a.n_below[i]++;
			if (i)
				a.n_below[t->nodes.v[i].parent] += a.n_below[i];
		}
		rc = layout_choose(&a);
		if (!rc)
			rc = layout_boxes(&a);
	}
	free(a.keep);
	free(a.n_below);
	vec_free(&a.sorted);
	vec_free(&a.todo);
	return rc;
}

void flame_layout_done(struct flame_layout *l)
{
	vec_free(&l->boxes);
}
