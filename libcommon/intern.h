/* intern: byte strings (or any struct's bytes) to dense ids 1, 2, 3 ... in first-seen order.
 *
 * The empty string has id 0 and is always there. Bytes are copied into one arena, each followed by a NUL.
 * Keys compared by bytes: zero a struct's padding before interning it.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct intern {
	char *bytes; /* arena; entry i is bytes + offsets[i], NUL-terminated, 8-byte aligned */
	size_t len, cap;
	size_t *offsets;   /* by id; [0] is the empty string */
	uint32_t *lengths; /* by id */
	uint32_t *slots;   /* hash table of ids; 0 = free */
	uint32_t n, n_cap; /* ids in use, the empty one included, so the next id is n */
	size_t slots_cap;
	size_t max_bytes; /* of the arena; 0 = no limit */
};

int intern_init(struct intern *t, size_t max_bytes); /* 0 or ERR_NO_MEMORY */
void intern_done(struct intern *t);
void intern_clear(struct intern *t); /* back to only the empty string; keeps the memory */
/* Id of the n bytes at p. *is_new (may be NULL) tells whether it was just made.
 * Returns 0 and sets *id, or ERR_FULL (arena limit), ERR_NO_MEMORY: then *id is 0. */
int intern_get(struct intern *t, const void *p, size_t n, uint32_t *id, bool *is_new);
/* Id if it is there, else 0. */
uint32_t intern_find(const struct intern *t, const void *p, size_t n);
/* Bytes of an id below t->n; NUL-terminated; moves when the arena grows: do not keep across intern_get. */
const char *intern_bytes(const struct intern *t, uint32_t id, size_t *n);
