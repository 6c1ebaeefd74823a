/* The recordings of tests/golden: the encoder still says what they say, and the decoder still reads them.
 * PYSPY_GOLDEN_WRITE=FOLDER writes them anew instead (a change of meaning needs a new version of the format). */
#include "tests/unit/support_dump.h"
#include "tests/unit/support_golden.h"
#include "tests/unit/support_test.h"

static void file_name(char *out, size_t size, const char *folder, const char *name)
{
	snprintf(out, size, "%s/%s.pyspy", folder, name);
}

static bool write_golden(const char *folder)
{
	for (const struct support_golden *g = SUPPORT_GOLDEN; g->name; g++) {
		struct buf b;
		char path[512];
		FILE *f;
		bool is_good;

		buf_init(&b, 0);
		g->build(&b);
		file_name(path, sizeof path, folder, g->name);
		f = fopen(path, "wb");
		is_good = f && fwrite(b.data, 1, b.len, f) == b.len;
		if ((f && fclose(f) != 0) || !is_good) {
			perror(path);
			return false;
		}
		buf_done(&b);
	}
	return true;
}

static void read_golden(struct buf *b, const char *name)
{
	char path[512], piece[4096];
	FILE *f;
	size_t n;

	file_name(path, sizeof path, "tests/golden", name);
	f = fopen(path, "rb");
	if (!f)
		fail_msg("cannot open %s: run from the root of the repository", path);
	while ((n = fread(piece, 1, sizeof piece, f)) > 0)
		buf_put(b, piece, n);
	fclose(f);
}

/* zstd may compress differently some day: what is compared is what the files say. */
static void test_golden(void **state)
{
	for (const struct support_golden *g = SUPPORT_GOLDEN; g->name; g++) {
		struct buf built, stored;
		struct support_dump a, b;

		buf_init(&built, 0);
		buf_init(&stored, 0);
		g->build(&built);
		read_golden(&stored, g->name);
		support_dump_bytes(&a, built.data, built.len, 0);
		support_dump_bytes(&b, stored.data, stored.len, 0);
		if (strcmp(buf_cstr(&a.text), buf_cstr(&b.text)) != 0)
			print_error("tests/golden/%s.pyspy is no longer what the encoder writes\n", g->name);
		assert_string_equal(buf_cstr(&a.text), buf_cstr(&b.text));
		assert_int_equal(a.rc, 0);
		assert_int_equal(b.rc, 0);
		assert_int_equal(a.n_damages, b.n_damages);
		assert_int_equal(a.lost_samples, b.lost_samples);
		assert_int_equal(a.n_bad_records, 0);
		support_dump_done(&a);
		support_dump_done(&b);
		buf_done(&built);
		buf_done(&stored);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_golden)};
	const char *folder = getenv("PYSPY_GOLDEN_WRITE");

	if (folder)
		return write_golden(folder) ? 0 : 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
