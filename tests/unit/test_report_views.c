/* The reporter's profile and query rooms on small recordings (support_views.c says what is in each).
 * `test_report_views --write DIR` writes these recordings as files, for tests/cli/report_*.sh and tests/e2e. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/profile/load.h"
#include "pyspy-report/query/rank.h"
#include "pyspy-report/query/summary.h"
#include "pyspy-report/view/flame_layout.h"
#include "pyspy-report/view/folded.h"
#include "pyspy-report/view/palette.h"
#include "tests/unit/support_recording.h"
#include "tests/unit/support_views.h"

static const struct filter everything = {.idle = true};

/* A recording read in pieces of `step` bytes. */
static void load(struct profile *p, const struct buf *b, size_t step, const struct load_options *o)
{
	struct load *l;

	l = load_new(p, "test", o);
	assert_non_null(l);
	for (size_t i = 0; i < b->len; i += step)
		assert_int_equal(load_feed(l, b->data + i, b->len - i < step ? b->len - i : step), 0);
	assert_int_equal(load_finish(l), 0);
	load_free(l);
}

static void load_view(struct profile *p, const char *name)
{
	struct buf b;

	assert_int_equal(profile_init(p), 0);
	buf_init(&b, 0);
	for (const struct support_view *v = support_views; v->name; v++)
		if (strcmp(v->name, name) == 0)
			v->make(&b);
	load(p, &b, 97, NULL);
	buf_done(&b);
}

/* What `raw` prints. */
static char *folded(struct profile *p, const struct filter *f, const struct naming_options *o,
                    const struct tree_options *rows)
{
	struct naming n;
	struct tree t;
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	assert_int_equal(naming_init(&n, p, o), 0);
	assert_int_equal(tree_build(&t, &n, f, rows), 0);
	assert_int_equal(folded_write(out, &t, &n, &(struct folded_result){0}), 0);
	fclose(out);
	tree_done(&t);
	naming_done(&n);
	return text;
}

static void expect_folded(const char *view, const struct filter *f, const struct naming_options *o,
                          const struct tree_options *rows, const char *want)
{
	struct profile p;
	char *got;

	load_view(&p, view);
	got = folded(&p, f, o, rows);
	assert_string_equal(got, want);
	free(got);
	profile_done(&p);
}

static const struct naming_options lines = {.by_text = true};
static const struct tree_options no_rows = {0};

static void small_folds(void **state)
{
	expect_folded("small", &everything, &lines, &no_rows,
	              "<module> (app.py:30);work (app.py:12) 200\n"
	              "<module> (app.py:30);work (app.py:12);Parser.parse (app/parse.py:55) 200\n"
	              "Event.wait (threading.py:659) 400\n");
	expect_folded(
	    "small", &(struct filter){0}, &(struct naming_options){.by_text = true, .by_function = true},
	    &(struct tree_options){.shape.threads = true},
	    "thread 4711: MainThread;<module> (app.py:1);work (app.py:10) 200\n"
	    "thread 4711: MainThread;<module> (app.py:1);work (app.py:10);Parser.parse (app/parse.py:42) 200\n");
	expect_folded("small", &(struct filter){.gil_only = true},
	              &(struct naming_options){.by_text = true, .no_lines = true, .full_filenames = true}, &no_rows,
	              "<module> (/srv/app/app.py);work (/srv/app/app.py) 200\n"
	              "<module> (/srv/app/app.py);work (/srv/app/app.py);Parser.parse (/srv/app/app/parse.py) 200\n");
}

static void uncertified_is_in_motion(void **state)
{
	struct profile p;
	struct summary s;

	expect_folded("motion", &everything, &lines, &no_rows,
	              "[in motion] 25\n"
	              "[no Python frame] 10\n"
	              "a (motion.py:11) 10\n"
	              "a (motion.py:11);[in motion] 30\n"
	              "a (motion.py:11);b (motion.py:21) 20\n"
	              "d (motion.py:41) 5\n");
	load_view(&p, "motion");
	assert_int_equal(summary_build(&s, &p, &everything), 0);
	assert_int_equal(s.all.samples.n, 100);
	assert_int_equal(s.all.samples.in_motion, 55);
	assert_int_equal(s.all.samples.unproved, 10);
	assert_int_equal(s.all.samples.idle, 5);
	assert_int_equal(s.all.samples.way[WIRE_WAY_STILL], 5);
	summary_done(&s);
	profile_done(&p);
}

static void undefined_is_lost(void **state)
{
	struct profile p;
	struct summary s;

	expect_folded("undefined", &everything, &lines, &no_rows, "[lost] 150\n");
	load_view(&p, "undefined");
	assert_int_equal(summary_build(&s, &p, &everything), 0);
	assert_int_equal(s.all.samples.lost, 150);
	assert_int_equal(s.threads.v[0].samples.n, 150);
	summary_done(&s);
	profile_done(&p);
}

static void processes_and_threads_are_one_in_all_epochs(void **state)
{
	struct profile p;
	struct summary s;
	const struct profile_recording *r;

	load_view(&p, "many");
	assert_int_equal(p.processes.n, 3); /* and the unknown one */
	assert_int_equal(p.threads.n, 5);
	assert_int_equal(p.recordings.n, 1);
	r = &p.recordings.v[0];
	assert_int_equal(r->n_epochs, 2);
	assert_int_equal(r->n_blocks, 4);
	assert_int_equal(r->lost[WIRE_LOST_LATE], 12);
	assert_int_equal(r->counters[WIRE_COUNTER_STOPS], 48);
	assert_int_equal(r->absent_ticks, 200);
	assert_int_equal(r->failed_ticks, 80);
	assert_true(tree_wants_processes(&p, &everything));
	assert_int_equal(summary_build(&s, &p, &everything), 0);
	assert_int_equal(s.all.samples.n, 1320);
	assert_int_equal(s.n_processes, 2);
	assert_int_equal(s.all.samples.gil_wait, 320);
	assert_int_equal(s.all.samples.idle, 520);
	assert_int_equal(s.all.samples.cut, 160);
	/* each block's second, for each thread as long as it was there; CPU time as the closings said */
	assert_int_equal(s.all.samples.wall_ns, 4 * (uint64_t)(2 * 1000 + 500 + 800) * 1000000);
	assert_int_equal(s.all.samples.cpu_ns, 4 * UINT64_C(1000000000));
	summary_done(&s);
	profile_done(&p);
}

static void recursion_counts_once(void **state)
{
	struct profile p;
	struct naming n;
	struct tree t;
	struct rank r;
	bool seen = false;

	load_view(&p, "many");
	assert_int_equal(naming_init(&n, &p, &(struct naming_options){.by_function = true}), 0);
	assert_int_equal(tree_build(&t, &n, &everything, &no_rows), 0);
	assert_int_equal(rank_build(&r, &t, &n, &(struct rank_options){.order = RANK_TOTAL}), 0);
	assert_int_equal(t.nodes.v[0].total_n, 1320);
	for (size_t i = 0; i < r.rows.n; i++) {
		assert_true(i == 0 || r.rows.v[i - 1].total_n >= r.rows.v[i].total_n);
		if (strcmp(naming_name(&n, r.rows.v[i].frame, &(size_t){0}), "fib") == 0) {
			assert_int_equal(r.rows.v[i].total_n, 80);
			assert_int_equal(r.rows.v[i].self_n, 80);
			seen = true;
		}
	}
	assert_true(seen);
	rank_done(&r);
	tree_done(&t);
	naming_done(&n);
	profile_done(&p);
}

struct seen {
	uint64_t n, last_ns, in_motion;
};

static int on_sample(void *ctx, const struct profile *p, const struct replay_sample *s)
{
	struct seen *seen = ctx;

	assert_true(s->time_ns >= seen->last_ns);
	assert_true(s->stack < p->stacks.n && s->thread < p->threads.n);
	seen->n++;
	seen->in_motion += (s->flags & TALLY_IN_MOTION) != 0;
	seen->last_ns = s->time_ns;
	return 0;
}

static void replay_shows_every_sample_in_order(void **state)
{
	static const struct {
		const char *name;
		uint64_t n, in_motion;
	} want[] = {{"small", 800, 0}, {"motion", 100, 55},   {"many", 1320, 0},
	            {"wide", 5000, 0}, {"undefined", 150, 0}, {"kernel", 400 + 349, 0}};

	for (size_t i = 0; i < sizeof want / sizeof *want; i++) {
		struct seen seen = {0};
		struct profile p;
		struct buf b;

		buf_init(&b, 0);
		for (const struct support_view *v = support_views; v->name; v++)
			if (strcmp(v->name, want[i].name) == 0)
				v->make(&b);
		assert_int_equal(profile_init(&p), 0);
		load(&p, &b, 4096, &(struct load_options){.sample = on_sample, .ctx = &seen});
		assert_int_equal(seen.n, want[i].n);
		assert_int_equal(seen.in_motion, want[i].in_motion);
		profile_done(&p);
		buf_done(&b);
	}
}

/* The same file twice is the same profile with twice the samples: ids are found again. */
static void files_merge(void **state)
{
	struct profile p;
	struct buf b;
	size_t stacks, threads;

	buf_init(&b, 0);
	support_views_many(&b);
	assert_int_equal(profile_init(&p), 0);
	load(&p, &b, 1000, NULL);
	stacks = p.stacks.n;
	threads = p.threads.n;
	load(&p, &b, 1000, NULL);
	assert_int_equal(p.stacks.n, stacks);
	assert_int_equal(p.threads.n, threads);
	assert_int_equal(p.recordings.n, 2);
	struct summary s;
	assert_int_equal(summary_build(&s, &p, &everything), 0);
	assert_int_equal(s.all.samples.n, 2640);
	summary_done(&s);
	profile_done(&p);
	buf_done(&b);
}

/* Gaps above 5 mean gaps are credited to nobody (FORMAT.md 4.3). */
static void gaps_are_not_sampled(void **state)
{
	struct support_recording r;
	struct profile p;
	struct rec_entry e = {.thread = 1, .has_stack = true, .flags = WIRE_STATE_ACTIVE};

	support_recording_open(&r, 1);
	support_recording_head(&r, 0);
	support_recording_process(&r, 1, 9, "gap.py");
	e.stack = support_recording_stack(
	    &r, 0, support_recording_line(&r, support_recording_function(&r, "m", "f", "f.py", 1), 1), true);
	uint64_t begin = r.block.begin_ns;
	uint64_t times[3] = {begin + 10 * SUPPORT_MS, begin + 410 * SUPPORT_MS, begin + 990 * SUPPORT_MS};
	encode_ticks(
	    &r.content,
	    &(struct rec_ticks){
	        .unit_ns = 1, .cpu_unit_ns = 1, .times_ns = times, .n_ticks = 3, .entries = &e, .n_entries = 1});
	support_recording_seal(&r, 3, 3, true);
	assert_int_equal(profile_init(&p), 0);
	load(&p, &r.out, 64, NULL);
	/* mean gap 10 ms: of 400 ms and 580 ms all but 50 ms each is missing */
	assert_int_equal(p.recordings.v[0].not_sampled_ns, (350 + 530) * SUPPORT_MS);
	assert_int_equal(p.tally.rows.n, 1);
	assert_int_equal(p.tally.rows.v[0].n, 3);
	assert_int_equal(p.tally.rows.v[0].wall_ns, 120 * SUPPORT_MS);
	profile_done(&p);
	support_recording_close(&r);
}

static void idle_rule(void **state)
{
	static const struct {
		uint32_t flags;
		bool idle;
	} cases[] = {
	    {WIRE_STATE_ON_CPU, false},
	    {WIRE_STATE_RUNNABLE, false},
	    {WIRE_STATE_ACTIVE | WIRE_FLAG_GIL_WAIT, false},
	    {WIRE_STATE_SLEEPING, true},
	    {WIRE_STATE_DISK, true},
	    {WIRE_STATE_STOPPED, true},
	    {WIRE_STATE_SLEEPING | WIRE_FLAG_GIL, false},
	    {WIRE_STATE_SLEEPING | WIRE_FLAG_GIL_WAIT, true},
	    {WIRE_STATE_UNKNOWN, false},
	    {WIRE_STATE_UNKNOWN | WIRE_FLAG_GIL_WAIT, true},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(filter_is_idle(cases[i].flags), cases[i].idle);
}

static void files_are_shortened(void **state)
{
	static const struct {
		const char *file;
		size_t cut;
	} cases[] = {
	    {"/srv/app/app.py", 9},
	    {"/usr/lib/python3.13/json/decoder.py", 20},
	    {"/usr/lib/python3.13/site-packages/x/y.py", 34},
	    {"/usr/share/x.py", 5},
	    {"/srv/app", 0},
	    {"/srv/application/app.py", 0},
	    {"/srv/app/", 0},
	    {"app.py", 0},
	    {"<string>", 0},
	    {"", 0},
	};
	struct profile p;

	load_view(&p, "small");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		assert_int_equal(naming_folder(&p, 1, cases[i].file, strlen(cases[i].file)), cases[i].cut);
	profile_done(&p);
}

static void layout_of(struct flame_layout *l, const char *view, const struct flame_layout_options *o, uint64_t *all)
{
	struct profile p;
	struct naming n;
	struct tree t;

	load_view(&p, view);
	assert_int_equal(naming_init(&n, &p, &lines), 0);
	assert_int_equal(tree_build(&t, &n, &everything, &no_rows), 0);
	assert_int_equal(flame_layout_make(l, &t, o), 0);
	*all = t.nodes.v[0].total_n;
	tree_done(&t);
	naming_done(&n);
	profile_done(&p);
}

/* Boxes lie inside the box above them, do not overlap, and hidden frames are all accounted for. */
static void layout_hides_nothing_silently(void **state)
{
	struct flame_layout l;
	uint64_t all, frames = 0, more = 0, ends[64] = {0};

	layout_of(&l, "wide", &(struct flame_layout_options){.max_frames = 500, .min_share = 0.0001}, &all);
	for (size_t i = 0; i < l.boxes.n; i++) {
		const struct flame_box *b = &l.boxes.v[i];

		assert_true(b->depth < 64 && b->begin >= ends[b->depth]);
		ends[b->depth] = b->begin + b->total;
		assert_true(!b->depth || b->begin + b->total <= ends[b->depth - 1]);
		frames += !b->n_more && b->node;
		more += b->n_more;
	}
	assert_true(frames >= 400 && frames <= 500);
	assert_int_equal(frames + l.n_hidden, l.n_frames);
	assert_int_equal(more, l.n_hidden);
	flame_layout_done(&l);
	layout_of(&l, "many", &(struct flame_layout_options){.max_frames = 10000, .by_weight = true}, &all);
	assert_int_equal(l.n_hidden, 0);
	assert_int_equal(l.boxes.v[0].total, all);
	assert_true(l.boxes.v[1].total >= all / 3);
	flame_layout_done(&l);
}

static void colours_do_not_change(void **state)
{
	char a[PALETTE_SIZE], b[PALETTE_SIZE];

	assert_string_equal(palette_color(a, NAMING_OWN, "work", 4), palette_color(b, NAMING_OWN, "work", 4));
	assert_string_not_equal(palette_color(a, NAMING_OWN, "work", 4), palette_color(b, NAMING_STDLIB, "work", 4));
	for (int o = 0; o < NAMING_ORIGINS; o++)
		for (int i = 0; i < 300; i++) {
			unsigned red, green, blue;
			snprintf(b, sizeof b, "%u", (unsigned)i % 1000);
			assert_int_equal(sscanf(palette_color(a, (enum naming_origin)o, b, strlen(b)), "#%2x%2x%2x",
			                        &red, &green, &blue),
			                 3);
			assert_true(red * 299 + green * 587 + blue * 114 >
			            150 * 1000); /* light: black text is readable */
		}
}

static int write_all(const char *dir)
{
	for (const struct support_view *v = support_views; v->name; v++) {
		char path[4096];
		struct buf b;
		FILE *f;

		buf_init(&b, 0);
		v->make(&b);
		snprintf(path, sizeof path, "%s/%s.pyspy", dir, v->name);
		f = fopen(path, "wb");
		if (!f || fwrite(b.data, 1, b.len, f) != b.len || fclose(f)) {
			perror(path);
			return 1;
		}
		buf_done(&b);
	}
	return 0;
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(small_folds),
	    cmocka_unit_test(uncertified_is_in_motion),
	    cmocka_unit_test(undefined_is_lost),
	    cmocka_unit_test(processes_and_threads_are_one_in_all_epochs),
	    cmocka_unit_test(recursion_counts_once),
	    cmocka_unit_test(replay_shows_every_sample_in_order),
	    cmocka_unit_test(files_merge),
	    cmocka_unit_test(gaps_are_not_sampled),
	    cmocka_unit_test(idle_rule),
	    cmocka_unit_test(files_are_shortened),
	    cmocka_unit_test(layout_hides_nothing_silently),
	    cmocka_unit_test(colours_do_not_change),
	};

	if (argc == 3 && strcmp(argv[1], "--write") == 0)
		return write_all(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
