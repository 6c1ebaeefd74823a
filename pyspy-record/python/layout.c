#include "pyspy-record/python/layout.h"

static const struct layout layout_table[] = {
#include "pyspy-record/python/layout_table.inc"
};
enum { N_ROWS = sizeof layout_table / sizeof *layout_table, LEVEL_CANDIDATE = 0xc };

void layout_finish(struct layout *l)
{
	const uint32_t words[] = {l->tstate.next,        l->tstate.interp,          l->tstate.frame_root,
	                          l->tstate.id,          l->tstate.thread_id,       l->tstate.native_thread_id,
	                          l->tstate.status,      l->tstate.datastack_chunk, l->tstate.datastack_top,
	                          l->tstate.state & ~7u, l->tstate.cframe};
	l->tstate.size = 0;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (words[i] + 8 > l->tstate.size)
			l->tstate.size = words[i] + 8;
	/* first members, which the table leaves out where no headers name them */
	uint32_t *const first[] = {&l->bytes.ob_size, &l->module.dict, &l->integer.tag};
	for (size_t i = 0; i < sizeof first / sizeof *first; i++)
		if (*first[i] == 0)
			*first[i] = l->object.size;
}

const struct layout *layout_find(uint32_t version_hex, enum layout_build build)
{
	const struct layout *found = NULL;
	if ((version_hex >> 4 & 15) < LEVEL_CANDIDATE) /* alphas and betas have other layouts */
		return NULL;
	for (size_t i = 0; i < N_ROWS; i++) {
		const struct layout *row = &layout_table[i];
		if (row->build == build && row->since >> 16 == version_hex >> 16 && row->since <= version_hex &&
		    (!found || row->since > found->since))
			found = row;
	}
	return found;
}

const struct layout *layout_rows(size_t *n)
{
	*n = N_ROWS;
	return layout_table;
}
