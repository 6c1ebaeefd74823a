#include "pyspy-report/index/index_rows.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "pyspy-report/index/index_db.h"

/* A statement that is run once for each row; after an error it does nothing more. */
struct rows {
	sqlite3 *db;
	sqlite3_stmt *s;
	const struct profile *p;
	int rc, at;
};

static struct rows rows_begin(sqlite3 *db, const struct profile *p, const char *sql)
{
	struct rows r = {.db = db, .p = p};

	r.rc = sqlite3_prepare_v2(db, sql, -1, &r.s, NULL);
	return r;
}

static void rows_u(struct rows *r, uint64_t v)
{
	r->at++;
	if (r->rc == SQLITE_OK)
		index_db_bind(r->s, r->at, v);
}

static void rows_u_or_none(struct rows *r, uint64_t v)
{
	if (v)
		rows_u(r, v);
	else
		r->at++; /* NULL */
}

static void rows_i(struct rows *r, int64_t v)
{
	r->at++;
	if (r->rc == SQLITE_OK)
		sqlite3_bind_int64(r->s, r->at, v);
}

static void rows_text(struct rows *r, const char *text, size_t n)
{
	r->at++;
	if (r->rc == SQLITE_OK)
		index_db_bind_text(r->s, r->at, text, n);
}

static void rows_words(struct rows *r, const char *text)
{
	rows_text(r, text, strlen(text));
}

static void rows_string(struct rows *r, uint32_t string)
{
	size_t n;
	const char *s = profile_text(r->p, string, &n);

	rows_text(r, s, n);
}

static void rows_joined(struct rows *r, const uint32_t *strings, size_t n_strings)
{
	struct buf b;

	buf_init(&b, 0);
	for (size_t i = 0; i < n_strings; i++) {
		size_t n;
		const char *s = profile_text(r->p, strings[i], &n);

		if (i)
			buf_u8(&b, ' ');
		buf_put(&b, s, n);
	}
	if (b.err)
		r->rc = SQLITE_NOMEM;
	rows_text(r, b.data ? (const char *)b.data : "", b.len);
	buf_done(&b);
}

static void rows_next(struct rows *r)
{
	if (r->rc == SQLITE_OK) {
		r->rc = sqlite3_step(r->s);
		r->rc = r->rc == SQLITE_DONE ? SQLITE_OK : r->rc;
		sqlite3_reset(r->s);
		sqlite3_clear_bindings(r->s);
	}
	r->at = 0;
}

static int rows_end(struct rows *r)
{
	sqlite3_finalize(r->s);
	return r->rc;
}

static int rows_strings(sqlite3 *db, const struct profile *p, uint32_t from)
{
	struct rows r = rows_begin(db, p, "INSERT INTO string VALUES(?,?)");

	for (uint32_t i = from; i < p->strings.n; i++) {
		rows_u(&r, i);
		rows_string(&r, i);
		rows_next(&r);
	}
	return rows_end(&r);
}

static int rows_modules(sqlite3 *db, const struct profile *p, uint32_t from)
{
	struct rows r = rows_begin(db, p, "INSERT INTO module VALUES(?,?,?)");
	struct buf hex;

	buf_init(&hex, 0);
	for (uint32_t i = from; i < p->modules.n; i++) {
		size_t n;
		const char *s = intern_bytes(&p->modules, i, &n);
		size_t path = strnlen(s, n);

		buf_reset(&hex);
		for (size_t k = path + 1; k < n; k++)
			buf_printf(&hex, "%02x", (unsigned char)s[k]);
		rows_u(&r, i);
		rows_text(&r, s, path);
		rows_words(&r, buf_cstr(&hex));
		rows_next(&r);
	}
	buf_done(&hex);
	return rows_end(&r);
}

static int rows_functions(sqlite3 *db, const struct profile *p, uint32_t from)
{
	struct rows r = rows_begin(db, p, "INSERT INTO function VALUES(?,?,?,?,?,?)");

	for (uint32_t i = from; i < p->functions.n; i++) {
		struct profile_function f = profile_function_of(p, i);

		rows_u(&r, i);
		rows_u(&r, f.kind);
		rows_u(&r, f.module);
		rows_u(&r, f.qualname);
		rows_u(&r, f.file);
		rows_u(&r, f.first_line);
		rows_next(&r);
	}
	return rows_end(&r);
}

static int rows_locations(sqlite3 *db, const struct profile *p, uint32_t from)
{
	struct rows r = rows_begin(db, p, "INSERT INTO location VALUES(?,?,?,?,?,?,?,?,?)");

	for (uint32_t i = from; i < p->locations.n; i++) {
		struct profile_location l = profile_location_of(p, i);

		rows_u(&r, i);
		rows_u_or_none(&r, l.function);
		if (l.line) {
			rows_i(&r, l.line);
			if (l.column >= 0)
				rows_i(&r, l.end_line);
		}
		r.at = 4;
		if (l.column >= 0) {
			rows_i(&r, l.column);
			rows_i(&r, l.end_column);
		}
		r.at = 6;
		if (!l.function) {
			rows_u(&r, l.module);
			rows_u(&r, l.offset);
			rows_u(&r, l.symbol);
		}
		rows_next(&r);
	}
	return rows_end(&r);
}

static int rows_stacks(sqlite3 *db, const struct profile *p, uint32_t from)
{
	struct rows r = rows_begin(db, p, "INSERT INTO stack VALUES(?,?,?)");

	for (size_t i = from ? from : 1; i < p->stacks.n; i++) {
		rows_u(&r, i);
		rows_u(&r, p->stacks.v[i].parent);
		rows_u(&r, p->stacks.v[i].location);
		rows_next(&r);
	}
	return rows_end(&r);
}

static const char *const how_words[] = {"unknown", "exited", "killed", "left"};

static int rows_processes(sqlite3 *db, const struct profile *p)
{
	struct rows r = rows_begin(db, p, "INSERT INTO process VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");

	for (size_t i = 0; i < p->processes.n; i++) {
		const struct profile_process *q = &p->processes.v[i];

		rows_u(&r, i);
		rows_string(&r, q->host);
		rows_u(&r, q->pid);
		rows_u(&r, q->ns_pid);
		rows_u(&r, q->parent_pid);
		rows_u(&r, q->start_ns);
		rows_u(&r, q->exec_number);
		rows_u(&r, q->uid);
		rows_string(&r, q->version);
		rows_string(&r, q->exe);
		rows_string(&r, q->cwd);
		rows_string(&r, q->prefix);
		rows_joined(&r, q->cmdline.v, q->cmdline.n);
		if (q->has_ended) {
			rows_u(&r, q->end_ns);
			rows_words(&r, how_words[q->how < 4 ? q->how : 0]);
			rows_u(&r, q->status);
		}
		rows_next(&r);
	}
	return rows_end(&r);
}

static int rows_threads(sqlite3 *db, const struct profile *p)
{
	struct rows r = rows_begin(db, p, "INSERT INTO thread VALUES(?,?,?,?,?,?,?,?,?,?)");

	for (size_t i = 0; i < p->threads.n; i++) {
		const struct profile_thread *t = &p->threads.v[i];

		rows_u(&r, i);
		rows_u(&r, t->process);
		rows_u(&r, t->tid);
		rows_u(&r, t->ns_tid);
		rows_u(&r, t->interpreter);
		rows_string(&r, t->name);
		rows_u(&r, t->flags & WIRE_THREAD_MAIN);
		rows_u_or_none(&r, t->start_ns);
		rows_u_or_none(&r, t->has_ended ? t->end_ns : 0);
		rows_u(&r, t->cpu_unsampled_ns);
		rows_next(&r);
	}
	return rows_end(&r);
}

int index_rows_dictionaries(sqlite3 *db, const struct profile *p, const struct index_rows_done *done)
{
	int rc = rows_strings(db, p, done->strings ? done->strings : 1);

	if (rc == SQLITE_OK)
		rc = rows_modules(db, p, done->modules ? done->modules : 1);
	if (rc == SQLITE_OK)
		rc = rows_functions(db, p, done->functions ? done->functions : 1);
	if (rc == SQLITE_OK)
		rc = rows_locations(db, p, done->locations ? done->locations : 1);
	if (rc == SQLITE_OK)
		rc = rows_stacks(db, p, done->stacks);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(db, "DELETE FROM process; DELETE FROM thread", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = rows_processes(db, p);
	return rc == SQLITE_OK ? rows_threads(db, p) : rc;
}

int index_rows_input(sqlite3 *db, uint32_t id, const struct facts_input *i)
{
	struct rows r = rows_begin(db, NULL, "INSERT INTO input VALUES(?,?,?,?,?,?,?)");

	rows_u(&r, id);
	rows_words(&r, i->name);
	rows_u(&r, i->size);
	rows_i(&r, i->mtime_ns);
	rows_u(&r, i->damaged_bytes);
	rows_u(&r, i->missing_blocks);
	rows_u(&r, i->missing_samples);
	rows_next(&r);
	int rc = rows_end(&r);
	if (rc != SQLITE_OK)
		return rc;
	r = rows_begin(db, NULL, "INSERT INTO damage VALUES(?,?,?,?,?,?)");
	for (size_t k = 0; k < i->damage.n; k++) {
		const struct profile_damage *d = &i->damage.v[k];

		rows_u(&r, id);
		rows_u(&r, d->offset);
		rows_u(&r, d->bytes);
		rows_u(&r, d->blocks);
		rows_u(&r, d->samples);
		rows_words(&r, d->what ? d->what : "");
		rows_next(&r);
	}
	return rows_end(&r);
}

static void rows_time(struct rows *r, int64_t realtime_ns)
{
	time_t s = (time_t)(realtime_ns / 1000000000 - (realtime_ns % 1000000000 < 0));
	struct tm tm;
	char text[64];
	size_t n = gmtime_r(&s, &tm) ? strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", &tm) : 0;

	rows_text(r, text, n);
}

static int rows_recording(sqlite3 *db, const struct profile *p, uint32_t id, uint32_t input)
{
	static const char *const engines[] = {"outside", "kernel", "both"};
	static const char *const reasons[] = {"unknown", "duration", "target", "SIGINT",
	                                      "SIGTERM", "SIGHUP",   "output", "error"};
	const struct profile_recording *q = &p->recordings.v[id];
	struct rows r =
	    rows_begin(db, p, "INSERT INTO recording VALUES(?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?,?)");
	char uuid[40];

	for (unsigned i = 0; i < 16; i++)
		snprintf(uuid + 2 * i, 3, "%02x", q->file.uuid[i]);
	rows_u(&r, id);
	rows_u(&r, input);
	rows_words(&r, uuid);
	rows_string(&r, q->host);
	rows_string(&r, q->kernel);
	rows_string(&r, q->machine);
	rows_string(&r, q->boot_id);
	rows_string(&r, q->recorder);
	rows_joined(&r, q->options.v, q->options.n);
	rows_words(&r, q->engine < 3 ? engines[q->engine] : "unknown");
	rows_time(&r, q->file.realtime_ns);
	rows_i(&r, q->file.realtime_ns);
	rows_u(&r, q->started_ns);
	rows_u(&r, q->begin_ns);
	rows_u(&r, q->end_ns);
	rows_u(&r, q->mean_gap_ns);
	rows_u(&r, q->n_samples);
	rows_u(&r, q->n_ticks);
	rows_u(&r, q->n_events);
	rows_u(&r, q->sampled_ns);
	rows_u(&r, q->not_sampled_ns);
	rows_u(&r, q->n_events || q->has_rates);
	rows_u(&r, q->is_closed);
	if (q->has_end)
		rows_words(&r, reasons[q->end.reason < 8 ? q->end.reason : 0]);
	rows_next(&r);
	return rows_end(&r);
}

static int rows_more(sqlite3 *db, const struct profile *p, uint32_t id)
{
	static const char *const causes[WIRE_LOST_END_] = {"unknown", "late",    "unreadable", "torn",     "limit",
	                                                   "damage",  "dropped", "overrun",    "unstopped"};
	const struct profile_recording *q = &p->recordings.v[id];
	struct rows r = rows_begin(db, p, "INSERT INTO note VALUES(?,?,?)");
	int rc;

	for (size_t i = 0; i < q->notes.n; i++) {
		rows_u(&r, id);
		rows_string(&r, q->notes.v[i].key);
		rows_string(&r, q->notes.v[i].value);
		rows_next(&r);
	}
	rc = rows_end(&r);
	if (rc != SQLITE_OK)
		return rc;
	r = rows_begin(db, p, "INSERT INTO counter VALUES(?,?,?)");
	for (uint32_t i = 1; i < WIRE_COUNTER_LIMIT; i++) {
		bool is_length = i >= WIRE_COUNTER_STOP_LENGTHS;
		uint64_t v = is_length               ? q->stop_lengths[i - WIRE_COUNTER_STOP_LENGTHS]
		             : i < WIRE_COUNTER_END_ ? q->counters[i]
		                                     : 0;

		if (is_length ? !v : i >= WIRE_COUNTER_END_ || !(q->has_counter >> i & 1))
			continue;
		rows_u(&r, id);
		rows_u(&r, i);
		rows_u(&r, v);
		rows_next(&r);
	}
	rc = rows_end(&r);
	if (rc != SQLITE_OK)
		return rc;
	r = rows_begin(db, p, "INSERT INTO loss VALUES(?,?,?)");
	for (uint32_t i = 0; i < WIRE_LOST_END_; i++) {
		if (!q->lost[i])
			continue;
		rows_u(&r, id);
		rows_words(&r, causes[i]);
		rows_u(&r, q->lost[i]);
		rows_next(&r);
	}
	return rows_end(&r);
}

int index_rows_recording(sqlite3 *db, const struct profile *p, uint32_t id, uint32_t input)
{
	int rc = rows_recording(db, p, id, input);

	return rc == SQLITE_OK ? rows_more(db, p, id) : rc;
}
