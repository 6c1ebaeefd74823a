/* map: open-addressing hash map from a pair of 64-bit words to a 32-bit value.
 *
 * Grows by doubling up to `max_entries`; no deletion of single entries (map_clear forgets all). Not for hostile keys
 * without a limit: worst case is linear in max_entries. Key (0,0) is allowed.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct map_slot {
	uint64_t a, b;
	uint32_t value;
	uint32_t used;
};

struct map {
	struct map_slot *slots;
	size_t n, cap;      /* cap is 0 or a power of two */
	size_t max_entries; /* 0 = no limit */
};

void map_init(struct map *m, size_t max_entries);
void map_done(struct map *m);
void map_clear(struct map *m); /* keeps the memory */
/* The value's place, or NULL when the key is not there. Valid until the next map_put. */
uint32_t *map_get(const struct map *m, uint64_t a, uint64_t b);
/* The value's place, made with value 0 and *is_new = true when it was not there.
 * NULL: no memory, or max_entries reached (then nothing changed). */
uint32_t *map_put(struct map *m, uint64_t a, uint64_t b, bool *is_new);
/* Mix two words into a hash. */
uint64_t map_hash(uint64_t a, uint64_t b);
