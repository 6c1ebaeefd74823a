#include "pyspy-report/profile/tally.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/table.h"

static uint64_t tally_hash(uint32_t thread, uint32_t stack, uint32_t flags)
{
	uint64_t h = ((uint64_t)stack << 32 | thread) ^ (uint64_t)flags << 47;

	h *= UINT64_C(0x9E3779B97F4A7C15);
	h ^= h >> 29;
	h *= UINT64_C(0xBF58476D1CE4E5B9);
	return h ^ h >> 32;
}

void tally_done(struct tally *t)
{
	vec_free(&t->rows);
	free(t->slots);
	memset(t, 0, sizeof *t);
}

void tally_clear(struct tally *t)
{
	t->rows.n = 0;
	t->n_in = t->n_out = 0;
	if (t->slots)
		memset(t->slots, 0, t->n_slots * sizeof *t->slots);
}

static int tally_grow(struct tally *t)
{
	size_t n = t->n_slots ? t->n_slots * 2 : 1024;
	uint32_t *slots = table_new(n * sizeof *slots);

	if (!slots)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < t->rows.n; i++) {
		const struct tally_row *r = &t->rows.v[i];
		size_t at = tally_hash(r->thread, r->stack, r->flags) & (n - 1);

		while (slots[at])
			at = (at + 1) & (n - 1);
		slots[at] = (uint32_t)i + 1;
	}
	free(t->slots);
	t->slots = slots;
	t->n_slots = n;
	return 0;
}

static int tally_put(struct tally *t, const struct tally_row *add, uint64_t hash)
{
	if (t->rows.n * 2 >= t->n_slots)
		TRY(tally_grow(t));

	size_t at = hash & (t->n_slots - 1);
	for (; t->slots[at]; at = (at + 1) & (t->n_slots - 1)) {
		struct tally_row *r = &t->rows.v[t->slots[at] - 1];

		if (r->thread != add->thread || r->stack != add->stack || r->flags != add->flags)
			continue;
		r->n += add->n;
		r->wall_ns += add->wall_ns;
		r->cpu_ns += add->cpu_ns;
		return 0;
	}
	if (t->rows.n >= UINT32_MAX - 1 || !vec_push(&t->rows, *add))
		return ERR_NO_MEMORY;
	t->slots[at] = (uint32_t)t->rows.n;
	return 0;
}

int tally_add(struct tally *t, const struct tally_row *add)
{
	uint64_t hash = tally_hash(add->thread, add->stack, add->flags);

	if (t->n_in - t->n_out == TALLY_WAIT) {
		size_t oldest = t->n_out++ % TALLY_WAIT;
		TRY(tally_put(t, &t->waiting[oldest], t->hashes[oldest]));
	}
	t->waiting[t->n_in % TALLY_WAIT] = *add;
	t->hashes[t->n_in % TALLY_WAIT] = hash;
	if (t->slots) {
		__builtin_prefetch(&t->slots[hash & (t->n_slots - 1)]);
		if (t->n_in >= TALLY_WAIT / 2) { /* that one's slot is here by now: fetch its row */
			uint64_t older = t->hashes[(t->n_in - TALLY_WAIT / 2) % TALLY_WAIT];
			uint32_t row = t->slots[older & (t->n_slots - 1)];
			if (row)
				__builtin_prefetch(&t->rows.v[row - 1]);
		}
	}
	t->n_in++;
	return 0;
}

int tally_flush(struct tally *t)
{
	for (; t->n_out < t->n_in; t->n_out++)
		TRY(tally_put(t, &t->waiting[t->n_out % TALLY_WAIT], t->hashes[t->n_out % TALLY_WAIT]));
	return 0;
}
