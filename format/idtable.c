#include "format/idtable.h"

#include <stdlib.h>

void idtable_clear(struct idtable *t)
{
	for (uint32_t i = 0; i < IDTABLE_PAGES; i++) {
		free(t->pages[i]);
		t->pages[i] = NULL;
	}
}

uint32_t idtable_get(const struct idtable *t, uint32_t id)
{
	const uint32_t *page = t->pages[id / IDTABLE_PAGE];

	return page ? page[id % IDTABLE_PAGE] : 0;
}

bool idtable_set(struct idtable *t, uint32_t id, uint32_t value)
{
	uint32_t **page = &t->pages[id / IDTABLE_PAGE];

	if (!*page)
		*page = calloc(IDTABLE_PAGE, sizeof **page);
	if (!*page)
		return false;
	(*page)[id % IDTABLE_PAGE] = value;
	return true;
}
