#include "libcommon/map.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_CAP = 64 };

void map_init(struct map *m, size_t max_entries)
{
	*m = (struct map){.max_entries = max_entries};
}

void map_done(struct map *m)
{
	free(m->slots);
	*m = (struct map){.max_entries = m->max_entries};
}

void map_clear(struct map *m)
{
	if (m->slots)
		memset(m->slots, 0, m->cap * sizeof *m->slots);
	m->n = 0;
}

/* Both halves of a 64 x 64 multiplication: every input bit reaches every output bit. */
static uint64_t fold(uint64_t x, uint64_t k)
{
	unsigned __int128 p = (unsigned __int128)x * k;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

uint64_t map_hash(uint64_t a, uint64_t b)
{
	uint64_t h = fold(a ^ UINT64_C(0x5bd1e995c3a5c85d), UINT64_C(0x9e3779b97f4a7c15));

	return fold(h ^ b ^ UINT64_C(0xa0c2f7b19d34e683), UINT64_C(0xd6e8feb86659fd93));
}

/* The slot that holds the key, or the free one where it belongs. */
static struct map_slot *slot_of(struct map_slot *slots, size_t cap, uint64_t a, uint64_t b)
{
	size_t i = map_hash(a, b) & (cap - 1);

	while (slots[i].used && (slots[i].a != a || slots[i].b != b))
		i = (i + 1) & (cap - 1);
	return &slots[i];
}

static bool grow(struct map *m)
{
	size_t cap = m->cap ? m->cap * 2 : FIRST_CAP;
	struct map_slot *slots;

	if (cap < m->cap)
		return false;
	slots = calloc(cap, sizeof *slots);
	if (!slots)
		return false;
	for (size_t i = 0; i < m->cap; i++) {
		if (m->slots[i].used)
			*slot_of(slots, cap, m->slots[i].a, m->slots[i].b) = m->slots[i];
	}
	free(m->slots);
	m->slots = slots;
	m->cap = cap;
	return true;
}

uint32_t *map_get(const struct map *m, uint64_t a, uint64_t b)
{
	struct map_slot *s;

	if (m->n == 0)
		return NULL;
	s = slot_of(m->slots, m->cap, a, b);
	return s->used ? &s->value : NULL;
}

uint32_t *map_put(struct map *m, uint64_t a, uint64_t b, bool *is_new)
{
	uint32_t *found = map_get(m, a, b);
	struct map_slot *s;

	*is_new = false;
	if (found)
		return found;
	if (m->max_entries && m->n >= m->max_entries)
		return NULL;
	if (m->n >= m->cap / 4 * 3 && !grow(m))
		return NULL;
	s = slot_of(m->slots, m->cap, a, b);
	*s = (struct map_slot){.a = a, .b = b, .used = 1};
	m->n++;
	*is_new = true;
	return &s->value;
}
