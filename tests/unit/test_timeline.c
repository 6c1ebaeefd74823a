/* Lanes and timeline: where each stretch stands, that lengths are the tally's times, one clock for several recordings.
 *     test_timeline --write DIR   the recordings as files, for tests/e2e/test_timelines.py */
#include <stdio.h>
#include <string.h>

#include "pyspy-report/profile/load.h"
#include "pyspy-report/query/timeline.h"
#include "tests/unit/support_recording.h"
#include "tests/unit/support_test.h"

enum {
	RUNNING = WIRE_STATE_ACTIVE | WIRE_FLAG_GIL,
	ASLEEP = WIRE_STATE_SLEEPING | WIRE_WAY_STILL << WIRE_FLAG_WAY_SHIFT,
	ON_CPU = WIRE_STATE_ON_CPU | WIRE_FLAG_GIL | WIRE_WAY_KERNEL << WIRE_FLAG_WAY_SHIFT,
	OFF_CPU = WIRE_STATE_SLEEPING | WIRE_WAY_KERNEL << WIRE_FLAG_WAY_SHIFT,
};

static void add_thread(struct support_recording *r, thread_id id, process_id process, uint32_t tid, uint64_t start_ns,
                       const char *name)
{
	encode_thread(&r->content, &(struct rec_thread){.id = id,
	                                                .process = process,
	                                                .tid = tid,
	                                                .ns_tid = tid,
	                                                .start_ns = start_ns,
	                                                .name = support_recording_string(r, name)});
}

static void two_stacks(struct support_recording *r)
{
	function_id f = support_recording_function(r, "m", "f", "/srv/app/m.py", 1),
	            g = support_recording_function(r, "m", "g", "/srv/app/m.py", 9);
	stack_id a = support_recording_stack(r, 0, support_recording_line(r, f, 2), true);

	support_recording_stack(r, a, support_recording_line(r, g, 11), true);
}

static void finish(struct support_recording *r, struct buf *out, uint64_t n_samples, uint32_t n_ticks)
{
	support_recording_seal(r, n_samples, n_ticks, true);
	buf_put(out, r->out.data, r->out.len);
	support_recording_close(r);
}

static void ticks_at(struct support_recording *r, const uint64_t *times_ns, uint32_t n, const struct rec_entry *e,
                     uint32_t n_entries)
{
	encode_ticks(&r->content, &(struct rec_ticks){.unit_ns = 1000,
	                                              .cpu_unit_ns = 1000,
	                                              .times_ns = times_ns,
	                                              .n_ticks = n,
	                                              .entries = e,
	                                              .n_entries = n_entries});
}

/* 20 ticks of 10 ms, a hole of 805 ms, one more tick: 755 ms of the hole are "not sampled". Thread 1 stands in stack 1
 * all the time; thread 2 sleeps in stack 2 from tick 5 to 9 and is not looked at otherwise. */
static void holes(struct buf *out)
{
	struct support_recording r;
	uint64_t times[21];
	struct rec_entry entries[] = {
	    {.tick = 0, .thread = 1, .stack = 1, .has_stack = true, .flags = RUNNING},
	    {.tick = 5, .thread = 2, .stack = 2, .has_stack = true, .flags = ASLEEP},
	    {.tick = 10, .thread = 2, .stack = 2, .has_stack = true, .flags = WIRE_FLAG_ABSENT},
	};

	support_recording_open(&r, 0xC1);
	support_recording_head(&r, 0);
	support_recording_process(&r, 1, 500, "holes.py");
	add_thread(&r, 2, 1, 501, SUPPORT_BOOT_NS, "sleeper");
	two_stacks(&r);
	for (uint32_t i = 0; i < 20; i++)
		times[i] = r.block.begin_ns + i * 10 * SUPPORT_MS + 5 * SUPPORT_MS;
	times[20] = times[19] + 810 * SUPPORT_MS - 5 * SUPPORT_MS;
	ticks_at(&r, times, 21, entries, 3);
	finish(&r, out, 21 + 5, 21);
}

/* Two blocks by the kernel. Thread 1: weights add up to each second, but stand nowhere near it: 900 ms at 0.1 s, 100 ms
 * at 0.95 s; then 0 ms, and a late one of the first second. Thread 2 starts at 0.5 s and has 300 ms at 1.0 s. */
static void weights(struct buf *out)
{
	struct support_recording r;
	uint64_t at;

	support_recording_open(&r, 0xC2);
	support_recording_head(&r, 1);
	support_recording_process(&r, 1, 510, "weights.py");
	add_thread(&r, 2, 1, 511, SUPPORT_BOOT_NS + 500 * SUPPORT_MS, "late");
	two_stacks(&r);
	at = r.block.begin_ns;
	struct rec_event first[] = {
	    {at + 950 * SUPPORT_MS, 1, 2, ON_CPU, 100 * SUPPORT_MS},
	    {at + 100 * SUPPORT_MS, 1, 1, OFF_CPU, 900 * SUPPORT_MS},
	    {at + 1000 * SUPPORT_MS, 2, 1, ON_CPU, 300 * SUPPORT_MS},
	};
	encode_events(&r.content, &(struct rec_events){1, 1, first, 3});
	support_recording_seal(&r, 3, 0, false);
	struct rec_event second[] = {
	    {at + 990 * SUPPORT_MS, 1, 2, ON_CPU, 400 * SUPPORT_MS},
	    {at + 1500 * SUPPORT_MS, 1, 1, ON_CPU, 0},
	    {at + 1600 * SUPPORT_MS, 1, 2, ON_CPU, 600 * SUPPORT_MS},
	};
	encode_events(&r.content, &(struct rec_events){1, 1, second, 3});
	finish(&r, out, 3, 0);
}

/* A pid that was used twice, a tid that was used twice in one process, and a thread and a process that were never
 * defined. */
static void reused(struct buf *out)
{
	struct support_recording r;
	struct rec_entry entries[] = {
	    {.tick = 0, .thread = 1, .stack = 1, .has_stack = true, .flags = RUNNING},
	    {.tick = 0, .thread = 9, .stack = 1, .has_stack = true, .flags = RUNNING},
	    {.tick = 0, .thread = 10, .stack = 2, .has_stack = true, .flags = RUNNING},
	    {.tick = 40, .thread = 1, .stack = 1, .has_stack = true, .flags = WIRE_FLAG_ABSENT},
	    {.tick = 50, .thread = 2, .stack = 2, .has_stack = true, .flags = RUNNING},
	    {.tick = 50, .thread = 3, .stack = 1, .has_stack = true, .flags = RUNNING},
	    {.tick = 60, .thread = 3, .stack = 1, .has_stack = true, .flags = WIRE_FLAG_ABSENT},
	    {.tick = 70, .thread = 4, .stack = 2, .has_stack = true, .flags = RUNNING},
	};
	str_id words[2];

	support_recording_open(&r, 0xC3);
	support_recording_head(&r, 0);
	support_recording_process(&r, 1, 520, "first.py");
	words[0] = support_recording_string(&r, "python3");
	words[1] = support_recording_string(&r, "second.py");
	encode_process(&r.content, &(struct rec_process){.id = 2,
	                                                 .pid = 520,
	                                                 .ns_pid = 520,
	                                                 .start_ns = SUPPORT_BOOT_NS + 450 * SUPPORT_MS,
	                                                 .cmdline = words,
	                                                 .n_cmdline = 2});
	add_thread(&r, 2, 2, 520, SUPPORT_BOOT_NS + 450 * SUPPORT_MS, "MainThread");
	add_thread(&r, 3, 2, 521, SUPPORT_BOOT_NS + 460 * SUPPORT_MS, "one");
	add_thread(&r, 4, 2, 521, SUPPORT_BOOT_NS + 660 * SUPPORT_MS, "two");
	two_stacks(&r);
	finish(&r, out, support_recording_ticks(&r, 100, entries, 8, NULL, 0), 100);
}

/* One stack of 10,000 frames, and its root alone in between. */
static void deep(struct buf *out)
{
	struct support_recording r;
	function_id f;
	stack_id at = 0;

	support_recording_open(&r, 0xC4);
	support_recording_head(&r, 0);
	support_recording_process(&r, 1, 530, "deep.py");
	f = support_recording_function(&r, "m", "down", "/srv/app/m.py", 1);
	for (int i = 0; i < 10000; i++)
		at = support_recording_stack(&r, at, support_recording_line(&r, f, 2 + i % 3), true);
	struct rec_entry entries[] = {
	    {.tick = 0, .thread = 1, .stack = at, .has_stack = true, .flags = RUNNING},
	    {.tick = 50, .thread = 1, .stack = 1, .has_stack = true, .flags = RUNNING},
	    {.tick = 60, .thread = 1, .stack = at, .has_stack = true, .flags = RUNNING},
	};
	finish(&r, out, support_recording_ticks(&r, 100, entries, 3, NULL, 0), 100);
}

/* The rate was lowered to a tenth for the last 5 of 15 ticks: they stand for 10 times as much. */
static void rates(struct buf *out)
{
	struct support_recording r;
	uint64_t times[15];
	struct rec_entry entries[] = {
	    {.tick = 0, .thread = 1, .stack = 1, .has_stack = true, .flags = RUNNING},
	    {.tick = 10, .thread = 1, .stack = 2, .has_stack = true, .flags = RUNNING},
	};
	struct rec_gap gap = {10, 100 * SUPPORT_MS};

	support_recording_open(&r, 0xC6);
	support_recording_version(&r, 2);
	r.cpu_ppm = 10000;
	support_recording_head(&r, 0);
	support_recording_process(&r, 1, 550, "rates.py");
	two_stacks(&r);
	for (uint32_t i = 0; i < 15; i++)
		times[i] = r.block.begin_ns + (i < 10 ? i * 10 : 100 + (i - 10) * 100) * SUPPORT_MS + SUPPORT_MS;
	encode_ticks(&r.content, &(struct rec_ticks){.unit_ns = 1000,
	                                             .cpu_unit_ns = 1000,
	                                             .times_ns = times,
	                                             .n_ticks = 15,
	                                             .entries = entries,
	                                             .n_entries = 2,
	                                             .gaps = &gap,
	                                             .n_gaps = 1});
	finish(&r, out, 15, 15);
}

/* Another host, another clock (777 s ahead), pid 500 of holes.py again; by the time of day it began 0.5 s after that.
 */
static void elsewhere(struct buf *out)
{
	struct support_recording r;
	const uint64_t ahead_ns = 777 * SUPPORT_S;

	support_recording_open(&r, 0xC7);
	r.file.realtime_ns += 500 * (int64_t)SUPPORT_MS;
	r.file.boottime_ns += ahead_ns;
	buf_reset(&r.out);
	encode_file_header(&r.out, &r.file);
	r.block.begin_ns += ahead_ns;
	r.block.end_ns += ahead_ns;
	encode_recording(&r.head, &(struct rec_recording){.host = support_recording_string(&r, "web-2"),
	                                                  .boot_id = support_recording_string(&r, "another boot"),
	                                                  .mean_gap_ns = r.mean_gap_ns,
	                                                  .started_ns = SUPPORT_BOOT_NS + ahead_ns});
	support_recording_process(&r, 1, 500, "elsewhere.py");
	two_stacks(&r);
	struct rec_entry entry = {.tick = 0, .thread = 1, .stack = 2, .has_stack = true, .flags = RUNNING};
	finish(&r, out, support_recording_ticks(&r, 100, &entry, 1, NULL, 0), 100);
}

static const struct {
	const char *name;
	void (*make)(struct buf *out);
} recordings[] = {{"holes", holes}, {"weights", weights}, {"reused", reused},
                  {"deep", deep},   {"rates", rates},     {"elsewhere", elsewhere}};

/* What came out, as text: one line a stretch, ms since the recording's begin. */
struct seen {
	struct profile profile;
	struct spool spool;
	struct buf text;
	uint64_t by_thread[16]; /* lengths */
	struct timeline *timeline;
};

static int on_stretch(void *ctx, const struct profile *p, const struct lane_stretch *s)
{
	struct seen *x = ctx;

	if (x->timeline)
		return timeline_add(x->timeline, s, p->stacks.v[s->stack].depth);
	buf_printf(&x->text, "%u/%u %.1f+%.1f n%u depth %u\n", p->threads.v[s->thread].tid, s->id,
	           ((double)s->begin_ns - (double)SUPPORT_BOOT_NS) / 1e6, (double)s->length_ns / 1e6, s->n,
	           p->stacks.v[s->stack].depth);
	x->by_thread[s->thread] += s->length_ns;
	return 0;
}

static void load(struct seen *x, void (*make)(struct buf *out), const char *name)
{
	struct buf bytes;
	struct load *l;

	buf_init(&bytes, 0);
	make(&bytes);
	l = load_new(&x->profile, name, &(struct load_options){.lane = on_stretch, .ctx = x, .spool = &x->spool});
	assert_non_null(l);
	assert_int_equal(load_feed(l, bytes.data, bytes.len), 0);
	assert_int_equal(load_finish(l), 0);
	load_free(l);
	buf_done(&bytes);
}

static void begin(struct seen *x)
{
	memset(x, 0, sizeof *x);
	assert_int_equal(profile_init(&x->profile), 0);
	buf_init(&x->text, 0);
}

/* Whatever the layout, a thread's stretches are as long as the tally's rows of it. */
static void end(struct seen *x)
{
	uint64_t of[16] = {0};

	for (size_t i = 0; i < x->profile.tally.rows.n; i++)
		of[x->profile.tally.rows.v[i].thread] += x->profile.tally.rows.v[i].wall_ns;
	for (size_t i = 0; i < 16 && !x->timeline; i++)
		assert_int_equal(of[i], x->by_thread[i]);
	profile_done(&x->profile);
	spool_done(&x->spool);
	buf_done(&x->text);
}

static void ticks_share_their_block(void **state)
{
	struct seen x;

	(void)state;
	begin(&x);
	load(&x, holes, "holes");
	/* 1000 - 755 ms for 21 ticks: 11.7 each; the hole is before the last one (and nothing was missed behind it) */
	assert_string_equal(buf_cstr(&x.text), "501/0 58.3+58.3 n5 depth 2\n"
	                                       "500/0 0.0+233.3 n20 depth 1\n"
	                                       "500/0 988.3+11.7 n1 depth 1\n");
	end(&x);
}

static void lowered_rates_weigh_more(void **state)
{
	struct seen x;

	(void)state;
	begin(&x);
	load(&x, rates, "rates");
	assert_string_equal(buf_cstr(&x.text), "550/0 0.0+166.7 n10 depth 1\n"
	                                       "550/0 166.7+833.3 n5 depth 2\n");
	end(&x);
}

/* Two hosts have nothing in common but the time of day. */
static void hosts_go_by_the_time_of_day(void **state)
{
	struct seen x;
	struct timeline t;

	(void)state;
	begin(&x);
	timeline_init(&t, &x.profile, false);
	x.timeline = &t;
	load(&x, elsewhere, "elsewhere");
	load(&x, holes, "holes");
	assert_int_equal(timeline_settle(&t), 0);
	assert_int_equal(t.tracks.n, 3);
	assert_int_equal(t.tracks.v[0].begin_ns, 500 * SUPPORT_MS);
	assert_int_equal(t.tracks.v[0].end_ns, 1500 * SUPPORT_MS);
	assert_int_equal(t.tracks.v[1].begin_ns, 0);
	assert_int_equal(t.end_ns, 1500 * SUPPORT_MS);
	assert_int_equal(t.origin_ns, SUPPORT_REAL_NS);
	timeline_done(&t);
	end(&x);
}

static void events_stand_in_a_row(void **state)
{
	struct seen x;

	(void)state;
	begin(&x);
	load(&x, weights, "weights");
	/* thread 510 fills both seconds; 511 has 300 ms, which end with the block, for its event says so */
	assert_string_equal(buf_cstr(&x.text), "510/0 0.0+900.0 n1 depth 1\n"
	                                       "510/0 900.0+100.0 n1 depth 2\n"
	                                       "511/0 700.0+300.0 n1 depth 1\n"
	                                       "510/0 1000.0+400.0 n1 depth 2\n"
	                                       "510/0 1400.0+0.0 n1 depth 1\n"
	                                       "510/0 1400.0+600.0 n1 depth 2\n");
	end(&x);
}

static void runs_come_back(void **state)
{
	struct seen x;
	struct timeline t;
	struct timeline_reader reader;
	struct timeline_run run;

	(void)state;
	begin(&x);
	timeline_init(&t, &x.profile, false);
	x.timeline = &t;
	load(&x, weights, "weights");
	assert_int_equal(timeline_settle(&t), 0);
	assert_int_equal(t.tracks.n, 2);
	assert_int_equal(t.end_ns, 2 * SUPPORT_S);
	assert_int_equal(timeline_busiest(&t), 0);
	assert_int_equal(timeline_read(&reader, &t, 0), 0);
	static const uint64_t want[][3] = {{0, 900, 1}, {900, 500, 2}, {1400, 0, 1}, {1400, 600, 2}};
	for (size_t i = 0; i < 4; i++) {
		assert_int_equal(timeline_next(&reader, &run), 1);
		assert_int_equal(run.begin_ns, want[i][0] * SUPPORT_MS);
		assert_int_equal(run.length_ns, want[i][1] * SUPPORT_MS);
		assert_int_equal(run.path, want[i][2]);
	}
	assert_int_equal(timeline_next(&reader, &run), 0);
	timeline_read_done(&reader);
	assert_int_equal(timeline_read(&reader, &t, 0), 0);
	assert_int_equal(timeline_next_timed(&reader, &run), 1);
	assert_int_equal(timeline_next_timed(&reader, &run), 1); /* what has no time parts nothing */
	assert_int_equal(run.begin_ns, 900 * SUPPORT_MS);
	assert_int_equal(run.length_ns, 1100 * SUPPORT_MS);
	assert_int_equal(run.n, 3); /* the samples of both parts, less the one without time */
	assert_int_equal(timeline_next_timed(&reader, &run), 0);
	timeline_read_done(&reader);
	timeline_done(&t);
	end(&x);
}

/* Many runs of many tracks, through chunks and the spool: all come back in order. */
static void many_runs(void **state)
{
	enum { TRACKS = 50, RUNS = 20000 };
	struct profile p;
	struct timeline t;
	struct timeline_reader reader;
	struct timeline_run run;

	(void)state;
	assert_int_equal(profile_init(&p), 0);
	assert_true(vec_push(&p.recordings, (struct profile_recording){0}));
	timeline_init(&t, &p, true);
	for (uint32_t i = 0; i < RUNS; i++)
		for (uint32_t k = 0; k < TRACKS; k++)
			assert_int_equal(
			    timeline_add(&t,
			                 &(struct lane_stretch){.id = k,
			                                        .flags = i % 2 ? ASLEEP : RUNNING,
			                                        .n = 1 + k,
			                                        .begin_ns = (uint64_t)i * 1000000 + i % 7 * k,
			                                        .length_ns = 900000 + k},
			                 1 + i % 3000),
			    0);
	assert_true(t.spool.n > SPOOL_IN_MEMORY); /* else this tests little */
	assert_int_equal(timeline_settle(&t), 0);
	assert_int_equal(t.tracks.n, TRACKS);
	for (uint32_t k = 0; k < TRACKS; k++) {
		assert_int_equal(timeline_read(&reader, &t, k), 0);
		for (uint32_t i = 0; i < RUNS; i++) {
			assert_int_equal(timeline_next(&reader, &run), 1);
			assert_int_equal(run.begin_ns, (uint64_t)i * 1000000 + i % 7 * k);
			assert_int_equal(run.length_ns, 900000 + k);
			assert_int_equal(run.n, 1 + k);
			assert_int_equal(run.path, 1 + i % 3000);
			assert_int_equal(run.state, i % 2 ? TIMELINE_IDLE : TIMELINE_GIL);
		}
		assert_int_equal(timeline_next(&reader, &run), 0);
		timeline_read_done(&reader);
	}
	timeline_done(&t);
	profile_done(&p);
}

/* The same file twice, as if two recorders had looked at once: each has tracks of its own, by one clock. */
static void recordings_that_overlap(void **state)
{
	struct seen x;
	struct timeline t;

	(void)state;
	begin(&x);
	timeline_init(&t, &x.profile, false);
	x.timeline = &t;
	load(&x, weights, "a");
	load(&x, weights, "b");
	assert_int_equal(timeline_settle(&t), 0);
	assert_int_equal(t.tracks.n, 4);
	assert_int_equal(t.tracks.v[0].thread, t.tracks.v[1].thread);
	assert_int_equal(t.tracks.v[0].begin_ns, t.tracks.v[1].begin_ns);
	assert_int_equal(t.end_ns, 2 * SUPPORT_S);
	timeline_done(&t);
	end(&x);
}

/* Times and weights at the ends of what fits: nothing overflows, lanes stay in order. */
static void absurd(struct buf *out)
{
	struct support_recording r;
	struct rec_event events[] = {
	    {UINT64_MAX, 1, 1, ON_CPU, UINT64_MAX},
	    {0, 1, 1, ON_CPU, UINT64_MAX},
	    {UINT64_MAX, 2, 1, ON_CPU, 1},
	    {5, 2, 1, ON_CPU, UINT64_MAX / 2},
	};

	support_recording_open(&r, 0xC5);
	support_recording_head(&r, 1);
	support_recording_process(&r, 1, 540, "absurd.py");
	two_stacks(&r);
	encode_events(&r.content, &(struct rec_events){1, 1, events, 4});
	r.block.end_ns = UINT64_MAX;
	finish(&r, out, 4, 0);
}

static void absurd_times(void **state)
{
	struct seen x;
	struct timeline t;

	(void)state;
	begin(&x);
	timeline_init(&t, &x.profile, false);
	x.timeline = &t;
	load(&x, absurd, "absurd");
	assert_int_equal(timeline_settle(&t), 0);
	for (size_t i = 0; i < t.tracks.n; i++) {
		assert_true(t.tracks.v[i].begin_ns <= t.tracks.v[i].end_ns);
		assert_true(t.tracks.v[i].end_ns <= t.end_ns);
	}
	timeline_done(&t);
	end(&x);
}

static int write_all(const char *dir)
{
	for (size_t i = 0; i < sizeof recordings / sizeof *recordings; i++) {
		char path[4096];
		struct buf b;
		FILE *f;

		buf_init(&b, 0);
		recordings[i].make(&b);
		snprintf(path, sizeof path, "%s/%s.pyspy", dir, recordings[i].name);
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
	    cmocka_unit_test(ticks_share_their_block),
	    cmocka_unit_test(lowered_rates_weigh_more),
	    cmocka_unit_test(hosts_go_by_the_time_of_day),
	    cmocka_unit_test(events_stand_in_a_row),
	    cmocka_unit_test(runs_come_back),
	    cmocka_unit_test(many_runs),
	    cmocka_unit_test(recordings_that_overlap),
	    cmocka_unit_test(absurd_times),
	};

	if (argc == 3 && strcmp(argv[1], "--write") == 0)
		return write_all(argv[2]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
