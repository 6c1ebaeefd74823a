/* The golden recordings of the kernel engine, of stops, and of a bounded CPU. */
#include "tests/unit/support_golden.h"

#define WAY(name) (WIRE_WAY_##name << WIRE_FLAG_WAY_SHIFT)
enum {
	TICKS = 10, /* a block with ticks: a second at 100 ms */
	RUNNING = WIRE_STATE_ON_CPU | WIRE_FLAG_GIL,
	KERNEL = RUNNING | WAY(KERNEL),
	AWAY = WIRE_STATE_SLEEPING | WAY(KERNEL),   /* as it left its CPU */
	ASLEEP = WIRE_STATE_SLEEPING | WAY(STILL),  /* read later, while it slept */
	ACTIVE = WIRE_STATE_ACTIVE | WIRE_FLAG_GIL, /* from outside */
};
#define N(array) (sizeof(array) / sizeof(array)[0])

void support_golden_events(struct buf *out)
{
	struct support_recording r;
	struct support_golden_app a;
	uint64_t t, n;

	support_golden_open(&r, 0x06, 2);
	support_recording_process(&r, 1, 4711, "app.py");
	encode_thread(&r.content, &(struct rec_thread){.id = 2, .process = 1, .tid = 4712, .ns_tid = 4712});
	a = support_golden_app(&r);
	t = r.block.begin_ns;
	/* drained from two processors' buffers: not in order of time */
	struct rec_event events[] = {
	    {t + 100 * SUPPORT_MS, 1, a.work, KERNEL, 100 * SUPPORT_MS},
	    {t + 300 * SUPPORT_MS, 1, a.fib[2], KERNEL, 200 * SUPPORT_MS},
	    {t + 700 * SUPPORT_MS, 1, a.fib[2], KERNEL, 400 * SUPPORT_MS},
	    {t + 200 * SUPPORT_MS, 2, a.loads, KERNEL & ~WIRE_FLAG_GIL, 150 * SUPPORT_MS},
	};
	struct rec_event more[] = {{t + 900 * SUPPORT_MS, 1, a.fib[0], KERNEL | WIRE_FLAG_GC, 200 * SUPPORT_MS}};
	struct rec_entry sleeping[] = {{.tick = 4, .thread = 2, .stack = a.main, .has_stack = true, .flags = ASLEEP}};

	n = support_recording_ticks(&r, TICKS, sleeping, N(sleeping), NULL, 0);
	encode_events(&r.content, &(struct rec_events){1000, 1000, events, N(events)});
	encode_events(&r.content, &(struct rec_events){1, 1, more, N(more)});
	support_golden_put_end(&r, WIRE_END_DURATION, 0, 0);
	support_recording_seal(&r, n + N(events) + N(more), TICKS, true);
	support_golden_end(&r, out);
}

static void open_kernel(struct support_recording *r, uint8_t uuid, uint32_t engine, uint64_t gap_ms, const char *text,
                        const char *why)
{
	support_recording_open(r, uuid);
	r->mean_gap_ns = gap_ms * SUPPORT_MS;
	r->engine = text;
	r->engine_why = why;
	support_recording_version(r, 1);
	support_recording_head(r, engine);
	support_recording_process(r, 1, 4711, "server.py");
	encode_thread(&r->content, &(struct rec_thread){.id = 2,
	                                                .process = 1,
	                                                .tid = 4712,
	                                                .ns_tid = 4712,
	                                                .start_ns = SUPPORT_BOOT_NS,
	                                                .name = support_recording_string(r, "ThreadPoolExecutor-0_0")});
}

static void put_events(struct support_recording *r, const struct rec_event *events, uint32_t n)
{
	encode_events(&r->content, &(struct rec_events){1, 1, events, n});
}

/* Two threads that the kernel engine looked at for 2 s. What each event says is in tests/golden/README.md. */
void support_golden_kernel(struct buf *out)
{
	struct support_recording r;
	struct support_golden_app a;
	stack_id wait;
	uint64_t t;

	open_kernel(&r, 0x11, 1, 10, "kernel: timer tick, 250 Hz", NULL);
	a = support_golden_app(&r);
	wait = support_golden_frame(&r, 0, "threading", "Condition.wait", "/usr/lib/python3.13/threading.py", 327, 359);
	t = r.block.begin_ns;
	/* drained from two processors' buffers: not in order of time; each thread's weights add up to its second */
	struct rec_event first[] = {
	    {t + 100 * SUPPORT_MS, 1, a.work, KERNEL, 100 * SUPPORT_MS},
	    {t + 300 * SUPPORT_MS, 1, a.fib[2], KERNEL, 199 * SUPPORT_MS + 999999},
	    {t + 550 * SUPPORT_MS, 1, a.fib[2], KERNEL, 250 * SUPPORT_MS + 1},
	    {t + 600 * SUPPORT_MS, 1, a.loads, KERNEL | WIRE_FLAG_GC, 50 * SUPPORT_MS},
	    {t + 700 * SUPPORT_MS, 1, a.loads, WIRE_STATE_RUNNABLE | WIRE_FLAG_GIL | WAY(KERNEL), 100 * SUPPORT_MS},
	    {t + 50 * SUPPORT_MS, 2, a.module, AWAY | WIRE_FLAG_GIL_WAIT, 500 * SUPPORT_MS},
	    {t + 60 * SUPPORT_MS, 2, a.loads, KERNEL, 400 * SUPPORT_MS},
	    {t + 70 * SUPPORT_MS, 2, a.main, WIRE_STATE_DISK | WAY(KERNEL), 99 * SUPPORT_MS},
	    {t + 80 * SUPPORT_MS, 2, a.fib[0], WIRE_STATE_RUNNABLE | WAY(KERNEL), 1 * SUPPORT_MS},
	    {t + 90 * SUPPORT_MS, 2, a.fib[1], AWAY, 0}, /* seen, but it stands for no time */
	};
	struct rec_event second[] = {
	    {t + 750 * SUPPORT_MS, 1, a.main, AWAY, 300 * SUPPORT_MS}, /* older than its block */
	    {t + 1500 * SUPPORT_MS, 2, wait, ASLEEP, 1000 * SUPPORT_MS},
	    {t + 1200 * SUPPORT_MS, 1, a.fib[2], KERNEL | WIRE_FLAG_CUT, 900 * SUPPORT_MS},
	    {t + 1900 * SUPPORT_MS, 1, 0, KERNEL & ~WIRE_FLAG_GIL, 65 * SUPPORT_MS}, /* no Python frame */
	    {t + 1950 * SUPPORT_MS, 1, r.n_stacks + 7, KERNEL, 30 * SUPPORT_MS},     /* not defined */
	    {t + 1960 * SUPPORT_MS, 9, a.main, KERNEL, 5 * SUPPORT_MS},              /* nor is this thread */
	};

	put_events(&r, first, N(first));
	support_recording_seal(&r, N(first), 0, false);
	put_events(&r, second, N(second));
	encode_lost(&r.content, &(struct rec_lost){t, t + 2 * SUPPORT_S, WIRE_LOST_OVERRUN, 0, 12});
	encode_counters(&r.content,
	                (struct rec_counter[]){{WIRE_COUNTER_SAMPLES, 16},
	                                       {WIRE_COUNTER_CPU_NS, 20 * SUPPORT_MS},
	                                       {WIRE_COUNTER_PEAK_BYTES, 9000000},
	                                       {WIRE_COUNTER_EVENTS_TICK, 9},
	                                       {WIRE_COUNTER_EVENTS_CLOCK, 0},
	                                       {WIRE_COUNTER_EVENTS_SWITCH, 6},
	                                       {WIRE_COUNTER_EVENTS_CUT, 1},
	                                       {WIRE_COUNTER_EVENTS_OVERRUN, 12},
	                                       {WIRE_COUNTER_DRAINS, 20}},
	                9);
	support_golden_put_end(&r, WIRE_END_TARGET, 0, 0);
	support_recording_seal(&r, N(second), 0, true);
	support_golden_end(&r, out);
}

/* Thread 1 by the kernel; thread 2 from outside, for 1.5 s, then by the kernel too. */
void support_golden_mixed(struct buf *out)
{
	struct support_recording r;
	struct support_golden_app a;
	stack_id moving;
	uint64_t t, n;

	open_kernel(&r, 0x12, 2, 100, "kernel: cpu-clock events", NULL);
	a = support_golden_app(&r);
	moving = support_recording_stack(
	    &r, a.work,
	    support_recording_line(&r, support_recording_function(&r, "__main__", "hot", "/srv/app/app.py", 50), 51),
	    false);
	t = r.block.begin_ns;
	struct rec_event first[] = {{t + 250 * SUPPORT_MS, 1, a.fib[2], KERNEL, 500 * SUPPORT_MS},
	                            {t + 500 * SUPPORT_MS, 1, a.module, AWAY, 450 * SUPPORT_MS}};
	struct rec_event second[] = {{t + 975 * SUPPORT_MS, 1, a.fib[0], KERNEL, 50 * SUPPORT_MS},
	                             {t + 1100 * SUPPORT_MS, 1, a.fib[0], KERNEL, 1000 * SUPPORT_MS},
	                             {t + 1700 * SUPPORT_MS, 2, a.loads, KERNEL & ~WIRE_FLAG_GIL, 500 * SUPPORT_MS}};
	struct rec_entry outside[] = {
	    {.tick = 0, .thread = 2, .stack = a.main, .has_stack = true, .flags = ASLEEP},
	    {.tick = 4, .thread = 2, .stack = moving, .has_stack = true, .flags = ACTIVE},
	    {.tick = 7, .thread = 2, .stack = a.loads, .has_stack = true, .flags = ACTIVE | WAY(STILL)},
	};
	struct rec_entry taken_over[] = {
	    {.tick = 0, .thread = 2, .stack = a.loads, .has_stack = true, .flags = ACTIVE},
	    {.tick = 5, .thread = 2, .flags = WIRE_FLAG_ABSENT, .cpu_ns = 500 * SUPPORT_MS},
	};
	struct rec_closing closing[] = {{2, 600 * SUPPORT_MS}};

	n = support_recording_ticks(&r, TICKS, outside, N(outside), closing, 1);
	put_events(&r, first, N(first));
	support_recording_seal(&r, n + N(first), TICKS, false);
	n = support_recording_ticks(&r, TICKS, taken_over, N(taken_over), NULL, 0);
	put_events(&r, second, N(second));
	encode_counters(&r.content, (struct rec_counter[]){{WIRE_COUNTER_EVENTS_CLOCK, 4}}, 1);
	support_golden_put_end(&r, WIRE_END_DURATION, 0, 0);
	support_recording_seal(&r, n + N(second), TICKS, true);
	support_golden_end(&r, out);
}

/* The kernel engine was wanted and could not be had: nothing but ticks, and the reason. */
void support_golden_fallback(struct buf *out)
{
	struct support_recording r;
	struct support_golden_app a;
	uint64_t n;

	open_kernel(&r, 0x13, 0, 10, "outside",
	            "loading the program needs CAP_BPF and CAP_PERFMON: Operation not permitted");
	a = support_golden_app(&r);
	struct rec_entry entries[] = {{.tick = 0, .thread = 1, .stack = a.work, .has_stack = true, .flags = ACTIVE}};

	n = support_recording_ticks(&r, 100, entries, N(entries), NULL, 0);
	support_golden_put_end(&r, WIRE_END_DURATION, 0, 0);
	support_recording_seal(&r, n, 100, true);
	support_golden_end(&r, out);
}

/* Stopped for each sample: but not where it slept, and once it would not come to rest. 100 stops, by length. */
void support_golden_stopped(struct buf *out)
{
	struct support_recording r;
	struct support_golden_app a;
	uint64_t n;

	open_kernel(&r, 0x14, 0, 10, "outside: stopped for each sample", "--blocking was asked for");
	a = support_golden_app(&r);
	struct rec_entry entries[] = {
	    {.tick = 0, .thread = 1, .stack = a.fib[2], .has_stack = true, .flags = ACTIVE | WAY(STOPPED)},
	    {.tick = 0, .thread = 2, .stack = a.main, .has_stack = true, .flags = ASLEEP},
	    {.tick = 60, .thread = 1, .stack = a.loads, .has_stack = true, .flags = ACTIVE | WAY(STOPPED)},
	    {.tick = 95, .thread = 1, .flags = WIRE_FLAG_ABSENT | WIRE_FLAG_FAILED},
	    {.tick = 96, .thread = 1, .stack = a.loads, .has_stack = true, .flags = ACTIVE | WAY(STOPPED)},
	};
	struct rec_counter counters[] = {
	    {WIRE_COUNTER_STOPS, 100},
	    {WIRE_COUNTER_STOPPED_NS, 75 * SUPPORT_MS},
	    {WIRE_COUNTER_STOPS_IN_SYSCALL, 53},
	    {WIRE_COUNTER_STOPS_GIVEN_UP, 1},
	    {WIRE_COUNTER_LONGEST_STOP_NS, 70 * SUPPORT_MS},
	    {128 + 40, 90}, /* 32,768 ns and more, less than 36,864 */
	    {128 + 56, 9},  /* 131,072 ns and more, less than 147,456 */
	    {128 + 127, 1}, /* 62.9 ms and more */
	};

	n = support_recording_ticks(&r, 100, entries, N(entries), NULL, 0);
	encode_counters(&r.content, counters, N(counters));
	support_golden_put_end(&r, WIRE_END_DURATION, 0, 0);
	support_recording_seal(&r, n, 100, true);
	support_golden_end(&r, out);
}

/* The rate was lowered: 5 ticks at 100 ms, 2 at 250 ms, then 2 in 3 s. What they stand for is in
 * tests/golden/README.md.
 */
void support_golden_bounded(struct buf *out)
{
	struct support_recording r;
	struct support_golden_app a;

	support_recording_open(&r, 0x15);
	support_recording_version(&r, 2);
	r.mean_gap_ns = 100 * SUPPORT_MS;
	r.cpu_ppm = 5000;
	support_recording_head(&r, 0);
	support_recording_process(&r, 1, 4711, "app.py");
	a = support_golden_app(&r);
	uint64_t t = r.block.begin_ns;
	uint64_t times[] = {50, 150, 250, 350, 450, 650, 950}, later[] = {1500, 2400};
	for (size_t i = 0; i < N(times); i++)
		times[i] = t + times[i] * SUPPORT_MS;
	for (size_t i = 0; i < N(later); i++)
		later[i] = t + later[i] * SUPPORT_MS;
	struct rec_entry first[] = {
	    {.tick = 0, .thread = 1, .stack = a.work, .has_stack = true, .flags = ACTIVE},
	    {.tick = 5, .thread = 1, .stack = a.loads, .has_stack = true, .flags = ACTIVE, .cpu_ns = 500 * SUPPORT_MS}};
	struct rec_entry second[] = {
	    {.tick = 0, .thread = 1, .stack = a.loads, .has_stack = true, .flags = ACTIVE},
	    {.tick = 1, .thread = 1, .stack = a.work, .has_stack = true, .flags = ACTIVE, .cpu_ns = SUPPORT_S}};
	struct rec_closing closing = {1, 400 * SUPPORT_MS};

	encode_ticks(&r.content, &(struct rec_ticks){1000, 1000, times, N(times), first, 2, &closing, 1,
	                                             (struct rec_gap[]){{5, 250 * SUPPORT_MS}}, 1});
	support_recording_seal(&r, N(times), N(times), false);
	r.block.end_ns += 2 * SUPPORT_S;
	encode_ticks(&r.content, &(struct rec_ticks){1000, 1000, later, N(later), second, 2, NULL, 0,
	                                             (struct rec_gap[]){{0, SUPPORT_S}, {2, 250 * SUPPORT_MS}}, 2});
	encode_counters(&r.content,
	                (struct rec_counter[]){{WIRE_COUNTER_CPU_NS, 25 * SUPPORT_MS},
	                                       {WIRE_COUNTER_LONGEST_GAP_NS, SUPPORT_S},
	                                       {WIRE_COUNTER_LOWERED_NS, 3500 * SUPPORT_MS},
	                                       {WIRE_COUNTER_RATE_NS, 1000 * SUPPORT_MS},
	                                       {WIRE_COUNTER_BOUNDED_CPU_NS, 19 * SUPPORT_MS}},
	                5);
	support_golden_put_end(&r, WIRE_END_DURATION, 0, 0);
	support_recording_seal(&r, N(later), N(later), true);
	support_golden_end(&r, out);
}
