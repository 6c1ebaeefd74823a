#include "pyspy-record/python/layout.h"

#include <string.h>

static const struct layout layout_table[] = {
#include "pyspy-record/python/layout_table.inc"
};
enum { N_ROWS = sizeof layout_table / sizeof *layout_table, LEVEL_CANDIDATE = 0xc };

size_t layout_tstate_words(const struct layout *l, uint32_t words[LAYOUT_TSTATE_WORDS])
{
	const uint32_t members[] = {l->tstate.next,   l->tstate.interp,          l->tstate.frame_root,
	                            l->tstate.id,     l->tstate.thread_id,       l->tstate.native_thread_id,
	                            l->tstate.status, l->tstate.datastack_chunk, l->tstate.datastack_top,
	                            l->tstate.state,  l->tstate.cframe};
	size_t n = 0;
	_Static_assert(sizeof members / sizeof *members <= LAYOUT_TSTATE_WORDS, "room for all of them");
	for (size_t i = 0; i < sizeof members / sizeof *members; i++) {
		uint32_t word = members[i] & ~7u;
		size_t k = n;
		while (k > 0 && words[k - 1] > word)
			k--;
		if (k > 0 && words[k - 1] == word)
			continue;
		memmove(words + k + 1, words + k, (n++ - k) * sizeof *words);
		words[k] = word;
	}
	return n;
}

void layout_finish(struct layout *l)
{
	uint32_t words[LAYOUT_TSTATE_WORDS];
	l->tstate.size = words[layout_tstate_words(l, words) - 1] + 8;
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
