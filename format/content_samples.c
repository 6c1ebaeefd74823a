/* content_samples: TICKS and EVENTS (FORMAT.md 4). Both are read whole before they are told. */
#include "format/content.h"

/* base + v x unit, or bad */
static uint64_t scaled(struct cursor *c, uint64_t base, uint64_t v, uint64_t unit)
{
	uint64_t product, sum;

	if (__builtin_mul_overflow(v, unit, &product) || __builtin_add_overflow(base, product, &sum)) {
		c->is_bad = true;
		return 0;
	}
	return sum;
}

static uint64_t read_unit(struct cursor *c)
{
	uint64_t unit = cursor_u64(c);

	if (unit == 0)
		c->is_bad = true;
	return unit;
}

static enum content_result read_times(struct content *d, struct cursor *c, struct rec_ticks *t)
{
	uint64_t base = cursor_u64(c);

	t->unit_ns = read_unit(c);
	t->n_ticks = cursor_count(c, 1);
	d->times.n = 0;
	if (!vec_room(&d->times, t->n_ticks))
		return content_no_memory(d);
	for (uint32_t i = 0; i < t->n_ticks; i++) {
		base = scaled(c, base, cursor_u64(c), t->unit_ns);
		d->times.v[d->times.n++] = base;
	}
	t->times_ns = d->times.v;
	return CONTENT_OK;
}

/* The columns as they stand; `stack` still holds id + 1 or 0. */
static void read_columns(struct cursor *c, struct rec_entry *e, uint32_t n, const struct rec_ticks *t)
{
	uint64_t tick = 0;

	for (uint32_t i = 0; i < n; i++) {
		tick += cursor_u32(c);
		c->is_bad |= tick >= t->n_ticks;
		e[i] = (struct rec_entry){.tick = (uint32_t)tick, .has_stack = true};
	}
	for (uint32_t i = 0; i < n; i++)
		e[i].thread = cursor_own_id(c);
	for (uint32_t i = 0; i < n; i++)
		e[i].stack = cursor_max(c, WIRE_IDS_MAX + 1);
	for (uint32_t i = 0; i < n; i++)
		e[i].flags = cursor_u32(c);
	for (uint32_t i = 0; i < n; i++)
		e[i].cpu_ns = scaled(c, 0, cursor_u64(c), t->cpu_unit_ns);
}

/* Resolve "as before", and see that a thread has at most one entry in a tick. entry_of is left dirty. */
static enum content_result link_entries(struct content *d, struct rec_entry *e, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t before = idtable_get(&d->entry_of, e[i].thread);

		if (before && e[before - 1].tick == e[i].tick)
			return content_bad(d, "two entries of a thread in one tick");
		if (e[i].stack == 0 && !before)
			return content_bad(d, "a thread's first entry names no stack");
		e[i].stack = e[i].stack ? e[i].stack - 1 : e[before - 1].stack;
		if (!idtable_set(&d->entry_of, e[i].thread, i + 1))
			return content_no_memory(d);
	}
	return CONTENT_OK;
}

static enum content_result read_entries(struct content *d, struct cursor *c, struct rec_ticks *t)
{
	enum content_result result;
	struct rec_entry *e;

	t->cpu_unit_ns = read_unit(c);
	t->n_entries = cursor_count(c, 5);
	d->entries.n = 0;
	if (!vec_room(&d->entries, t->n_entries))
		return content_no_memory(d);
	e = d->entries.v;
	read_columns(c, e, t->n_entries, t);
	if (c->is_bad)
		return content_bad(d, "a bad TICKS record");
	result = link_entries(d, e, t->n_entries);
	for (uint32_t i = 0; i < t->n_entries; i++) {
		if (idtable_get(&d->entry_of, e[i].thread))
			idtable_set(&d->entry_of, e[i].thread, 0);
	}
	t->entries = e;
	return result;
}

static enum content_result read_closings(struct content *d, struct cursor *c, struct rec_ticks *t)
{
	t->n_closings = cursor_count(c, 2);
	d->closings.n = 0;
	if (!vec_room(&d->closings, t->n_closings))
		return content_no_memory(d);
	for (uint32_t i = 0; i < t->n_closings; i++) {
		struct rec_closing closing = {.thread = cursor_own_id(c)};

		closing.cpu_ns = scaled(c, 0, cursor_u64(c), t->cpu_unit_ns);
		d->closings.v[d->closings.n++] = closing;
	}
	t->closings = d->closings.v;
	return CONTENT_OK;
}

/* Since 1.2, and only where the rate was lowered. */
static enum content_result read_gaps(struct content *d, struct cursor *c, struct rec_ticks *t)
{
	uint64_t tick = 0;

	t->n_gaps = c->p < c->end ? cursor_count(c, 2) : 0;
	d->gaps.n = 0;
	if (!vec_room(&d->gaps, t->n_gaps))
		return content_no_memory(d);
	for (uint32_t i = 0; i < t->n_gaps; i++) {
		uint32_t step = cursor_u32(c);
		uint64_t mean_ns = cursor_u64(c);

		tick += step;
		c->is_bad |= tick > t->n_ticks || (i && !step) || !mean_ns || mean_ns > WIRE_MEAN_GAP_MAX_NS;
		d->gaps.v[d->gaps.n++] = (struct rec_gap){.tick = (uint32_t)tick, .mean_ns = mean_ns};
	}
	t->gaps = d->gaps.v;
	return CONTENT_OK;
}

enum content_result content_ticks(struct content *d, struct cursor *c)
{
	struct rec_ticks t = {0};

	if (d->has_ticks)
		return content_bad(d, "a second TICKS record in a block");
	d->has_ticks = true;
	CONTENT_TRY(read_times(d, c, &t));
	CONTENT_TRY(read_entries(d, c, &t));
	CONTENT_TRY(read_closings(d, c, &t));
	CONTENT_TRY(read_gaps(d, c, &t));
	if (c->is_bad)
		return content_bad(d, "a bad TICKS record");
	return CONTENT_TELL(d, ticks, &t);
}

/* The time `step` units after (before, when negative) `time`, or bad. */
static uint64_t moved(struct cursor *c, uint64_t time, int64_t step, uint64_t unit)
{
	uint64_t product;

	if (step >= 0)
		return scaled(c, time, (uint64_t)step, unit);
	if (__builtin_mul_overflow(0 - (uint64_t)step, unit, &product) || product > time) {
		c->is_bad = true;
		return 0;
	}
	return time - product;
}

static void read_event_columns(struct cursor *c, struct rec_event *e, uint32_t n, uint64_t base,
                               const struct rec_events *r)
{
	for (uint32_t i = 0; i < n; i++) {
		base = moved(c, base, cursor_zigzag(c), r->unit_ns);
		e[i] = (struct rec_event){.time_ns = base};
	}
	for (uint32_t i = 0; i < n; i++)
		e[i].thread = cursor_own_id(c);
	for (uint32_t i = 0; i < n; i++)
		e[i].stack = cursor_max(c, WIRE_IDS_MAX + 1);
	for (uint32_t i = 0; i < n; i++)
		e[i].flags = cursor_u32(c);
	for (uint32_t i = 0; i < n; i++)
		e[i].weight_ns = scaled(c, 0, cursor_u64(c), r->weight_unit_ns);
}

static enum content_result link_events(struct content *d, struct rec_event *e, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		uint32_t before = idtable_get(&d->entry_of, e[i].thread);

		if (e[i].stack == 0 && !before)
			return content_bad(d, "a thread's first event names no stack");
		e[i].stack = e[i].stack ? e[i].stack - 1 : e[before - 1].stack;
		if (!idtable_set(&d->entry_of, e[i].thread, i + 1))
			return content_no_memory(d);
	}
	return CONTENT_OK;
}

enum content_result content_events(struct content *d, struct cursor *c)
{
	struct rec_events r = {0};
	enum content_result result;
	uint64_t base = cursor_u64(c);

	r.unit_ns = read_unit(c);
	r.weight_unit_ns = read_unit(c);
	r.n_events = cursor_count(c, 5);
	if (!vec_room(&d->events, r.n_events))
		return content_no_memory(d);
	read_event_columns(c, d->events.v, r.n_events, base, &r);
	if (c->is_bad)
		return content_bad(d, "a bad EVENTS record");
	result = link_events(d, d->events.v, r.n_events);
	for (uint32_t i = 0; i < r.n_events; i++) {
		if (idtable_get(&d->entry_of, d->events.v[i].thread))
			idtable_set(&d->entry_of, d->events.v[i].thread, 0);
	}
	CONTENT_TRY(result);
	r.events = d->events.v;
	return CONTENT_TELL(d, events, &r);
}
