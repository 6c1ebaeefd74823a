#include "format/encode.h"
#include "format/encode_record.h"

static uint64_t at_least_one(uint64_t unit)
{
	return unit ? unit : 1;
}

static void tick_times(struct buf *b, const struct rec_ticks *t)
{
	uint64_t unit = at_least_one(t->unit_ns), base = t->n_ticks ? t->times_ns[0] : 0, before = 0;

	encode_varint(b, base);
	encode_varint(b, unit);
	encode_varint(b, t->n_ticks);
	/* differences of rounded times, not rounded differences: the error does not add up */
	for (uint32_t i = 0; i < t->n_ticks; i++) {
		uint64_t now = (t->times_ns[i] - base) / unit;

		encode_varint(b, now - before);
		before = now;
	}
}

static void entries(struct buf *b, const struct rec_entry *e, uint32_t n, uint64_t cpu_unit)
{
	uint32_t tick = 0;

	encode_varint(b, n);
	for (uint32_t i = 0; i < n; i++) {
		encode_varint(b, e[i].tick - tick);
		tick = e[i].tick;
	}
	for (uint32_t i = 0; i < n; i++)
		encode_varint(b, e[i].thread);
	for (uint32_t i = 0; i < n; i++)
		encode_varint(b, e[i].has_stack ? (uint64_t)e[i].stack + 1 : 0);
	for (uint32_t i = 0; i < n; i++)
		encode_varint(b, e[i].flags);
	for (uint32_t i = 0; i < n; i++)
		encode_varint(b, e[i].cpu_ns / cpu_unit);
}

static void gaps(struct buf *b, const struct rec_gap *g, uint32_t n)
{
	uint32_t tick = 0;

	encode_varint(b, n);
	for (uint32_t i = 0; i < n; i++) {
		encode_varint(b, g[i].tick - tick);
		encode_varint(b, g[i].mean_ns);
		tick = g[i].tick;
	}
}

void encode_ticks(struct buf *b, const struct rec_ticks *t)
{
	size_t payload = encode_record_begin(b, WIRE_TICKS);
	uint64_t cpu_unit = at_least_one(t->cpu_unit_ns);

	tick_times(b, t);
	encode_varint(b, cpu_unit);
	entries(b, t->entries, t->n_entries, cpu_unit);
	encode_varint(b, t->n_closings);
	for (uint32_t i = 0; i < t->n_closings; i++) {
		encode_varint(b, t->closings[i].thread);
		encode_varint(b, t->closings[i].cpu_ns / cpu_unit);
	}
	if (t->n_gaps)
		gaps(b, t->gaps, t->n_gaps);
	encode_record_end(b, payload);
}

static uint64_t earliest(const struct rec_event *e, uint32_t n)
{
	uint64_t least = n ? e[0].time_ns : 0;

	for (uint32_t i = 1; i < n; i++) {
		if (e[i].time_ns < least)
			least = e[i].time_ns;
	}
	return least;
}

void encode_events(struct buf *b, const struct rec_events *r)
{
	size_t payload = encode_record_begin(b, WIRE_EVENTS);
	const struct rec_event *e = r->events;
	uint64_t unit = at_least_one(r->unit_ns), weight_unit = at_least_one(r->weight_unit_ns);
	/* as base the earliest, so that rounding is down for all of them */
	uint64_t base = earliest(e, r->n_events);
	int64_t before = 0;

	encode_varint(b, base);
	encode_varint(b, unit);
	encode_varint(b, weight_unit);
	encode_varint(b, r->n_events);
	for (uint32_t i = 0; i < r->n_events; i++) {
		int64_t now = (int64_t)((e[i].time_ns - base) / unit);

		encode_zigzag(b, now - before);
		before = now;
	}
	for (uint32_t i = 0; i < r->n_events; i++)
		encode_varint(b, e[i].thread);
	/* "as this thread's event before" would need a table of threads; equal numbers compress as well */
	for (uint32_t i = 0; i < r->n_events; i++)
		encode_varint(b, (uint64_t)e[i].stack + 1);
	for (uint32_t i = 0; i < r->n_events; i++)
		encode_varint(b, e[i].flags);
	for (uint32_t i = 0; i < r->n_events; i++)
		encode_varint(b, e[i].weight_ns / weight_unit);
	encode_record_end(b, payload);
}
