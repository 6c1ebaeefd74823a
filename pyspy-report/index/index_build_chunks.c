/* Blocks into chunks. */
#include "pyspy-report/index/index_build_parts.h"

#include <string.h>

#include "libcommon/err.h"

struct index_build_limits index_build_limits = {
    .chunk = CHUNK_FULL, .tally = 1 << 14, .share = 32, .sum_share = 6, .group = 4};

/* ---- a chunk is complete */

int build_spooled(struct build *b, int rc)
{
	if (rc == ERR_IO)
		b->error_number = b->spool.error_number;
	return rc;
}

static int build_add_stacks(struct build *b, uint64_t chunk, const struct chunk_stack *s, size_t n)
{
	buf_reset(&b->bytes);
	TRY(chunk_seal_stacks(chunk, s, n, &b->pack, &b->bytes));
	sqlite3_bind_int64(b->add_stacks, 1, (int64_t)chunk);
	sqlite3_bind_blob64(b->add_stacks, 2, b->bytes.data, b->bytes.len, SQLITE_STATIC);
	return build_step(b, b->add_stacks);
}

static int build_chunk_stacks(struct build *b)
{
	const struct chunk *c = &b->chunk;
	uint32_t any = 0;

	b->stacks.n = 0;
	if (!vec_room(&b->stacks, c->entries.n + c->events.n + c->carries.n))
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < c->entries.n; i++)
		if (!(c->entries.v[i].flags & WIRE_FLAG_ABSENT))
			b->stacks.v[b->stacks.n++] =
			    (struct chunk_stack){c->entries.v[i].thread, c->entries.v[i].stack};
	for (size_t i = 0; i < c->events.n; i++)
		b->stacks.v[b->stacks.n++] = (struct chunk_stack){c->events.v[i].thread, c->events.v[i].stack};
	for (size_t i = 0; i < c->carries.n; i++)
		if (!(c->carries.v[i].flags & WIRE_FLAG_ABSENT))
			b->stacks.v[b->stacks.n++] = (struct chunk_stack){c->carries.v[i].id, c->carries.v[i].stack};
	for (size_t i = 0; i < b->stacks.n; i++)
		any |= b->stacks.v[i].code;
	if (!(any & EPOCH_CODE_WAITS))
		return build_add_stacks(b, c->id, b->stacks.v, b->stacks.n);
	struct waiting w = {.chunk = c->id, .n = b->stacks.n};
	TRY(build_spooled(b, spool_write(&b->spool, b->stacks.v, b->stacks.n * sizeof *b->stacks.v, &w.at)));
	return vec_push(&b->waiting, w) ? 0 : ERR_NO_MEMORY;
}

static void build_add_thread(struct facts_chunk *c, uint32_t thread)
{
	if (c->n_threads == FACTS_MANY)
		return;
	for (uint32_t i = 0; i < c->n_threads; i++)
		if (c->threads[i] == thread)
			return;
	if (c->n_threads < FACTS_CHUNK_THREADS)
		c->threads[c->n_threads] = thread;
	c->n_threads++;
}

static int build_add_activity(struct build *b, uint32_t *flags)
{
	TRY(tally_flush(&b->parts));
	for (size_t i = 0; i < b->parts.rows.n; i++) {
		const struct tally_row *r = &b->parts.rows.v[i];

		*flags |= r->flags;
		build_add_thread(&b->at, r->thread);
		b->at.n += r->n;
		b->at.wall_ns += r->wall_ns; /* below PROFILE_MAX_NS: profile_take_time */
		b->at.cpu_ns += r->cpu_ns;
		sqlite3_bind_int64(b->add_activity, 1, (int64_t)b->at.id);
		sqlite3_bind_int64(b->add_activity, 2, r->thread);
		sqlite3_bind_int64(b->add_activity, 3, r->flags);
		index_db_bind(b->add_activity, 4, r->n);
		index_db_bind(b->add_activity, 5, r->wall_ns);
		index_db_bind(b->add_activity, 6, r->cpu_ns);
		TRY(build_step(b, b->add_activity));
	}
	tally_clear(&b->parts);
	return 0;
}

static int build_end_chunk(struct build *b)
{
	struct facts_recording *of = &b->recordings.v[b->recording];
	uint32_t flags = 0;

	if (!b->chunk.blocks.n)
		return 0;
	TRY(build_add_activity(b, &flags));
	b->at.flags = flags;
	buf_reset(&b->bytes);
	TRY(chunk_seal(&b->chunk, &b->pack, &b->bytes));
	sqlite3_stmt *s = b->add_block;
	sqlite3_bind_int64(s, 1, (int64_t)b->at.id);
	sqlite3_bind_int64(s, 2, b->recording);
	sqlite3_bind_int64(s, 3, b->at.epoch);
	index_db_bind(s, 4, b->at.begin_ns);
	index_db_bind(s, 5, b->at.end_ns);
	if (b->at.first_ns <= b->at.last_ns) {
		index_db_bind(s, 6, b->at.first_ns);
		index_db_bind(s, 7, b->at.last_ns);
	}
	sqlite3_bind_int64(s, 8, (int64_t)b->chunk.ticks_ns.n);
	sqlite3_bind_int64(s, 9, (int64_t)b->chunk.events.n);
	index_db_bind(s, 10, b->at.n);
	index_db_bind(s, 11, b->at.wall_ns);
	index_db_bind(s, 12, b->at.cpu_ns);
	sqlite3_bind_int64(s, 13, flags);
	sqlite3_bind_blob64(s, 14, b->bytes.data, b->bytes.len, SQLITE_STATIC);
	TRY(build_step(b, s));
	TRY(build_chunk_stacks(b));
	if (!vec_push(&of->chunks, b->at))
		return ERR_NO_MEMORY;
	TRY(build_sums_chunk(b, (uint32_t)of->chunks.n, b->chunk.entries.n + b->chunk.events.n));
	chunk_clear(&b->chunk);
	return 0;
}

/* ---- a recording is complete */

int build_end_recording(struct build *b)
{
	struct profile *p = &b->profile;
	struct facts_recording *of;

	if (b->recording == UINT32_MAX)
		return 0;
	TRY(build_end_chunk(b));
	of = &b->recordings.v[b->recording];
	TRY(tally_flush(&p->tally));
	uint64_t most = p->recordings.v[b->recording].n_samples / index_build_limits.share;
	bool fits = p->tally.rows.n <= index_build_limits.tally || p->tally.rows.n <= most;
	/* times that were cut may have been cut elsewhere when the recording is not the first */
	if (!p->uncounted && fits && p->wall_ns < PROFILE_MAX_NS - 1) {
		of->has_tally = true;
		of->n_rows = p->tally.rows.n;
		for (size_t at = 0, n; at < p->tally.rows.n; at += n) {
			n = p->tally.rows.n - at < FACTS_ROWS ? p->tally.rows.n - at : FACTS_ROWS;
			buf_reset(&b->bytes);
			TRY(facts_write_rows(p->tally.rows.v + at, n, at, &b->pack, &b->bytes));
			TRY(build_add_pack(b, FACTS_TALLY, b->recording));
		}
	}
	tally_clear(&p->tally);
	p->uncounted = false;
	p->wall_ns = 0;
	b->recording = UINT32_MAX;
	return 0;
}

int build_reach_recording(struct build *b, size_t n)
{
	while (b->recordings.n < n)
		if (!vec_push(&b->recordings, (struct facts_recording){0}))
			return ERR_NO_MEMORY;
	return 0;
}

/* ---- a block of the stream */

static bool build_waits(const struct epoch *e, uint32_t stack, uint32_t flags)
{
	return epoch_code(e, stack, flags) & EPOCH_CODE_WAITS;
}

static bool build_doubts(const struct runs *r, uint32_t stack)
{
	return r->doubts.n && map_get(&r->doubts, stack, 0);
}

/* The thread, as it was; told to the chunk when it does not know it. NULL: no memory. */
static struct seen *build_seen(struct build *b, const struct epoch *e, uint32_t id, struct chunk_block *to)
{
	uint32_t thread = id < e->threads.n ? e->threads.v[id].global : 0;
	struct seen *s;

	while (b->seen.n <= id)
		if (!vec_push(&b->seen, (struct seen){0}))
			return NULL;
	s = &b->seen.v[id];
	if (s->chunk == b->at.id && s->thread == thread)
		return s;
	s->chunk = b->at.id;
	s->thread = thread;
	to->n_changes++;
	return vec_push(&b->chunk.changes, ((struct chunk_change){id, thread})) ? s : NULL;
}

/* CPU time that an entry tells is of the entry before, which may lie in a chunk that is not read. */
static int build_carry(struct build *b, const struct epoch *e, const struct runs *r, const struct seen *s, uint32_t id,
                       struct chunk_block *to)
{
	bool is_absent = s->flags & WIRE_FLAG_ABSENT;
	bool waits = !is_absent && build_waits(e, s->stack, s->flags);
	uint32_t flags = s->flags | (!is_absent && build_doubts(r, s->stack) ? WIRE_FLAG_UNPROVED : 0);

	if (s->entry_chunk == b->at.id && s->chunk_stack == s->stack && s->chunk_flags == flags && s->waited == waits)
		return 0;
	to->n_carries++;
	return vec_push(&b->chunk.carries,
	                ((struct chunk_carry){id, is_absent ? 0 : epoch_code(e, s->stack, s->flags), flags}))
	           ? 0
	           : ERR_NO_MEMORY;
}

static int build_entries(struct build *b, const struct epoch *e, const struct runs *r, struct chunk_block *to)
{
	if (!vec_room(&b->chunk.entries, r->entries.n))
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < r->entries.n; i++) {
		struct rec_entry entry = r->entries.v[i];
		bool is_absent = entry.flags & WIRE_FLAG_ABSENT;
		struct seen *s = build_seen(b, e, entry.thread, to);

		if (!s)
			return ERR_NO_MEMORY;
		if (s->block != b->n_blocks && s->has_entry && entry.cpu_ns)
			TRY(build_carry(b, e, r, s, entry.thread, to));
		s->block = b->n_blocks;
		s->has_entry = true;
		s->chunk_stack = s->stack = entry.stack;
		s->flags = entry.flags;
		s->waited = !is_absent && build_waits(e, entry.stack, entry.flags);
		s->entry_chunk = b->at.id;
		if (!is_absent && build_doubts(r, entry.stack))
			entry.flags |= WIRE_FLAG_UNPROVED;
		s->chunk_flags = entry.flags;
		entry.stack = is_absent ? 0 : epoch_code(e, entry.stack, entry.flags);
		b->chunk.entries.v[b->chunk.entries.n++] = entry;
	}
	to->n_entries = (uint32_t)r->entries.n;
	return 0;
}

static int build_events(struct build *b, const struct epoch *e, const struct runs *r, struct chunk_block *to)
{
	if (!vec_room(&b->chunk.events, r->events.n))
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < r->events.n; i++) {
		struct rec_event event = r->events.v[i];

		if (!build_seen(b, e, event.thread, to))
			return ERR_NO_MEMORY;
		if (build_doubts(r, event.stack))
			event.flags |= WIRE_FLAG_UNPROVED;
		event.stack = epoch_code(e, event.stack, event.flags);
		b->chunk.events.v[b->chunk.events.n++] = event;
		b->at.first_ns = event.time_ns < b->at.first_ns ? event.time_ns : b->at.first_ns;
		b->at.last_ns = event.time_ns > b->at.last_ns ? event.time_ns : b->at.last_ns;
	}
	b->at.n_events += r->events.n;
	to->n_events = (uint32_t)r->events.n;
	return 0;
}

static int build_rest(struct build *b, const struct runs *r, struct chunk_block *to)
{
	struct chunk *c = &b->chunk;

	if (!vec_room(&c->ticks_ns, r->ticks_ns.n) || !vec_room(&c->closings, r->closings.n) ||
	    !vec_room(&c->gaps, r->gaps.n))
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < r->ticks_ns.n; i++)
		c->ticks_ns.v[c->ticks_ns.n++] = r->ticks_ns.v[i];
	for (size_t i = 0; i < r->closings.n; i++)
		c->closings.v[c->closings.n++] = r->closings.v[i];
	for (size_t i = 0; i < r->gaps.n; i++)
		c->gaps.v[c->gaps.n++] = r->gaps.v[i];
	to->n_ticks = (uint32_t)r->ticks_ns.n;
	to->n_closings = (uint32_t)r->closings.n;
	to->n_gaps = (uint32_t)r->gaps.n;
	if (r->ticks_ns.n) {
		uint64_t first = r->ticks_ns.v[0], last = r->ticks_ns.v[r->ticks_ns.n - 1];

		b->at.first_ns = first < b->at.first_ns ? first : b->at.first_ns;
		b->at.last_ns = last > b->at.last_ns ? last : b->at.last_ns;
	}
	return 0;
}

static void build_begin_chunk(struct build *b, const struct rec_block *block, const struct profile_recording *of)
{
	b->chunk.id = ++b->n_chunks;
	b->at = (struct facts_chunk){.id = b->n_chunks,
	                             .epoch = b->epoch,
	                             .begin_ns = block->begin_ns,
	                             .end_ns = block->end_ns,
	                             .least_anchor_ns = block->anchor_ns,
	                             .most_anchor_ns = block->anchor_ns,
	                             .first_ns = UINT64_MAX,
	                             .mean_gap_ns = of->mean_gap_ns,
	                             .started_ns = of->started_ns};
}

static bool build_is_full(const struct build *b, const struct profile_recording *of)
{
	const struct chunk *c = &b->chunk;

	uint32_t full = index_build_limits.chunk;

	return c->entries.n >= full || c->events.n >= full || c->ticks_ns.n >= full ||
	       c->blocks.n >= CHUNK_FULL_BLOCKS || b->at.mean_gap_ns != of->mean_gap_ns ||
	       b->at.started_ns != of->started_ns;
}

int build_on_block(void *ctx, struct epoch *e, struct runs *r, const struct rec_block *block)
{
	struct build *b = ctx;
	const struct profile_recording *of = &b->profile.recordings.v[e->recording];
	struct chunk_block to = {.begin_ns = block->begin_ns, .end_ns = block->end_ns, .anchor_ns = block->anchor_ns};

	if (b->recording != e->recording) {
		TRY(build_end_recording(b));
		TRY(build_reach_recording(b, (size_t)e->recording + 1));
		b->recording = e->recording;
		b->epoch = 0;
		b->is_new_epoch = true;
	}
	if (b->is_new_epoch) {
		b->epoch++;
		b->seen.n = 0;
		b->is_new_epoch = false;
	}
	if (b->chunk.blocks.n && build_is_full(b, of))
		TRY(build_end_chunk(b));
	if (!b->chunk.blocks.n) {
		build_begin_chunk(b, block, of);
		r->coded = &b->coded;
	}
	b->n_blocks++;
	TRY(build_entries(b, e, r, &to));
	TRY(build_events(b, e, r, &to));
	TRY(build_rest(b, r, &to));
	b->at.begin_ns = to.begin_ns < b->at.begin_ns ? to.begin_ns : b->at.begin_ns;
	b->at.end_ns = to.end_ns > b->at.end_ns ? to.end_ns : b->at.end_ns;
	b->at.least_anchor_ns = to.anchor_ns < b->at.least_anchor_ns ? to.anchor_ns : b->at.least_anchor_ns;
	b->at.most_anchor_ns = to.anchor_ns > b->at.most_anchor_ns ? to.anchor_ns : b->at.most_anchor_ns;
	if (b->profile.tally.rows.n > INDEX_TALLY_MAX) { /* it would be no shorter than the samples */
		b->profile.uncounted = true;
		tally_done(&b->profile.tally);
	}
	return vec_push(&b->chunk.blocks, to) ? 0 : ERR_NO_MEMORY;
}

/* What became of the stacks that waited. */
static int build_settle(struct build *b, struct epoch *e, const struct waiting *w)
{
	b->stacks.n = 0;
	if (!vec_room(&b->stacks, w->n))
		return ERR_NO_MEMORY;
	TRY(build_spooled(b, spool_read(&b->spool, w->at, b->stacks.v, w->n * sizeof *b->stacks.v)));
	b->stacks.n = w->n;
	for (size_t i = 0; i < w->n; i++)
		TRY(epoch_settle_code(e, &b->stacks.v[i].code));
	return build_add_stacks(b, w->chunk, b->stacks.v, b->stacks.n);
}

int build_on_epoch_end(void *ctx, struct epoch *e)
{
	struct build *b = ctx;

	if (b->recording != UINT32_MAX)
		TRY(build_end_chunk(b));
	for (size_t i = 0; i < b->waiting.n; i++)
		TRY(build_settle(b, e, &b->waiting.v[i]));
	b->waiting.n = 0;
	TRY(build_sums_epoch(b, e));
	spool_clear(&b->spool);
	b->is_new_epoch = true;
	return 0;
}
