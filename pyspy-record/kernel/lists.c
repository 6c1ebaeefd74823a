#include "pyspy-record/kernel/lists.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/vec.h"

int lists_init(struct kernel_lists *l, uint32_t n)
{
	l->v = calloc(n ? n : 1, sizeof *l->v);
	l->n = l->v ? n ? n : 1 : 0;
	return l->v ? 0 : ERR_NO_MEMORY;
}

void lists_done(struct kernel_lists *l)
{
	for (uint32_t i = 0; i < l->n; i++)
		free(l->v[i].v);
	free(l->v);
	*l = (struct kernel_lists){0};
}

/* Whose slot is that; tid 0: a free one. 0: there is none. */
static uint32_t find_slot(const struct kernel_lists *l, pid_t tid)
{
	for (uint32_t i = 1; i < l->n; i++)
		if (l->v[i].tid == tid)
			return i;
	return 0;
}

uint32_t lists_slot(struct kernel_lists *l, pid_t tid, uint32_t *round)
{
	uint32_t slot = find_slot(l, tid);
	if (!slot && (slot = find_slot(l, 0))) {
		l->v[slot].tid = tid;
		l->v[slot].turn++;
	}
	*round = slot ? l->v[slot].turn : 0;
	return slot;
}

void lists_release(struct kernel_lists *l, pid_t tid)
{
	uint32_t slot = find_slot(l, tid);
	if (slot)
		l->v[slot].tid = 0;
}

static int lose(struct kernel_list *list, int rc)
{
	list->turn++;
	list->serial = 0;
	list->n = 0;
	return rc;
}

int lists_take(struct kernel_lists *l, const struct kernel_sample *m, const struct kernel_frame *sent, size_t n_sent,
               const struct kernel_frame **frames, size_t *n)
{
	uint32_t slot = m->slot < l->n ? m->slot : 0;
	struct kernel_list *list = &l->v[slot];
	bool goes_on = slot && list->serial && list->round == m->round && list->serial + 1 == m->serial;
	if (m->same > (goes_on ? list->n : 0))
		return lose(list, ERR_TORN);
	list->n = m->same;
	if (!vec_room(list, n_sent))
		return lose(list, ERR_NO_MEMORY);
	for (size_t i = n_sent; i-- > 0;)
		list->v[list->n++] = sent[i];
	list->round = m->round;
	list->serial = m->serial;
	*frames = list->v;
	*n = list->n;
	return 0;
}
