#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/exchange/copyist_parts.h"

static uint32_t with_doubt(const struct copyist *c, stack_id stack, uint32_t flags)
{
	return c->doubts.n && map_get(&c->doubts, stack, 0) ? flags | WIRE_FLAG_UNPROVED : flags;
}

/* Samples of the entries: each counts from its tick to the thread's next entry, or to the end. */
static uint64_t count_samples(struct copyist *c)
{
	uint64_t n = 0, ticks = c->times.n;
	bool is_new;

	map_clear(&c->last);
	for (size_t i = c->entries.n; i-- > 0;) {
		const struct rec_entry *e = &c->entries.v[i];
		uint32_t *next = map_put(&c->last, e->thread, 0, &is_new);

		if (!next)
			return n; /* no memory; the next one will say so */
		if (!(e->flags & WIRE_FLAG_ABSENT))
			n += (is_new ? ticks : *next) - e->tick;
		*next = e->tick;
	}
	map_clear(&c->last);
	return n;
}

static int put_ticks(struct copyist *c)
{
	uint64_t n = count_samples(c);
	bool is_new;

	for (size_t i = 0; i < c->entries.n; i++) {
		struct rec_entry *e = &c->entries.v[i];

		if (e->flags & WIRE_FLAG_ABSENT) {
			e->stack = 0;
		} else {
			uint32_t flags = with_doubt(c, e->stack, e->flags);

			TRY(copyist_stack_of(c, e->stack, e->flags, &e->stack));
			e->flags = flags;
		}
		uint32_t *before = map_put(&c->last, e->thread, 0, &is_new);
		if (!before)
			return ERR_NO_MEMORY;
		e->has_stack = is_new || *before != e->stack;
		*before = e->stack;
	}
	encode_ticks(scribe_begin(c->to, SCRIBE_SAMPLES), &(struct rec_ticks){.unit_ns = c->tick_unit_ns,
	                                                                      .cpu_unit_ns = c->cpu_unit_ns,
	                                                                      .times_ns = c->times.v,
	                                                                      .n_ticks = (uint32_t)c->times.n,
	                                                                      .entries = c->entries.v,
	                                                                      .n_entries = (uint32_t)c->entries.n,
	                                                                      .closings = c->closings.v,
	                                                                      .n_closings = (uint32_t)c->closings.n,
	                                                                      .gaps = c->gaps.v,
	                                                                      .n_gaps = (uint32_t)c->gaps.n});
	c->n_samples += n;
	return scribe_end(c->to, SCRIBE_SAMPLES, n, (uint32_t)c->times.n);
}

static int put_events(struct copyist *c, struct rec_events *r, size_t from)
{
	for (size_t i = from; i < from + r->n_events; i++) {
		struct rec_event *e = &c->events.v[i];
		uint32_t flags = with_doubt(c, e->stack, e->flags);

		TRY(copyist_stack_of(c, e->stack, e->flags, &e->stack));
		e->flags = flags;
	}
	r->events = c->events.v + from;
	encode_events(scribe_begin(c->to, SCRIBE_SAMPLES), r);
	c->n_samples += r->n_events;
	return scribe_end(c->to, SCRIBE_SAMPLES, r->n_events, 0);
}

int copyist_put_samples(struct copyist *c)
{
	size_t from = 0;

	if (c->has_ticks)
		TRY(put_ticks(c));
	for (size_t i = 0; i < c->batches.n; i++) {
		TRY(put_events(c, &c->batches.v[i], from));
		from += c->batches.v[i].n_events;
	}
	if (!c->counters.n)
		return 0;
	encode_counters(scribe_begin(c->to, SCRIBE_SAMPLES), c->counters.v, (uint32_t)c->counters.n);
	return scribe_end(c->to, SCRIBE_SAMPLES, 0, 0);
}
