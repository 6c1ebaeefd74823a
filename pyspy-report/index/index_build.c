#include <stdbool.h>

#include "pyspy-report/index/index_build.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/crc32c.h"
#include "libcommon/err.h"
#include "pyspy-report/index/chunk.h"
#include "pyspy-report/index/index_db.h"
#include "pyspy-report/index/index_key.h"
#include "pyspy-report/index/index_load.h"
#include "pyspy-report/index/index_rows.h"
#include "pyspy-report/profile/load.h"

/* A stack that waits for the end of its epoch: this bit, its way, its number in the epoch. */
#define WAITS (UINT32_C(1) << 31)
enum { WAITS_WAY_SHIFT = 25, WAITS_ID = (1 << WAITS_WAY_SHIFT) - 1, TALLY_SHARE = 32 };

struct index_build_limits index_build_limits = {.chunk = CHUNK_FULL, .tally = 1 << 14};

/* A thread of the epoch, as it was last seen. */
struct seen {
	uint64_t chunk; /* that it was named in */
	uint64_t block; /* running number of the block of its last entry */
	uint32_t thread;
	bool has_entry;
	uint32_t stack, flags; /* of its last entry, as the stream had them */
	/* of its last entry as the chunk has it */
	uint64_t entry_chunk;
	uint32_t chunk_stack, chunk_flags;
	bool waited;
};

struct waiting {
	uint64_t chunk, at; /* in the spool */
	size_t n;
};

struct build {
	struct profile profile;
	struct index old;
	sqlite3 *db;
	sqlite3_stmt *add_block, *add_stacks, *add_activity, *add_pack;
	struct pack pack;
	struct buf bytes;
	struct load_tap tap;
	struct tally parts;
	struct chunk chunk;
	struct facts_chunk at; /* of the chunk */
	uint64_t n_chunks, n_blocks;
	uint32_t recording; /* whose samples are being read; UINT32_MAX: none */
	uint32_t epoch;
	bool is_new_epoch;
	VEC(struct seen) seen;
	VEC(struct chunk_stack) stacks;
	VEC(struct waiting) waiting;
	struct spool spool;
	VEC(struct facts_input) inputs;         /* new ones */
	VEC(struct facts_recording) recordings; /* by number, all; of old ones nothing but the chunks' number */
	struct index_rows_done done;
	uint32_t crc;
	struct load *load;
	int error_number;
};

static int build_sql(struct build *b, int rc)
{
	return index_db_error(b->db, rc, &b->error_number);
}

static int build_step(struct build *b, sqlite3_stmt *s)
{
	int rc = sqlite3_step(s);

	sqlite3_reset(s);
	sqlite3_clear_bindings(s);
	return build_sql(b, rc);
}

static int build_prepare(struct build *b)
{
	static const char *const sql[] = {
	    "INSERT INTO block VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?)", "INSERT INTO block_stacks VALUES(?,?)",
	    "INSERT INTO activity VALUES(?,?,?,?,?,?)", "INSERT INTO pack VALUES(NULL,?,?,?)"};
	sqlite3_stmt **const to[] = {&b->add_block, &b->add_stacks, &b->add_activity, &b->add_pack};

	for (unsigned i = 0; i < sizeof sql / sizeof *sql; i++)
		TRY(build_sql(b, sqlite3_prepare_v2(b->db, sql[i], -1, to[i], NULL)));
	return 0;
}

static int build_add_pack(struct build *b, enum facts_kind kind, uint32_t number)
{
	TRY(b->bytes.err);
	sqlite3_bind_int(b->add_pack, 1, (int)kind);
	sqlite3_bind_int64(b->add_pack, 2, number);
	sqlite3_bind_blob64(b->add_pack, 3, b->bytes.data, b->bytes.len, SQLITE_STATIC);
	return build_step(b, b->add_pack);
}

/* ---- a chunk is complete */

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
	if (!(any & WAITS))
		return build_add_stacks(b, c->id, b->stacks.v, b->stacks.n);
	struct waiting w = {.chunk = c->id, .n = b->stacks.n};
	int rc = spool_write(&b->spool, b->stacks.v, b->stacks.n * sizeof *b->stacks.v, &w.at);
	if (rc == ERR_IO)
		b->error_number = b->spool.error_number;
	TRY(rc);
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
	chunk_clear(&b->chunk);
	return vec_push(&of->chunks, b->at) ? 0 : ERR_NO_MEMORY;
}

/* ---- a recording is complete */

static int build_end_recording(struct build *b)
{
	struct profile *p = &b->profile;
	struct facts_recording *of;

	if (b->recording == UINT32_MAX)
		return 0;
	TRY(build_end_chunk(b));
	of = &b->recordings.v[b->recording];
	TRY(tally_flush(&p->tally));
	uint64_t most = p->recordings.v[b->recording].n_samples / TALLY_SHARE;
	bool fits = p->tally.rows.n <= index_build_limits.tally || p->tally.rows.n <= most;
	/* times that were cut may have been cut elsewhere when the recording is not the first */
	if (!p->uncounted && fits && p->wall_ns < PROFILE_MAX_NS - 1) {
		of->has_tally = true;
		of->n_rows = p->tally.rows.n;
		for (size_t at = 0, n; at < p->tally.rows.n; at += n) {
			buf_reset(&b->bytes);
			TRY(facts_write_tally(&p->tally, at, &n, &b->pack, &b->bytes));
			TRY(build_add_pack(b, FACTS_TALLY, b->recording));
		}
	}
	tally_clear(&p->tally);
	p->uncounted = false;
	p->wall_ns = 0;
	b->recording = UINT32_MAX;
	return 0;
}

static int build_reach_recording(struct build *b, size_t n)
{
	while (b->recordings.n < n)
		if (!vec_push(&b->recordings, (struct facts_recording){0}))
			return ERR_NO_MEMORY;
	return 0;
}

/* ---- a block of the stream */

static bool build_waits(const struct epoch *e, uint32_t stack, uint32_t flags)
{
	return !epoch_id(&e->stacks, stack) ||
	       ((flags & WIRE_FLAG_WAY) >> WIRE_FLAG_WAY_SHIFT == WIRE_WAY_OUTSIDE && !e->certified.v[stack]);
}

static uint32_t build_code(const struct epoch *e, uint32_t stack, uint32_t flags)
{
	if (build_waits(e, stack, flags))
		return WAITS | (flags & WIRE_FLAG_WAY) >> WIRE_FLAG_WAY_SHIFT << WAITS_WAY_SHIFT | stack;
	return epoch_id(&e->stacks, stack) << EPOCH_CODE_BITS | EPOCH_CERTAIN;
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
	                ((struct chunk_carry){id, is_absent ? 0 : build_code(e, s->stack, s->flags), flags}))
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
		entry.stack = is_absent ? 0 : build_code(e, entry.stack, entry.flags);
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
		event.stack = build_code(e, event.stack, event.flags);
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

static int build_on_block(void *ctx, struct epoch *e, struct runs *r, const struct rec_block *block)
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
	if (!b->chunk.blocks.n)
		build_begin_chunk(b, block, of);
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
	int rc = spool_read(&b->spool, w->at, b->stacks.v, w->n * sizeof *b->stacks.v);
	if (rc == ERR_IO)
		b->error_number = b->spool.error_number;
	TRY(rc);
	b->stacks.n = w->n;
	for (size_t i = 0; i < w->n; i++) {
		uint32_t code = b->stacks.v[i].code, global,
		         flags = (code & ~WAITS) >> WAITS_WAY_SHIFT << WIRE_FLAG_WAY_SHIFT;

		if (!(code & WAITS))
			continue;
		TRY(epoch_resolve(e, code & WAITS_ID, &flags, &global));
		b->stacks.v[i].code = global << EPOCH_CODE_BITS | (flags & TALLY_LOST        ? EPOCH_LOST
		                                                   : flags & TALLY_IN_MOTION ? EPOCH_IN_MOTION
		                                                                             : EPOCH_WAITED);
	}
	return build_add_stacks(b, w->chunk, b->stacks.v, b->stacks.n);
}

static int build_on_epoch_end(void *ctx, struct epoch *e)
{
	struct build *b = ctx;

	if (b->recording != UINT32_MAX)
		TRY(build_end_chunk(b));
	for (size_t i = 0; i < b->waiting.n; i++)
		TRY(build_settle(b, e, &b->waiting.v[i]));
	b->waiting.n = 0;
	spool_clear(&b->spool);
	b->is_new_epoch = true;
	return 0;
}

/* ---- inputs */

static int build_feed(void *ctx, const void *bytes, size_t n)
{
	struct build *b = ctx;

	b->crc = crc32c(b->crc, bytes, n);
	return load_feed(b->load, bytes, n);
}

static int build_finish(void *ctx)
{
	return load_finish(((struct build *)ctx)->load);
}

/* What the profile counted of damage by now. */
static void build_damage(const struct profile *p, struct facts_input *to)
{
	to->n_damage = p->n_damage;
	to->damaged_bytes = p->damaged_bytes;
	to->missing_blocks = p->missing_blocks;
	to->missing_samples = p->missing_samples;
}

static int build_keep_damage(struct build *b, struct facts_input *in, size_t from)
{
	const struct profile *p = &b->profile;
	struct facts_input before = *in;

	build_damage(p, in);
	in->n_damage -= before.n_damage;
	in->damaged_bytes -= before.damaged_bytes;
	in->missing_blocks -= before.missing_blocks;
	in->missing_samples -= before.missing_samples;
	for (size_t i = from; i < p->damage.n; i++) {
		struct profile_damage d = p->damage.v[i];

		char *what = strdup(d.what ? d.what : "");
		d.what = what;
		if (!what || !vec_push(&in->damage, d)) {
			free(what);
			return ERR_NO_MEMORY;
		}
	}
	return 0;
}

static int build_read(struct build *b, int fd, const char *name, struct facts_input *in,
                      const struct index_progress *progress, struct index_built *r)
{
	struct load_options options = {.tap = &b->tap};
	struct feed_result fed;
	size_t damage = b->profile.damage.n = 0; /* each input may fill the list */
	int rc;

	build_damage(&b->profile, in);
	b->crc = 0;
	b->load = load_new(&b->profile, name, &options);
	if (!b->load)
		return ERR_NO_MEMORY;
	progress->begin(name, in->size);
	rc = feed_fd(&(struct feed_to){build_feed, build_finish, b, progress->bytes}, fd, in->size, &fed);
	progress->end();
	load_free(b->load);
	b->load = NULL;
	r->is_empty = fed.is_empty;
	if (rc == ERR_SYSTEM && fed.error_number)
		b->error_number = fed.error_number;
	TRY(rc);
	in->bytes = fed.bytes;
	in->whole_crc = b->crc;
	TRY(build_end_recording(b));
	return build_keep_damage(b, in, damage);
}

static int build_input(struct build *b, const char *name, const struct index_progress *progress, struct index_built *r)
{
	struct facts_input in = {.first_recording = (uint32_t)b->profile.recordings.n, .name = strdup(name)};
	int fd = open(name, O_RDONLY | O_CLOEXEC), rc = in.name ? 0 : ERR_NO_MEMORY;

	r->failed = name;
	if (!rc && (fd < 0 || index_key_of(fd, &in))) {
		b->error_number = errno;
		rc = ERR_SYSTEM;
	}
	if (!rc)
		rc = build_read(b, fd, name, &in, progress, r);
	if (fd >= 0)
		close(fd);
	in.n_recordings = (uint32_t)b->profile.recordings.n - in.first_recording;
	if (!rc && !vec_push(&b->inputs, in))
		rc = ERR_NO_MEMORY;
	if (rc)
		facts_input_done(&in);
	else
		r->failed = NULL;
	return rc;
}

/* ---- the end: dictionaries, facts, rows */

static int build_dictionary(struct build *b, enum facts_kind kind, uint32_t from)
{
	for (uint32_t n = 1; n; from += n) {
		buf_reset(&b->bytes);
		TRY(facts_write_dictionary(kind, &b->profile, from, &n, &b->pack, &b->bytes));
		if (n)
			TRY(build_add_pack(b, kind, 0));
	}
	return 0;
}

static int build_dictionaries(struct build *b)
{
	const struct index_rows_done *d = &b->done;

	TRY(build_sql(b, sqlite3_exec(b->db, "DELETE FROM pack WHERE kind IN (6, 7)", NULL, NULL, NULL)));
	TRY(build_dictionary(b, FACTS_STRINGS, d->strings ? d->strings : 1));
	TRY(build_dictionary(b, FACTS_MODULES, d->modules ? d->modules : 1));
	TRY(build_dictionary(b, FACTS_FUNCTIONS, d->functions ? d->functions : 1));
	TRY(build_dictionary(b, FACTS_LOCATIONS, d->locations ? d->locations : 1));
	TRY(build_dictionary(b, FACTS_STACKS, d->stacks ? d->stacks : 1));
	TRY(build_dictionary(b, FACTS_PROCESSES, 0));
	return build_dictionary(b, FACTS_THREADS, 0);
}

static int build_facts(struct build *b)
{
	uint32_t input = b->done.inputs;

	TRY(build_reach_recording(b, b->profile.recordings.n));
	for (size_t i = 0; i < b->inputs.n; i++, input++) {
		struct facts_input *in = &b->inputs.v[i];

		buf_reset(&b->bytes);
		TRY(facts_write_input(in, &b->pack, &b->bytes));
		TRY(build_add_pack(b, FACTS_INPUT, input));
		TRY(build_sql(b, index_rows_input(b->db, input, in)));
		for (uint32_t k = in->first_recording; k < in->first_recording + in->n_recordings; k++) {
			struct facts_recording *r = &b->recordings.v[k];

			r->input = input;
			r->facts = b->profile.recordings.v[k]; /* borrowed */
			buf_reset(&b->bytes);
			int rc = facts_write_recording(r, &b->pack, &b->bytes);
			r->facts = (struct profile_recording){0};
			TRY(rc);
			TRY(build_add_pack(b, FACTS_RECORDING, k));
			TRY(build_sql(b, index_rows_recording(b->db, &b->profile, k, input)));
		}
	}
	return 0;
}

/* What is in the index already: the profile gets the same ids. */
static int build_go_on(struct build *b)
{
	struct profile *p = &b->profile;
	int64_t last = 0;
	sqlite3_stmt *s;

	TRY(index_load_dictionaries(&b->old, p));
	TRY(index_load_facts(&b->old, p, NULL));
	b->done = (struct index_rows_done){p->strings.n,
	                                   p->modules.n,
	                                   p->functions.n,
	                                   p->locations.n,
	                                   (uint32_t)p->stacks.n,
	                                   (uint32_t)b->old.inputs.n,
	                                   (uint32_t)p->recordings.n};
	TRY(build_sql(b, sqlite3_prepare_v2(b->db, "SELECT max(id) FROM block", -1, &s, NULL)));
	if (sqlite3_step(s) == SQLITE_ROW)
		last = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	b->n_chunks = last > 0 ? (uint64_t)last : 0;
	return index_is_same(&b->old, p) ? 0 : ERR_DAMAGED;
}

static int build_all(struct build *b, const char *path, bool goes_on, const char *const *inputs, size_t n_inputs,
                     const struct index_progress *progress, struct index_built *r)
{
	TRY(profile_init(&b->profile));
	if (goes_on)
		TRY(index_open(&b->old, path, &b->error_number));
	TRY(index_db_create(path, !goes_on, &b->db, &b->error_number));
	TRY(build_prepare(b));
	if (goes_on)
		TRY(build_go_on(b));
	b->recording = UINT32_MAX;
	for (size_t i = 0; i < n_inputs; i++)
		TRY(build_input(b, inputs[i], progress, r));
	TRY(build_dictionaries(b));
	TRY(build_facts(b));
	TRY(build_sql(b, index_rows_dictionaries(b->db, &b->profile, &b->done)));
	TRY(build_sql(b, sqlite3_exec(b->db,
	                              "INSERT OR REPLACE INTO about VALUES('schema_version', '1'); INSERT OR REPLACE "
	                              "INTO about VALUES('made_by', 'pyspy-report " PYSPY_VERSION "'); COMMIT",
	                              NULL, NULL, NULL)));
	r->n_recordings = b->profile.recordings.n;
	r->n_samples = profile_samples(&b->profile);
	r->n_damage = b->profile.n_damage;
	return 0;
}

int index_build(const char *path, bool goes_on, const char *const *inputs, size_t n_inputs,
                const struct index_progress *progress, struct index_built *r)
{
	struct build *b = calloc(1, sizeof *b);
	int rc = ERR_NO_MEMORY;

	*r = (struct index_built){0};
	if (!b)
		return rc;
	buf_init(&b->bytes, 0);
	b->tap =
	    (struct load_tap){.block = build_on_block, .epoch_end = build_on_epoch_end, .parts = &b->parts, .ctx = b};
	rc = build_all(b, path, goes_on, inputs, n_inputs, progress, r);
	r->error_number = b->error_number;
	sqlite3_finalize(b->add_block);
	sqlite3_finalize(b->add_stacks);
	sqlite3_finalize(b->add_activity);
	sqlite3_finalize(b->add_pack);
	if (b->db && sqlite3_close(b->db) != SQLITE_OK && !rc)
		rc = ERR_SYSTEM;
	index_close(&b->old);
	profile_done(&b->profile);
	pack_done(&b->pack);
	buf_done(&b->bytes);
	tally_done(&b->parts);
	chunk_done(&b->chunk);
	vec_free(&b->seen);
	vec_free(&b->stacks);
	vec_free(&b->waiting);
	spool_done(&b->spool);
	for (size_t i = 0; i < b->inputs.n; i++)
		facts_input_done(&b->inputs.v[i]);
	vec_free(&b->inputs);
	for (size_t i = 0; i < b->recordings.n; i++)
		facts_recording_done(&b->recordings.v[i]);
	vec_free(&b->recordings);
	free(b);
	return rc;
}
