/* idtable: a number for each id of an epoch (up to WIRE_IDS_MAX), 0 where none was set. Private to format/.
 *
 * In pages, made when first touched: hostile ids cost at most 64 MiB, and no hash means no collisions to provoke. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "format/wire.h"

enum { IDTABLE_PAGE = 4096, IDTABLE_PAGES = WIRE_IDS_MAX / IDTABLE_PAGE + 1 };

struct idtable {
	uint32_t *pages[IDTABLE_PAGES];
};

/* All zero is empty. */
void idtable_clear(struct idtable *t); /* forget all and free the memory */
/* `id` is at most WIRE_IDS_MAX. */
uint32_t idtable_get(const struct idtable *t, uint32_t id);
bool idtable_set(struct idtable *t, uint32_t id, uint32_t value); /* false without memory */
