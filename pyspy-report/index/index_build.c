#include "pyspy-report/index/index_build_parts.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/crc32c.h"
#include "libcommon/err.h"
#include "pyspy-report/index/index_key.h"
#include "pyspy-report/index/index_schema.h"

#define BUILD_ABOUT                                                                                                    \
	"INSERT OR REPLACE INTO about VALUES('schema_version', '" INDEX_TEXT(                                          \
	    INDEX_VERSION) "');"                                                                                       \
	                   "INSERT OR REPLACE INTO about VALUES('made_by', 'pyspy-report " PYSPY_VERSION "');"

static int build_sql(struct build *b, int rc)
{
	return index_db_error(b->db, rc, &b->error_number);
}

int build_step(struct build *b, sqlite3_stmt *s)
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
	    "INSERT INTO activity VALUES(?,?,?,?,?,?)", "INSERT INTO pack VALUES(NULL,?,?,?)",
	    "INSERT INTO block_sum VALUES(?,?,?,?)"};
	sqlite3_stmt **const to[] = {&b->add_block, &b->add_stacks, &b->add_activity, &b->add_pack, &b->add_sum};

	for (unsigned i = 0; i < sizeof sql / sizeof *sql; i++)
		TRY(build_sql(b, sqlite3_prepare_v2(b->db, sql[i], -1, to[i], NULL)));
	return 0;
}

int build_add_pack(struct build *b, enum facts_kind kind, uint32_t number)
{
	TRY(b->bytes.err);
	sqlite3_bind_int(b->add_pack, 1, (int)kind);
	sqlite3_bind_int64(b->add_pack, 2, number);
	sqlite3_bind_blob64(b->add_pack, 3, b->bytes.data, b->bytes.len, SQLITE_STATIC);
	return build_step(b, b->add_pack);
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

static int build_last(struct build *b, const char *sql, uint64_t *last)
{
	sqlite3_stmt *s;
	int64_t id = 0;

	TRY(build_sql(b, sqlite3_prepare_v2(b->db, sql, -1, &s, NULL)));
	if (sqlite3_step(s) == SQLITE_ROW)
		id = sqlite3_column_int64(s, 0);
	sqlite3_finalize(s);
	*last = id > 0 ? (uint64_t)id : 0;
	return 0;
}

/* What is in the index already: the profile gets the same ids. */
static int build_go_on(struct build *b)
{
	struct profile *p = &b->profile;

	TRY(index_load_dictionaries(&b->old, p));
	TRY(index_load_facts(&b->old, p, NULL));
	b->done = (struct index_rows_done){p->strings.n,
	                                   p->modules.n,
	                                   p->functions.n,
	                                   p->locations.n,
	                                   (uint32_t)p->stacks.n,
	                                   (uint32_t)b->old.inputs.n,
	                                   (uint32_t)p->recordings.n};
	TRY(build_last(b, "SELECT max(id) FROM block", &b->n_chunks));
	TRY(build_last(b, "SELECT max(id) FROM block_sum", &b->n_sums));
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
	TRY(build_sql(b, sqlite3_exec(b->db, BUILD_ABOUT "COMMIT", NULL, NULL, NULL)));
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
	sqlite3_finalize(b->add_sum);
	if (b->db && sqlite3_close(b->db) != SQLITE_OK && !rc)
		rc = ERR_SYSTEM;
	index_close(&b->old);
	profile_done(&b->profile);
	pack_done(&b->pack);
	buf_done(&b->bytes);
	tally_done(&b->parts);
	build_sums_done(b);
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
