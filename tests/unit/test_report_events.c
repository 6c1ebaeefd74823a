/* What the reporter makes of events: time and not counts, in every sum, share and order; alone and beside ticks. */
#include "pyspy-report/query/rank.h"
#include "pyspy-report/view/caption.h"
#include "pyspy-report/view/flame_layout.h"
#include "pyspy-report/view/flame_svg.h"
#include "tests/unit/support_events.h"
#include "tests/unit/support_mutate.h"
#include "tests/unit/support_test.h"

enum { KERNEL = WIRE_WAY_KERNEL << WIRE_FLAG_WAY_SHIFT, STILL = WIRE_WAY_STILL << WIRE_FLAG_WAY_SHIFT };
enum { ON = WIRE_STATE_ON_CPU | WIRE_FLAG_GIL | KERNEL, OFF = WIRE_STATE_SLEEPING | KERNEL };
static const struct filter everything = {.idle = true}, busy = {0};

static void a_weight_is_cpu_time_on_a_cpu_only(void **state)
{
	static const bool IS_CPU[8] = {[WIRE_STATE_ON_CPU] = true, [WIRE_STATE_ACTIVE] = true};

	for (uint32_t st = 0; st < 8; st++) {
		struct support_events w;
		struct support_events_view v;

		support_events_open(&w, 1, 10 * SUPPORT_MS);
		support_events_put(&w, &(struct rec_event){w.t, 1, 1, st | KERNEL, 7 * SUPPORT_MS}, 1);
		support_events_read(&w, 1, 0);
		support_events_view(&v, &w.p, &everything);
		assert_true(v.s.by_time && v.t.by_time);
		assert_int_equal(v.s.all.samples.n, 1);
		assert_int_equal(v.s.all.ns.n, 7 * SUPPORT_MS);
		assert_int_equal(v.s.all.samples.wall_ns, 7 * SUPPORT_MS);
		assert_int_equal(v.s.all.samples.cpu_ns, IS_CPU[st] ? 7 * SUPPORT_MS : 0);
		assert_int_equal(v.s.all.ns.off_ns, IS_CPU[st] ? 0 : 7 * SUPPORT_MS);
		assert_int_equal(v.s.all.ns.state[st], 7 * SUPPORT_MS);
		assert_int_equal(v.s.all.ns.taken[IS_CPU[st] ? SUMMARY_KERNEL : SUMMARY_SWITCH], 7 * SUPPORT_MS);
		assert_int_equal(v.s.threads.v[1].ns.events, 7 * SUPPORT_MS);
		support_events_view_close(&v);
		support_events_close(&w);
	}
}

/* Ten ticks of thread 2 from outside, and events of thread 1, in one second: each has its second. */
static void ticks_and_events_add_up_as_time(void **state)
{
	struct rec_entry entries[] = {
	    {.tick = 0, .thread = 2, .stack = 1, .has_stack = true, .flags = WIRE_STATE_SLEEPING | STILL},
	    {.tick = 4, .thread = 2, .stack = 2, .has_stack = true, .flags = WIRE_STATE_ACTIVE | STILL, .cpu_ns = 0}};
	struct rec_closing closing = {2, 600 * SUPPORT_MS};
	struct support_events w;
	struct support_events_view v;
	uint64_t of[4];
	struct folded_result r;

	support_events_open(&w, 3, 100 * SUPPORT_MS);
	encode_thread(&w.r.content, &(struct rec_thread){.id = 2, .process = 1, .tid = 101, .ns_tid = 101});
	assert_int_equal(support_recording_ticks(&w.r, 10, entries, 2, &closing, 1), 10);
	support_events_put(
	    &w, (struct rec_event[]){{w.t + 5, 1, 3, ON, 250 * SUPPORT_MS}, {w.t + 9, 1, 1, OFF, 750 * SUPPORT_MS}}, 2);
	support_events_read(&w, 12, 10);
	support_events_view(&v, &w.p, &everything);
	assert_int_equal(v.s.threads.v[1].ns.n, SUPPORT_S);
	assert_int_equal(v.s.threads.v[2].ns.n, SUPPORT_S);
	assert_int_equal(v.s.all.samples.cpu_ns, 850 * SUPPORT_MS);
	assert_int_equal(v.s.all.samples.off_ns, 1150 * SUPPORT_MS);
	assert_int_equal(v.s.all.ns.idle, 1150 * SUPPORT_MS);
	assert_int_equal(v.s.all.ns.taken[SUMMARY_HELD], 600 * SUPPORT_MS);
	assert_int_equal(v.s.all.ns.taken[SUMMARY_STILL], 400 * SUPPORT_MS);
	assert_int_equal(v.s.all.samples.taken[SUMMARY_STILL], 4);
	/* 1150, 600 and 250 ms: 11.5, 6 and 2.5 samples' worth */
	assert_int_equal(support_events_numbers(&v, &r, of, N_OF(of)), 20);
	assert_int_equal(of[1], 12);
	assert_int_equal(of[2], 6);
	assert_int_equal(of[3], 2);
	assert_int_equal(r.unit_ns, 100 * SUPPORT_MS);
	assert_int_equal(v.s.all.ns.taken[SUMMARY_SWITCH], 750 * SUPPORT_MS);
	support_events_view_close(&v);
	/* without idle ones: of what is left, by time too */
	support_events_view(&v, &w.p, &busy);
	assert_int_equal(v.s.kept.ns.n, 850 * SUPPORT_MS);
	assert_int_equal(tree_total(&v.t, 0), 850 * SUPPORT_MS);
	assert_int_equal(v.t.nodes.v[0].total_n, 7);
	support_events_view_close(&v);
	support_events_view(&v, &w.p, &(struct filter){.gil_only = true, .idle = true});
	assert_int_equal(tree_total(&v.t, 0), 250 * SUPPORT_MS);
	support_events_view_close(&v);
	support_events_close(&w);
}

/* Ticks of a block in which the kernel looked at all threads stand for nothing, and miss nothing. */
static void ticks_without_entries_beside_events(void **state)
{
	uint64_t times[2];
	struct support_events w;

	support_events_open(&w, 1, 10 * SUPPORT_MS);
	times[0] = w.t + 10 * SUPPORT_MS;
	times[1] = w.t + 990 * SUPPORT_MS;
	encode_ticks(&w.r.content,
	             &(struct rec_ticks){.unit_ns = 1, .cpu_unit_ns = 1, .times_ns = times, .n_ticks = 2});
	support_events_put(&w, &(struct rec_event){w.t, 1, 1, ON, SUPPORT_S}, 1);
	support_events_read(&w, 1, 2);
	assert_int_equal(w.p.recordings.v[0].not_sampled_ns, 0);
	assert_int_equal(w.p.recordings.v[0].sampled_ns, 0);
	assert_int_equal(w.p.recordings.v[0].n_ticks, 2);
	assert_int_equal(w.p.wall_ns, SUPPORT_S);
	support_events_close(&w);
}

/* Many samples of little time come behind one of much time, everywhere. */
static void order_is_of_time(void **state)
{
	struct rec_event events[51];
	struct flame_layout l;
	struct support_events w;
	struct support_events_view v;
	struct rank rank;

	support_events_open(&w, 3, 10 * SUPPORT_MS);
	for (uint32_t i = 0; i < 20; i++)
		events[i] = (struct rec_event){w.t + i, 1, 1, ON, SUPPORT_MS};
	events[20] = (struct rec_event){w.t + 20, 1, 2, ON, 60 * SUPPORT_MS};
	for (uint32_t i = 21; i < 51; i++)
		events[i] = (struct rec_event){w.t + i, 1, 3, ON, SUPPORT_MS / 3};
	support_events_put(&w, events, 51);
	support_events_read(&w, 51, 0);
	support_events_view(&v, &w.p, &busy);
	for (int order = RANK_SELF; order <= RANK_TOTAL; order++) {
		assert_int_equal(rank_build(&rank, &v.t, &v.n, &(struct rank_options){.order = (enum rank_order)order}),
		                 0);
		assert_true(rank.by_time);
		assert_int_equal(rank.rows.n, 3);
		assert_int_equal(rank.rows.v[0].total_ns, 60 * SUPPORT_MS);
		assert_int_equal(rank.rows.v[0].total_n, 1);
		assert_int_equal(rank.rows.v[1].self_n, 20);
		assert_int_equal(rank.rows.v[2].self_n, 30);
		rank_done(&rank);
	}
	assert_int_equal(
	    flame_layout_make(&l, &v.t, &(struct flame_layout_options){.max_frames = 10, .by_weight = true}), 0);
	assert_int_equal(l.boxes.v[0].total, 80 * SUPPORT_MS + 30 * (SUPPORT_MS / 3));
	assert_int_equal(l.boxes.v[1].total, 60 * SUPPORT_MS);
	assert_int_equal(l.boxes.v[2].begin, 60 * SUPPORT_MS);
	flame_layout_done(&l);
	/* a fifth of the time is less than 30 %, however many samples it is */
	assert_int_equal(
	    flame_layout_make(&l, &v.t, &(struct flame_layout_options){.max_frames = 10, .min_share = 0.3}), 0);
	assert_int_equal(l.n_hidden, 2);
	flame_layout_done(&l);
	support_events_view_close(&v);
	support_events_close(&w);
}

/* Sums cannot overflow, whatever the weights: what does not fit is cut. */
static void huge_weights_are_cut(void **state)
{
	struct rec_event events[] = {{0, 1, 1, ON, UINT64_C(1) << 62},
	                             {0, 1, 2, OFF, UINT64_C(1) << 63},
	                             {0, 1, 3, ON, UINT64_MAX},
	                             {0, 1, 1, ON, UINT64_MAX}};
	char *text = NULL;
	struct support_events w;
	struct support_events_view v;
	struct folded_result r;
	struct flame_layout l;
	uint64_t of[4], sum = 0;
	size_t size;

	support_events_open(&w, 3, SUPPORT_MS);
	support_events_put(&w, events, N_OF(events));
	support_events_read(&w, N_OF(events), 0);
	assert_int_equal(w.p.wall_ns, PROFILE_MAX_NS - 1);
	for (size_t i = 0; i < w.p.tally.rows.n; i++) {
		assert_true(w.p.tally.rows.v[i].cpu_ns <= w.p.tally.rows.v[i].wall_ns);
		sum += w.p.tally.rows.v[i].wall_ns;
	}
	assert_int_equal(sum, w.p.wall_ns);
	support_events_view(&v, &w.p, &everything);
	assert_int_equal(tree_total(&v.t, 0), sum);
	assert_int_equal(v.s.all.ns.n, sum);
	assert_int_equal(v.s.all.samples.n, 4);
	assert_int_equal(support_events_numbers(&v, &r, of, N_OF(of)), (sum + SUPPORT_MS / 2) / SUPPORT_MS);
	assert_int_equal(of[3], 0);
	assert_int_equal(flame_layout_make(&l, &v.t, &(struct flame_layout_options){.max_frames = 10}), 0);
	for (size_t i = 1; i < l.boxes.n; i++)
		assert_true(l.boxes.v[i].begin + l.boxes.v[i].total <= sum);
	flame_layout_done(&l);
	/* a script's numbers are exact below 2^53 only */
	FILE *out = open_memstream(&text, &size);
	assert_int_equal(
	    flame_svg_write(out, &v.t, &v.n, &v.s, &everything, &(struct flame_svg_options){.max_frames = 10}), 0);
	fclose(out);
	for (const char *at = text; (at = strstr(at, "data-w=\"")); at += 8)
		assert_true(strtoull(at + 8, NULL, 10) < UINT64_C(1) << 53);
	free(text);
	support_events_view_close(&v);
	support_events_close(&w);
}

static void weights_of_nothing(void **state)
{
	struct rec_event events[] = {
	    {0, 1, 1, ON, 0}, {1, 1, 1, ON, 0}, {2, 1, 2, ON, 0}, {3, 1, 3, ON, 9 * SUPPORT_MS}};

	/* alone: counts are all there is. Beside time: there, but of no width. */
	for (uint32_t n = 3; n <= 4; n++) {
		struct support_events w;
		struct support_events_view v;
		struct folded_result r;
		uint64_t of[4];
		bool by_time = n == 4;

		support_events_open(&w, 3, 10 * SUPPORT_MS);
		support_events_put(&w, events, n);
		support_events_read(&w, n, 0);
		support_events_view(&v, &w.p, &busy);
		assert_int_equal(v.s.by_time, by_time);
		assert_int_equal(summary_shares(&v.s, &v.s.all)->n, by_time ? 9 * SUPPORT_MS : 3);
		assert_int_equal(v.t.nodes.n, n);
		assert_int_equal(support_events_numbers(&v, &r, of, N_OF(of)), by_time ? 1 : 3);
		assert_int_equal(of[1], by_time ? 0 : 2);
		assert_int_equal(of[3], by_time);
		assert_int_equal(r.n_small, by_time ? 2 : 0);
		assert_int_equal(r.unit_ns, by_time ? 10 * SUPPORT_MS : 0);
		support_events_view_close(&v);
		support_events_close(&w);
	}
}

static void undefined_ones_keep_their_time(void **state)
{
	struct rec_event events[] = {{0, 1, 9, ON, 30 * SUPPORT_MS},          /* no such stack */
	                             {0, 7, 1, ON, 20 * SUPPORT_MS},          /* no such thread */
	                             {0, WIRE_IDS_MAX, WIRE_IDS_MAX, OFF, 5}, /* neither */
	                             {0, 1, 0, ON, 10 * SUPPORT_MS}};         /* no frame */
	struct support_events w;
	struct support_events_view v;
	struct folded_result r;
	char *text;

	support_events_open(&w, 1, 10 * SUPPORT_MS);
	support_events_put(&w, events, N_OF(events));
	support_events_read(&w, N_OF(events), 0);
	support_events_view(&v, &w.p, &everything);
	assert_int_equal(v.s.all.ns.lost, 30 * SUPPORT_MS + 5);
	assert_int_equal(v.s.threads.v[0].ns.n, 20 * SUPPORT_MS + 5);
	assert_int_equal(v.s.threads.v[1].ns.n, 40 * SUPPORT_MS);
	text = support_events_folded(&v, &r);
	assert_string_equal(text, "[lost] 3\n[no Python frame] 1\nf001 (/srv/app/m.py:1) 2\n");
	free(text);
	support_events_view_close(&v);
	support_events_close(&w);
}

/* DOUBT and certificates hold for events as for ticks. */
static void events_may_be_uncertain(void **state)
{
	stack_id doubted = 1;
	struct support_events w;
	struct support_events_view v;

	support_events_open(&w, 1, 10 * SUPPORT_MS);
	stack_id moving = support_recording_stack(&w.r, 1, 1, false); /* way "outside": a certificate is needed */
	support_events_put(&w,
	                   (struct rec_event[]){{w.t, 1, moving, WIRE_STATE_ACTIVE, 3},
	                                        {w.t, 1, moving, ON, 5},
	                                        {w.t, 1, 1, ON | WIRE_FLAG_CUT, 7},
	                                        {w.t, 1, moving, WIRE_STATE_ON_CPU | STILL, 11}},
	                   4);
	encode_doubt(&w.r.content, &doubted, 1);
	support_events_read(&w, 4, 0);
	support_events_view(&v, &w.p, &everything);
	assert_int_equal(v.s.all.ns.taken[SUMMARY_STILL], 11); /* held is what a tick may be */
	assert_int_equal(v.s.all.ns.in_motion, 3);
	assert_int_equal(v.s.all.ns.unproved, 7);
	assert_int_equal(v.s.all.ns.cut, 7);
	assert_int_equal(v.s.all.ns.n, 26);
	support_events_view_close(&v);
	support_events_close(&w);
}

/* Any weights: the lines are the whole, no line is 0, and none is more than one off. */
static void folded_lines_add_up(void **state)
{
	enum { STACKS = 200 };

	for (int round = 0; round < 20; round++) {
		uint64_t weight[STACKS + 1] = {0}, of[STACKS + 1], sum = 0, small = 0,
		                         unit = 1 + support_noise(2000000);
		struct rec_event events[STACKS * 2];
		struct folded_result r;
		struct support_events w;
		struct support_events_view v;

		support_events_open(&w, STACKS, unit);
		for (uint32_t i = 0; i < N_OF(events); i++) {
			uint32_t stack = 1 + i % STACKS;

			events[i] = (struct rec_event){w.t + i, 1, stack, ON,
			                               support_noise(round % 2 ? 100 : (uint32_t)(4 * unit))};
			weight[stack] += events[i].weight_ns;
			sum += events[i].weight_ns;
		}
		support_events_put(&w, events, N_OF(events));
		support_events_read(&w, N_OF(events), 0);
		support_events_view(&v, &w.p, &busy);
		assert_int_equal(support_events_numbers(&v, &r, of, N_OF(of)), sum / unit + (2 * (sum % unit) >= unit));
		for (uint32_t i = 1; i <= STACKS; i++) {
			assert_true(of[i] + 1 >= weight[i] / unit && of[i] <= weight[i] / unit + 1);
			small += of[i] == 0;
		}
		assert_int_equal(r.n_small, small);
		support_events_view_close(&v);
		support_events_close(&w);
	}
}

/* The worth of a sample: the shortest mean gap there is; without any, the mean. */
static void worth_of_a_sample(void **state)
{
	struct support_events w, other;

	support_events_open(&w, 1, 0);
	support_events_put(&w, (struct rec_event[]){{w.t, 1, 1, ON, 10}, {w.t, 1, 1, ON, 30}}, 2);
	support_events_read(&w, 2, 0);
	assert_int_equal(profile_sample_worth_ns(&w.p), 20);
	for (int i = 0; i < 2; i++) {
		support_events_open(&other, 1, i ? 7000 : 9000);
		support_recording_seal(&other.r, 0, 0, true);
		assert_int_equal(support_events_load(&w.p, &other.r.out, NULL), 0);
		assert_int_equal(profile_sample_worth_ns(&w.p), i ? 7000 : 9000);
		support_events_close(&other);
	}
	support_events_close(&w);
}

struct seen {
	uint64_t n, last_ns, weight_ns;
	uint64_t times[16], weights[16];
};

static int on_sample(void *ctx, const struct profile *p, const struct replay_sample *s)
{
	struct seen *seen = ctx;

	assert_true(s->time_ns >= seen->last_ns && seen->n < N_OF(seen->times));
	seen->weights[seen->n] = s->weight_ns;
	seen->times[seen->n++] = s->time_ns;
	seen->last_ns = s->time_ns;
	seen->weight_ns += s->weight_ns;
	return 0;
}

/* Events in any order, of an earlier block's time, and ticks: one order of time. */
static void replay_is_in_order_of_time(void **state)
{
	struct rec_entry entry = {.thread = 2, .stack = 1, .has_stack = true, .flags = WIRE_STATE_ACTIVE};
	struct seen seen = {0};
	struct support_events w;

	support_events_open(&w, 1, 500 * SUPPORT_MS);
	encode_thread(&w.r.content, &(struct rec_thread){.id = 2, .process = 1, .tid = 101, .ns_tid = 101});
	for (int block = 0; block < 2; block++) {
		uint64_t n = support_recording_ticks(&w.r, 2, &entry, 1, NULL, 0);

		support_events_put(&w,
		                   (struct rec_event[]){{w.t + 800 * SUPPORT_MS, 1, 1, ON, 2},
		                                        {w.t + 300 * SUPPORT_MS - (unsigned)block, 1, 1, ON, 1},
		                                        {w.t + 250 * SUPPORT_MS, 1, 1, ON, 4},
		                                        {w.t - SUPPORT_S, 1, 1, OFF, 8}},
		                   4);
		support_recording_seal(&w.r, n + 4, 2, block == 1);
	}
	assert_int_equal(support_events_load(&w.p, &w.r.out, &(struct load_options){.sample = on_sample, .ctx = &seen}),
	                 0);
	assert_int_equal(seen.n, 12);
	assert_int_equal(seen.weight_ns, 30);
	assert_int_equal(seen.times[0], w.t - SUPPORT_S);
	assert_int_equal(seen.times[2], w.t + 250 * SUPPORT_MS);
	assert_int_equal(seen.weights[2], 0); /* the tick; the events of that time follow */
	assert_int_equal(seen.times[3], seen.times[2]);
	assert_int_equal(seen.weights[3], 4);
	assert_int_equal(seen.times[5], w.t + 300 * SUPPORT_MS - 1);
	assert_int_equal(seen.times[11], w.t + 1750 * SUPPORT_MS);
	support_events_close(&w);
}

/* Events in one file make all that is shown a matter of time: files without any have their ticks' time. */
static void files_without_events_join_by_time(void **state)
{
	struct rec_entry entry = {.thread = 1, .stack = 2, .has_stack = true, .flags = WIRE_STATE_ACTIVE};
	struct support_events w, ticks;
	struct support_events_view v;

	support_events_open(&ticks, 2, 10 * SUPPORT_MS);
	support_recording_ticks(&ticks.r, 100, &entry, 1, NULL, 0);
	support_events_read(&ticks, 100, 100);
	assert_false(profile_by_time(&ticks.p));
	support_events_open(&w, 2, 10 * SUPPORT_MS);
	support_events_put(&w, &(struct rec_event){w.t, 1, 1, ON, 3 * SUPPORT_S}, 1);
	support_recording_seal(&w.r, 1, 0, true);
	assert_int_equal(support_events_load(&ticks.p, &w.r.out, NULL), 0);
	support_events_view(&v, &ticks.p, &everything);
	assert_true(v.s.by_time);
	assert_int_equal(tree_total(&v.t, 0), 4 * SUPPORT_S);
	assert_int_equal(tree_total(&v.t, v.t.nodes.v[0].child), 3 * SUPPORT_S);
	support_events_view_close(&v);
	support_events_close(&ticks);
	support_events_close(&w);
}

static void captions_say_both(void **state)
{
	struct support_events w;
	struct support_events_view v;
	struct buf b;

	buf_init(&b, 0);
	support_events_open(&w, 1, 10 * SUPPORT_MS);
	support_events_put(&w, (struct rec_event[]){{w.t, 1, 1, ON, 12 * SUPPORT_S}, {w.t, 1, 1, OFF, 30 * SUPPORT_S}},
	                   2);
	encode_lost(&w.r.content, &(struct rec_lost){w.t, w.t, WIRE_LOST_OVERRUN, 0, 17});
	support_events_read(&w, 2, 0);
	support_events_view(&v, &w.p, &busy);
	caption_samples(&b, &w.p, &v.s, &busy);
	assert_string_equal(buf_cstr(&b),
	                    "12 s of 42 s of thread time (1 of 2 samples) of 1 thread in 1.0 s; 30 s idle "
	                    "left out (-i shows it); shares are of time");
	buf_reset(&b);
	caption_losses(&b, &w.p, &v.s);
	assert_string_equal(buf_cstr(&b), "buffer of the kernel full 17");
	support_events_view_close(&v);
	support_events_view(&v, &w.p, &everything);
	buf_reset(&b);
	caption_samples(&b, &w.p, &v.s, &everything);
	assert_string_equal(buf_cstr(&b), "42 s of thread time (2 samples) of 1 thread in 1.0 s; shares are of time");
	support_events_view_close(&v);
	support_events_close(&w);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_weight_is_cpu_time_on_a_cpu_only),
	    cmocka_unit_test(ticks_and_events_add_up_as_time),
	    cmocka_unit_test(ticks_without_entries_beside_events),
	    cmocka_unit_test(order_is_of_time),
	    cmocka_unit_test(huge_weights_are_cut),
	    cmocka_unit_test(weights_of_nothing),
	    cmocka_unit_test(undefined_ones_keep_their_time),
	    cmocka_unit_test(events_may_be_uncertain),
	    cmocka_unit_test(folded_lines_add_up),
	    cmocka_unit_test(worth_of_a_sample),
	    cmocka_unit_test(replay_is_in_order_of_time),
	    cmocka_unit_test(files_without_events_join_by_time),
	    cmocka_unit_test(captions_say_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
