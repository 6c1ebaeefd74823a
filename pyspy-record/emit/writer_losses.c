/* Counters, and what was lost. */
#include "pyspy-record/emit/writer_parts.h"

#include "libcommon/err.h"

enum {
	LOST_MAX = 256, /* LOST records of a block; further ones join the last of their kind */
	CAUSES = WIRE_LOST_END_,
};

bool writer_losses_room(struct writer *w)
{
	return vec_room(&w->lost, LOST_MAX + CAUSES);
}

static struct rec_lost *find_lost(struct writer *w, uint32_t cause, const thread_id *thread)
{
	for (size_t i = w->lost.n; i-- > 0;)
		if (w->lost.v[i].cause == cause && (!thread || w->lost.v[i].thread == *thread))
			return &w->lost.v[i];
	return NULL;
}

void writer_lost(struct writer *w, const struct rec_lost *l)
{
	struct rec_lost *known = NULL;
	if (w->lost.n >= LOST_MAX) {
		known = find_lost(w, l->cause, &l->thread);
		if (!known && (known = find_lost(w, l->cause, NULL)))
			known->thread = 0;
	}
	if (!known) { /* writer_new made room: at most one more of each cause */
		if (w->lost.n < w->lost.cap)
			w->lost.v[w->lost.n++] = *l;
		return;
	}
	if (l->begin_ns < known->begin_ns)
		known->begin_ns = l->begin_ns;
	if (l->end_ns > known->end_ns)
		known->end_ns = l->end_ns;
	known->count += l->count;
}

void writer_count(struct writer *w, enum wire_counter c, uint64_t value)
{
	if (c > 0 && c < WIRE_COUNTER_LIMIT)
		w->counters[c] = value;
}

void writer_put_counters(struct writer *w)
{
	struct rec_counter changed[WIRE_COUNTER_LIMIT];
	uint32_t n = 0;

	for (uint32_t c = 1; c < WIRE_COUNTER_LIMIT; c++) {
		if (w->counters[c] == (w->epoch_begins ? 0 : w->counters_sent[c]))
			continue;
		changed[n++] = (struct rec_counter){.counter = c, .value = w->counters[c]};
		w->counters_sent[c] = w->counters[c];
	}
	if (n)
		encode_counters(&w->tail, changed, n);
}

void writer_put_losses(struct writer *w)
{
	for (size_t i = 0; i < w->lost.n; i++)
		encode_lost(&w->tail, &w->lost.v[i]);
	w->lost.n = 0;
}

void writer_count_losses(struct writer *w, uint64_t now_ns)
{
	struct rec_lost lost = {.begin_ns = w->begin_ns, .end_ns = now_ns};
	if (w->dictionary.refused) {
		lost.cause = WIRE_LOST_LIMIT;
		lost.count = w->dictionary.refused;
		writer_lost(w, &lost);
	}
	if (w->ticks.not_kept) {
		lost.cause = WIRE_LOST_DROPPED;
		lost.count = w->ticks.not_kept;
		writer_lost(w, &lost);
	}
	w->dictionary.refused = 0;
}
