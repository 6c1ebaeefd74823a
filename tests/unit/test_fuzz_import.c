/* Mutated files of other profilers (tests/foreign) through their importers, in the same order each time, for
 * PYSPY_FUZZ_SECONDS of CPU time (1): no importer reads what is not there, and the recording that comes out is whole
 * and holds as many samples as it was told. Every importer is also given the files of the others. */
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-report/exchange/importer.h"
#include "pyspy-report/profile/load.h"
#include "tests/unit/support_mutate.h"
#include "tests/unit/support_test.h"

static const char *const FILES[] = {"pyspy.folded",   "pyspy.speedscope.json", "pyspy_plain.speedscope.json",
                                    "austin3.austin", "austin3_full.austin",   "austin3.mojo",
                                    "austin4.mojo",   "austin4_full.mojo",     "austin4_memory.mojo",
                                    "tachyon.bin",    "tachyon_plain.bin",     "tachyon.folded",
                                    "perf.txt",       "made.speedscope.json"};

static void read_file(const char *name, struct buf *b)
{
	char path[200];
	uint8_t chunk[4096];
	size_t n;

	snprintf(path, sizeof path, "tests/foreign/%s", name);
	FILE *f = fopen(path, "rb");
	assert_non_null(f);
	while ((n = fread(chunk, 1, sizeof chunk, f)) > 0)
		buf_put(b, chunk, n);
	fclose(f);
}

static const struct import_format *format_of(const struct buf *b)
{
	for (size_t i = 0; import_formats[i]; i++)
		if (import_formats[i]->looks((const char *)b->data, b->len))
			return import_formats[i];
	return NULL;
}

/* What the reporter makes of the recording. */
static void check(const char *bytes, size_t n, uint64_t n_samples)
{
	struct profile p;
	struct load *l;

	assert_int_equal(profile_init(&p), 0);
	l = load_new(&p, "imported", NULL);
	assert_non_null(l);
	assert_int_equal(load_feed(l, bytes, n), 0);
	assert_int_equal(load_finish(l), 0);
	load_free(l);
	assert_int_equal(p.n_damage, 0);
	assert_int_equal(profile_samples(&p), n_samples);
	assert_true(p.recordings.v[0].is_closed);
	profile_done(&p);
}

static int import(const struct buf *b, const struct import_format *format, bool must_work)
{
	char *bytes = NULL;
	size_t size;
	struct scribe s;
	struct foreign f;
	struct intake from;
	struct import_options o = {0};
	int fd = memfd_create("foreign", MFD_CLOEXEC), rc;
	FILE *to = open_memstream(&bytes, &size);

	assert_true(fd >= 0 && to);
	assert_int_equal(write(fd, b->data, b->len), b->len);
	assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
	assert_int_equal(scribe_init(&s, to), 0);
	assert_int_equal(foreign_init(&f, &s), 0);
	rc = intake_open(&from, fd);
	assert_int_equal(rc, 0);
	rc = format->read(&f, &from, &o);
	if (rc == 0)
		rc = foreign_finish(&f);
	assert_true(rc == 0 || rc == ERR_FORMAT || rc == ERR_FULL);
	if (rc == ERR_FORMAT)
		assert_true(f.n_problems > 0);
	if (must_work) {
		assert_int_equal(rc, 0);
		assert_int_equal(f.n_problems, 0);
		assert_true(f.n_samples > 0);
	}
	uint64_t n = f.n_samples;
	foreign_done(&f);
	scribe_done(&s);
	intake_done(&from);
	close(fd);
	fclose(to);
	if (rc == 0)
		check(bytes, size, n);
	free(bytes);
	return rc;
}

static void test_mutations(void **state)
{
	const char *seconds = getenv("PYSPY_FUZZ_SECONDS");
	uint64_t end = clock_process_cpu_ns() + (seconds ? strtoull(seconds, NULL, 10) : 1) * CLOCK_NS_PER_S;
	struct buf files[N_OF(FILES)], b;
	size_t n_formats = 0;

	while (import_formats[n_formats])
		n_formats++;
	for (size_t i = 0; i < N_OF(FILES); i++) {
		buf_init(&files[i], 0);
		read_file(FILES[i], &files[i]);
		assert_non_null(format_of(&files[i]));
		import(&files[i], format_of(&files[i]), true);
		for (size_t k = 0; k < n_formats; k++)
			import(&files[i], import_formats[k], false);
	}
	buf_init(&b, 0);
	while (clock_process_cpu_ns() < end) {
		const struct buf *file = &files[support_noise(N_OF(FILES))];

		buf_reset(&b);
		buf_put(&b, file->data, file->len);
		support_mutate(&b);
		import(&b, format_of(file), false);
	}
	for (size_t i = 0; i < N_OF(FILES); i++)
		buf_done(&files[i]);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutations)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
