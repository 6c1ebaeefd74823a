#include "pyspy-report/view/page_nodes.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/map.h"

struct nodes {
	struct page_nodes *out;
	const struct tree *t;
	const struct naming *n;
	bool *keep;     /* by node */
	uint32_t *more; /* by node: place in `hidden` + 1 of what is hidden right below it; 0 = nothing */
	VEC(struct page_node) hidden;
};

static int nodes_choose(struct nodes *a, uint64_t max_frames)
{
	size_t n = a->t->nodes.n;
	uint32_t *order;

	if (n - 1 <= max_frames) {
		memset(a->keep, true, n);
		return 0;
	}
	order = malloc(n * sizeof *order);
	if (!order)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < n; i++)
		order[i] = (uint32_t)i;
	qsort_r(order + 1, n - 1, sizeof *order, tree_heavier, (void *)a->t);
	for (size_t i = 0; i <= max_frames; i++)
		a->keep[order[i]] = true;
	free(order);
	return 0;
}

/* Parents stand before their children: a hidden node's place is first the kept node above it. */
static int nodes_hide(struct nodes *a)
{
	const struct tree *t = a->t;

	for (uint32_t i = 1; i < t->nodes.n; i++) {
		uint32_t parent = t->nodes.v[i].parent;

		if (a->keep[i])
			continue;
		a->out->place[i] = a->keep[parent] ? parent : a->out->place[parent];
		uint32_t *slot = &a->more[a->out->place[i]];
		if (!*slot) {
			if (!vec_push(&a->hidden, (struct page_node){0}))
				return ERR_NO_MEMORY;
			*slot = (uint32_t)a->hidden.n;
		}
		struct page_node *m = &a->hidden.v[*slot - 1];
		m->n_more++;
		m->self_n += t->nodes.v[i].self_n;
		m->self_ns += t->nodes.v[i].self_ns;
		a->out->n_hidden++;
	}
	return 0;
}

static int nodes_put(struct nodes *a, uint32_t node)
{
	const struct tree_node *k = &a->t->nodes.v[node];

	a->out->place[node] = (uint32_t)a->out->list.n;
	return vec_push(&a->out->list, ((struct page_node){node, k->depth, 0, k->self_n, k->self_ns})) ? 0
	                                                                                               : ERR_NO_MEMORY;
}

/* All children of `node` are there. */
static int nodes_close(struct nodes *a, uint32_t node)
{
	struct page_node *m = a->more[node] ? &a->hidden.v[a->more[node] - 1] : NULL;

	if (!m)
		return 0;
	m->node = node;
	m->depth = a->t->nodes.v[node].depth + 1;
	if (!vec_push(&a->out->list, *m))
		return ERR_NO_MEMORY;
	m->node = (uint32_t)a->out->list.n - 1; /* from here on: where it stands */
	return 0;
}

static uint32_t nodes_kept(const struct nodes *a, uint32_t node)
{
	while (node && !a->keep[node])
		node = a->t->nodes.v[node].sibling;
	return node;
}

static int nodes_walk(struct nodes *a)
{
	const struct tree_node *v = a->t->nodes.v;
	uint32_t at = 0, next;

	for (;;) {
		TRY(nodes_put(a, at));
		next = nodes_kept(a, v[at].child);
		while (!next) {
			TRY(nodes_close(a, at));
			if (!at)
				return 0;
			next = nodes_kept(a, v[at].sibling);
			if (!next)
				at = v[at].parent;
		}
		at = next;
	}
}

static int nodes_by_name(const void *a, const void *b, void *ctx)
{
	return naming_compare(ctx, *(const uint32_t *)a, *(const uint32_t *)b);
}

static int nodes_frames(struct nodes *a)
{
	struct page_nodes *p = a->out;
	uint32_t *of = p->frame_of = calloc(a->n->frames.n + 1, sizeof *of);

	if (!of)
		return ERR_NO_MEMORY;
	for (size_t i = 1; i < p->list.n; i++) {
		uint32_t frame = a->t->nodes.v[p->list.v[i].node].frame;

		if (p->list.v[i].n_more || of[frame])
			continue;
		of[frame] = 1;
		if (!vec_push(&p->frames, frame))
			return ERR_NO_MEMORY;
	}
	if (p->frames.n > 1)
		qsort_r(p->frames.v, p->frames.n, sizeof *p->frames.v, nodes_by_name, (void *)a->n);
	for (uint32_t i = 0; i < p->frames.n; i++)
		of[p->frames.v[i]] = i;
	return 0;
}

/* The same as a naming by function (-F) would tell apart: the function and its file's shown name. */
static int nodes_functions(struct nodes *a)
{
	const struct naming_options *o = &a->n->options;
	bool lines = o->group == NAMING_FUNCTIONS && !o->by_function;
	struct page_nodes *p = a->out;
	struct map known;
	int rc = 0;

	map_init(&known, 0);
	for (uint32_t i = 0; i < p->frames.n && !rc; i++) {
		const struct naming_frame *f = &a->n->frames.v[p->frames.v[i]];
		struct page_function function = {f->name, f->file, f->line};
		uint64_t key = (uint64_t)p->frames.v[i] << 32, file = 0;
		bool is_new;

		if (lines && f->kind == NAMING_PYTHON) {
			uint32_t id = profile_location_of(a->n->profile, f->location).function;

			function.line = o->no_lines ? 0 : profile_function_of(a->n->profile, id).first_line;
			key = id;
			file = (uint64_t)f->file + 1;
		}
		uint32_t *slot = map_put(&known, key, file, &is_new);
		if (!slot || (is_new && !vec_push(&p->functions, function))) {
			rc = ERR_NO_MEMORY;
			break;
		}
		if (is_new)
			*slot = (uint32_t)p->functions.n - 1;
		if (!vec_push(&p->belongs, *slot))
			rc = ERR_NO_MEMORY;
	}
	map_done(&known);
	return rc;
}

int page_nodes_make(struct page_nodes *p, const struct tree *t, const struct naming *n, uint64_t max_frames)
{
	struct nodes a = {.out = p, .t = t, .n = n};
	int rc = ERR_NO_MEMORY;

	memset(p, 0, sizeof *p);
	p->n_all = t->nodes.n - 1;
	p->place = calloc(t->nodes.n, sizeof *p->place);
	a.keep = calloc(t->nodes.n, sizeof *a.keep);
	a.more = calloc(t->nodes.n, sizeof *a.more);
	if (p->place && a.keep && a.more)
		rc = nodes_choose(&a, max_frames);
	if (!rc)
		rc = nodes_hide(&a);
	if (!rc)
		rc = nodes_walk(&a);
	for (uint32_t i = 1; i < t->nodes.n && !rc; i++)
		if (!a.keep[i])
			p->place[i] = a.hidden.v[a.more[p->place[i]] - 1].node;
	free(a.keep);
	free(a.more);
	vec_free(&a.hidden);
	if (!rc)
		rc = nodes_frames(&a);
	return rc ? rc : nodes_functions(&a);
}

void page_nodes_done(struct page_nodes *p)
{
	vec_free(&p->list);
	vec_free(&p->frames);
	vec_free(&p->belongs);
	vec_free(&p->functions);
	free(p->place);
	free(p->frame_of);
	p->place = p->frame_of = NULL;
}
