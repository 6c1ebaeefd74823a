#include "pyspy-report/query/shape.h"

#include <string.h>

#include "libcommon/err.h"

int shape_init(struct shape *s, struct naming *n, const struct filter *f, const struct shape_options *o)
{
	memset(s, 0, sizeof *s);
	s->naming = n;
	s->filter = f;
	s->options = *o;
	map_init(&s->children, 0);
	map_init(&s->known, 0);
	return vec_push(&s->nodes, ((struct shape_node){.frame = SHAPE_DROPPED})) ? 0 : ERR_NO_MEMORY;
}

void shape_done(struct shape *s)
{
	vec_free(&s->nodes);
	vec_free(&s->todo);
	map_done(&s->children);
	map_done(&s->known);
}

uint32_t shape_rows(const struct shape *s)
{
	return (uint32_t)s->options.processes + (uint32_t)s->options.threads;
}

static int shape_child(struct shape *s, uint32_t parent, uint32_t frame, uint32_t *node)
{
	bool is_new;
	uint32_t *slot = map_put(&s->children, parent, frame, &is_new);

	if (!slot)
		return ERR_NO_MEMORY;
	if (is_new) {
		if (s->nodes.n >= SHAPE_DROPPED - 1)
			return ERR_FULL;
		if (!vec_push(&s->nodes, ((struct shape_node){parent, frame, s->nodes.v[parent].depth + 1})))
			return ERR_NO_MEMORY;
		*slot = (uint32_t)s->nodes.n - 1;
	}
	*node = *slot;
	return 0;
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

/* The node of `stack` below `top`. Names depend on the process (short file names), so `known` is asked per process. */
static int shape_stack(struct shape *s, uint32_t top, uint32_t process, uint32_t stack, uint32_t *node)
{
	const struct profile *p = s->naming->profile;
	uint64_t below = (uint64_t)process << 32 | top;
	uint32_t *known;
	bool is_new;

	s->todo.n = 0;
	for (*node = top; stack; stack = p->stacks.v[stack].parent) {
		known = map_get(&s->known, below, stack);
		if (known) {
			*node = *known;
			break;
		}
		if (!vec_push(&s->todo, stack))
			return ERR_NO_MEMORY;
	}
	while (s->todo.n) {
		stack = s->todo.v[--s->todo.n];
		TRY(shape_step(s, top, process, stack, node));
		known = map_put(&s->known, below, stack, &is_new);
		if (!known)
			return ERR_NO_MEMORY;
		*known = *node;
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
