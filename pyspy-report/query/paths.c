#include "pyspy-report/query/paths.h"

#include <string.h>

#include "libcommon/err.h"

int paths_init(struct paths *p, struct naming *n, bool threads)
{
	memset(p, 0, sizeof *p);
	p->naming = n;
	p->threads = threads;
	map_init(&p->ids, 0);
	map_init(&p->memory, 0);
	return vec_push(&p->list, (struct path){0}) ? 0 : ERR_NO_MEMORY;
}

void paths_done(struct paths *p)
{
	vec_free(&p->list);
	vec_free(&p->locations);
	map_done(&p->ids);
	map_done(&p->memory);
}

static int paths_child(struct paths *p, uint32_t parent, uint32_t frame, uint32_t *path)
{
	bool is_new;
	uint32_t *known = map_put(&p->ids, parent, frame, &is_new);

	if (!known)
		return ERR_NO_MEMORY;
	if (is_new) {
		if (p->list.n >= PROFILE_MAX_STACKS)
			return ERR_FULL;
		if (!vec_push(&p->list, ((struct path){parent, frame, p->list.v[parent].depth + 1})))
			return ERR_NO_MEMORY;
		*known = (uint32_t)p->list.n - 1;
	}
	*path = *known;
	return 0;
}

static int paths_make(struct paths *p, uint32_t thread, uint32_t stack, uint32_t flags, uint32_t *path)
{
	const struct profile *of = p->naming->profile;
	uint32_t frame, at = 0, process = of->threads.v[thread].process;

	if (p->threads) {
		TRY(naming_thread(p->naming, thread, &frame));
		TRY(paths_child(p, at, frame, &at));
	}
	if (flags & WIRE_FLAG_CUT) {
		TRY(naming_cut(p->naming, &frame));
		TRY(paths_child(p, at, frame, &at));
	}
	p->locations.n = 0;
	for (uint32_t i = stack; i; i = of->stacks.v[i].parent)
		if (!vec_push(&p->locations, of->stacks.v[i].location))
			return ERR_NO_MEMORY;
	while (p->locations.n) {
		TRY(naming_location(p->naming, process, p->locations.v[--p->locations.n], &frame));
		TRY(paths_child(p, at, frame, &at));
	}
	*path = at;
	return 0;
}

int paths_get(struct paths *p, uint32_t thread, uint32_t stack, uint32_t flags, uint32_t *path)
{
	uint32_t who = p->threads ? thread : p->naming->profile->threads.v[thread].process;
	uint64_t key = (uint64_t)who << 1 | ((flags & WIRE_FLAG_CUT) != 0);
	bool is_new;
	uint32_t *known = map_put(&p->memory, stack, key, &is_new), made;

	if (!known)
		return ERR_NO_MEMORY;
	if (!*known) {
		TRY(paths_make(p, thread, stack, flags, &made));
		*known = made + 1;
	}
	*path = *known - 1;
	return 0;
}
