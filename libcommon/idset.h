/* idset: hash table of 32-bit ids whose keys (a pair of 64-bit words) the caller keeps elsewhere: 4 bytes a slot, where
 * a map has 24.
 *
 * Grows by doubling; no deletion of single ids (idset_clear forgets all). Id 0 cannot be a member. Not for hostile keys
 * without a limit on their number: worst case is linear.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct idset_key {
	uint64_t a, b;
};
/* The key of a member. */
typedef struct idset_key idset_key_of(const void *owner, uint32_t id);

struct idset {
	uint32_t *slots; /* 0 = free */
	size_t n, cap;   /* cap is 0 or a power of two */
};

void idset_done(struct idset *s);  /* all zero is empty */
void idset_clear(struct idset *s); /* keeps the memory */
/* The member with this key; 0 = none. */
uint32_t idset_find(const struct idset *s, struct idset_key key, idset_key_of *key_of, const void *owner);
/* Room for one more; false: no memory, and nothing changed. */
bool idset_room(struct idset *s, idset_key_of *key_of, const void *owner);
/* Add an id whose key is no member's, after idset_room. */
void idset_add(struct idset *s, struct idset_key key, uint32_t id);
