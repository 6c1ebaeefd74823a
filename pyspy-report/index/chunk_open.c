/* Two BLOBs of anybody become a chunk. */
#include "pyspy-report/index/chunk_parts.h"

#include "libcommon/err.h"

struct opened {
	struct chunk *c;
	struct chunk_units u;
	uint32_t n_threads, n_nodes;
	struct unpack blocks, ticks, entry_tick, entry_thread, entry_flags, entry_cpu, rest, event_time, event_thread,
	    event_flags, event_weight;
	size_t n_closings, n_gaps, n_changes, n_carries; /* claimed by the blocks */
};

static size_t left(const struct unpack *u)
{
	return (size_t)(u->end - u->p);
}

static uint64_t take_way(struct unpack *u, uint64_t from, uint64_t unit)
{
	uint64_t v = unpack_u64(u), way;

	if (v == UINT64_MAX)
		return unpack_u64(u);
	if (__builtin_mul_overflow(v >> 1, unit, &way) || (v & 1 ? way > from : way > UINT64_MAX - from)) {
		u->is_bad = true;
		return from;
	}
	return v & 1 ? from - way : from + way;
}

static uint64_t take_times(struct unpack *u, uint64_t unit)
{
	uint64_t ns;

	if (!__builtin_mul_overflow(unpack_u64(u), unit, &ns))
		return ns;
	u->is_bad = true;
	return 0;
}

/* A count that the column cannot hold is a lie. */
static uint32_t take_count(struct unpack *u, size_t most)
{
	return unpack_max(u, most < UINT32_MAX ? most : UINT32_MAX);
}

static void take_block(struct opened *o, struct chunk_block *b, uint64_t *at, int64_t *anchor)
{
	struct unpack *u = &o->blocks;

	b->begin_ns = take_way(u, *at, 1);
	b->end_ns = take_way(u, b->begin_ns, 1);
	b->anchor_ns = (int64_t)(take_way(u, (uint64_t)*anchor ^ UINT64_C(1) << 63, 1) ^ UINT64_C(1) << 63);
	b->n_ticks = take_count(u, left(&o->ticks));
	b->n_entries = take_count(u, left(&o->entry_tick));
	b->n_closings = take_count(u, left(&o->rest));
	b->n_gaps = take_count(u, left(&o->rest));
	b->n_events = take_count(u, left(&o->event_time));
	b->n_changes = take_count(u, left(&o->rest));
	b->n_carries = take_count(u, left(&o->rest));
	if (b->end_ns < b->begin_ns || (b->n_entries && !b->n_ticks))
		u->is_bad = true;
	*at = b->end_ns;
	*anchor = b->anchor_ns;
	o->n_closings += b->n_closings;
	o->n_gaps += b->n_gaps;
	o->n_changes += b->n_changes;
	o->n_carries += b->n_carries;
}

static int take_ticks(struct opened *o, const struct chunk_block *b)
{
	uint64_t at = b->begin_ns;

	if (!vec_room(&o->c->ticks_ns, b->n_ticks))
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < b->n_ticks; i++) {
		uint64_t t = take_way(&o->ticks, at, o->u.tick_ns);

		if (i && t < at)
			o->ticks.is_bad = true;
		o->c->ticks_ns.v[o->c->ticks_ns.n++] = at = t;
	}
	return 0;
}

static uint32_t take_id(struct unpack *u, uint32_t before)
{
	int64_t id = before + (uint64_t)unpack_i64(u);

	if (id < 0 || id > WIRE_IDS_MAX) {
		u->is_bad = true;
		return 0;
	}
	return (uint32_t)id;
}

static int take_entries(struct opened *o, const struct chunk_block *b)
{
	uint32_t tick = 0, thread = 0;

	if (!vec_room(&o->c->entries, b->n_entries))
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < b->n_entries; i++) {
		struct rec_entry *e = &o->c->entries.v[o->c->entries.n++];

		tick += unpack_max(&o->entry_tick, b->n_ticks - 1 - tick);
		thread = take_id(&o->entry_thread, thread);
		*e = (struct rec_entry){.tick = tick,
		                        .thread = thread,
		                        .has_stack = true,
		                        .flags = unpack_max(&o->entry_flags, UINT32_MAX),
		                        .cpu_ns = take_times(&o->entry_cpu, o->u.cpu_ns)};
	}
	return 0;
}

static int take_events(struct opened *o, const struct chunk_block *b)
{
	uint64_t at = b->begin_ns;
	uint32_t thread = 0;

	if (!vec_room(&o->c->events, b->n_events))
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < b->n_events; i++) {
		at = take_way(&o->event_time, at, o->u.event_ns);
		thread = take_id(&o->event_thread, thread);
		o->c->events.v[o->c->events.n++] =
		    (struct rec_event){at, thread, 0, unpack_max(&o->event_flags, UINT32_MAX),
		                       take_times(&o->event_weight, o->u.weight_ns)};
	}
	return 0;
}

static int take_rest(struct opened *o)
{
	struct chunk *c = o->c;
	struct unpack *u = &o->rest;

	if (o->n_closings > left(u) || o->n_gaps > left(u) || o->n_changes > left(u) || o->n_carries > left(u))
		return ERR_DAMAGED;
	if (!vec_room(&c->closings, o->n_closings) || !vec_room(&c->gaps, o->n_gaps) ||
	    !vec_room(&c->changes, o->n_changes) || !vec_room(&c->carries, o->n_carries))
		return ERR_NO_MEMORY;
	while (c->closings.n < o->n_closings) {
		uint32_t id = unpack_max(u, WIRE_IDS_MAX);
		c->closings.v[c->closings.n++] = (struct rec_closing){id, take_times(u, o->u.cpu_ns)};
	}
	while (c->gaps.n < o->n_gaps) {
		uint32_t tick = unpack_max(u, UINT32_MAX);
		c->gaps.v[c->gaps.n++] = (struct rec_gap){tick, unpack_u64(u)};
	}
	while (c->changes.n < o->n_changes) {
		uint32_t id = unpack_max(u, WIRE_IDS_MAX);
		c->changes.v[c->changes.n++] = (struct chunk_change){id, unpack_max(u, o->n_threads - 1)};
	}
	while (c->carries.n < o->n_carries) {
		uint32_t id = unpack_max(u, WIRE_IDS_MAX);
		c->carries.v[c->carries.n++] = (struct chunk_carry){id, 0, unpack_max(u, UINT32_MAX)};
	}
	return unpack_is_over(u) ? 0 : ERR_DAMAGED;
}

/* What runs relies on: mean gaps within their bounds, in order; a thread has one entry at a tick. */
static int check_blocks(const struct chunk *c)
{
	const struct rec_gap *gap = c->gaps.v;
	const struct rec_entry *entry = c->entries.v;
	struct chunk_by_thread ticks = {0};
	uint32_t base = 0; /* entries of this block have numbers above it */
	int rc = 0;

	for (size_t i = 0; i < c->blocks.n && !rc; i++) {
		const struct chunk_block *b = &c->blocks.v[i];

		for (uint32_t n = 0; n < b->n_gaps && !rc; n++, gap++)
			if (gap->tick > b->n_ticks || (n && gap->tick <= gap[-1].tick) || !gap->mean_ns ||
			    gap->mean_ns > WIRE_MEAN_GAP_MAX_NS)
				rc = ERR_DAMAGED;
		if (base > UINT32_MAX - b->n_ticks - 1)
			rc = ERR_DAMAGED;
		for (uint32_t n = 0; n < b->n_entries && !rc; n++, entry++) {
			uint32_t number = base + entry->tick + 1;

			if (chunk_by_thread_get(&ticks, entry->thread) == number)
				rc = ERR_DAMAGED;
			else if (!chunk_by_thread_set(&ticks, entry->thread, number))
				rc = ERR_NO_MEMORY;
		}
		base += b->n_ticks;
	}
	idtable_clear(&ticks.more);
	return rc;
}

static int open_samples(struct opened *o, const struct pack *k)
{
	struct unpack head = unpack_column(k, C_HEAD);
	struct chunk *c = o->c;
	uint64_t id = unpack_u64(&head), at = 0;
	int64_t anchor = 0;

	o->blocks = unpack_column(k, C_BLOCKS);
	o->ticks = unpack_column(k, C_TICKS);
	o->entry_tick = unpack_column(k, C_ENTRY_TICK);
	o->entry_thread = unpack_column(k, C_ENTRY_THREAD);
	o->entry_flags = unpack_column(k, C_ENTRY_FLAGS);
	o->entry_cpu = unpack_column(k, C_ENTRY_CPU);
	o->rest = unpack_column(k, C_REST);
	o->event_time = unpack_column(k, C_EVENT_TIME);
	o->event_thread = unpack_column(k, C_EVENT_THREAD);
	o->event_flags = unpack_column(k, C_EVENT_FLAGS);
	o->event_weight = unpack_column(k, C_EVENT_WEIGHT);
	uint32_t n_blocks = take_count(&head, left(&o->blocks));
	o->u.tick_ns = unpack_u64(&head);
	o->u.cpu_ns = unpack_u64(&head);
	o->u.event_ns = unpack_u64(&head);
	o->u.weight_ns = unpack_u64(&head);
	if (n_blocks > CHUNK_MAX_BLOCKS)
		return ERR_DAMAGED;
	if (!unpack_is_over(&head) || id != c->id)
		return ERR_DAMAGED;
	if (!vec_room(&c->blocks, n_blocks))
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < n_blocks; i++) {
		struct chunk_block *b = &c->blocks.v[c->blocks.n++];

		take_block(o, b, &at, &anchor);
		if (o->blocks.is_bad || b->n_ticks > CHUNK_MAX_TICKS - c->ticks_ns.n ||
		    b->n_entries > CHUNK_MAX - c->entries.n || b->n_events > CHUNK_MAX - c->events.n)
			return ERR_DAMAGED;
		TRY(take_ticks(o, b));
		TRY(take_entries(o, b));
		TRY(take_events(o, b));
	}
	if (!unpack_is_over(&o->blocks) || !unpack_is_over(&o->ticks) || !unpack_is_over(&o->entry_tick) ||
	    !unpack_is_over(&o->entry_thread) || !unpack_is_over(&o->entry_flags) || !unpack_is_over(&o->entry_cpu) ||
	    !unpack_is_over(&o->event_time) || !unpack_is_over(&o->event_thread) || !unpack_is_over(&o->event_flags) ||
	    !unpack_is_over(&o->event_weight))
		return ERR_DAMAGED;
	TRY(take_rest(o));
	return check_blocks(c);
}

struct stacks {
	struct unpack step, node[4];
	struct chunk_by_thread before;
	uint32_t n_nodes;
	size_t n;
	int rc;
};

static uint32_t take_byte(struct unpack *u)
{
	if (u->p < u->end)
		return *u->p++;
	u->is_bad = true;
	return 0;
}

static uint32_t take_stack(struct stacks *s, uint32_t id)
{
	uint32_t last = chunk_by_thread_get(&s->before, id), step = take_byte(&s->step), node, kind;

	s->n++;
	if (!step) {
		s->step.is_bad |= !last;
		return last ? last - 1 : 0;
	}
	if (step <= STEP_NEAR) {
		int64_t way = (int64_t)(step >> 1) ^ -(int64_t)(step & 1);

		s->step.is_bad |= !last;
		kind = (last - 1) & CHUNK_KIND;
		node = (uint32_t)((int64_t)((last - 1) >> EPOCH_CODE_BITS) + way);
	} else {
		kind = step - STEP_FAR;
		node = take_byte(&s->node[0]) | take_byte(&s->node[1]) << 8 | take_byte(&s->node[2]) << 16 |
		       take_byte(&s->node[3]) << 24;
	}
	if (node >= s->n_nodes || kind > CHUNK_KIND) {
		s->step.is_bad = true;
		return 0;
	}
	if (!chunk_by_thread_set(&s->before, id, (node << EPOCH_CODE_BITS | kind) + 1))
		s->rc = ERR_NO_MEMORY;
	return node << EPOCH_CODE_BITS | kind;
}

static int open_stacks(struct opened *o, const struct pack *k)
{
	struct stacks s = {.step = unpack_column(k, S_STEP), .n_nodes = o->n_nodes};
	struct unpack head = unpack_column(k, S_HEAD);
	struct chunk *c = o->c;
	uint64_t id = unpack_u64(&head), n = unpack_u64(&head);

	if (!unpack_is_over(&head) || id != c->id)
		return ERR_DAMAGED;
	for (unsigned i = 0; i < 4; i++)
		s.node[i] = unpack_column(k, S_NODE + i);
	for (size_t i = 0; i < c->entries.n; i++)
		if (!(c->entries.v[i].flags & WIRE_FLAG_ABSENT))
			c->entries.v[i].stack = take_stack(&s, c->entries.v[i].thread);
	for (size_t i = 0; i < c->events.n; i++)
		c->events.v[i].stack = take_stack(&s, c->events.v[i].thread);
	for (size_t i = 0; i < c->carries.n; i++)
		if (!(c->carries.v[i].flags & WIRE_FLAG_ABSENT))
			c->carries.v[i].stack = take_stack(&s, c->carries.v[i].id);
	idtable_clear(&s.before.more);
	TRY(s.rc);
	return unpack_is_over(&s.step) && unpack_is_over(&s.node[0]) && unpack_is_over(&s.node[1]) &&
	               unpack_is_over(&s.node[2]) && unpack_is_over(&s.node[3]) && s.n == n
	           ? 0
	           : ERR_DAMAGED;
}

int chunk_open(struct chunk *c, uint64_t id, const struct chunk_bytes *b, uint32_t n_threads, uint32_t n_nodes,
               struct pack *k)
{
	struct opened o = {.c = c, .n_threads = n_threads, .n_nodes = n_nodes};

	chunk_clear(c);
	c->id = id;
	TRY(pack_open(k, C_COLUMNS, b->samples, b->n_samples));
	TRY(open_samples(&o, k));
	TRY(pack_open(k, S_COLUMNS, b->stacks, b->n_stacks));
	return open_stacks(&o, k);
}
