/* An index says what the recording says: of golden recordings, and of ones made wrong (PYSPY_FUZZ_SECONDS of CPU time,
 * a third of one for each kind), the profile, the samples one by one and the stretches of time come out the same by
 * either way, whatever part of the time is asked for. An index that was made wrong, bytes of the file or numbers in its
 * BLOBs with the checksums made right, is refused or read, and nothing else.
 */
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "format/block.h"
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-report/index/index_build.h"
#include "pyspy-report/index/index_db.h"
#include "pyspy-report/index/index_key.h"
#include "pyspy-report/index/index_query.h"
#include "pyspy-report/profile/load.h"
#include "tests/unit/support_any.h"
#include "tests/unit/support_golden.h"
#include "tests/unit/support_index.h"
#include "tests/unit/support_mutate.h"
#include "tests/unit/support_same.h"
#include "tests/unit/support_test.h"

static char folder[] = "/tmp/pyspy-index-XXXXXX";
static char recording_path[100], index_path[100], other_path[100];

/* ---- the same by two ways */

struct heard {
	uint64_t hash, n;
};

static int on_sample(void *ctx, const struct profile *p, const struct replay_sample *s)
{
	struct heard *h = ctx;
	const uint64_t numbers[] = {s->recording, s->thread, s->flags, s->time_ns, s->weight_ns};

	h->hash = support_mix(support_mix_bytes(h->hash, numbers, sizeof numbers), support_stack_says(p, s->stack));
	h->n++;
	return 0;
}

static int on_stretch(void *ctx, const struct profile *p, const struct lane_stretch *s)
{
	struct heard *h = ctx;
	const uint64_t numbers[] = {s->recording, s->thread, s->id, s->flags, s->n, s->begin_ns, s->length_ns};

	h->hash = support_mix(support_mix_bytes(h->hash, numbers, sizeof numbers), support_stack_says(p, s->stack));
	h->n++;
	return 0;
}

struct read {
	struct profile profile;
	struct heard samples, stretches;
	int rc;
};

static int load_by(bool by_index, struct index *x, struct profile *p, const struct load_options *o)
{
	struct feed_result r;

	return by_index ? index_load(x, p, NULL, o) : load_file(p, recording_path, o, &r);
}

static void read_by(bool by_index, struct index *x, const struct span *span, struct ends *ends, struct read *r)
{
	struct load_options o = {.span = *span, .ends = ends};
	struct spool spool = {0};

	*r = (struct read){0};
	assert_int_equal(profile_init(&r->profile), 0);
	r->rc = load_by(by_index, x, &r->profile, &o);
	if (r->rc)
		return;
	o.replays = true;
	o.sample = on_sample;
	o.ctx = &r->samples;
	assert_int_equal(load_by(by_index, x, &r->profile, &o), 0);
	o.sample = NULL;
	o.lane = on_stretch;
	o.ctx = &r->stretches;
	o.spool = &spool;
	assert_int_equal(load_by(by_index, x, &r->profile, &o), 0);
	spool_done(&spool);
}

static struct span any_span(void)
{
	struct span s = {0};

	switch (support_noise(5)) {
	case 0:
		break;
	case 1:
		s.from = (struct span_point){SPAN_OFFSET, (int64_t)support_noise(4000) * 1000000};
		s.to = (struct span_point){SPAN_OFFSET, s.from.ns + (int64_t)support_noise(2000) * 1000000};
		break;
	case 2:
		s.from = (struct span_point){SPAN_SHARE, (int64_t)support_noise(SPAN_WHOLE)};
		break;
	case 3:
		s.to = (struct span_point){SPAN_FROM_END, (int64_t)support_noise(3000) * 1000000};
		break;
	default:
		s.from = (struct span_point){SPAN_CLOCK,
		                             INT64_C(1763795624000000000) + (int64_t)support_noise(4000) * 1000000};
		break;
	}
	return s;
}

static void compare(const struct span *span)
{
	const char *const inputs[] = {recording_path};
	struct read stream, second;
	struct ends ends = {0}, index_end = {0};
	struct feed_result fed;
	struct index x = {0};
	int fd = open(recording_path, O_RDONLY), error_number;

	index_build_limits.chunk = 1 + support_noise(3) * support_noise(40);
	index_build_limits.tally = support_noise(2) ? 1 << 14 : 0;
	index_build_limits.sum_share = support_noise(4) ? 1 : 32;
	index_build_limits.group = 2 + support_noise(3);
	int rc = support_index_build(index_path, false, inputs, 1);

	assert_true(fd >= 0);
	(void)!ends_fd(fd, UINT64_MAX, &ends, &fed);
	close(fd);
	read_by(false, NULL, span, &ends, &stream);
	assert_int_equal(rc, stream.rc);
	if (!rc) {
		assert_int_equal(index_open(&x, index_path, &error_number), 0);
		assert_int_equal(index_key_is(&x.inputs.v[0], recording_path), 1);
		assert_int_equal(index_ends(&x, &index_end), 0);
		assert_int_equal(ends.v.n, index_end.v.n);
		assert_memory_equal(ends.v.n ? ends.v.v : (void *)"", index_end.v.n ? index_end.v.v : (void *)"",
		                    ends.v.n * sizeof *ends.v.v);
		read_by(true, &x, span, &index_end, &second);
		assert_int_equal(second.rc, 0);
		support_same_profile(&stream.profile, &second.profile);
		assert_int_equal(stream.samples.n, second.samples.n);
		assert_int_equal(stream.samples.hash, second.samples.hash);
		assert_int_equal(stream.stretches.n, second.stretches.n);
		assert_int_equal(stream.stretches.hash, second.stretches.hash);
		profile_done(&second.profile);
	}
	index_close(&x);
	profile_done(&stream.profile);
	vec_free(&ends.v);
	vec_free(&index_end.v);
}

static uint64_t fuzz_end(void)
{
	const char *seconds = getenv("PYSPY_FUZZ_SECONDS");

	return clock_process_cpu_ns() + (seconds ? strtoull(seconds, NULL, 10) * CLOCK_NS_PER_S : CLOCK_NS_PER_S / 3);
}

static void test_golden(void **state)
{
	const struct span everything = {0};

	(void)state;
	for (unsigned i = 0; SUPPORT_GOLDEN[i].name; i++) {
		struct buf b;

		buf_init(&b, 0);
		SUPPORT_GOLDEN[i].build(&b);
		support_write_file(recording_path, b.data, b.len);
		compare(&everything);
		for (unsigned k = 0; k < 4; k++) {
			struct span s = any_span();

			compare(&s);
		}
		buf_done(&b);
	}
}

static void test_any_recordings(void **state)
{
	uint64_t end = fuzz_end();

	(void)state;
	while (clock_process_cpu_ns() < end) {
		struct buf b;

		buf_init(&b, 0);
		support_any_recording(&b);
		support_write_file(recording_path, b.data, b.len);
		for (unsigned k = 0; k < 3; k++) {
			struct span s = any_span();

			compare(&s);
		}
		buf_done(&b);
	}
}

static void test_wrong_recordings(void **state)
{
	uint64_t end = fuzz_end();
	struct block_sealer *sealer = block_sealer_new(1);
	struct buf file, b;

	(void)state;
	buf_init(&file, 0);
	buf_init(&b, 0);
	unsigned n_golden = 0;
	while (SUPPORT_GOLDEN[n_golden].name)
		n_golden++;
	while (clock_process_cpu_ns() < end) {
		struct span s = any_span();

		buf_reset(&file);
		SUPPORT_GOLDEN[support_noise(n_golden)].build(&file);
		if (!support_mutate_content(&file, sealer, &b)) {
			buf_reset(&b);
			buf_put(&b, file.data, file.len);
			support_mutate(&b);
		}
		support_write_file(recording_path, b.len ? b.data : (void *)"", b.len);
		compare(&s);
	}
	buf_done(&file);
	buf_done(&b);
	block_sealer_free(sealer);
}

/* ---- indexes that are wrong */

static void golden_index(const char *name)
{
	const char *const inputs[] = {recording_path};
	struct buf b;

	buf_init(&b, 0);
	for (unsigned i = 0; SUPPORT_GOLDEN[i].name; i++)
		if (strcmp(SUPPORT_GOLDEN[i].name, name) == 0)
			SUPPORT_GOLDEN[i].build(&b);
	assert_true(b.len > 0);
	support_write_file(recording_path, b.data, b.len);
	assert_int_equal(support_index_build(index_path, false, inputs, 1), 0);
	buf_done(&b);
}

static void query(struct index *x, struct profile *p, const char *sql)
{
	sqlite3_stmt *s = NULL;

	if (index_query_prepare(x, sql, &s) == INDEX_QUERY_OK)
		for (unsigned n = 0; n < 100000 && sqlite3_step(s) == SQLITE_ROW; n++)
			for (int i = 0; i < sqlite3_column_count(s); i++)
				(void)sqlite3_column_text(s, i);
	sqlite3_finalize(s);
	(void)p;
}

/* However wrong: an error of the list, or a profile whose sums hold. */
static void read_any(const char *path)
{
	struct heard heard = {0};
	struct load_options o = {0};
	struct index x;
	struct profile p;
	int error_number, rc = index_open(&x, path, &error_number);

	assert_int_equal(profile_init(&p), 0);
	if (!rc)
		rc = index_load(&x, &p, NULL, &o);
	if (!rc) {
		uint64_t ns = 0;

		for (size_t i = 0; i < p.tally.rows.n; i++)
			ns += p.tally.rows.v[i].wall_ns;
		assert_int_equal(ns, p.wall_ns);
		o.replays = true;
		o.sample = on_sample;
		o.ctx = &heard;
		rc = index_load(&x, &p, NULL, &o);
	}
	assert_true(rc == 0 || rc == ERR_DAMAGED || rc == ERR_FORMAT || rc == ERR_VERSION || rc == ERR_FULL ||
	            rc == ERR_SYSTEM);
	index_close(&x);
	profile_done(&p);
	if (rc || index_open(&x, path, &error_number)) {
		if (!rc)
			index_close(&x);
		return;
	}
	assert_int_equal(profile_init(&p), 0);
	if (!index_query_begin(&x, &p))
		query(&x, &p, "SELECT * FROM sample, (SELECT path(max(stack)) FROM sample) LIMIT 1000");
	index_close(&x);
	profile_done(&p);
}

static void test_wrong_bytes(void **state)
{
	uint64_t end = fuzz_end();
	struct stat st;

	(void)state;
	golden_index("mixed");
	assert_int_equal(stat(index_path, &st), 0);
	unsigned char *bytes = malloc((size_t)st.st_size), *wrong = malloc((size_t)st.st_size);
	FILE *f = fopen(index_path, "rb");
	assert_true(bytes && wrong && f);
	assert_int_equal(fread(bytes, 1, (size_t)st.st_size, f), st.st_size);
	fclose(f);
	while (clock_process_cpu_ns() < end) {
		size_t n = support_noise(8) ? (size_t)st.st_size : support_noise((uint32_t)st.st_size);

		memcpy(wrong, bytes, n);
		for (uint32_t k = 1 + support_noise(6); k > 0 && n; k--)
			wrong[support_noise(support_noise(4) ? (uint32_t)n
			                    : n < 4096       ? (uint32_t)n
			                                     : 4096)] ^= (unsigned char)(1 + support_noise(255));
		support_write_file(other_path, wrong, n);
		read_any(other_path);
	}
	free(bytes);
	free(wrong);
}

/* A number in a BLOB of `table`, the checksum right again. */
static void change_blob(sqlite3 *db, const char *table, unsigned n_columns)
{
	struct pack k = {0};
	struct buf out;
	sqlite3_stmt *s;
	char sql[200];

	snprintf(sql, sizeof sql, "SELECT rowid, data FROM %s ORDER BY random() LIMIT 1", table);
	assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
	buf_init(&out, 0);
	if (sqlite3_step(s) == SQLITE_ROW &&
	    !pack_open(&k, n_columns, sqlite3_column_blob(s, 1), (size_t)sqlite3_column_bytes(s, 1))) {
		struct buf *column = &k.columns[support_noise(n_columns)];
		int64_t rowid = sqlite3_column_int64(s, 0);

		if (column->len && support_noise(3))
			column->data[support_noise((uint32_t)column->len)] = (unsigned char)support_noise(256);
		else if (column->len && support_noise(2))
			column->len -= 1 + support_noise((uint32_t)column->len - 1);
		else
			for (unsigned i = 0; i < 1 + support_noise(4); i++)
				buf_u8(column, (uint8_t)support_noise(256));
		assert_int_equal(pack_seal(&k, n_columns, &out), 0);
		sqlite3_finalize(s);
		snprintf(sql, sizeof sql, "UPDATE %s SET data = ? WHERE rowid = ?", table);
		assert_int_equal(sqlite3_prepare_v2(db, sql, -1, &s, NULL), SQLITE_OK);
		sqlite3_bind_blob(s, 1, out.data, (int)out.len, SQLITE_STATIC);
		sqlite3_bind_int64(s, 2, rowid);
		assert_int_equal(sqlite3_step(s), SQLITE_DONE);
	}
	sqlite3_finalize(s);
	buf_done(&out);
	pack_done(&k);
}

static void copy_file(const char *from, const char *to)
{
	char command[300];

	snprintf(command, sizeof command, "cp %s %s", from, to);
	assert_int_equal(system(command), 0);
}

static void test_wrong_numbers(void **state)
{
	static const char *const names[] = {"mixed", "motion", "kernel", "native", "bounded"};
	uint64_t end = fuzz_end();

	(void)state;
	while (clock_process_cpu_ns() < end) {
		golden_index(names[support_noise(5)]);
		for (unsigned i = 0; i < 8; i++) {
			sqlite3 *db;

			copy_file(index_path, other_path);
			assert_int_equal(sqlite3_open(other_path, &db), SQLITE_OK);
			assert_int_equal(
			    sqlite3_exec(db, "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF", 0, 0, 0), 0);
			switch (support_noise(3)) {
			case 0:
				change_blob(db, "block", 12);
				break;
			case 1:
				change_blob(db, "block_stacks", 6);
				break;
			default:
				change_blob(db, "pack", 8);
				break;
			}
			sqlite3_close(db);
			read_any(other_path);
		}
	}
}

/* ---- several in one */

static void test_several(void **state)
{
	const char *const both[] = {recording_path, other_path};
	const struct span everything = {0};
	struct load_options o = {.span = everything};
	struct profile a, b;
	struct feed_result r;
	struct index x;
	struct buf one, two;
	int error_number;

	(void)state;
	buf_init(&one, 0);
	buf_init(&two, 0);
	for (unsigned i = 0; SUPPORT_GOLDEN[i].name; i++) {
		buf_reset(&one);
		buf_reset(&two);
		SUPPORT_GOLDEN[i].build(&one);
		SUPPORT_GOLDEN[SUPPORT_GOLDEN[i + 1].name ? i + 1 : 0].build(&two);
		support_write_file(recording_path, one.data, one.len);
		support_write_file(other_path, two.data, two.len);
		assert_int_equal(profile_init(&a), 0);
		assert_int_equal(load_file(&a, recording_path, &o, &r), 0);
		assert_int_equal(load_file(&a, other_path, &o, &r), 0);
		/* both at once; one added to the other */
		for (unsigned k = 0; k < 2; k++) {
			assert_int_equal(support_index_build(index_path, false, both, k ? 1 : 2), 0);
			if (k)
				assert_int_equal(support_index_build(index_path, true, both + 1, 1), 0);
			assert_int_equal(profile_init(&b), 0);
			assert_int_equal(index_open(&x, index_path, &error_number), 0);
			assert_int_equal(index_load(&x, &b, NULL, &o), 0);
			support_same_profile(&a, &b);
			index_close(&x);
			profile_done(&b);
		}
		profile_done(&a);
	}
	buf_done(&one);
	buf_done(&two);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_golden),           cmocka_unit_test(test_several),
	    cmocka_unit_test(test_wrong_recordings), cmocka_unit_test(test_any_recordings),
	    cmocka_unit_test(test_wrong_bytes),      cmocka_unit_test(test_wrong_numbers),
	};

	if (!mkdtemp(folder))
		return 1;
	snprintf(recording_path, sizeof recording_path, "%s/a.pyspy", folder);
	snprintf(index_path, sizeof index_path, "%s/a.idx", folder);
	snprintf(other_path, sizeof other_path, "%s/b.idx", folder);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(recording_path);
	unlink(index_path);
	unlink(other_path);
	rmdir(folder);
	return failed;
}
