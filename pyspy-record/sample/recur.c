#include "pyspy-record/sample/recur.h"

#include <stdlib.h>
#include <string.h>

enum { BITS = 19, WORDS = (1 << BITS) / 64, BEFORE_MAX = 200000 };

void recur_done(struct recur *r)
{
	free(r->now);
	free(r->before);
	*r = (struct recur){0};
}

static bool has_room(struct recur *r)
{
	if (!r->now)
		r->now = calloc(WORDS, 8);
	if (!r->before)
		r->before = calloc(WORDS, 8);
	return r->now && r->before;
}

void recur_put(struct recur *r, uint32_t hash)
{
	uint32_t bit = (hash * UINT32_C(2654435769)) >> (32 - BITS);
	uint64_t mask = UINT64_C(1) << (bit & 63);
	if (!has_room(r))
		return;
	r->n++;
	r->n_again += (r->before[bit / 64] & mask) != 0;
	r->now[bit / 64] |= mask;
}

void recur_turn(struct recur *r)
{
	if (!has_room(r))
		return;
	if (r->n_before + r->n > BEFORE_MAX) {
		memset(r->before, 0, WORDS * 8);
		r->n_before = 0;
	}
	for (size_t i = 0; i < WORDS; i++)
		r->before[i] |= r->now[i];
	r->n_before += r->n - r->n_again;
	memset(r->now, 0, WORDS * 8);
	r->n = r->n_again = 0;
}

bool recur_is_again(const struct recur *r)
{
	return r->n_again > r->n / 2;
}
