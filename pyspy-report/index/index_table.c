#include "pyspy-report/index/index_table_parts.h"

#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/index/index_functions.h"
#include "pyspy-report/index/index_table.h"

struct table {
	sqlite3_vtab base;
	struct index *index;
	struct profile *profile;
};

/* What is asked for; blocks and samples that cannot be meant are passed over. SQLite checks all of it once more. */
struct wanted {
	int64_t recording, block, pid, tid, thread; /* -1: any */
	uint64_t from_ns, until_ns;
	bool gil;
};

struct cursor {
	sqlite3_vtab_cursor base;
	struct wanted wanted;
	struct chunk chunk;
	struct index_place place;
	struct epoch epoch;
	struct runs runs;
	uint32_t recording;
	size_t next_chunk, next_block;
	size_t run, event; /* the row: this one of the block's runs, or events behind them */
	uint32_t tick;     /* of the run */
	bool is_over;
	int64_t rowid;
};

static int table_connect(sqlite3 *db, void *aux, int argc, const char *const *argv, sqlite3_vtab **out, char **error)
{
	struct table *t = sqlite3_malloc64(sizeof *t), *with = aux;
	char *sql = sqlite3_mprintf("CREATE TABLE sample(");
	int rc;

	(void)argc, (void)argv, (void)error;
	for (unsigned i = 0; i < T_COLUMNS && sql; i++)
		sql = sqlite3_mprintf("%z%s%s %s", sql, i ? ", " : "", table_columns[i].name, table_columns[i].type);
	sql = sql ? sqlite3_mprintf("%z)", sql) : NULL;
	rc = !t || !sql ? SQLITE_NOMEM : sqlite3_declare_vtab(db, sql);
	sqlite3_free(sql);
	if (rc == SQLITE_OK) {
		*t = *with;
		t->base = (sqlite3_vtab){0};
		sqlite3_vtab_config(db, SQLITE_VTAB_DIRECTONLY);
		*out = &t->base;
	} else {
		sqlite3_free(t);
	}
	return rc;
}

static int table_disconnect(sqlite3_vtab *t)
{
	sqlite3_free(t);
	return SQLITE_OK;
}

/* Each constraint that is used: a letter for what it means, in the order of the arguments. */
static char letter_of(int column, int op)
{
	if (op == SQLITE_INDEX_CONSTRAINT_EQ)
		switch (column) {
		case T_RECORDING:
			return 'r';
		case T_BLOCK:
			return 'b';
		case T_PID:
			return 'p';
		case T_TID:
			return 't';
		case T_THREAD:
			return 'h';
		case T_GIL:
			return 'g';
		case T_TIME:
			return '=';
		default:
			return 0;
		}
	if (column != T_TIME)
		return 0;
	switch (op) {
	case SQLITE_INDEX_CONSTRAINT_GT:
	case SQLITE_INDEX_CONSTRAINT_GE:
		return '>';
	case SQLITE_INDEX_CONSTRAINT_LT:
	case SQLITE_INDEX_CONSTRAINT_LE:
		return '<';
	default:
		return 0;
	}
}

static int table_best_index(sqlite3_vtab *base, sqlite3_index_info *info)
{
	char letters[64] = "";
	int n = 0;
	double cost = 1e9;

	(void)base;
	for (int i = 0; i < info->nConstraint && n < (int)sizeof letters - 1; i++) {
		const struct sqlite3_index_constraint *c = &info->aConstraint[i];
		char letter = c->usable ? letter_of(c->iColumn, c->op) : 0;

		if (!letter)
			continue;
		letters[n++] = letter;
		info->aConstraintUsage[i].argvIndex = n;
		cost /= letter == '=' || letter == 'b' ? 1000 : 4;
	}
	info->idxStr = sqlite3_mprintf("%s", letters);
	info->needToFreeIdxStr = 1;
	info->estimatedCost = cost;
	info->estimatedRows = (sqlite3_int64)cost;
	return info->idxStr ? SQLITE_OK : SQLITE_NOMEM;
}

static int table_open(sqlite3_vtab *base, sqlite3_vtab_cursor **out)
{
	struct cursor *c = sqlite3_malloc64(sizeof *c);

	if (!c)
		return SQLITE_NOMEM;
	memset(c, 0, sizeof *c);
	epoch_init(&c->epoch, ((struct table *)base)->profile);
	c->epoch.is_indexed = true;
	runs_init(&c->runs);
	*out = &c->base;
	return SQLITE_OK;
}

static int table_close(sqlite3_vtab_cursor *base)
{
	struct cursor *c = (struct cursor *)base;

	chunk_done(&c->chunk);
	epoch_done(&c->epoch);
	runs_done(&c->runs);
	sqlite3_free(c);
	return SQLITE_OK;
}

static struct table *table_of(const struct cursor *c)
{
	return (struct table *)c->base.pVtab;
}

static int table_failed(struct cursor *c, int rc)
{
	sqlite3_free(c->base.pVtab->zErrMsg);
	c->base.pVtab->zErrMsg = sqlite3_mprintf("%s", rc == ERR_DAMAGED ? "the index is damaged" : err_words(rc));
	return rc == ERR_NO_MEMORY ? SQLITE_NOMEM : rc == ERR_SYSTEM ? SQLITE_IOERR : SQLITE_CORRUPT_VTAB;
}

static bool table_wants_thread(const struct cursor *c, uint32_t thread)
{
	const struct profile *p = table_of(c)->profile;
	const struct wanted *w = &c->wanted;
	const struct profile_thread *t = &p->threads.v[thread];

	if (w->thread >= 0 && w->thread != thread)
		return false;
	if (w->tid >= 0 && (!thread || w->tid != t->tid))
		return false;
	return w->pid < 0 || (t->process && w->pid == p->processes.v[t->process].pid);
}

/* Such a block may hold what is asked for. */
static bool table_wants_chunk(const struct cursor *c, const struct facts_chunk *f)
{
	const struct facts_map *m = &table_of(c)->index->map;
	const struct wanted *w = &c->wanted;
	bool any = f->n_threads == FACTS_MANY;

	if (!f->n || (w->block >= 0 && (uint64_t)w->block != f->id))
		return false;
	if (f->first_ns > f->last_ns || f->last_ns < w->from_ns || f->first_ns >= w->until_ns)
		return false;
	if (w->gil && !(f->flags & WIRE_FLAG_GIL))
		return false;
	for (uint32_t i = 0; i < f->n_threads && !any; i++)
		any = f->threads[i] < m->threads.n && table_wants_thread(c, m->threads.v[f->threads[i]]);
	return any;
}

/* The next block of the stream in this chunk. */
static int table_next_block(struct cursor *c, const struct facts_chunk *f)
{
	struct index *x = table_of(c)->index;
	const struct chunk_block *b = &c->chunk.blocks.v[c->next_block++];
	struct profile_recording to = {.mean_gap_ns = f->mean_gap_ns, .started_ns = f->started_ns};

	c->runs.keep = c->runs.replays = c->runs.is_known = true;
	c->runs.from_ns = c->wanted.from_ns;
	c->runs.until_ns = c->wanted.until_ns;
	TRY(index_place_block(x, &c->chunk, b, &c->place, &c->runs, &c->epoch));
	TRY(runs_finish(&c->runs, &c->epoch,
	                &(struct rec_block){.begin_ns = b->begin_ns, .end_ns = b->end_ns, .anchor_ns = b->anchor_ns},
	                &to));
	c->run = c->event = 0;
	c->tick = c->runs.list.n ? c->runs.list.v[0].begin : 0;
	return 0;
}

static int table_next_chunk(struct cursor *c)
{
	struct index *x = table_of(c)->index;
	struct facts_recording *r = &x->recordings.v[c->recording];

	while (c->next_chunk < r->chunks.n && !table_wants_chunk(c, &r->chunks.v[c->next_chunk]))
		c->next_chunk++;
	c->next_block = 0;
	chunk_clear(&c->chunk);
	if (c->next_chunk >= r->chunks.n)
		return 0;
	TRY(index_read_chunk(x, r->chunks.v[c->next_chunk++].id));
	struct chunk mine = c->chunk;
	c->chunk = x->chunk;
	x->chunk = mine;
	c->place = (struct index_place){0};
	epoch_begin(&c->epoch, c->recording, 0);
	return 0;
}

static bool table_wants_event(const struct cursor *c, const struct rec_event *e)
{
	return e->time_ns >= c->wanted.from_ns &&
	       (e->time_ns < c->wanted.until_ns || c->wanted.until_ns == UINT64_MAX) &&
	       (!c->wanted.gil || e->flags & WIRE_FLAG_GIL);
}

static uint32_t table_event_thread(const struct cursor *c, const struct rec_event *e)
{
	return e->thread < c->epoch.threads.n ? c->epoch.threads.v[e->thread].global : 0;
}

/* The row stands at one that may be meant, in this block; false: there is none any more. */
static bool table_settle(struct cursor *c)
{
	for (; c->run < c->runs.list.n; c->run++) {
		const struct run *r = &c->runs.list.v[c->run];

		c->tick = c->tick > r->begin ? c->tick : r->begin;
		if (c->tick < r->end && (!c->wanted.gil || r->flags & WIRE_FLAG_GIL) &&
		    table_wants_thread(c, r->thread))
			return true;
		c->tick = 0;
	}
	for (; c->event < c->runs.events.n; c->event++) {
		const struct rec_event *e = &c->runs.events.v[c->event];

		if (table_wants_event(c, e) && table_wants_thread(c, table_event_thread(c, e)))
			return true;
	}
	return false;
}

static int table_go_on(struct cursor *c)
{
	struct index *x = table_of(c)->index;

	while (!table_settle(c)) {
		if (c->next_block < c->chunk.blocks.n) {
			TRY(table_next_block(c, &x->recordings.v[c->recording].chunks.v[c->next_chunk - 1]));
			continue;
		}
		c->runs.list.n = c->runs.events.n = 0;
		TRY(table_next_chunk(c));
		if (c->chunk.blocks.n || c->next_chunk < x->recordings.v[c->recording].chunks.n)
			continue;
		c->next_chunk = 0;
		do
			c->recording++;
		while (c->wanted.recording >= 0 && c->recording < x->recordings.n &&
		       c->recording != c->wanted.recording);
		if (c->recording >= x->recordings.n) {
			c->is_over = true;
			return 0;
		}
	}
	return 0;
}

/* A bound of the time; what is no integer bounds nothing (SQLite compares). */
static void table_bound(struct wanted *w, char letter, sqlite3_value *v)
{
	if (sqlite3_value_type(v) != SQLITE_INTEGER)
		return;
	int64_t ns = sqlite3_value_int64(v);
	uint64_t at = ns > 0 ? (uint64_t)ns : 0;

	if ((letter == '>' || letter == '=') && at > w->from_ns)
		w->from_ns = at;
	if ((letter == '<' || letter == '=') && at + 1 < w->until_ns)
		w->until_ns = ns < 0 ? 0 : at == INT64_MAX ? UINT64_MAX : at + 1;
}

static void table_equal(struct wanted *w, char letter, sqlite3_value *v)
{
	int64_t n = sqlite3_value_int64(v);

	if (sqlite3_value_type(v) != SQLITE_INTEGER || n < 0)
		return;
	if (letter == 'r')
		w->recording = n;
	else if (letter == 'b')
		w->block = n;
	else if (letter == 'p')
		w->pid = n;
	else if (letter == 't')
		w->tid = n;
	else if (letter == 'h')
		w->thread = n;
	else if (letter == 'g')
		w->gil |= n == 1;
}

static int table_filter(sqlite3_vtab_cursor *base, int number, const char *letters, int argc, sqlite3_value **argv)
{
	struct cursor *c = (struct cursor *)base;
	const struct index *x = table_of(c)->index;
	int rc;

	(void)number;
	c->wanted = (struct wanted){-1, -1, -1, -1, -1, 0, UINT64_MAX, false};
	for (int i = 0; i < argc; i++)
		if (strchr("<=>", letters[i]))
			table_bound(&c->wanted, letters[i], argv[i]);
		else
			table_equal(&c->wanted, letters[i], argv[i]);
	chunk_clear(&c->chunk);
	c->runs.list.n = c->runs.events.n = 0;
	c->next_chunk = c->next_block = c->run = c->event = 0;
	c->rowid = 0;
	c->recording = c->wanted.recording >= 0 && c->wanted.recording < UINT32_MAX ? (uint32_t)c->wanted.recording : 0;
	c->is_over = c->recording >= x->recordings.n || c->wanted.recording >= (int64_t)x->recordings.n;
	rc = c->is_over ? 0 : table_go_on(c);
	return rc ? table_failed(c, rc) : SQLITE_OK;
}

static int table_next(sqlite3_vtab_cursor *base)
{
	struct cursor *c = (struct cursor *)base;
	int rc;

	if (c->run < c->runs.list.n)
		c->tick++;
	else
		c->event++;
	c->rowid++;
	rc = table_go_on(c);
	return rc ? table_failed(c, rc) : SQLITE_OK;
}

static int table_eof(sqlite3_vtab_cursor *base)
{
	return ((struct cursor *)base)->is_over;
}

static struct table_sample table_sample(const struct cursor *c)
{
	struct table_sample row;

	if (c->run < c->runs.list.n) {
		const struct run *r = &c->runs.list.v[c->run];

		row = (struct table_sample){.recording = c->recording,
		                            .block = c->chunk.id,
		                            .thread = r->thread,
		                            .flags = r->flags,
		                            .code = r->stack,
		                            .time_ns = c->runs.ticks_ns.v[c->tick],
		                            .weight_ns = runs_time_before(&c->runs, c->tick + 1) -
		                                         runs_time_before(&c->runs, c->tick)};
	} else {
		const struct rec_event *e = &c->runs.events.v[c->event];

		row = (struct table_sample){.recording = c->recording,
		                            .block = c->chunk.id,
		                            .thread = table_event_thread(c, e),
		                            .flags = (e->flags & (WIRE_FLAG_ABSENT - 1)) | TALLY_EVENT,
		                            .code = e->stack,
		                            .time_ns = e->time_ns,
		                            .weight_ns = e->weight_ns,
		                            .is_event = true};
	}
	uint32_t kind = row.code & ((1 << EPOCH_CODE_BITS) - 1);
	row.flags |= kind == EPOCH_IN_MOTION ? TALLY_IN_MOTION : kind == EPOCH_LOST ? TALLY_LOST : 0;
	return row;
}

static int table_column(sqlite3_vtab_cursor *base, sqlite3_context *to, int column)
{
	const struct cursor *c = (struct cursor *)base;
	struct table_sample s = table_sample(c);

	table_result(to, table_of(c)->profile, &s, column);
	return SQLITE_OK;
}

static int table_rowid(sqlite3_vtab_cursor *base, sqlite3_int64 *rowid)
{
	*rowid = ((struct cursor *)base)->rowid;
	return SQLITE_OK;
}

/* Without xCreate it is there by its name alone, and cannot be made in a schema. */
static const sqlite3_module module = {
    .xConnect = table_connect,
    .xBestIndex = table_best_index,
    .xDisconnect = table_disconnect,
    .xDestroy = table_disconnect,
    .xOpen = table_open,
    .xClose = table_close,
    .xFilter = table_filter,
    .xNext = table_next,
    .xEof = table_eof,
    .xColumn = table_column,
    .xRowid = table_rowid,
};

int index_table_register(struct index *x, struct profile *p)
{
	struct table *with = sqlite3_malloc64(sizeof *with);

	if (!with)
		return SQLITE_NOMEM;
	*with = (struct table){.index = x, .profile = p};
	int rc = sqlite3_create_module_v2(x->db, "sample", &module, with, sqlite3_free);
	return rc == SQLITE_OK ? index_functions_register(x->db, p) : rc;
}
