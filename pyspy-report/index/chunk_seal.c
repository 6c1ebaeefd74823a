/* A chunk becomes two BLOBs. */
#include "pyspy-report/index/chunk_parts.h"

#include "format/encode.h"
#include "libcommon/err.h"

void chunk_clear(struct chunk *c)
{
	c->blocks.n = c->ticks_ns.n = c->entries.n = c->closings.n = c->gaps.n = c->events.n = 0;
	c->changes.n = c->carries.n = 0;
}

void chunk_done(struct chunk *c)
{
	vec_free(&c->blocks);
	vec_free(&c->ticks_ns);
	vec_free(&c->entries);
	vec_free(&c->closings);
	vec_free(&c->gaps);
	vec_free(&c->events);
	vec_free(&c->changes);
	vec_free(&c->carries);
}

/* The greatest unit in which all of them are whole. */
static void unit_of(uint64_t *unit, uint64_t v)
{
	if (!v || (*unit && v % *unit == 0))
		return;
	for (uint64_t a = *unit; a;) {
		uint64_t rest = v % a;

		v = a;
		a = rest;
	}
	*unit = v;
}

static uint64_t apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

static struct chunk_units units_of(const struct chunk *c)
{
	struct chunk_units u = {0};
	size_t tick = 0, event = 0;

	for (size_t i = 0; i < c->blocks.n; i++) {
		const struct chunk_block *b = &c->blocks.v[i];
		uint64_t at = b->begin_ns;

		for (size_t end = tick + b->n_ticks; tick < end; at = c->ticks_ns.v[tick++])
			unit_of(&u.tick_ns, apart(c->ticks_ns.v[tick], at));
		at = b->begin_ns;
		for (size_t end = event + b->n_events; event < end; at = c->events.v[event++].time_ns)
			unit_of(&u.event_ns, apart(c->events.v[event].time_ns, at));
	}
	for (size_t i = 0; i < c->entries.n; i++)
		unit_of(&u.cpu_ns, c->entries.v[i].cpu_ns);
	for (size_t i = 0; i < c->closings.n; i++)
		unit_of(&u.cpu_ns, c->closings.v[i].cpu_ns);
	for (size_t i = 0; i < c->events.n; i++)
		unit_of(&u.weight_ns, c->events.v[i].weight_ns);
	u.tick_ns += !u.tick_ns;
	u.cpu_ns += !u.cpu_ns;
	u.event_ns += !u.event_ns;
	u.weight_ns += !u.weight_ns;
	return u;
}

/* The way from one time to another in units: low bit set: backwards. 2^64 units are too many for a zigzag. */
static void put_way(struct buf *b, uint64_t from, uint64_t to, uint64_t unit)
{
	uint64_t n = apart(from, to) / unit;

	if (n >> 63) { /* of nobody; still as it was */
		encode_varint(b, UINT64_MAX);
		encode_varint(b, to);
		return;
	}
	encode_varint(b, n << 1 | (to < from));
}

static void put_block(const struct chunk_block *b, uint64_t *at, int64_t *anchor, struct buf *to)
{
	put_way(to, *at, b->begin_ns, 1);
	put_way(to, b->begin_ns, b->end_ns, 1);
	put_way(to, (uint64_t)*anchor ^ UINT64_C(1) << 63, (uint64_t)b->anchor_ns ^ UINT64_C(1) << 63, 1);
	encode_varint(to, b->n_ticks);
	encode_varint(to, b->n_entries);
	encode_varint(to, b->n_closings);
	encode_varint(to, b->n_gaps);
	encode_varint(to, b->n_events);
	encode_varint(to, b->n_changes);
	encode_varint(to, b->n_carries);
	*at = b->end_ns;
	*anchor = b->anchor_ns;
}

static void put_entries(const struct chunk *c, size_t from, const struct chunk_block *b, const struct chunk_units *u,
                        struct pack *k)
{
	uint32_t tick = 0, thread = 0;

	for (size_t i = from; i < from + b->n_entries; i++) {
		const struct rec_entry *e = &c->entries.v[i];

		encode_varint(&k->columns[C_ENTRY_TICK], e->tick - tick);
		encode_zigzag(&k->columns[C_ENTRY_THREAD], (int64_t)e->thread - thread);
		encode_varint(&k->columns[C_ENTRY_FLAGS], e->flags);
		encode_varint(&k->columns[C_ENTRY_CPU], e->cpu_ns / u->cpu_ns);
		tick = e->tick;
		thread = e->thread;
	}
}

static void put_events(const struct chunk *c, size_t from, const struct chunk_block *b, const struct chunk_units *u,
                       struct pack *k)
{
	uint64_t at = b->begin_ns;
	uint32_t thread = 0;

	for (size_t i = from; i < from + b->n_events; i++) {
		const struct rec_event *e = &c->events.v[i];

		put_way(&k->columns[C_EVENT_TIME], at, e->time_ns, u->event_ns);
		encode_zigzag(&k->columns[C_EVENT_THREAD], (int64_t)e->thread - thread);
		encode_varint(&k->columns[C_EVENT_FLAGS], e->flags);
		encode_varint(&k->columns[C_EVENT_WEIGHT], e->weight_ns / u->weight_ns);
		at = e->time_ns;
		thread = e->thread;
	}
}

static void put_rest(const struct chunk *c, const struct chunk_units *u, struct buf *to)
{
	for (size_t i = 0; i < c->closings.n; i++) {
		encode_varint(to, c->closings.v[i].thread);
		encode_varint(to, c->closings.v[i].cpu_ns / u->cpu_ns);
	}
	for (size_t i = 0; i < c->gaps.n; i++) {
		encode_varint(to, c->gaps.v[i].tick);
		encode_varint(to, c->gaps.v[i].mean_ns);
	}
	for (size_t i = 0; i < c->changes.n; i++) {
		encode_varint(to, c->changes.v[i].id);
		encode_varint(to, c->changes.v[i].thread);
	}
	for (size_t i = 0; i < c->carries.n; i++) {
		encode_varint(to, c->carries.v[i].id);
		encode_varint(to, c->carries.v[i].flags);
	}
}

int chunk_seal(const struct chunk *c, struct pack *k, struct buf *out)
{
	struct chunk_units u = units_of(c);
	size_t tick = 0, entry = 0, event = 0;
	uint64_t end = 0;
	int64_t anchor = 0;

	pack_clear(k);
	encode_varint(&k->columns[C_HEAD], c->id);
	encode_varint(&k->columns[C_HEAD], c->blocks.n);
	encode_varint(&k->columns[C_HEAD], u.tick_ns);
	encode_varint(&k->columns[C_HEAD], u.cpu_ns);
	encode_varint(&k->columns[C_HEAD], u.event_ns);
	encode_varint(&k->columns[C_HEAD], u.weight_ns);
	for (size_t i = 0; i < c->blocks.n; i++) {
		const struct chunk_block *b = &c->blocks.v[i];
		uint64_t at = b->begin_ns;

		put_block(b, &end, &anchor, &k->columns[C_BLOCKS]);
		for (size_t last = tick + b->n_ticks; tick < last; at = c->ticks_ns.v[tick++])
			put_way(&k->columns[C_TICKS], at, c->ticks_ns.v[tick], u.tick_ns);
		put_entries(c, entry, b, &u, k);
		put_events(c, event, b, &u, k);
		entry += b->n_entries;
		event += b->n_events;
	}
	put_rest(c, &u, &k->columns[C_REST]);
	return pack_seal(k, C_COLUMNS, out);
}

int chunk_seal_stacks(uint64_t chunk, const struct chunk_stack *s, size_t n, struct pack *k, struct buf *out)
{
	struct chunk_by_thread before = {0};
	int rc = 0;

	pack_clear(k);
	encode_varint(&k->columns[S_HEAD], chunk);
	encode_varint(&k->columns[S_HEAD], n);
	for (size_t i = 0; i < n && !rc; i++) {
		uint32_t last = chunk_by_thread_get(&before, s[i].id), code = s[i].code + 1; /* 0: none yet */
		int64_t way = (int64_t)(s[i].code >> EPOCH_CODE_BITS) - (int64_t)((last - 1) >> EPOCH_CODE_BITS);
		uint64_t step = (uint64_t)way << 1 ^ (way < 0 ? UINT64_MAX : 0);

		if (last == code) {
			buf_u8(&k->columns[S_STEP], 0);
			continue;
		}
		if (last && step && step <= STEP_NEAR && ((last - 1) & CHUNK_KIND) == (s[i].code & CHUNK_KIND)) {
			buf_u8(&k->columns[S_STEP], (uint8_t)step);
		} else {
			buf_u8(&k->columns[S_STEP], (uint8_t)(STEP_FAR + (s[i].code & CHUNK_KIND)));
			for (unsigned byte = 0; byte < 4; byte++)
				buf_u8(&k->columns[S_NODE + byte],
				       (uint8_t)(s[i].code >> EPOCH_CODE_BITS >> (8 * byte)));
		}
		rc = chunk_by_thread_set(&before, s[i].id, code) ? 0 : ERR_NO_MEMORY;
	}
	idtable_clear(&before.more);
	return rc ? rc : pack_seal(k, S_COLUMNS, out);
}
