#include "libcommon/idset.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/map.h"

enum { FIRST_CAP = 64 };

void idset_done(struct idset *s)
{
	free(s->slots);
	*s = (struct idset){0};
}

void idset_clear(struct idset *s)
{
	if (s->slots)
		memset(s->slots, 0, s->cap * sizeof *s->slots);
	s->n = 0;
}

static size_t first_slot(size_t cap, struct idset_key key)
{
	return map_hash(key.a, key.b) & (cap - 1);
}

static void put(uint32_t *slots, size_t cap, struct idset_key key, uint32_t id)
{
	size_t i = first_slot(cap, key);
	while (slots[i])
		i = (i + 1) & (cap - 1);
	slots[i] = id;
}

uint32_t idset_find(const struct idset *s, struct idset_key key, idset_key_of *key_of, const void *owner)
{
	if (s->n == 0)
		return 0;
	for (size_t i = first_slot(s->cap, key); s->slots[i]; i = (i + 1) & (s->cap - 1)) {
		struct idset_key k = key_of(owner, s->slots[i]);
		if (k.a == key.a && k.b == key.b)
			return s->slots[i];
	}
	return 0;
}

bool idset_room(struct idset *s, idset_key_of *key_of, const void *owner)
{
	if (s->n < s->cap / 4 * 3)
		return true;
	size_t cap = s->cap ? s->cap * 2 : FIRST_CAP;
	uint32_t *slots = cap > s->cap ? calloc(cap, sizeof *slots) : NULL;
	if (!slots)
		return false;
	for (size_t i = 0; i < s->cap; i++)
		if (s->slots[i])
			put(slots, cap, key_of(owner, s->slots[i]), s->slots[i]);
	free(s->slots);
	s->slots = slots;
	s->cap = cap;
	return true;
}

void idset_add(struct idset *s, struct idset_key key, uint32_t id)
{
	put(s->slots, s->cap, key, id);
	s->n++;
}
