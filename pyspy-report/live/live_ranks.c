#include "pyspy-report/live/live_ranks.h"

#include <string.h>

#include "libcommon/err.h"

void live_ranks_init(struct live_ranks *r, struct live_sums *s)
{
	memset(r, 0, sizeof *r);
	r->sums = s;
	map_init(&r->keys, 0);
}

static void forget(struct live_ranks *r)
{
	if (r->is_made) {
		shape_done(&r->shape);
		naming_done(&r->naming);
	}
	r->is_made = false;
	r->nodes.n = r->groups.n = r->n_linked = 0;
	map_clear(&r->keys);
}

void live_ranks_done(struct live_ranks *r)
{
	forget(r);
	vec_free(&r->nodes);
	vec_free(&r->groups);
	vec_free(&r->open);
	for (int part = 0; part < LIVE_PARTS; part++)
		vec_free(&r->threads[part]);
	map_done(&r->keys);
}

static int make(struct live_ranks *r, const struct live_want *w)
{
	struct naming_options naming = {
	    .by_function = !w->by_line, .no_lines = w->no_lines, .full_filenames = w->full_filenames};
	struct shape_options shape = {.threads = w->by_thread};

	r->want = *w;
	r->filter = (struct filter){.gil_only = w->gil_only, .idle = w->idle};
	r->made_stacks = r->sums->profile.stacks.n;
	TRY(naming_init(&r->naming, &r->sums->profile, &naming));
	int rc = shape_init(&r->shape, &r->naming, &r->filter, &shape);
	if (rc < 0) {
		shape_done(&r->shape);
		naming_done(&r->naming);
	}
	r->is_made = rc == 0;
	return rc;
}

static void add(struct live_weight *to, const struct tally_row *row)
{
	to->n += row->n;
	to->ns += row->wall_ns;
}

/* Nodes that the shape made since: their group and their place among their siblings. */
static int reach(struct live_ranks *r)
{
	uint32_t rows = shape_rows(&r->shape);

	while (r->nodes.n < r->shape.nodes.n) {
		const struct shape_node *k = &r->shape.nodes.v[r->nodes.n];
		struct live_node node = {.group = LIVE_NO_GROUP};
		uint32_t self = (uint32_t)r->nodes.n, *slot;
		bool is_new;

		if (self) {
			node.top = k->depth == rows ? self : k->depth < rows ? 0 : r->nodes.v[k->parent].top;
			node.sibling = r->nodes.v[k->parent].child;
		}
		if (self && k->depth > rows) {
			slot = map_put(&r->keys, node.top, (uint64_t)k->frame + 1, &is_new);
			if (!slot)
				return ERR_NO_MEMORY;
			if (is_new) {
				struct live_group g = {.frame = k->frame, .thread = LIVE_NO_GROUP};

				*slot = (uint32_t)r->groups.n;
				if (rows) {
					g.thread = r->shape.nodes.v[node.top].frame;
					g.of = r->naming.frames.v[g.thread].location;
				}
				if (!vec_push(&r->groups, g))
					return ERR_NO_MEMORY;
			}
			node.group = *slot;
		}
		if (!vec_push(&r->nodes, node))
			return ERR_NO_MEMORY;
		if (self)
			r->nodes.v[k->parent].child = self;
	}
	return 0;
}

/* Which nodes are the outermost of their group in their stack. */
static int link_nodes(struct live_ranks *r)
{
	uint32_t node = r->nodes.n ? r->nodes.v[0].child : 0;

	if (r->n_linked == r->nodes.n)
		return 0;
	r->n_linked = r->nodes.n;
	r->open.n = 0;
	if (!vec_room(&r->open, r->groups.n))
		return ERR_NO_MEMORY;
	if (r->groups.n)
		memset(r->open.v, 0, r->groups.n * sizeof *r->open.v);
	while (node) {
		struct live_node *k = &r->nodes.v[node];

		if (k->group != LIVE_NO_GROUP)
			k->is_first = r->open.v[k->group]++ == 0;
		if (k->child) {
			node = k->child;
			continue;
		}
		for (;;) {
			k = &r->nodes.v[node];
			if (k->group != LIVE_NO_GROUP)
				r->open.v[k->group]--;
			if (k->sibling) {
				node = k->sibling;
				break;
			}
			node = r->shape.nodes.v[node].parent;
			if (!node)
				break;
		}
	}
	return 0;
}

struct count_to {
	struct live_ranks *r;
	enum live_part part;
};

static bool is_active(uint32_t flags)
{
	uint32_t state = flags & WIRE_FLAG_STATE;

	return state == WIRE_STATE_ON_CPU || state == WIRE_STATE_RUNNABLE || state == WIRE_STATE_ACTIVE;
}

static int count_row(void *ctx, const struct tally_row *row)
{
	struct count_to *to = ctx;
	struct live_ranks *r = to->r;
	struct live_totals *t = &r->totals[to->part];
	uint32_t path;

	if (row->thread >= r->threads[to->part].n)
		return 0; /* cannot be */
	struct live_thread *thread = &r->threads[to->part].v[row->thread];
	add(&t->all, row);
	add(&thread->all, row);
	thread->is_seen = true;
	if (row->flags & WIRE_FLAG_GIL)
		add(&t->gil, row);
	if (is_active(row->flags))
		add(&t->active, row);
	if (row->flags & TALLY_IN_MOTION)
		add(&t->in_motion, row);
	if (row->flags & TALLY_LOST)
		add(&t->lost, row);
	TRY(shape_path(&r->shape, row->thread, row->stack, row->flags, &path));
	if (path == SHAPE_DROPPED) {
		if (!r->filter.idle && filter_is_idle(row->flags))
			add(&t->idle, row);
		return 0;
	}
	add(&t->kept, row);
	thread->has_kept = true;
	TRY(reach(r));
	add(&r->nodes.v[path].self[to->part], row);
	return 0;
}

static int count_part(struct live_ranks *r, enum live_part part)
{
	const struct profile *p = &r->sums->profile;
	size_t n = p->threads.n;

	r->totals[part] = (struct live_totals){.ns = live_sums_ns(r->sums, part)};
	r->threads[part].n = 0;
	if (!vec_room(&r->threads[part], n))
		return ERR_NO_MEMORY;
	if (n)
		memset(r->threads[part].v, 0, n * sizeof *r->threads[part].v);
	r->threads[part].n = n;
	return live_sums_visit(r->sums, part, count_row, &(struct count_to){r, part});
}

static int count_threads(struct live_ranks *r, enum live_part part)
{
	const struct profile *p = &r->sums->profile;
	struct live_totals *t = &r->totals[part];
	struct map processes;
	bool is_new;
	int rc = 0;

	map_init(&processes, 0);
	for (size_t i = 0; i < r->threads[part].n && !rc; i++) {
		const struct live_thread *k = &r->threads[part].v[i];

		if (!k->is_seen)
			continue;
		t->n_threads++;
		if (k->has_kept) {
			t->n_kept++;
			t->whole += live_weigh(r, &k->all);
		}
		if (!map_put(&processes, p->threads.v[i].process, 1, &is_new))
			rc = ERR_NO_MEMORY;
	}
	t->n_processes = (uint32_t)processes.n;
	map_done(&processes);
	return rc;
}

static void more(struct live_weight *to, const struct live_weight *w)
{
	to->n += w->n;
	to->ns += w->ns;
}

/* Parents stand before their children. */
static void add_up(struct live_ranks *r)
{
	for (size_t i = 0; i < r->groups.n; i++) {
		memset(r->groups.v[i].self, 0, sizeof r->groups.v[i].self);
		memset(r->groups.v[i].total, 0, sizeof r->groups.v[i].total);
	}
	for (size_t i = 0; i < r->nodes.n; i++)
		memcpy(r->nodes.v[i].total, r->nodes.v[i].self, sizeof r->nodes.v[i].total);
	for (size_t i = r->nodes.n; i-- > 1;) {
		const struct live_node *k = &r->nodes.v[i];
		struct live_node *parent = &r->nodes.v[r->shape.nodes.v[i].parent];

		for (int part = 0; part < LIVE_PARTS; part++) {
			more(&parent->total[part], &k->total[part]);
			if (k->group == LIVE_NO_GROUP)
				continue;
			more(&r->groups.v[k->group].self[part], &k->self[part]);
			if (k->is_first)
				more(&r->groups.v[k->group].total[part], &k->total[part]);
		}
	}
}

int live_ranks_look(struct live_ranks *r, const struct live_want *w, bool *is_new)
{
	/* what the shape knows of stacks that came after it costs more to find */
	*is_new =
	    !r->is_made || memcmp(&r->want, w, sizeof *w) != 0 || r->sums->profile.stacks.n > 2 * r->made_stacks + 4096;
	if (*is_new) {
		forget(r);
		TRY(make(r, w));
	}
	for (size_t i = 0; i < r->nodes.n; i++)
		memset(r->nodes.v[i].self, 0, sizeof r->nodes.v[i].self);
	r->by_time = profile_by_time(&r->sums->profile);
	for (int part = 0; part < LIVE_PARTS; part++)
		TRY(count_part(r, part));
	for (int part = 0; part < LIVE_PARTS; part++)
		TRY(count_threads(r, part));
	TRY(reach(r));
	TRY(link_nodes(r));
	add_up(r);
	return 0;
}

int live_ranks_neighbours(const struct live_ranks *r, uint32_t group, bool callers, struct live_neighbours *out)
{
	struct map places;
	bool is_new;
	int rc = 0;

	out->v.n = 0;
	map_init(&places, 0);
	for (uint32_t i = 1; i < r->nodes.n && !rc; i++) {
		const struct live_node *k = &r->nodes.v[i];
		uint32_t parent = r->shape.nodes.v[i].parent;
		const struct live_node *of = callers ? k : &r->nodes.v[parent];
		uint32_t *slot, other = callers ? r->nodes.v[parent].group : k->group;

		if (of->group != group || !of->is_first || !live_weigh(r, &k->total[LIVE_SINCE]))
			continue;
		slot = map_put(&places, other, 0, &is_new);
		if (!slot || (is_new && !vec_push(&out->v, ((struct live_neighbour){.group = other})))) {
			rc = ERR_NO_MEMORY;
			break;
		}
		if (is_new)
			*slot = (uint32_t)out->v.n - 1;
		for (int part = 0; part < LIVE_PARTS; part++)
			more(&out->v.v[*slot].weight[part], &k->total[part]);
	}
	map_done(&places);
	return rc;
}

uint64_t live_ranks_whole(const struct live_ranks *r, const struct live_group *g, enum live_part part)
{
	if (g && g->thread != LIVE_NO_GROUP && g->of < r->threads[part].n)
		return live_weigh(r, &r->threads[part].v[g->of].all);
	return r->totals[part].whole;
}
