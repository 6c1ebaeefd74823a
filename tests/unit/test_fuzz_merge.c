/* Mutated recordings through the copyist (merge), in the same order each time, for PYSPY_FUZZ_SECONDS of CPU time (1):
 * what comes out is whole, and says what the loader makes of what went in: folded stacks byte for byte. */
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-report/exchange/copyist.h"
#include "pyspy-report/profile/load.h"
#include "pyspy-report/query/tree.h"
#include "pyspy-report/view/folded.h"
#include "tests/unit/support_golden.h"
#include "tests/unit/support_mutate.h"
#include "tests/unit/support_test.h"

static const struct filter everything = {.idle = true};

static int load(struct profile *p, const struct buf *b)
{
	struct load *l;
	int rc;

	assert_int_equal(profile_init(p), 0);
	l = load_new(p, "input", NULL);
	assert_non_null(l);
	rc = load_feed(l, b->data, b->len);
	if (!rc)
		rc = load_finish(l);
	load_free(l);
	return rc;
}

static char *folded(struct profile *p)
{
	struct folded_result r;
	struct naming n;
	struct tree t;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_non_null(out);
	assert_int_equal(naming_init(&n, p, &(struct naming_options){.by_text = true}), 0);
	assert_int_equal(tree_build(&t, &n, &everything, &(struct tree_options){.shape.threads = true}), 0);
	assert_int_equal(folded_write(out, &t, &n, &r), 0);
	fclose(out);
	tree_done(&t);
	naming_done(&n);
	return text;
}

static int copy(const struct buf *const inputs[], size_t n, struct buf *out)
{
	char *bytes = NULL;
	size_t size;
	struct scribe s;
	FILE *to = open_memstream(&bytes, &size);
	struct copyist *c;
	int rc = 0;

	assert_non_null(to);
	assert_int_equal(scribe_init(&s, to), 0);
	c = copyist_new(&s, NULL);
	assert_non_null(c);
	for (size_t i = 0; i < n && !rc; i++) {
		assert_int_equal(copyist_begin(c, NULL, NULL), 0);
		rc = copyist_feed(c, inputs[i]->data, inputs[i]->len);
		if (!rc)
			rc = copyist_finish(c);
	}
	if (!rc)
		rc = scribe_finish(&s);
	copyist_free(c);
	scribe_done(&s);
	fclose(to);
	buf_put(out, bytes, size);
	free(bytes);
	return rc;
}

/* The merged file says the same; its own damage is only that a recording has no end. */
static void compare(const struct buf *b)
{
	struct profile before, after;
	struct buf out, again;
	int rc = load(&before, b), rc_copy;

	buf_init(&out, 0);
	buf_init(&again, 0);
	rc_copy = copy((const struct buf *[]){b}, 1, &out);
	assert_int_equal(rc, rc_copy);
	if (!rc) {
		char *x, *y, *z;

		assert_int_equal(load(&after, &out), 0);
		for (size_t i = 0; i < after.damage.n; i++)
			assert_int_equal(after.damage.v[i].problem, DECODE_NOT_CLOSED);
		assert_int_equal(before.wall_ns, after.wall_ns);
		assert_int_equal(profile_samples(&before), profile_samples(&after));
		assert_string_equal(x = folded(&before), y = folded(&after));
		profile_done(&after);
		assert_int_equal(copy((const struct buf *[]){&out}, 1, &again), 0);
		assert_int_equal(load(&after, &again), 0);
		assert_string_equal(x, z = folded(&after));
		profile_done(&after);
		free(x);
		free(y);
		free(z);
	}
	profile_done(&before);
	buf_done(&out);
	buf_done(&again);
}

static void test_mutations(void **state)
{
	const char *seconds = getenv("PYSPY_FUZZ_SECONDS");
	uint64_t end = clock_process_cpu_ns() + (seconds ? strtoull(seconds, NULL, 10) : 1) * CLOCK_NS_PER_S;
	struct block_sealer *sealer = block_sealer_new(1);
	unsigned n_golden = 0;
	struct buf files[32], b;

	for (; SUPPORT_GOLDEN[n_golden].name; n_golden++) {
		buf_init(&files[n_golden], 0);
		SUPPORT_GOLDEN[n_golden].build(&files[n_golden]);
		compare(&files[n_golden]);
	}
	buf_init(&b, 0);
	while (clock_process_cpu_ns() < end) {
		const struct buf *file = &files[support_noise(n_golden)];

		if (!support_mutate_content(file, sealer, &b)) {
			buf_reset(&b);
			buf_put(&b, file->data, file->len);
			support_mutate(&b);
		}
		compare(&b);
	}
	for (unsigned i = 0; i < n_golden; i++)
		buf_done(&files[i]);
	buf_done(&b);
	block_sealer_free(sealer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_mutations)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
