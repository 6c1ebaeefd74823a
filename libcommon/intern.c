#include "libcommon/intern.h"

#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>

#include "libcommon/err.h"
#include "libcommon/map.h"

enum { FIRST_BYTES = 4096, FIRST_IDS = 256, FIRST_SLOTS = 512 };

/* Names are chosen by the profiled program: without a secret it could choose ones that collide. */
static uint64_t secret;

static void take_secret(void)
{
	const unsigned char *random = (const unsigned char *)getauxval(AT_RANDOM);

	if (random)
		memcpy(&secret, random, sizeof secret);
}

static uint64_t hash(const void *p, size_t n)
{
	const unsigned char *at = p;
	uint64_t h = secret ^ n, word;

	for (; n >= sizeof word; n -= sizeof word, at += sizeof word) {
		memcpy(&word, at, sizeof word);
		h = map_hash(h, word);
	}
	word = 0;
	memcpy(&word, at, n);
	return map_hash(h, word);
}

int intern_init(struct intern *t, size_t max_bytes)
{
	*t = (struct intern){.max_bytes = max_bytes};
	take_secret();
	t->bytes = malloc(FIRST_BYTES);
	t->offsets = malloc(FIRST_IDS * sizeof *t->offsets);
	t->lengths = malloc(FIRST_IDS * sizeof *t->lengths);
	t->slots = malloc(FIRST_SLOTS * sizeof *t->slots);
	if (!t->bytes || !t->offsets || !t->lengths || !t->slots) {
		intern_done(t);
		return ERR_NO_MEMORY;
	}
	t->cap = FIRST_BYTES;
	t->n_cap = FIRST_IDS;
	t->slots_cap = FIRST_SLOTS;
	intern_clear(t);
	return 0;
}

void intern_done(struct intern *t)
{
	free(t->bytes);
	free(t->offsets);
	free(t->lengths);
	free(t->slots);
	*t = (struct intern){.max_bytes = t->max_bytes};
}

void intern_clear(struct intern *t)
{
	memset(t->slots, 0, t->slots_cap * sizeof *t->slots);
	t->bytes[0] = 0;
	t->offsets[0] = 0;
	t->lengths[0] = 0;
	t->len = 8;
	t->n = 1;
}

static bool is_entry(const struct intern *t, uint32_t id, const void *p, size_t n)
{
	return t->lengths[id] == n && memcmp(t->bytes + t->offsets[id], p, n) == 0;
}

/* The slot that holds the key's id, or the free one where it belongs. */
static uint32_t *slot_of(const struct intern *t, const void *p, size_t n)
{
	size_t i = hash(p, n) & (t->slots_cap - 1);

	while (t->slots[i] && !is_entry(t, t->slots[i], p, n))
		i = (i + 1) & (t->slots_cap - 1);
	return &t->slots[i];
}

static bool grow_slots(struct intern *t)
{
	size_t cap = t->slots_cap * 2;
	uint32_t *slots = calloc(cap, sizeof *slots);

	if (!slots)
		return false;
	free(t->slots);
	t->slots = slots;
	t->slots_cap = cap;
	for (uint32_t id = 1; id < t->n; id++)
		*slot_of(t, t->bytes + t->offsets[id], t->lengths[id]) = id;
	return true;
}

static bool grow_ids(struct intern *t)
{
	uint32_t cap = t->n_cap * 2;
	void *p;

	if (cap < t->n_cap)
		return false;
	p = realloc(t->offsets, cap * sizeof *t->offsets);
	if (!p)
		return false;
	t->offsets = p;
	p = realloc(t->lengths, cap * sizeof *t->lengths);
	if (!p)
		return false;
	t->lengths = p;
	t->n_cap = cap;
	return true;
}

static bool grow_bytes(struct intern *t, size_t need)
{
	size_t cap = t->cap;
	char *p;

	while (cap < need) {
		if (cap > SIZE_MAX / 2)
			return false;
		cap *= 2;
	}
	p = realloc(t->bytes, cap);
	if (!p)
		return false;
	t->bytes = p;
	t->cap = cap;
	return true;
}

static int make_room(struct intern *t, size_t n)
{
	size_t size = (n + 1 + 7) & ~(size_t)7;

	if (n > UINT32_MAX - 16 || t->n == UINT32_MAX)
		return ERR_FULL;
	if (t->max_bytes && (t->len > t->max_bytes || size > t->max_bytes - t->len))
		return ERR_FULL;
	if (t->len + size > t->cap && !grow_bytes(t, t->len + size))
		return ERR_NO_MEMORY;
	if (t->n == t->n_cap && !grow_ids(t))
		return ERR_NO_MEMORY;
	if (t->n >= t->slots_cap / 4 * 3 && !grow_slots(t))
		return ERR_NO_MEMORY;
	return 0;
}

static uint32_t append(struct intern *t, const void *p, size_t n)
{
	size_t size = (n + 1 + 7) & ~(size_t)7;
	char *to = t->bytes + t->len;

	memcpy(to, p, n);
	memset(to + n, 0, size - n);
	t->offsets[t->n] = t->len;
	t->lengths[t->n] = (uint32_t)n;
	t->len += size;
	return t->n++;
}

int intern_get(struct intern *t, const void *p, size_t n, uint32_t *id, bool *is_new)
{
	if (is_new)
		*is_new = false;
	*id = intern_find(t, p, n);
	if (*id || n == 0)
		return 0;
	TRY(make_room(t, n));
	*id = append(t, p, n);
	*slot_of(t, p, n) = *id;
	if (is_new)
		*is_new = true;
	return 0;
}

uint32_t intern_find(const struct intern *t, const void *p, size_t n)
{
	return n == 0 ? 0 : *slot_of(t, p, n);
}

const char *intern_bytes(const struct intern *t, uint32_t id, size_t *n)
{
	if (n)
		*n = t->lengths[id];
	return t->bytes + t->offsets[id];
}
