#include "pyspy-report/index/index_load.h"

#include <errno.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/index/index_db.h"
#include "pyspy-report/index/index_load_parts.h"

static int index_sql(struct index *x, int rc)
{
	return index_db_error(x->db, rc, &x->error_number);
}

/* ---- packs */

typedef int index_visit(struct index *x, void *ctx, int64_t kind, int64_t number, sqlite3_stmt *row);

/* All packs in their order. A tree whose pages go in circles would give the same ids again. */
static int index_packs(struct index *x, index_visit *visit, void *ctx)
{
	sqlite3_stmt *s;
	int64_t last = 0;
	int rc = index_sql(x, sqlite3_prepare_v2(x->db, "SELECT id, kind, number, data FROM pack", -1, &s, NULL)),
	    sql = 0;

	while (!rc && (sql = sqlite3_step(s)) == SQLITE_ROW) {
		int64_t id = sqlite3_column_int64(s, 0);

		rc =
		    id <= last ? ERR_DAMAGED : visit(x, ctx, sqlite3_column_int64(s, 1), sqlite3_column_int64(s, 2), s);
		last = id;
	}
	sqlite3_finalize(s);
	return rc ? rc : index_sql(x, sql);
}

static int index_blob(sqlite3_stmt *s, int column, const void **bytes, size_t *n)
{
	*bytes = sqlite3_column_blob(s, column);
	*n = (size_t)sqlite3_column_bytes(s, column);
	if (!*bytes)
		return sqlite3_errcode(sqlite3_db_handle(s)) == SQLITE_NOMEM ? ERR_NO_MEMORY : ERR_DAMAGED;
	return 0;
}

static int index_on_head(struct index *x, void *ctx, int64_t kind, int64_t number, sqlite3_stmt *row)
{
	const void *bytes;
	size_t n;

	(void)ctx;
	if (kind == FACTS_INPUT) {
		TRY(index_blob(row, 3, &bytes, &n));
		if (number != (int64_t)x->inputs.n || !vec_push(&x->inputs, (struct facts_input){0}))
			return number != (int64_t)x->inputs.n ? ERR_DAMAGED : ERR_NO_MEMORY;
		return facts_read_input(&x->inputs.v[number], &x->pack, bytes, n);
	}
	if (kind == FACTS_RECORDING) {
		TRY(index_blob(row, 3, &bytes, &n));
		if (number != (int64_t)x->recordings.n || !vec_push(&x->recordings, (struct facts_recording){0}))
			return number != (int64_t)x->recordings.n ? ERR_DAMAGED : ERR_NO_MEMORY;
		return facts_read_recording(&x->recordings.v[number], &x->pack, bytes, n);
	}
	return 0;
}

/* Recordings belong to inputs, one input's behind the other's; chunks are in order. */
static int index_check(const struct index *x)
{
	uint32_t recording = 0;

	for (size_t i = 0; i < x->inputs.n; i++) {
		const struct facts_input *in = &x->inputs.v[i];

		if (in->first_recording != recording || in->n_recordings > x->recordings.n - recording)
			return ERR_DAMAGED;
		for (uint32_t k = 0; k < in->n_recordings; k++)
			if (x->recordings.v[recording + k].input != i)
				return ERR_DAMAGED;
		recording += in->n_recordings;
	}
	for (size_t i = 0; i < x->recordings.n; i++) {
		const struct facts_recording *r = &x->recordings.v[i];

		for (size_t k = 1; k < r->chunks.n; k++)
			if (r->chunks.v[k].epoch < r->chunks.v[k - 1].epoch)
				return ERR_DAMAGED;
		if (!index_sums_are_sound(r))
			return ERR_DAMAGED;
	}
	return x->inputs.n && recording == x->recordings.n ? 0 : ERR_DAMAGED;
}

int index_open(struct index *x, const char *path, int *error_number)
{
	int rc;

	*x = (struct index){0};
	*error_number = 0;
	TRY(index_db_open(path, &x->db, error_number));
	rc = index_sql(x, sqlite3_prepare_v2(x->db, "SELECT data FROM block WHERE id = ?", -1, &x->get_block, NULL));
	if (!rc)
		rc = index_sql(x, sqlite3_prepare_v2(x->db, "SELECT data FROM block_stacks WHERE block = ?", -1,
		                                     &x->get_stacks, NULL));
	if (!rc)
		rc = index_sql(
		    x, sqlite3_prepare_v2(x->db, "SELECT data FROM block_sum WHERE id = ?", -1, &x->get_sum, NULL));
	if (!rc)
		rc = index_packs(x, index_on_head, NULL);
	if (!rc)
		rc = index_check(x);
	*error_number = x->error_number;
	return rc;
}

void index_close(struct index *x)
{
	sqlite3_finalize(x->get_block);
	sqlite3_finalize(x->get_stacks);
	sqlite3_finalize(x->get_sum);
	sqlite3_close(x->db);
	pack_done(&x->pack);
	facts_map_done(&x->map);
	for (size_t i = 0; i < x->inputs.n; i++)
		facts_input_done(&x->inputs.v[i]);
	vec_free(&x->inputs);
	for (size_t i = 0; i < x->recordings.n; i++)
		facts_recording_done(&x->recordings.v[i]);
	vec_free(&x->recordings);
	chunk_done(&x->chunk);
	*x = (struct index){0};
}

/* ---- dictionaries and facts */

static int index_on_dictionary(struct index *x, void *profile, int64_t kind, int64_t number, sqlite3_stmt *row)
{
	const void *bytes;
	size_t n;

	(void)number;
	if (kind < FACTS_STRINGS || kind > FACTS_THREADS)
		return 0;
	TRY(index_blob(row, 3, &bytes, &n));
	return facts_read_dictionary((enum facts_kind)kind, profile, &x->map, &x->pack, bytes, n);
}

int index_load_dictionaries(struct index *x, struct profile *p)
{
	TRY(facts_map_begin(&x->map));
	TRY(index_packs(x, index_on_dictionary, p));
	return x->map.processes.n && x->map.threads.n ? 0 : ERR_DAMAGED;
}

bool index_is_same(const struct index *x, const struct profile *p)
{
	const struct {
		const uint32_t *v;
		size_t n, want;
	} maps[] = {{x->map.strings.v, x->map.strings.n, p->strings.n},
	            {x->map.modules.v, x->map.modules.n, p->modules.n},
	            {x->map.functions.v, x->map.functions.n, p->functions.n},
	            {x->map.locations.v, x->map.locations.n, p->locations.n},
	            {x->map.stacks.v, x->map.stacks.n, p->stacks.n},
	            {x->map.processes.v, x->map.processes.n, p->processes.n},
	            {x->map.threads.v, x->map.threads.n, p->threads.n}};

	for (size_t m = 0; m < sizeof maps / sizeof *maps; m++) {
		if (maps[m].n != maps[m].want)
			return false;
		for (size_t i = 0; i < maps[m].n; i++)
			if (maps[m].v[i] != i)
				return false;
	}
	return true;
}

/* The index may be closed before the profile is. */
static int index_copy_damage(struct profile *p, const struct facts_input *in, uint32_t name)
{
	for (size_t i = 0; i < in->damage.n && p->damage.n < PROFILE_MAX_DAMAGE; i++) {
		struct profile_damage d = in->damage.v[i];
		char *what = strdup(d.what ? d.what : "");

		if (!what || !vec_push(&p->words, what)) {
			free(what);
			return ERR_NO_MEMORY;
		}
		d.what = what;
		d.input = name;
		if (!vec_push(&p->damage, d))
			return ERR_NO_MEMORY;
	}
	p->n_damage += in->n_damage;
	p->damaged_bytes += in->damaged_bytes;
	p->missing_blocks += in->missing_blocks;
	p->missing_samples += in->missing_samples;
	p->input_bytes += in->bytes;
	return 0;
}

static int index_copy_recording(struct profile *p, const struct facts_map *m, const struct profile_recording *from,
                                uint32_t input)
{
	struct profile_recording r = *from;
	bool ok = true;

	r.options.v = NULL;
	r.options.n = r.options.cap = 0;
	r.notes.v = NULL;
	r.notes.n = r.notes.cap = 0;
	r.input = input;
	for (size_t i = 0; ok && i < from->options.n; i++)
		ok = vec_push(&r.options, from->options.v[i]);
	for (size_t i = 0; ok && i < from->notes.n; i++)
		ok = vec_push(&r.notes, from->notes.v[i]);
	int rc = ok ? facts_map_recording(m, &r) : ERR_NO_MEMORY;
	if (!rc && !vec_push(&p->recordings, r))
		rc = ERR_NO_MEMORY;
	if (rc) {
		vec_free(&r.options);
		vec_free(&r.notes);
	}
	return rc;
}

int index_load_facts(struct index *x, struct profile *p, const char *name)
{
	for (size_t i = 0; i < x->inputs.n; i++) {
		const struct facts_input *in = &x->inputs.v[i];
		const char *called = name && x->inputs.n == 1 ? name : in->name;
		uint32_t input;

		TRY(profile_string(p, called, strlen(called), &input));
		TRY(index_copy_damage(p, in, input));
		for (uint32_t k = 0; k < in->n_recordings; k++)
			TRY(index_copy_recording(p, &x->map, &x->recordings.v[in->first_recording + k].facts, input));
	}
	return 0;
}

int index_ends(const struct index *x, struct ends *ends)
{
	for (size_t i = 0; i < x->recordings.n; i++)
		if (!vec_push(&ends->v, x->recordings.v[i].facts.end_ns))
			return ERR_NO_MEMORY;
	return 0;
}

/* ---- samples */

int index_get(struct index *x, sqlite3_stmt *s, uint64_t id, const void **bytes, size_t *n)
{
	int rc;

	sqlite3_reset(s);
	sqlite3_bind_int64(s, 1, (int64_t)id);
	rc = sqlite3_step(s);
	if (rc == SQLITE_ROW)
		return index_blob(s, 0, bytes, n);
	return rc == SQLITE_DONE ? ERR_DAMAGED : index_sql(x, rc);
}

int index_read_chunk(struct index *x, uint64_t id)
{
	struct chunk_bytes b;

	TRY(index_get(x, x->get_block, id, &b.samples, &b.n_samples));
	TRY(index_get(x, x->get_stacks, id, &b.stacks, &b.n_stacks));
	int rc = chunk_open(&x->chunk, id, &b, (uint32_t)x->map.threads.n, (uint32_t)x->map.stacks.n, &x->pack);
	sqlite3_reset(x->get_block);
	sqlite3_reset(x->get_stacks);
	return rc;
}

static uint32_t index_code(const struct index *x, uint32_t code)
{
	return x->map.stacks.v[code >> EPOCH_CODE_BITS] << EPOCH_CODE_BITS | (code & ((1 << EPOCH_CODE_BITS) - 1));
}

static int index_place_threads(struct index *x, const struct chunk *c, const struct chunk_block *b,
                               struct index_place *from, struct epoch *e)
{
	for (uint32_t i = 0; i < b->n_changes; i++) {
		const struct chunk_change *change = &c->changes.v[from->change++];
		struct epoch_thread *t = epoch_thread(e, change->id);

		if (!t)
			return ERR_NO_MEMORY;
		t->global = x->map.threads.v[change->thread];
	}
	for (uint32_t i = 0; i < b->n_carries; i++) {
		const struct chunk_carry *carry = &c->carries.v[from->carry++];
		struct epoch_thread *t = epoch_thread(e, carry->id);

		if (!t)
			return ERR_NO_MEMORY;
		t->has_entry = true;
		t->stack = index_code(x, carry->stack);
		t->flags = carry->flags;
	}
	return 0;
}

int index_place_block(struct index *x, struct chunk *c, const struct chunk_block *b, struct index_place *from,
                      struct runs *r, struct epoch *e)
{
	TRY(index_place_threads(x, c, b, from, e));
	runs_begin_block(r);
	for (uint32_t i = 0; i < b->n_entries; i++)
		c->entries.v[from->entry + i].stack = index_code(x, c->entries.v[from->entry + i].stack);
	for (uint32_t i = 0; i < b->n_events; i++)
		c->events.v[from->event + i].stack = index_code(x, c->events.v[from->event + i].stack);
	TRY(runs_ticks(r, &(struct rec_ticks){.times_ns = c->ticks_ns.v + from->tick,
	                                      .n_ticks = b->n_ticks,
	                                      .entries = c->entries.v + from->entry,
	                                      .n_entries = b->n_entries,
	                                      .closings = c->closings.v + from->closing,
	                                      .n_closings = b->n_closings,
	                                      .gaps = c->gaps.v + from->gap,
	                                      .n_gaps = b->n_gaps}));
	TRY(runs_events(r, &(struct rec_events){.events = c->events.v + from->event, .n_events = b->n_events}));
	from->tick += b->n_ticks;
	from->entry += b->n_entries;
	from->closing += b->n_closings;
	from->gap += b->n_gaps;
	from->event += b->n_events;
	return 0;
}

static int index_count_chunk(struct index *x, struct load *l, const struct facts_chunk *c)
{
	struct profile_recording to = {.mean_gap_ns = c->mean_gap_ns, .started_ns = c->started_ns};
	struct index_place from = {0};

	TRY(index_read_chunk(x, c->id));
	for (size_t i = 0; i < x->chunk.blocks.n; i++) {
		const struct chunk_block *b = &x->chunk.blocks.v[i];

		TRY(index_place_block(x, &x->chunk, b, &from, &l->runs, &l->epoch));
		int rc = load_count(
		    l, &(struct rec_block){.begin_ns = b->begin_ns, .end_ns = b->end_ns, .anchor_ns = b->anchor_ns},
		    &to);
		if (rc)
			return rc;
	}
	return 0;
}

static void index_skip_chunk(struct load *l, const struct facts_chunk *c)
{
	struct profile *p = l->profile;

	if (l->options.replays)
		return;
	p->outside_n += c->n;
	p->outside_ns += profile_take_time(p, c->wall_ns);
	p->outside_cpu_ns += c->cpu_ns;
}

struct index_tally {
	struct profile *profile;
	uint32_t recording;
};

static int index_on_tally(struct index *x, void *ctx, int64_t kind, int64_t number, sqlite3_stmt *row)
{
	struct index_tally *t = ctx;
	const void *bytes;
	size_t n;

	if (kind != FACTS_TALLY || number != t->recording)
		return 0;
	TRY(index_blob(row, 3, &bytes, &n));
	return facts_read_tally(t->profile, &x->map, &x->pack, bytes, n);
}

static int index_count_recording(struct index *x, struct load *l, uint32_t number)
{
	const struct facts_recording *r = &x->recordings.v[number];
	bool one_by_one = l->options.sample || l->options.lane;
	size_t at = 0; /* in its sums */
	uint32_t epoch = 0;
	int rc = 0;

	if (!one_by_one && r->has_tally && span_is_open(&l->options.span))
		return index_packs(x, index_on_tally, &(struct index_tally){l->profile, number});
	load_recording(l)->shown_begin_ns = load_recording(l)->shown_end_ns = 0;
	for (size_t i = 0, n = 1; i < r->chunks.n && !rc; i += n, n = 1) {
		const struct facts_chunk *c = &r->chunks.v[i];
		const struct facts_sum *sum = one_by_one ? NULL : index_sum_from(l, r, i, &at);

		if (!l->epoch.is_open || c->epoch != epoch) {
			rc = load_end_epoch(l);
			epoch = c->epoch;
			epoch_begin(&l->epoch, l->at, epoch);
			l->epoch.is_indexed = true;
		}
		if (!rc && sum) {
			n = sum->n;
			rc = index_count_sum(x, l, r, sum);
			continue;
		}
		/* where a stretch of events stands depends on those before it */
		if (!rc && index_is_outside(l, c) && !(l->options.lane && c->n_events))
			index_skip_chunk(l, c);
		else if (!rc)
			rc = index_count_chunk(x, l, c);
	}
	return rc ? rc : load_end_epoch(l);
}

static int index_count(struct index *x, struct load *l, uint32_t first)
{
	l->runs.is_known = true;
	l->has_recording = true;
	for (uint32_t i = 0; i < x->recordings.n; i++) {
		int rc;

		l->at = first + i;
		rc = index_count_recording(x, l, i);
		if (rc)
			return rc;
	}
	return 0;
}

int index_load(struct index *x, struct profile *p, const char *name, const struct load_options *o)
{
	uint32_t first = o->replays ? o->first : (uint32_t)p->recordings.n;
	struct load l;

	if (!o->replays) {
		TRY(index_load_dictionaries(x, p));
		TRY(index_load_facts(x, p, name));
	}
	load_init(&l, p, o);
	int rc = index_count(x, &l, first);
	load_done(&l);
	return rc ? rc : tally_flush(&p->tally);
}
