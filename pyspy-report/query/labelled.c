#include "pyspy-report/query/labelled.h"

#include <string.h>

#include "libcommon/err.h"

static int labelled_add(struct labelled *l, struct map *known, uint32_t path, const struct tally_row *r)
{
	uint32_t flags = r->flags & LABELLED_FLAGS, *slot;
	bool is_new;

	slot = map_put(known, (uint64_t)path << 32 | r->thread, flags, &is_new);
	if (!slot)
		return ERR_NO_MEMORY;
	if (is_new) {
		if (l->rows.n >= UINT32_MAX)
			return ERR_FULL;
		if (!vec_push(&l->rows, ((struct labelled_row){.path = path, .thread = r->thread, .flags = flags})))
			return ERR_NO_MEMORY;
		*slot = (uint32_t)l->rows.n - 1;
	}
	l->rows.v[*slot].n += r->n;
	l->rows.v[*slot].wall_ns += r->wall_ns;
	l->rows.v[*slot].cpu_ns += r->cpu_ns;
	return 0;
}

int labelled_build(struct labelled *l, struct shape *s)
{
	const struct profile *p = s->naming->profile;
	struct map known;
	int rc = 0;

	memset(l, 0, sizeof *l);
	map_init(&known, 0);
	for (size_t i = 0; i < p->tally.rows.n && !rc; i++) {
		const struct tally_row *r = &p->tally.rows.v[i];
		uint32_t path = SHAPE_DROPPED;

		if (r->n || r->wall_ns || r->cpu_ns)
			rc = shape_path(s, r->thread, r->stack, r->flags, &path);
		if (!rc && path != SHAPE_DROPPED)
			rc = labelled_add(l, &known, path, r);
	}
	map_done(&known);
	return rc;
}

void labelled_done(struct labelled *l)
{
	vec_free(&l->rows);
}
