#include "tests/unit/support_golden.h"

#include <string.h>

enum {
	TICKS = 10, /* a block: a second at 100 ms */
	ACTIVE = WIRE_STATE_ACTIVE | WIRE_FLAG_GIL,
	RUNNING = WIRE_STATE_ON_CPU | WIRE_FLAG_GIL,
	WAITING = WIRE_STATE_SLEEPING | WIRE_FLAG_GIL_WAIT | WIRE_WAY_STILL << WIRE_FLAG_WAY_SHIFT,
	ASLEEP = WIRE_STATE_SLEEPING | WIRE_WAY_STILL << WIRE_FLAG_WAY_SHIFT,
	STOPPED = ACTIVE | WIRE_WAY_STOPPED << WIRE_FLAG_WAY_SHIFT,
	GONE = WIRE_FLAG_ABSENT,
};

#define N(array) (sizeof(array) / sizeof(array)[0])
/* entry: at a tick, this thread, this stack */
#define AT(t, th, st, fl, cpu)                                                                                         \
	{                                                                                                              \
		.tick = t, .thread = th, .stack = st, .has_stack = true, .flags = fl, .cpu_ns = (cpu)*SUPPORT_MS       \
	}
/* the stack as before */
#define SAME(t, th, fl, cpu)                                                                                           \
	{                                                                                                              \
		.tick = t, .thread = th, .flags = fl, .cpu_ns = (cpu)*SUPPORT_MS                                       \
	}

void support_golden_open(struct support_recording *r, uint8_t uuid, uint32_t engine)
{
	support_recording_open(r, uuid);
	support_recording_version(r, 0);
	r->mean_gap_ns = 100 * SUPPORT_MS;
	support_recording_head(r, engine);
}

void support_golden_end(struct support_recording *r, struct buf *out)
{
	buf_put(out, r->out.data, r->out.len);
	support_recording_close(r);
}

void support_golden_put_end(struct support_recording *r, uint32_t reason, uint32_t how, uint32_t status)
{
	encode_end(&r->content, &(struct rec_end){r->block.end_ns, reason, how, status});
}

stack_id support_golden_frame(struct support_recording *r, stack_id parent, const char *module, const char *name,
                              const char *file, uint32_t first_line, int32_t line)
{
	function_id f = support_recording_function(r, module, name, file, first_line);

	return support_recording_stack(r, parent, support_recording_line(r, f, line), true);
}

struct support_golden_app support_golden_app(struct support_recording *r)
{
	static const char APP[] = "/srv/app/app.py", JSON[] = "/usr/lib/python3.13/json/__init__.py";
	struct support_golden_app a;
	function_id fib;
	struct rec_location columns = {
	    .has_line = true, .line = 7, .end_line = 7, .has_columns = true, .column = 15, .end_column = 38};

	a.module = support_golden_frame(r, 0, "__main__", "<module>", APP, 1, 30);
	a.main = support_golden_frame(r, a.module, "__main__", "main", APP, 20, 24);
	a.work = support_golden_frame(r, a.main, "__main__", "Worker.work", APP, 12, 14);
	fib = support_recording_function(r, "__main__", "fib", APP, 4);
	columns.function = fib;
	a.fib[0] = support_recording_stack(r, a.work, support_recording_location(r, &columns), true);
	a.fib[1] = support_recording_stack(r, a.fib[0], r->n_locations, true);
	a.fib[2] = support_recording_stack(r, a.fib[1], support_recording_line(r, fib, 6), true);
	a.loads = support_golden_frame(r, a.main, "json", "loads", JSON, 299, 346);
	return a;
}

static void golden_basic(struct buf *out)
{
	struct support_recording r;
	struct support_golden_app a;
	uint64_t n;

	support_golden_open(&r, 0x01, 0);
	support_recording_process(&r, 1, 4711, "app.py");
	a = support_golden_app(&r);
	struct rec_entry first[] = {AT(0, 1, a.work, ACTIVE, 0), AT(2, 1, a.fib[2], ACTIVE, 200),
	                            AT(7, 1, a.fib[0], ACTIVE, 500), AT(9, 1, a.loads, ACTIVE, 200)};
	struct rec_entry second[] = {AT(0, 1, a.loads, ACTIVE, 0), AT(6, 1, a.module, ASLEEP, 600)};
	struct rec_closing closing[] = {{1, 100 * SUPPORT_MS}};

	n = support_recording_ticks(&r, TICKS, first, N(first), closing, 1);
	support_recording_seal(&r, n, TICKS, false);
	n = support_recording_ticks(&r, TICKS, second, N(second), NULL, 0);
	encode_process_end(&r.content, &(struct rec_process_end){1, r.block.end_ns, WIRE_HOW_EXITED, 3});
	support_golden_put_end(&r, WIRE_END_TARGET, WIRE_HOW_EXITED, 3);
	support_recording_seal(&r, n, TICKS, true);
	support_golden_end(&r, out);
}

/* Threads 2 (a worker that comes and goes), 3 (in a second interpreter), 4 (a task of thread 1), 5 (a greenlet of 2).
 */
static void define_threads(struct support_recording *r)
{
	struct rec_thread t[] = {
	    {.id = 2,
	     .process = 1,
	     .tid = 4712,
	     .ns_tid = 12,
	     .pthread = 0x7F0000900000,
	     .flags = WIRE_THREAD_KERNEL_NAME},
	    {.id = 3, .process = 1, .tid = 4713, .ns_tid = 13, .interpreter = 1, .pthread = 0x7F0000A00000},
	    {.id = 4, .process = 1, .tid = 4711, .ns_tid = 11, .kind = WIRE_THREAD_TASK, .owner = 1},
	    {.id = 5, .process = 1, .tid = 4712, .ns_tid = 12, .kind = WIRE_THREAD_GREENLET, .owner = 2},
	};

	t[0].name = support_recording_string(r, "python3");
	t[2].name = support_recording_string(r, "Task-1");
	for (unsigned i = 0; i < N(t); i++)
		encode_thread(&r->content, &t[i]);
	encode_interpreter(&r->content, &(struct rec_interpreter){.process = 1, .number = 1, .flags = 2});
	/* the worker's name came later */
	t[0].name = support_recording_string(r, "ThreadPoolExecutor-0_0");
	t[0].flags = 0;
	encode_thread(&r->content, &t[0]);
}

static void golden_threads(struct buf *out)
{
	struct support_recording r;
	struct support_golden_app a;
	stack_id wait, task, other;
	uint64_t n;

	support_golden_open(&r, 0x02, 0);
	support_recording_process(&r, 1, 4711, "server.py");
	define_threads(&r);
	a = support_golden_app(&r);
	wait = support_golden_frame(&r, 0, "threading", "Condition.wait", "/usr/lib/python3.13/threading.py", 327, 359);
	task = support_golden_frame(&r, 0, "server", "handle", "/srv/app/server.py", 40, 44);
	other = support_golden_frame(&r, 0, "__main__", "<module>", "<string>", 1, 1);
	struct rec_entry first[] = {
	    AT(0, 1, a.work, RUNNING, 0),
	    AT(0, 2, wait, ASLEEP, 0),
	    AT(0, 3, other, WIRE_STATE_ON_CPU | WIRE_FLAG_GIL | WIRE_FLAG_GC, 0),
	    AT(0, 4, task, ASLEEP | WIRE_FLAG_NO_CPU, 0),
	    SAME(3, 1, WAITING, 300),
	    AT(3, 2, a.loads, RUNNING, 0),
	    /* the worker could not be read, then again, and ended */
	    SAME(6, 2, GONE | WIRE_FLAG_FAILED, 300),
	    SAME(7, 2, STOPPED, 100),
	    AT(7, 5, a.fib[0], WIRE_STATE_DISK | WIRE_FLAG_NO_CPU, 0),
	    SAME(8, 1, WIRE_STATE_RUNNABLE | WIRE_FLAG_GIL_WAIT, 0),
	    SAME(9, 2, GONE, 200),
	    SAME(9, 3, WIRE_STATE_STOPPED, 900),
	};
	struct rec_closing closings[] = {{1, 0}, {3, 100 * SUPPORT_MS}};

	n = support_recording_ticks(&r, TICKS, first, N(first), closings, N(closings));
	encode_thread_end(&r.content, 2, r.block.begin_ns + 940 * SUPPORT_MS);
	support_golden_put_end(&r, WIRE_END_SIGINT, 0, 0);
	support_recording_seal(&r, n, TICKS, true);
	support_golden_end(&r, out);
}

/* The parts of golden_epochs, also for those that damage it. */
static void build_epochs(struct support_recording *r, uint8_t uuid, bool is_closed)
{
	struct rec_closing closing[] = {{1, 100 * SUPPORT_MS}};

	support_recording_open(r, uuid);
	support_recording_version(r, 0);
	r->mean_gap_ns = 100 * SUPPORT_MS;
	for (int block = 0; block < 4; block++) {
		static struct support_golden_app a;
		static stack_id later;
		uint64_t n;

		if (block == 2)
			support_recording_epoch(r);
		if (block % 2 == 0) {
			support_recording_head(r, 0);
			support_recording_process(r, 1, 4711, "app.py");
			/* in the second epoch the same functions have other ids, and a child has come */
			if (block == 2) {
				support_golden_frame(r, 0, "site", "main", "/usr/lib/python3.13/site.py", 600, 618);
				support_recording_process(r, 2, 4800, "child.py");
			}
			a = support_golden_app(r);
		} else {
			/* a definition in an epoch's second block */
			later = support_golden_frame(r, a.main, "app.util", block == 1 ? "early" : "late",
			                             "/srv/app/util.py", 3, 5);
		}
		struct rec_entry entries[] = {
		    AT(0, 1, block % 2 ? later : a.work, ACTIVE, 0),
		    AT(5, 1, a.fib[2], ACTIVE, 500),
		    AT(5, 2, a.main, ASLEEP, 0),
		};
		n = support_recording_ticks(r, TICKS, entries, block < 2 ? 2 : 3, closing, 1);
		if (block == 3) {
			encode_process_end(&r->content,
			                   &(struct rec_process_end){2, r->block.end_ns, WIRE_HOW_KILLED, 9});
			encode_process_end(&r->content,
			                   &(struct rec_process_end){1, r->block.end_ns, WIRE_HOW_LEFT, 0});
			if (is_closed)
				support_golden_put_end(r, WIRE_END_DURATION, 0, 0);
		}
		support_recording_seal(r, n, TICKS, block == 3 && is_closed);
	}
}

static void golden_epochs(struct buf *out)
{
	struct support_recording r;

	build_epochs(&r, 0x03, true);
	support_golden_end(&r, out);
}

static void golden_motion(struct buf *out)
{
	struct support_recording r;
	struct support_golden_app a;
	function_id hot;
	stack_id later, never, bare;
	uint64_t n;

	support_golden_open(&r, 0x04, 0);
	support_recording_process(&r, 1, 4711, "app.py");
	a = support_golden_app(&r);
	hot = support_recording_function(&r, "__main__", "hot", "/srv/app/app.py", 50);
	later = support_recording_stack(&r, a.work, support_recording_line(&r, hot, 51), false);
	never = support_recording_stack(&r, a.work, support_recording_line(&r, hot, 52), false);
	never = support_recording_stack(&r, never, support_recording_line(&r, hot, 53), false);
	bare = support_recording_stack(&r, 0, support_recording_line(&r, hot, 54), false);
	struct rec_entry first[] = {
	    AT(0, 1, later, ACTIVE, 0),
	    AT(4, 1, never, ACTIVE, 400),
	    AT(7, 1, bare, ACTIVE, 300),
	    AT(8, 1, a.fib[1], ACTIVE | WIRE_FLAG_UNPROVED, 100),
	    AT(9, 1, a.fib[2], STOPPED | WIRE_FLAG_CUT, 100),
	};
	/* what was read standing still is certain by itself, certified or not */
	struct rec_entry second[] = {AT(0, 1, never, ASLEEP, 0), AT(5, 1, a.loads, ACTIVE, 0)};
	stack_id doubted[] = {a.loads};
	stack_id certified[] = {later};

	n = support_recording_ticks(&r, TICKS, first, N(first), NULL, 0);
	support_recording_seal(&r, n, TICKS, false);
	n = support_recording_ticks(&r, TICKS, second, N(second), NULL, 0);
	encode_doubt(&r.content, doubted, N(doubted));
	encode_certify(&r.content, certified, N(certified));
	encode_counters(&r.content, (struct rec_counter[]){{WIRE_COUNTER_UNCERTIFIED, 8}, {WIRE_COUNTER_STOPS, 1}}, 2);
	support_golden_put_end(&r, WIRE_END_DURATION, 0, 0);
	support_recording_seal(&r, n, TICKS, true);
	support_golden_end(&r, out);
}

static stack_id native(struct support_recording *r, stack_id parent, module_id module, uint64_t offset,
                       const char *symbol)
{
	struct rec_location l = {.is_native = true, .module = module, .offset = offset};

	l.symbol = support_recording_string(r, symbol);
	return support_recording_stack(r, parent, support_recording_location(r, &l), true);
}

static void golden_native(struct buf *out)
{
	static const uint8_t BUILD_ID[20] = {0xDE, 0xAD, 0xBE, 0xEF, 1,  2,  3,  4,  5,  6,
	                                     7,    8,    9,    10,   11, 12, 13, 14, 15, 16};
	struct support_recording r;
	struct support_golden_app a;
	stack_id c, unresolved, unknown;
	uint64_t n;

	support_golden_open(&r, 0x05, 0);
	support_recording_process(&r, 1, 4711, "app.py");
	struct rec_module modules[] = {
	    {.id = 1,
	     .process = 1,
	     .path = support_recording_string(&r, "/usr/lib/libc.so.6"),
	     .build_id = BUILD_ID,
	     .n_build_id = 20,
	     .begin = 0x7F1200000000,
	     .end = 0x7F1200200000},
	    {.id = 2,
	     .process = 1,
	     .path = support_recording_string(&r, "/srv/app/_fast.cpython-313-x86_64-linux-gnu.so"),
	     .begin = 0x7F1300000000,
	     .end = 0x7F1300010000,
	     .file_offset = 0x1000},
	};
	encode_module(&r.content, &modules[0]);
	encode_module(&r.content, &modules[1]);
	a = support_golden_app(&r);
	c = native(&r, a.work, 2, 0x2F40, "fast_sum");
	c = native(&r, c, 1, 0x9A3C0, "__memmove_avx_unaligned_erms");
	unresolved = native(&r, a.work, 2, 0x3000, "");
	unknown = native(&r, a.loads, 0, 0x7F9900001234, "");
	struct rec_entry entries[] = {
	    AT(0, 1, c, RUNNING, 0),
	    AT(5, 1, unresolved, RUNNING, 500),
	    AT(8, 1, unknown, RUNNING, 300),
	    AT(9, 1, a.loads, RUNNING, 100),
	};
	n = support_recording_ticks(&r, TICKS, entries, N(entries), NULL, 0);
	support_golden_put_end(&r, WIRE_END_SIGTERM, 0, 0);
	support_recording_seal(&r, n, TICKS, true);
	support_golden_end(&r, out);
}

static void golden_lost(struct buf *out)
{
	struct support_recording r;
	struct rec_counter counters[WIRE_COUNTER_LONGEST_STOP_NS]; /* all that 1.0 began with */
	struct support_golden_app a;
	uint64_t n;

	support_golden_open(&r, 0x08, 0);
	support_recording_process(&r, 1, 4711, "app.py");
	a = support_golden_app(&r);
	/* ticks in the first second of three: the rest above 5 mean gaps was not sampled */
	r.block.end_ns = r.block.begin_ns + 3 * SUPPORT_S;
	struct rec_entry entries[] = {AT(0, 1, a.work, ACTIVE, 0), AT(5, 1, r.n_stacks + 7, ACTIVE, 500),
	                              AT(8, 9, a.main, ACTIVE, 0)};
	n = support_recording_ticks(&r, TICKS, entries, N(entries), NULL, 0);
	for (uint32_t cause = WIRE_LOST_LATE; cause <= WIRE_LOST_DROPPED; cause++) {
		if (cause != WIRE_LOST_DAMAGE)
			encode_lost(&r.content, &(struct rec_lost){r.block.begin_ns, r.block.end_ns, cause,
			                                           cause == WIRE_LOST_TORN, cause * 10});
	}
	for (uint32_t i = 0; i < N(counters); i++)
		counters[i] = (struct rec_counter){i + 1, (i + 1) * 1000};
	encode_counters(&r.content, counters, N(counters));
	support_golden_put_end(&r, WIRE_END_OUTPUT, WIRE_HOW_KILLED, 11);
	support_recording_seal(&r, n, TICKS, true);
	support_golden_end(&r, out);
}

static void golden_open(struct buf *out)
{
	struct support_recording r;

	build_epochs(&r, 0x09, false);
	support_golden_end(&r, out);
}

static void golden_damaged(struct buf *out)
{
	struct support_recording r;

	build_epochs(&r, 0x0A, true);
	/* a byte in the content of block 1, and bytes of nobody before block 3 */
	r.out.data[r.starts[1] + WIRE_BLOCK_HEADER_SIZE + (r.starts[2] - r.starts[1] - WIRE_BLOCK_HEADER_SIZE) / 2] ^=
	    0x10;
	buf_put(out, r.out.data, r.starts[3]);
	buf_str(out, "PySpyBlk this is no block");
	buf_put(out, r.out.data + r.starts[3], r.out.len - r.starts[3]);
	support_recording_close(&r);
}

static void golden_hole(struct buf *out)
{
	struct support_recording r;

	build_epochs(&r, 0x0B, true);
	/* without the block that starts the second epoch */
	buf_put(out, r.out.data, r.starts[2]);
	buf_put(out, r.out.data + r.starts[3], r.out.len - r.starts[3]);
	support_recording_close(&r);
}

static void golden_cut(struct buf *out)
{
	struct support_recording r;

	build_epochs(&r, 0x0C, true);
	buf_put(out, r.out.data, r.out.len - 40);
	support_recording_close(&r);
}

/* Two hosts' recordings in one file, the first one cut short, the second with a host of its own. */
static void golden_joined(struct buf *out)
{
	struct support_recording r;
	struct rec_host host = {.id = 1};
	struct support_golden_app a;
	uint64_t n;

	golden_cut(out);
	support_golden_open(&r, 0x0E, 0);
	host.name = support_recording_string(&r, "web-2");
	host.boot_id = support_recording_string(&r, "0d4a7a9c-0000-4000-8000-000000000002");
	host.kernel = support_recording_string(&r, "5.15.0-91-generic");
	host.machine = support_recording_string(&r, "aarch64");
	encode_host(&r.content, &host);
	support_recording_process(&r, 1, 99, "app.py");
	encode_process(&r.content, &(struct rec_process){.id = 2, .pid = 77, .ns_pid = 7, .host = 1, .exec_number = 1});
	encode_thread(&r.content, &(struct rec_thread){.id = 2, .process = 2, .tid = 77, .ns_tid = 7});
	a = support_golden_app(&r);
	struct rec_entry entries[] = {AT(0, 1, a.work, ACTIVE, 0), AT(0, 2, a.loads, ACTIVE, 0)};
	n = support_recording_ticks(&r, TICKS, entries, N(entries), NULL, 0);
	support_golden_put_end(&r, WIRE_END_SIGHUP, 0, 0);
	support_recording_seal(&r, n, TICKS, true);
	support_golden_end(&r, out);
}

/* As version 1.7 might write it. */
static void golden_future(struct buf *out)
{
	struct support_recording r;
	struct support_golden_app a;
	uint64_t n;

	support_recording_open(&r, 0x0F);
	support_recording_version(&r, 7);
	r.mean_gap_ns = 100 * SUPPORT_MS;
	support_recording_head(&r, 0);
	support_recording_process(&r, 1, 4711, "app.py");
	a = support_golden_app(&r);
	/* a record of an unknown type */
	encode_varint(&r.content, 99);
	encode_varint(&r.content, 5);
	buf_put(&r.content, "\x01\x02\xFF\xFF\xFF", 5);
	/* THREAD_END with a field more */
	encode_varint(&r.content, WIRE_THREAD_END);
	encode_varint(&r.content, 4);
	buf_put(&r.content, "\x01\xE8\x07\x2A", 4);
	struct rec_entry entries[] = {AT(0, 1, a.work, ACTIVE | 1 << 20, 0)};
	n = support_recording_ticks(&r, TICKS, entries, N(entries), NULL, 0);
	support_golden_put_end(&r, 250, 0, 0);
	support_recording_seal(&r, n, TICKS, true);
	/* a frame of another kind between header and block */
	buf_put(out, r.out.data, WIRE_FILE_HEADER_SIZE);
	buf_put(out, "\x5A\x2A\x4D\x18\x03\0\0\0abc", 11);
	buf_put(out, r.out.data + WIRE_FILE_HEADER_SIZE, r.out.len - WIRE_FILE_HEADER_SIZE);
	support_recording_close(&r);
}

static void golden_empty(struct buf *out)
{
	struct support_recording r;

	support_golden_open(&r, 0x10, 0);
	support_golden_put_end(&r, WIRE_END_TARGET, 0, 0);
	support_recording_seal(&r, 0, 0, true);
	support_golden_end(&r, out);
}

const struct support_golden SUPPORT_GOLDEN[] = {
    {"basic", golden_basic},
    {"threads", golden_threads},
    {"epochs", golden_epochs},
    {"motion", golden_motion},
    {"native", golden_native},
    {"events", support_golden_events},
    {"names", support_golden_names},
    {"lost", golden_lost},
    {"open", golden_open},
    {"damaged", golden_damaged},
    {"hole", golden_hole},
    {"cut", golden_cut},
    {"joined", golden_joined},
    {"future", golden_future},
    {"empty", golden_empty},
    {"kernel", support_golden_kernel},
    {"mixed", support_golden_mixed},
    {"fallback", support_golden_fallback},
    {"stopped", support_golden_stopped},
    {"bounded", support_golden_bounded},
    {"shared", support_golden_shared},
    {0},
};
