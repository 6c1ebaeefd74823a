/* Sums of chunks in an index: they are read instead of the chunks (whose BLOBs are taken away here) where all of their
 * time is asked for, say what the recording says, and are refused when they were made wrong.
 */
#include <sqlite3.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-report/index/index_build.h"
#include "pyspy-report/index/index_load.h"
#include "tests/unit/support_any.h"
#include "tests/unit/support_index.h"
#include "tests/unit/support_same.h"
#include "tests/unit/support_test.h"

static char folder[] = "/tmp/pyspy-sums-XXXXXX";
static char recording_path[100], index_path[100];

/* An index of any recording, without a tally, with as many sums as can be. */
static void build(void)
{
	const char *const inputs[] = {recording_path};
	struct buf b;

	buf_init(&b, 0);
	support_any_recording(&b);
	support_write_file(recording_path, b.data, b.len);
	buf_done(&b);
	index_build_limits = (struct index_build_limits){.chunk = 1, .share = 1 << 30, .sum_share = 1, .group = 2};
	assert_int_equal(support_index_build(index_path, false, inputs, 1), 0);
}

static void sql(const char *words, uint64_t first, uint64_t last)
{
	char statement[200];
	sqlite3 *db;

	snprintf(statement, sizeof statement, words, (unsigned long long)first, (unsigned long long)last);
	assert_int_equal(sqlite3_open(index_path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, statement, NULL, NULL, NULL), SQLITE_OK);
	assert_true(sqlite3_changes(db) > 0);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static int load_index(const struct span *span, struct profile *p)
{
	struct load_options o = {.span = *span};
	struct index x;
	int error_number, rc;

	assert_int_equal(profile_init(p), 0);
	assert_int_equal(index_open(&x, index_path, &error_number), 0);
	rc = index_load(&x, p, NULL, &o);
	index_close(&x);
	return rc;
}

static void same(const struct span *span)
{
	struct load_options o = {.span = *span};
	struct feed_result fed;
	struct profile stream, index;

	assert_int_equal(load_index(span, &index), 0);
	assert_int_equal(profile_init(&stream), 0);
	assert_int_equal(load_file(&stream, recording_path, &o, &fed), 0);
	support_same_profile(&stream, &index);
	profile_done(&stream);
	profile_done(&index);
}

/* The first sum of several chunks: its first and its last; or of which nothing is at the edge of its time. */
static bool find(struct facts_sum *sum, struct facts_chunk *first, struct facts_chunk *last, bool needs_edge)
{
	struct index x;
	int error_number;
	bool found = false;

	assert_int_equal(index_open(&x, index_path, &error_number), 0);
	for (size_t i = 0; i < x.recordings.n && !found && x.recordings.n == 1; i++) {
		const struct facts_recording *r = &x.recordings.v[i];

		for (size_t k = 0; k < r->sums.n && !found; k++) {
			*sum = r->sums.v[k];
			*first = r->chunks.v[sum->first];
			*last = r->chunks.v[sum->first + sum->n - 1];
			found = sum->n > 1 && (!needs_edge || first->begin_ns >= first->started_ns);
			for (uint32_t c = sum->first; c < sum->first + sum->n; c++)
				found &= !needs_edge || (r->chunks.v[c].begin_ns >= first->begin_ns &&
				                         r->chunks.v[c].end_ns <= last->end_ns &&
				                         r->chunks.v[c].started_ns == first->started_ns &&
				                         r->chunks.v[c].first_ns >= first->begin_ns &&
				                         r->chunks.v[c].last_ns < last->end_ns);
		}
	}
	index_close(&x);
	return found;
}

static void take_away(const struct facts_chunk *first, const struct facts_chunk *last)
{
	sql("UPDATE block SET data = zeroblob(3) WHERE id BETWEEN %llu AND %llu", first->id, last->id);
	sql("UPDATE block_stacks SET data = zeroblob(3) WHERE block BETWEEN %llu AND %llu", first->id, last->id);
}

static void test_all_of_it(void **state)
{
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 2000 && n < 100; i++) {
		struct facts_sum sum;
		struct facts_chunk first, last;

		build();
		if (!find(&sum, &first, &last, false))
			continue;
		n++;
		take_away(&first, &last);
		same(&(struct span){0});
	}
	assert_int_equal(n, 100);
}

static void test_its_time(void **state)
{
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 2000 && n < 100; i++) {
		struct facts_sum sum;
		struct facts_chunk first, last;
		struct profile p;

		build();
		if (!find(&sum, &first, &last, true))
			continue;
		n++;
		take_away(&first, &last);
		struct span span = {.from = {SPAN_OFFSET, (int64_t)(first.begin_ns - first.started_ns)},
		                    .to = {SPAN_OFFSET, (int64_t)(last.end_ns - last.started_ns)}};
		same(&span);
		/* of a part, the chunks are needed */
		span.from.ns += 1;
		assert_int_equal(load_index(&span, &p), ERR_DAMAGED);
		profile_done(&p);
	}
	assert_int_equal(n, 100);
}

static void test_made_wrong(void **state)
{
	static const char *const wrong[] = {"UPDATE block_sum SET data = zeroblob(3) WHERE id BETWEEN %llu AND %llu",
	                                    "DELETE FROM block_sum WHERE id BETWEEN %llu AND %llu",
	                                    "UPDATE block_sum SET data = (SELECT data FROM block_sum WHERE id <> %llu) "
	                                    "WHERE id = %llu"};
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < 2000 && n < 30; i++) {
		struct facts_sum sum;
		struct facts_chunk first, last;
		struct profile p;

		build();
		if (!find(&sum, &first, &last, false))
			continue;
		sql(wrong[n++ % 3], sum.id, sum.id);
		assert_int_equal(load_index(&(struct span){0}, &p), ERR_DAMAGED);
		profile_done(&p);
	}
	assert_int_equal(n, 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_all_of_it),
	    cmocka_unit_test(test_its_time),
	    cmocka_unit_test(test_made_wrong),
	};

	if (!mkdtemp(folder))
		return 1;
	snprintf(recording_path, sizeof recording_path, "%s/a.pyspy", folder);
	snprintf(index_path, sizeof index_path, "%s/a.idx", folder);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(recording_path);
	unlink(index_path);
	rmdir(folder);
	return failed;
}
