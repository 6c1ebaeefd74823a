/* Mutated recordings through all of the reporter but its main program, in the same order each time, for
 * PYSPY_FUZZ_SECONDS of CPU time (1): sums hold, widths stay within their parents, nothing is read that is not there.
 */
#include "format/block.h"
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-report/profile/load.h"
#include "pyspy-report/query/around.h"
#include "pyspy-report/query/rank.h"
#include "pyspy-report/query/summary.h"
#include "pyspy-report/view/call_tree.h"
#include "pyspy-report/view/flame_svg.h"
#include "pyspy-report/view/folded.h"
#include "pyspy-report/view/info_json.h"
#include "pyspy-report/view/info_text.h"
#include "pyspy-report/view/source_lines.h"
#include "tests/unit/support_golden.h"
#include "tests/unit/support_mutate.h"
#include "tests/unit/support_test.h"

static const struct filter everything = {.idle = true};

static int on_sample(void *ctx, const struct profile *p, const struct replay_sample *s)
{
	uint64_t *n = ctx;

	assert_true(s->stack < p->stacks.n && s->thread < p->threads.n);
	++*n;
	return 0;
}

static void check_sums(const struct profile *p, const struct summary *s, const struct tree *t)
{
	uint64_t n = 0, ns = 0;

	for (size_t i = 0; i < p->tally.rows.n; i++) {
		n += p->tally.rows.v[i].n;
		ns += p->tally.rows.v[i].wall_ns;
	}
	assert_int_equal(ns, p->wall_ns);
	assert_true(ns < PROFILE_MAX_NS);
	assert_int_equal(s->all.samples.n, n);
	assert_int_equal(s->all.ns.n, ns);
	assert_int_equal(t->nodes.v[0].total_n, n);
	assert_int_equal(t->nodes.v[0].total_ns, ns);
	for (uint32_t i = 1; i < t->nodes.n; i++) {
		assert_true(tree_total(t, i) <= tree_total(t, t->nodes.v[i].parent));
		assert_true(tree_self(t, i) <= tree_total(t, i));
	}
}

static void check_layout(const struct tree *t)
{
	struct flame_layout l;

	assert_int_equal(flame_layout_make(&l, t, &(struct flame_layout_options){.max_frames = 100, .min_share = 1e-4}),
	                 0);
	for (size_t i = 0; i < l.boxes.n; i++)
		assert_true(l.boxes.v[i].begin + l.boxes.v[i].total <= tree_total(t, 0));
	flame_layout_done(&l);
}

/* Every row's own part once, and no more than there is. */
static void check_rank(const struct tree *t, const struct naming *n, enum rank_by by)
{
	struct rank r;
	uint64_t self = 0;

	assert_int_equal(rank_build(&r, t, n, &(struct rank_options){.by = by}), 0);
	for (size_t i = 0; i < r.rows.n; i++) {
		assert_true(rank_self(&r, &r.rows.v[i]) <= rank_total(&r, &r.rows.v[i]));
		assert_true(rank_total(&r, &r.rows.v[i]) <= tree_total(t, 0));
		self += rank_self(&r, &r.rows.v[i]);
	}
	if (by != RANK_THREAD)
		assert_int_equal(self, tree_total(t, 0));
	rank_done(&r);
}

static void show_around(FILE *out, const struct tree *t, const struct naming *n)
{
	struct call_tree_options o = {.all = tree_total(t, 0), .min_percent = 1, .depth = 5};
	bool *matches = calloc(n->frames.n + 1, sizeof *matches);
	struct around a;

	assert_non_null(matches);
	for (size_t i = 0; i < n->frames.n; i++)
		matches[i] = support_noise(3) == 0;
	assert_int_equal(around_build(&a, t, n, &(struct around_options){matches, 6}), 0);
	assert_int_equal(tree_total(&a.callers, 0), tree_total(&a.callees, 0));
	assert_true(tree_total(&a.callers, 0) <= tree_total(t, 0));
	assert_int_equal(call_tree_write(out, &a.callers, n, &o), 0);
	assert_int_equal(call_tree_write(out, &a.callees, n, &o), 0);
	around_done(&a);
	free(matches);
}

static void show_tables(FILE *out, const struct profile *p, const struct tree *t, const struct naming *n,
                        const struct summary *s)
{
	static const char *const folders[] = {"tests", NULL};
	struct source_lines_options o = {.folders = folders, .context = 2};
	struct line_shares l;

	for (int by = RANK_FRAME; by <= RANK_THREAD; by++)
		check_rank(t, n, (enum rank_by)by);
	show_around(out, t, n);
	assert_int_equal(line_shares_build(&l, t, n, RANK_SELF), 0);
	assert_int_equal(source_lines_write(out, &l, n, s, &o), 0);
	assert_int_equal(source_lines_sheet(out, SHEET_JSON, &l, n, s, &everything, &o), 0);
	line_shares_done(&l);
	assert_int_equal(info_json_csv(out, p, s, &everything), 0);
}

static void show(struct profile *p)
{
	struct folded_result r;
	struct summary s;
	struct naming n;
	struct tree t;
	struct rank rank;
	FILE *out = fopen("/dev/null", "w");

	assert_non_null(out);
	assert_int_equal(summary_build(&s, p, &everything), 0);
	assert_int_equal(naming_init(&n, p, &(struct naming_options){.by_text = true}), 0);
	assert_int_equal(tree_build(&t, &n, &everything, &(struct tree_options){.shape.threads = true}), 0);
	check_sums(p, &s, &t);
	check_layout(&t);
	assert_int_equal(rank_build(&rank, &t, &n, &(struct rank_options){0}), 0);
	assert_int_equal(folded_write(out, &t, &n, &r), 0);
	assert_int_equal(flame_svg_write(out, &t, &n, &s, &everything, &(struct flame_svg_options){.max_frames = 50}),
	                 0);
	show_tables(out, p, &t, &n, &s);
	info_text_write(out, p, &s, &everything);
	assert_int_equal(info_json_write(out, p, &s, &everything), 0);
	fclose(out);
	rank_done(&rank);
	tree_done(&t);
	naming_done(&n);
	summary_done(&s);
}

static void report(const struct buf *b)
{
	struct profile p;
	struct load *l;
	uint64_t n = 0;
	int rc;

	assert_int_equal(profile_init(&p), 0);
	l = load_new(&p, "mutated", support_noise(2) ? &(struct load_options){.sample = on_sample, .ctx = &n} : NULL);
	assert_non_null(l);
	rc = load_feed(l, b->data, b->len);
	if (!rc)
		rc = load_finish(l);
	assert_true(rc == 0 || rc == ERR_FORMAT || rc == ERR_VERSION || rc == ERR_FULL);
	load_free(l);
	if (!rc)
		show(&p);
	profile_done(&p);
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
	}
	buf_init(&b, 0);
	while (clock_process_cpu_ns() < end) {
		const struct buf *file = &files[support_noise(n_golden)];

		if (!support_mutate_content(file, sealer, &b)) {
			buf_reset(&b);
			buf_put(&b, file->data, file->len);
			support_mutate(&b);
		}
		report(&b);
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
