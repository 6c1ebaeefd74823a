#include "pyspy-report/query/rank.h"

#include <string.h>

#include "libcommon/err.h"

struct rank_by {
	const struct naming *n;
	enum rank_order order;
	bool by_time;
};

static int rank_compare(const void *a, const void *b, void *ctx)
{
	const struct rank_row *x = a, *y = b;
	const struct rank_by *by = ctx;
	uint64_t self[2] = {by->by_time ? x->self_ns : x->self_n, by->by_time ? y->self_ns : y->self_n};
	uint64_t total[2] = {by->by_time ? x->total_ns : x->total_n, by->by_time ? y->total_ns : y->total_n};
	const uint64_t *first = by->order == RANK_SELF ? self : total, *second = by->order == RANK_SELF ? total : self;

	if (first[0] != first[1])
		return first[0] > first[1] ? -1 : 1;
	if (second[0] != second[1])
		return second[0] > second[1] ? -1 : 1;
	return naming_compare(by->n, x->frame, y->frame);
}

/* Walk the tree; `open` says how often a frame is on the way from the root to here. */
static void rank_walk(struct rank *r, const struct tree *t, uint32_t *open)
{
	uint32_t node = t->nodes.v[0].child;

	while (node) {
		const struct tree_node *k = &t->nodes.v[node];
		struct rank_row *row = &r->rows.v[k->frame];

		row->self_n += k->self_n;
		row->self_ns += k->self_ns;
		if (open[k->frame]++ == 0) {
			row->total_n += k->total_n;
			row->total_ns += k->total_ns;
		}
		if (k->child) {
			node = k->child;
			continue;
		}
		/* leave this node and its ancestors until one has a sibling */
		for (;;) {
			open[t->nodes.v[node].frame]--;
			if (t->nodes.v[node].sibling) {
				node = t->nodes.v[node].sibling;
				break;
			}
			node = t->nodes.v[node].parent;
			if (!node)
				break;
		}
	}
}

int rank_build(struct rank *r, const struct tree *t, const struct naming *n, enum rank_order order)
{
	struct rank_by by = {n, order, t->by_time};
	uint32_t *open = calloc(n->frames.n + 1, sizeof *open);
	size_t used = 0;

	memset(r, 0, sizeof *r);
	r->by_time = t->by_time;
	if (!open || !vec_room(&r->rows, n->frames.n)) {
		free(open);
		return ERR_NO_MEMORY;
	}
	for (uint32_t i = 0; i < n->frames.n; i++)
		r->rows.v[r->rows.n++] = (struct rank_row){.frame = i};
	rank_walk(r, t, open);
	free(open);
	for (size_t i = 0; i < r->rows.n; i++)
		if (r->rows.v[i].total_n)
			r->rows.v[used++] = r->rows.v[i];
	r->rows.n = used;
	if (used)
		qsort_r(r->rows.v, used, sizeof *r->rows.v, rank_compare, &by);
	return 0;
}

void rank_done(struct rank *r)
{
	vec_free(&r->rows);
}
