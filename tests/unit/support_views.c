#include "tests/unit/support_views.h"

#include <stdio.h>
#include <string.h>

#include "tests/unit/support_random.h"
#include "tests/unit/support_recording.h"

enum {
	RUNNING = WIRE_STATE_ACTIVE | WIRE_FLAG_GIL,
	ASLEEP = WIRE_STATE_SLEEPING | WIRE_WAY_STILL << WIRE_FLAG_WAY_SHIFT,
	WAITING = WIRE_STATE_SLEEPING | WIRE_FLAG_GIL_WAIT | WIRE_WAY_STILL << WIRE_FLAG_WAY_SHIFT,
	TICKS = 100,
};

static struct rec_entry at(uint32_t tick, thread_id thread, stack_id stack, uint32_t flags)
{
	return (struct rec_entry){.tick = tick, .thread = thread, .stack = stack, .has_stack = true, .flags = flags};
}

static void ticks(struct support_recording *r, const struct rec_entry *entries, uint32_t n,
                  const struct rec_closing *closings, uint32_t n_closings)
{
	uint64_t times[TICKS];

	for (uint32_t i = 0; i < TICKS; i++)
		times[i] = r->block.begin_ns + 5 * SUPPORT_MS + i * 10 * SUPPORT_MS;
	encode_ticks(&r->content, &(struct rec_ticks){.unit_ns = 1000,
	                                              .cpu_unit_ns = 1000,
	                                              .times_ns = times,
	                                              .n_ticks = TICKS,
	                                              .entries = entries,
	                                              .n_entries = n,
	                                              .closings = closings,
	                                              .n_closings = n_closings});
}

static void finish(struct support_recording *r, struct buf *out, uint64_t n_samples)
{
	encode_end(&r->content, &(struct rec_end){.time_ns = r->block.end_ns, .reason = WIRE_END_DURATION});
	support_recording_seal(r, n_samples, TICKS, true);
	buf_put(out, r->out.data, r->out.len);
	support_recording_close(r);
}

/* Of 100 ticks: 10 certified by definition (a), 20 by a later record (a;b), 30 never, below the certified a (a;c), 25
 * with no certified ancestor at all (d), 5 certain by the way they were taken (d, standing still), 10 without a stack.
 * The second block doubts the first 10. Expected: a 10, a;b 20, a;[in motion] 30, [in motion] 25, d 5, [no Python
 * frame] 10.
 */
void support_views_motion(struct buf *out)
{
	struct support_recording r;
	uint32_t running = RUNNING;

	support_recording_open(&r, 0xB1);
	support_recording_head(&r, 0);
	support_recording_process(&r, 1, 100, "motion.py");
	function_id f[4];
	for (int i = 0; i < 4; i++)
		f[i] = support_recording_function(&r, "__main__", (const char *[]){"a", "b", "c", "d"}[i],
		                                  "/srv/app/motion.py", 10 * (uint32_t)(i + 1));
	stack_id a = support_recording_stack(&r, 0, support_recording_line(&r, f[0], 11), true);
	stack_id b = support_recording_stack(&r, a, support_recording_line(&r, f[1], 21), false);
	stack_id c = support_recording_stack(&r, a, support_recording_line(&r, f[2], 31), false);
	stack_id d = support_recording_stack(&r, 0, support_recording_line(&r, f[3], 41), false);
	struct rec_entry entries[] = {
	    at(0, 1, a, running),  at(10, 1, b, running), at(30, 1, c, running),
	    at(60, 1, d, running), at(85, 1, d, ASLEEP),  at(90, 1, 0, running),
	};
	ticks(&r, entries, 6, NULL, 0);
	encode_doubt(&r.content, &a, 1);
	support_recording_seal(&r, TICKS, TICKS, false);
	encode_certify(&r.content, &b, 1);
	finish(&r, out, 0);
}

static const struct {
	const char *name, *file;
} hostile[] = {
    {"</script><script>alert(1)</script>", "/srv/app/</title><img src=x onerror=alert(2)>.py"},
    {"\" onload=\"alert(3)\" x='", "/srv/app/it's \"quoted\".py"},
    {"]]>&amp;<![CDATA[ &lt; &#0;", "/srv/app/]]>.py"},
    {"semi;colon 12", "/srv/app/a;b.py"},
    {"new\nline\ttab\rcr", "/srv/app/line\nbreak.py"},
    {"\x1b]0;title\a\x1b[2J\x1b[31mred", "/srv/app/\x1b[H.py"},
    {"bidi \xE2\x80\xAEgnp.exe\xE2\x81\xA6", "/srv/app/\xE2\x80\x8F.py"},
    {"surrogate \xED\xB2\x80 bad \xFF\xC3", "/srv/app/\xED\xB2\x80.py"},
    {"c1 \xC2\x9B"
     "31m del \x7F nonchar \xEF\xBF\xBE bom \xEF\xBB\xBF sep \xE2\x80\xA8",
     "/srv/app/\xC2\x85.py"},
    {"\xE6\x97\xA5\xE6\x9C\xAC\xE8\xAA\x9E e\xCC\x81 \xF0\x9F\x90\x8D", "/srv/app/\xE6\x97\xA5.py"},
    {"", ""},
    {"__proto__", "constructor"},
    {"100%s%n{{x}}${y}", "C:\\windows\\app.py"},
};
enum { N_HOSTILE = sizeof hostile / sizeof *hostile };

void support_views_hostile(struct buf *out)
{
	struct support_recording r;
	struct rec_entry entries[N_HOSTILE + 1];

	support_recording_open(&r, 0xB2);
	support_recording_head(&r, 0);
	support_recording_process(&r, 1, 200, "</svg><script>alert(4)</script>\x1b[2J.py");
	stack_id root = support_recording_stack(
	    &r, 0,
	    support_recording_line(&r, support_recording_function(&r, "__main__", "<module>", "/srv/app/h.py", 1), 9),
	    true);
	encode_thread(&r.content,
	              &(struct rec_thread){.id = 1,
	                                   .process = 1,
	                                   .tid = 200,
	                                   .start_ns = SUPPORT_BOOT_NS - 60 * SUPPORT_S,
	                                   .name = support_recording_string(&r, "]]></text>\x1b[1m\t\n\"'<b>&"),
	                                   .flags = WIRE_THREAD_MAIN});
	for (uint32_t i = 0; i < N_HOSTILE; i++) {
		function_id f = support_recording_function(&r, "evil", hostile[i].name, hostile[i].file, i + 1);
		entries[i] =
		    at(i * 7, 1, support_recording_stack(&r, root, support_recording_line(&r, f, (int32_t)i + 2), true),
		       RUNNING);
	}
	ticks(&r, entries, N_HOSTILE, NULL, 0);
	finish(&r, out, TICKS);
}

static void worker(struct support_recording *r, thread_id id, process_id p, uint32_t tid, const char *name)
{
	encode_thread(&r->content, &(struct rec_thread){.id = id,
	                                                .process = p,
	                                                .tid = tid,
	                                                .ns_tid = tid,
	                                                .start_ns = SUPPORT_BOOT_NS,
	                                                .name = support_recording_string(r, name)});
}

static void many_block(struct support_recording *r, const stack_id *s, bool is_last, struct buf *out)
{
	struct rec_entry entries[] = {
	    at(0, 1, s[0], RUNNING),
	    at(0, 2, s[1], RUNNING),
	    at(0, 3, s[2], ASLEEP),
	    at(0, 4, s[2], WAITING),
	    at(20, 1, s[3], RUNNING | WIRE_FLAG_GC),
	    at(40, 1, s[4], WIRE_STATE_ON_CPU | WIRE_WAY_KERNEL << WIRE_FLAG_WAY_SHIFT),
	    at(50, 3, 0, WIRE_FLAG_ABSENT),
	    at(60, 2, s[5], RUNNING | WIRE_FLAG_CUT),
	    at(80, 4, s[5], WIRE_FLAG_ABSENT | WIRE_FLAG_FAILED),
	};
	struct rec_closing closings[] = {{1, 700 * SUPPORT_MS}, {2, 300 * SUPPORT_MS}};

	ticks(r, entries, sizeof entries / sizeof *entries, closings, 2);
	encode_lost(&r->content,
	            &(struct rec_lost){
	                .begin_ns = r->block.begin_ns, .end_ns = r->block.end_ns, .cause = WIRE_LOST_LATE, .count = 3});
	encode_counters(&r->content,
	                (struct rec_counter[]){{WIRE_COUNTER_STOPS, 12 * (r->block.sequence + 1)},
	                                       {WIRE_COUNTER_STOPPED_NS, 400000 * (r->block.sequence + 1)},
	                                       {WIRE_COUNTER_LONGEST_STOP_NS, 90000},
	                                       {WIRE_COUNTER_CPU_NS, 12000000},
	                                       {WIRE_COUNTER_PEAK_BYTES, 9000000}},
	                5);
	if (is_last)
		finish(r, out, 330);
	else
		support_recording_seal(r, 330, TICKS, false);
}

void support_views_many(struct buf *out)
{
	struct support_recording r;
	stack_id s[6];

	support_recording_open(&r, 0xB3);
	for (int epoch = 0; epoch < 2; epoch++) {
		if (epoch)
			support_recording_epoch(&r);
		support_recording_head(&r, 2);
		support_recording_process(&r, 1, 300, "server.py");
		support_recording_process(&r, 2, 301, "server.py --worker 1");
		worker(&r, 3, 1, 310, "idle");
		worker(&r, 4, 2, 311, "waits for the GIL");
		function_id main_f = support_recording_function(&r, "__main__", "<module>", "/srv/app/server.py", 1);
		function_id work = support_recording_function(&r, "app.work", "Work.run", "/srv/app/app/work.py", 20);
		function_id fib = support_recording_function(&r, "app.work", "fib", "/srv/app/app/work.py", 40);
		function_id wait =
		    support_recording_function(&r, "threading", "Event.wait", "/usr/lib/python3.13/threading.py", 630);
		function_id dumps =
		    support_recording_function(&r, "orjson", "dumps", "/usr/lib/python3.13/site-packages/orjson.py", 5);
		stack_id root = support_recording_stack(&r, 0, support_recording_line(&r, main_f, 30), true);
		s[0] = support_recording_stack(&r, root, support_recording_line(&r, work, 22), true);
		s[1] = support_recording_stack(&r, root, support_recording_line(&r, work, 25), true);
		s[2] = support_recording_stack(&r, 0, support_recording_line(&r, wait, 659), true);
		s[3] = root;
		for (int i = 0; i < 40; i++)
			s[3] = support_recording_stack(&r, s[3], support_recording_line(&r, fib, 41 + i % 2), true);
		encode_module(&r.content,
		              &(struct rec_module){.id = 1,
		                                   .process = 1,
		                                   .path = support_recording_string(&r, "/usr/lib/libz.so.1"),
		                                   .build_id = (const uint8_t *)"\1\2\3",
		                                   .n_build_id = 3});
		s[4] = support_recording_stack(
		    &r, s[0],
		    support_recording_location(
		        &r, &(struct rec_location){.is_native = true,
		                                   .module = 0,
		                                   .offset = 0x1234,
		                                   .symbol = support_recording_string(&r, "deflate")}),
		    true);
		s[5] = support_recording_stack(&r, 0, support_recording_line(&r, dumps, 7), true);
		many_block(&r, s, false, out);
		many_block(&r, s, epoch == 1, out);
	}
}

/* 200 functions; 20,000 random chains over them, one sample each: a tree of some 100,000 nodes. */
void support_views_wide(struct buf *out)
{
	enum { FUNCTIONS = 200, BLOCKS = 50, DEPTH = 12 };
	struct support_recording r;
	location_id l[FUNCTIONS];
	uint64_t seed = 12345, n = 0;
	char name[40];

	support_recording_open(&r, 0xB4);
	support_recording_head(&r, 0);
	support_recording_process(&r, 1, 400, "wide.py");
	for (int i = 0; i < FUNCTIONS; i++) {
		snprintf(name, sizeof name, "function_%03d", i);
		l[i] = support_recording_line(&r, support_recording_function(&r, "wide", name, "/srv/app/wide.py", 1),
		                              2 + i);
	}
	for (int block = 0; block < BLOCKS; block++) {
		struct rec_entry entries[TICKS];

		for (uint32_t i = 0; i < TICKS; i++) {
			stack_id s = 0;
			for (int depth = 0; depth < DEPTH; depth++) {
				support_random(&seed);
				s = support_recording_stack(&r, s, l[(seed >> 33) % (depth < 2 ? 5 : FUNCTIONS)], true);
			}
			entries[i] = at(i, 1, s, RUNNING);
		}
		ticks(&r, entries, TICKS, NULL, 0);
		n = TICKS;
		if (block == BLOCKS - 1)
			finish(&r, out, n);
		else
			support_recording_seal(&r, n, TICKS, false);
	}
}

void support_views_undefined(struct buf *out)
{
	struct support_recording r;
	struct rec_entry entries[] = {at(0, 7, 99, RUNNING), at(50, 9, 98, RUNNING)};

	support_recording_open(&r, 0xB5);
	support_recording_head(&r, 0);
	support_recording_process(&r, 1, 500, "undefined.py");
	ticks(&r, entries, 2, NULL, 0);
	finish(&r, out, 150);
}

void support_views_defaults(struct buf *out)
{
	struct support_recording r;

	support_recording_open(&r, 0xB6);
	encode_recording(
	    &r.head, &(struct rec_recording){.mean_gap_ns = 10 * SUPPORT_MS,
	                                     .view_defaults = WIRE_VIEW_IDLE | WIRE_VIEW_THREADS | WIRE_VIEW_FUNCTION,
	                                     .started_ns = SUPPORT_BOOT_NS});
	support_recording_process(&r, 1, 600, "defaults.py");
	function_id f = support_recording_function(&r, "__main__", "f", "/srv/app/defaults.py", 10);
	struct rec_entry entries[] = {
	    at(0, 1, support_recording_stack(&r, 0, support_recording_line(&r, f, 11), true), RUNNING),
	    at(40, 1, support_recording_stack(&r, 0, support_recording_line(&r, f, 12), true), ASLEEP),
	};
	ticks(&r, entries, 2, NULL, 0);
	finish(&r, out, TICKS);
}

/* The kernel's events of `thread` in the open block: their weights add up to its second. */
static uint32_t kernel_events(struct support_recording *r, thread_id thread, uint64_t *seed)
{
	struct rec_event events[64];
	uint64_t left = SUPPORT_S;
	uint32_t n = 0;

	while (n < 64 && left) {
		struct rec_event *e = &events[n++];

		support_random(seed);
		e->thread = thread;
		e->time_ns = r->block.end_ns - (*seed >> 34);
		e->stack = 1 + (uint32_t)(*seed >> 40) % r->n_stacks;
		e->flags = (*seed >> 60) % 3   ? WIRE_STATE_ON_CPU | WIRE_FLAG_GIL
		           : (*seed >> 58) % 2 ? WIRE_STATE_SLEEPING | WIRE_FLAG_GIL_WAIT
		                               : WIRE_STATE_RUNNABLE;
		e->flags |= WIRE_WAY_KERNEL << WIRE_FLAG_WAY_SHIFT;
		e->weight_ns = (*seed >> 20) % (n % 8 ? 6 * SUPPORT_MS : 400 * SUPPORT_MS);
		e->weight_ns = n == 64 || e->weight_ns > left ? left : e->weight_ns;
		left -= e->weight_ns;
	}
	encode_events(&r->content, &(struct rec_events){1, 1, events, n});
	return n;
}

void support_views_kernel(struct buf *out)
{
	struct support_recording r;
	struct rec_entry outside;
	uint64_t seed = 99, n;
	char name[24];

	support_recording_open(&r, 0xB7);
	r.engine = "kernel: timer tick, 250 Hz";
	support_recording_head(&r, 2);
	support_recording_process(&r, 1, 700, "kernel.py");
	worker(&r, 2, 1, 701, "worker");
	worker(&r, 3, 1, 702, "from outside");
	for (int i = 0; i < 100; i++) {
		snprintf(name, sizeof name, "function_%03d", i);
		function_id f = support_recording_function(&r, "kernel", name, "/srv/app/kernel.py", 1);
		support_recording_stack(&r, i % 3 ? (stack_id)i : 0, support_recording_line(&r, f, 2 + i), true);
	}
	outside = at(0, 3, 7, RUNNING);
	for (int block = 0; block < 4; block++) {
		n = TICKS + kernel_events(&r, 1, &seed) + kernel_events(&r, 2, &seed);
		ticks(&r, &outside, 1, NULL, 0);
		if (block == 3)
			finish(&r, out, n);
		else
			support_recording_seal(&r, n, TICKS, false);
	}
}

static void small(struct buf *out)
{
	support_recording_small(out, NULL);
}

const struct support_view support_views[] = {
    {"small", small},
    {"motion", support_views_motion},
    {"hostile", support_views_hostile},
    {"many", support_views_many},
    {"wide", support_views_wide},
    {"undefined", support_views_undefined},
    {"defaults", support_views_defaults},
    {"kernel", support_views_kernel},
    {0},
};
