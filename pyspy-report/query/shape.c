#include "pyspy-report/query/shape.h"

#include <string.h>

#include "libcommon/err.h"

enum { KNOWN_MAX = 16 << 20 }; /* entries of shape_known arrays, beside four times the stacks */

int shape_init(struct shape *s, struct naming *n, const struct filter *f, const struct shape_options *o)
{
	memset(s, 0, sizeof *s);
	s->naming = n;
	s->filter = f;
	s->options = *o;
	branches_init(&s->children);
	map_init(&s->tops, 0);
	map_init(&s->known_more, 0);
	return vec_push(&s->nodes, ((struct shape_node){.frame = SHAPE_DROPPED})) ? 0 : ERR_NO_MEMORY;
}

void shape_done(struct shape *s)
{
	vec_free(&s->nodes);
	shape_forget(s);
}

void shape_forget(struct shape *s)
{
	for (size_t i = 0; i < s->known.n; i++)
		free(s->known.v[i].nodes);
	vec_free(&s->known);
	vec_free(&s->todo);
	branches_done(&s->children);
	map_done(&s->tops);
	map_done(&s->known_more);
}

uint32_t shape_rows(const struct shape *s)
{
	return (uint32_t)s->options.processes + (uint32_t)s->options.threads;
}

static int shape_child(struct shape *s, uint32_t parent, uint32_t frame, uint32_t *node)
{
	*node = branches_get(&s->children, s->nodes.v, sizeof *s->nodes.v, parent, frame);
	if (*node)
		return 0;
	if (s->nodes.n >= SHAPE_DROPPED - 1)
		return ERR_FULL;
	if (!vec_push(&s->nodes, ((struct shape_node){parent, frame, s->nodes.v[parent].depth + 1})))
		return ERR_NO_MEMORY;
	*node = (uint32_t)s->nodes.n - 1;
	return branches_put(&s->children, s->nodes.v, sizeof *s->nodes.v);
}

static int shape_top(struct shape *s, uint32_t thread, uint32_t flags, uint32_t *node)
{
	struct naming *n = s->naming;
	uint32_t frame;

	*node = 0;
	if (s->options.processes) {
		TRY(naming_process(n, n->profile->threads.v[thread].process, &frame));
		TRY(shape_child(s, *node, frame, node));
	}
	if (s->options.threads) {
		TRY(naming_thread(n, thread, &frame));
		TRY(shape_child(s, *node, frame, node));
	}
	/* --show-from leaves the outer frames out, whether they are known or not */
	if (flags & WIRE_FLAG_CUT && !(s->filter->rules && s->filter->rules->show_from.list.n)) {
		TRY(naming_made(n, "[cut]", &frame));
		TRY(shape_child(s, *node, frame, node));
	}
	return 0;
}

/* One frame further in than `node`. */
static int shape_step(struct shape *s, uint32_t top, uint32_t process, uint32_t stack, uint32_t *node)
{
	const struct profile_stack *k = &s->naming->profile->stacks.v[stack];
	uint32_t frame, parent = *node;

	if (!filter_shows(s->filter, stack, k->location))
		return 0;
	TRY(naming_location(s->naming, process, k->location, &frame));
	if (parent != top && naming_repeats(s->naming, s->nodes.v[parent].frame, frame, s->options.collapse))
		parent = s->nodes.v[parent].parent;
	return shape_child(s, parent, frame, node);
}

/* Where it is kept what is known of the stacks below `top`. */
static int shape_place(struct shape *s, uint32_t top, uint32_t process, uint32_t *place)
{
	size_t n = s->naming->profile->stacks.n;
	struct shape_known k = {.n = n};
	bool is_new;
	uint32_t *slot = map_put(&s->tops, (uint64_t)process << 32 | top, 0, &is_new);

	if (!slot)
		return ERR_NO_MEMORY;
	if (is_new) {
		if (s->n_known && s->n_known + n > KNOWN_MAX + 4 * n)
			k.n = 0;
		k.nodes = k.n ? calloc(k.n, sizeof *k.nodes) : NULL; /* untouched parts of it take no memory */
		if ((k.n && !k.nodes) || !vec_push(&s->known, k)) {
			free(k.nodes);
			return ERR_NO_MEMORY;
		}
		s->n_known += k.n;
		*slot = (uint32_t)s->known.n;
	}
	*place = *slot - 1;
	return 0;
}

static uint32_t shape_known(const struct shape *s, uint32_t place, uint32_t stack)
{
	if (stack < s->known.v[place].n)
		return s->known.v[place].nodes[stack];
	const uint32_t *slot = map_get(&s->known_more, place, stack);
	return slot ? *slot : 0;
}

static int shape_know(struct shape *s, uint32_t place, uint32_t stack, uint32_t node)
{
	bool is_new;

	if (stack < s->known.v[place].n) {
		s->known.v[place].nodes[stack] = node + 1;
		return 0;
	}
	uint32_t *slot = map_put(&s->known_more, place, stack, &is_new);
	if (!slot)
		return ERR_NO_MEMORY;
	*slot = node + 1;
	return 0;
}

/* The node of `stack` below `top`. Names depend on the process (short file names), so `known` is asked per process. */
static int shape_stack(struct shape *s, uint32_t top, uint32_t process, uint32_t stack, uint32_t *node)
{
	const struct profile *p = s->naming->profile;
	uint32_t place, known;

	TRY(shape_place(s, top, process, &place));
	s->todo.n = 0;
	for (*node = top; stack; stack = p->stacks.v[stack].parent) {
		known = shape_known(s, place, stack);
		if (known) {
			*node = known - 1;
			break;
		}
		if (!vec_push(&s->todo, stack))
			return ERR_NO_MEMORY;
	}
	while (s->todo.n) {
		stack = s->todo.v[--s->todo.n];
		TRY(shape_step(s, top, process, stack, node));
		TRY(shape_know(s, place, stack, *node));
	}
	return 0;
}

int shape_path(struct shape *s, uint32_t thread, uint32_t stack, uint32_t flags, uint32_t *path)
{
	uint32_t top, frame;

	*path = SHAPE_DROPPED;
	if (!filter_keeps(s->filter, thread, stack, flags))
		return 0;
	TRY(shape_top(s, thread, flags, &top));
	TRY(shape_stack(s, top, s->naming->profile->threads.v[thread].process, stack, path));
	if (*path == top && stack) {
		TRY(naming_made(s->naming, "[hidden]", &frame));
		TRY(shape_child(s, top, frame, path));
	}
	return 0;
}
