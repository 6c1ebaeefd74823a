/* Every record with its extreme values, there and back. */
#include "format/encode.h"
#include "tests/unit/support_dump.h"
#include "tests/unit/support_test.h"

#define MAX_ID "16777216"
#define MAX32  "4294967295"
#define MAX64  "18446744073709551615"

static void check(struct buf *content, const char *want)
{
	struct support_dump d;

	assert_int_equal(content->err, 0);
	support_dump_content(&d, content->data, content->len);
	if (!strstr(buf_cstr(&d.text), want))
		print_error("wanted: %s\ngot: %s\n", want, buf_cstr(&d.text));
	assert_non_null(strstr(buf_cstr(&d.text), want));
	assert_int_equal(d.rc, 0);
	assert_int_equal(d.n_damages, 0);
	support_dump_done(&d);
	buf_reset(content);
}

static void test_recording(void **state)
{
	struct buf b;
	str_id options[] = {0, WIRE_IDS_MAX};
	struct rec_note notes[] = {{0, WIRE_IDS_MAX}, {WIRE_IDS_MAX, 0}};
	struct rec_recording r = {
	    .host = WIRE_IDS_MAX,
	    .kernel = 1,
	    .machine = 2,
	    .boot_id = 3,
	    .recorder = 4,
	    .options = options,
	    .n_options = 2,
	    .mean_gap_ns = UINT64_MAX,
	    .schedule = UINT32_MAX,
	    .engine = UINT32_MAX,
	    .view_defaults = UINT32_MAX,
	    .kernel_hz = UINT32_MAX,
	    .stop_ppm = UINT32_MAX,
	    .notes = notes,
	    .n_notes = 2,
	    .started_ns = UINT64_MAX,
	};

	buf_init(&b, 0);
	encode_recording(&b, &r);
	check(&b, "recording host " MAX_ID " kernel 1 machine 2 boot 3 recorder 4 options [0 " MAX_ID "] gap " MAX64
	          " schedule " MAX32 " engine " MAX32 " view " MAX32 " hz " MAX32 " stop " MAX32 " notes [0=" MAX_ID
	          " " MAX_ID "=0] started " MAX64 "\n");
	r.cpu_ppm = UINT32_MAX;
	encode_recording(&b, &r);
	check(&b, " started " MAX64 " cpu " MAX32 "\n");
	encode_recording(&b, &(struct rec_recording){0});
	check(&b,
	      "recording host 0 kernel 0 machine 0 boot 0 recorder 0 options [] gap 0 schedule 0 engine 0 view 0 hz 0 "
	      "stop 0 notes [] started 0\n");
	buf_done(&b);
}

static void test_process(void **state)
{
	struct buf b;
	str_id words[] = {1, WIRE_IDS_MAX, 0};
	struct rec_process p = {
	    .id = WIRE_IDS_MAX,
	    .pid = UINT32_MAX,
	    .ns_pid = UINT32_MAX,
	    .parent_pid = UINT32_MAX,
	    .host = WIRE_IDS_MAX,
	    .start_ns = UINT64_MAX,
	    .exec_number = UINT32_MAX,
	    .seen_ns = UINT64_MAX,
	    .flags = UINT32_MAX,
	    .uid = UINT32_MAX,
	    .version_hex = UINT32_MAX,
	    .build = UINT32_MAX,
	    .version = 1,
	    .exe = 2,
	    .cwd = 3,
	    .prefix = 4,
	    .base_prefix = WIRE_IDS_MAX,
	    .cmdline = words,
	    .n_cmdline = 3,
	    .sys_path = words + 1,
	    .n_sys_path = 1,
	};

	buf_init(&b, 0);
	encode_process(&b, &p);
	check(&b, "process " MAX_ID " pid " MAX32 "/" MAX32 " parent " MAX32 " host " MAX_ID " start " MAX64
	          " exec " MAX32 " seen " MAX64 " flags " MAX32 " uid " MAX32 " hex ffffffff build " MAX32
	          " version 1 exe 2 cwd 3 prefix 4 " MAX_ID " [1 " MAX_ID " 0] [" MAX_ID "]\n");
	encode_process_end(&b, &(struct rec_process_end){1, UINT64_MAX, UINT32_MAX, UINT32_MAX});
	check(&b, "process_end 1 time " MAX64 " how " MAX32 " status " MAX32 "\n");
	buf_done(&b);
}

static void test_module_and_host(void **state)
{
	struct buf b;
	uint8_t id[] = {0, 0xFF};

	buf_init(&b, 0);
	encode_module(&b, &(struct rec_module){WIRE_IDS_MAX, 1, 2, id, 2, UINT64_MAX - 1, UINT64_MAX, UINT64_MAX});
	check(&b, "module " MAX_ID " process 1 path 2 begin 18446744073709551614 end " MAX64 " offset " MAX64
	          " build_id 00ff\n");
	encode_module(&b, &(struct rec_module){.id = 1});
	check(&b, "module 1 process 0 path 0 begin 0 end 0 offset 0 build_id \n");
	encode_host(&b, &(struct rec_host){WIRE_IDS_MAX, 1, 2, 3, 4});
	check(&b, "host " MAX_ID " name 1 boot 2 kernel 3 machine 4\n");
	buf_done(&b);
}

static void test_thread(void **state)
{
	struct buf b;
	struct rec_thread t = {WIRE_IDS_MAX, 1,          UINT32_MAX, UINT32_MAX,  UINT64_MAX, UINT32_MAX, UINT64_MAX,
	                       WIRE_IDS_MAX, UINT32_MAX, UINT32_MAX, WIRE_IDS_MAX};

	buf_init(&b, 0);
	encode_thread(&b, &t);
	check(&b, "thread " MAX_ID " process 1 tid " MAX32 "/" MAX32 " start " MAX64 " interpreter " MAX32
	          " pthread " MAX64 " name " MAX_ID " flags " MAX32 " kind " MAX32 " owner " MAX_ID "\n");
	encode_thread_end(&b, WIRE_IDS_MAX, UINT64_MAX);
	check(&b, "thread_end " MAX_ID " time " MAX64 "\n");
	encode_interpreter(&b, &(struct rec_interpreter){WIRE_IDS_MAX, UINT32_MAX, UINT32_MAX});
	check(&b, "interpreter process " MAX_ID " number " MAX32 " flags " MAX32 "\n");
	buf_done(&b);
}

static void test_lost_counters_end(void **state)
{
	struct buf b;
	struct rec_counter counters[] = {{0, 0}, {UINT32_MAX, UINT64_MAX}};

	buf_init(&b, 0);
	encode_lost(&b, &(struct rec_lost){0, UINT64_MAX, UINT32_MAX, WIRE_IDS_MAX, UINT64_MAX});
	check(&b, "lost 0.." MAX64 " cause " MAX32 " thread " MAX_ID " count " MAX64 "\n");
	encode_counters(&b, counters, 2);
	check(&b, "counter 0 0\ncounter " MAX32 " " MAX64 "\n");
	encode_end(&b, &(struct rec_end){UINT64_MAX, UINT32_MAX, UINT32_MAX, UINT32_MAX});
	check(&b, "end time " MAX64 " reason " MAX32 " how " MAX32 " status " MAX32 "\n");
	buf_done(&b);
}

static void test_stack_lists(void **state)
{
	struct buf b;
	stack_id ids[] = {5, WIRE_IDS_MAX, 1, 1};

	buf_init(&b, 0);
	encode_certify(&b, ids, 0);
	encode_doubt(&b, ids, 0);
	assert_int_equal(b.len, 0);
	encode_certify(&b, ids, 4);
	check(&b, "certify 5\ncertify " MAX_ID "\ncertify 1\ncertify 1\n");
	encode_doubt(&b, ids, 4);
	check(&b, "doubt 5\ndoubt " MAX_ID "\ndoubt 1\ndoubt 1\n");
	buf_done(&b);
}

static void test_batches(void **state)
{
	struct buf b;
	struct encode_batch t;
	struct rec_function f = {UINT32_MAX, 1, 2, WIRE_IDS_MAX, INT32_MAX};

	buf_init(&b, 0);
	encode_batch_init(&t);
	encode_batch_flush(&t, WIRE_STRINGS, &b);
	assert_int_equal(b.len, 0);
	encode_add_string(&t, 7, "a\0b", 3);
	encode_add_string(&t, 8, "", 0);
	encode_batch_flush(&t, WIRE_STRINGS, &b);
	/* a batch behind a hole */
	encode_add_string(&t, WIRE_IDS_MAX, "z", 1);
	encode_batch_flush(&t, WIRE_STRINGS, &b);
	check(&b, "string 7 \"a\\x00b\"\nstring 8 \"\"\nstring " MAX_ID " \"z\"\n");
	encode_add_function(&t, 1, &f);
	encode_add_function(&t, 2, &(struct rec_function){0});
	encode_batch_flush(&t, WIRE_FUNCTIONS, &b);
	check(&b, "function 1 kind " MAX32 " module 1 qualname 2 file " MAX_ID
	          " line 2147483647\nfunction 2 kind 0 module 0 qualname 0 file 0 line 0\n");
	encode_add_stack(&t, 1, &(struct rec_stack){0, WIRE_IDS_MAX, true});
	encode_add_stack(&t, 2, &(struct rec_stack){1, 0, false});
	encode_add_stack(&t, 3, &(struct rec_stack){1, 5, true});
	encode_batch_flush(&t, WIRE_STACKS, &b);
	check(&b, "stack 1 parent 0 location " MAX_ID
	          " certified\nstack 2 parent 1 location 0\nstack 3 parent 1 location 5 "
	          "certified\n");
	encode_batch_done(&t);
	buf_done(&b);
}

static void test_locations(void **state)
{
	struct buf b;
	struct encode_batch t;
	struct rec_location l[] = {
	    {.function = 1, .has_line = true, .line = INT32_MAX},
	    {.function = 1, .has_line = true, .line = INT32_MIN},
	    {.function = 2, .has_line = true, .line = 0},
	    {.function = 2},
	    {.function = 1,
	     .has_line = true,
	     .line = 5,
	     .end_line = INT32_MAX,
	     .column = 0,
	     .end_column = INT32_MAX,
	     .has_columns = true},
	    /* what is no range is left out */
	    {.function = 1, .has_line = true, .line = 5, .end_line = 4, .has_columns = true},
	    {.function = 1, .has_line = true, .line = 5, .end_line = 5, .column = -1, .has_columns = true},
	    {.function = 1, .has_columns = true},
	    {.function = 9, .has_line = true, .line = 3},
	    {.is_native = true, .module = WIRE_IDS_MAX, .offset = UINT64_MAX, .symbol = WIRE_IDS_MAX},
	};
	uint32_t first_lines[] = {0, 10, INT32_MAX};

	buf_init(&b, 0);
	encode_batch_init(&t);
	encode_add_function(&t, 1, &(struct rec_function){.first_line = 10});
	encode_add_function(&t, 2, &(struct rec_function){.first_line = INT32_MAX});
	encode_batch_flush(&t, WIRE_FUNCTIONS, &b);
	for (unsigned i = 0; i < N_OF(l); i++)
		encode_add_location(&t, i + 1, &l[i],
		                    l[i].is_native || l[i].function > 2 ? 0 : first_lines[l[i].function]);
	encode_batch_flush(&t, WIRE_LOCATIONS, &b);
	check(&b, "location 1 function 1 line 2147483647\n"
	          "location 2 function 1 line -2147483648\n"
	          "location 3 function 2 line 0\n"
	          "location 4 function 2\n"
	          "location 5 function 1 line 5 to line 2147483647 columns 0..2147483647\n"
	          "location 6 function 1 line 5\n"
	          "location 7 function 1 line 5\n"
	          "location 8 function 1\n"
	          "location 9 function 9\n" /* undefined: no line */
	          "location 10 module " MAX_ID " offset " MAX64 " symbol " MAX_ID "\n");
	encode_batch_done(&t);
	buf_done(&b);
}

static void test_ticks(void **state)
{
	struct buf b;
	uint64_t times[] = {UINT64_MAX - 2500, UINT64_MAX - 1501, UINT64_MAX - 1500, UINT64_MAX};
	struct rec_entry entries[] = {
	    {.tick = 0, .thread = 1, .stack = 0, .has_stack = true},
	    {.tick = 0, .thread = WIRE_IDS_MAX, .stack = WIRE_IDS_MAX, .has_stack = true, .flags = UINT32_MAX},
	    {.tick = 1, .thread = 1, .has_stack = false, .cpu_ns = 1999},
	    {.tick = 3, .thread = WIRE_IDS_MAX, .has_stack = false, .cpu_ns = UINT64_MAX},
	    {.tick = 3, .thread = 1, .stack = 4, .has_stack = true},
	};
	struct rec_closing closings[] = {{1, 1000}, {WIRE_IDS_MAX, UINT64_MAX}};
	struct rec_ticks t = {1000, 1000, times, 4, entries, 5, closings, 2, NULL, 0};

	buf_init(&b, 0);
	encode_ticks(&b, &t);
	check(&b, "ticks unit 1000 cpu 1000 times 18446744073709549115 18446744073709549115 18446744073709550115 "
	          "18446744073709551115\n"
	          "  entry tick 0 thread 1 stack 0 flags 0 cpu 0\n"
	          "  entry tick 0 thread " MAX_ID " stack " MAX_ID " flags " MAX32 " cpu 0\n"
	          "  entry tick 1 thread 1 stack 0 flags 0 cpu 1000\n"
	          "  entry tick 3 thread " MAX_ID " stack " MAX_ID " flags 0 cpu 18446744073709551000\n"
	          "  entry tick 3 thread 1 stack 4 flags 0 cpu 0\n"
	          "  closing thread 1 cpu 1000\n"
	          "  closing thread " MAX_ID " cpu 18446744073709551000\n");
	struct rec_gap gaps[] = {{0, 1}, {3, WIRE_MEAN_GAP_MAX_NS}, {4, 7}};
	encode_ticks(&b, &(struct rec_ticks){1000, 1000, times, 4, NULL, 0, NULL, 0, gaps, 3});
	check(&b, "  gap from tick 0 mean 1\n  gap from tick 3 mean 549755813888\n  gap from tick 4 mean 7\n");
	encode_ticks(&b, &(struct rec_ticks){0});
	check(&b, "ticks unit 1 cpu 1 times\nblock_end");
	buf_done(&b);
}

static void test_events(void **state)
{
	struct buf b;
	struct rec_event events[] = {
	    {UINT64_MAX, WIRE_IDS_MAX, WIRE_IDS_MAX, UINT32_MAX, UINT64_MAX},
	    {UINT64_MAX - 10, 1, 0, 0, 0},
	    {UINT64_MAX - 9, 1, 2, 0, 999},
	};

	buf_init(&b, 0);
	encode_events(&b, &(struct rec_events){1, 1, events, 3});
	check(&b, "events unit 1 weight 1\n"
	          "  event " MAX64 " thread " MAX_ID " stack " MAX_ID " flags " MAX32 " weight " MAX64 "\n"
	          "  event 18446744073709551605 thread 1 stack 0 flags 0 weight 0\n"
	          "  event 18446744073709551606 thread 1 stack 2 flags 0 weight 999\n");
	encode_events(&b, &(struct rec_events){1000, 100, events + 1, 2});
	check(&b, "events unit 1000 weight 100\n"
	          "  event 18446744073709551605 thread 1 stack 0 flags 0 weight 0\n"
	          "  event 18446744073709551605 thread 1 stack 2 flags 0 weight 900\n");
	encode_events(&b, &(struct rec_events){0});
	check(&b, "events unit 1 weight 1\nblock_end");
	buf_done(&b);
}

/* The stored bytes of the only string of a batch. */
static void check_cut(const char *s, size_t n, size_t keep, bool is_cut)
{
	struct encode_batch t;
	size_t length = keep + (is_cut ? 3 : 0);

	encode_batch_init(&t);
	encode_add_string(&t, 1, s, n);
	assert_true(length <= WIRE_STRING_WRITE_MAX);
	assert_int_equal(t.body.len, 3 + length);
	assert_memory_equal(t.body.data + 3, s, keep);
	if (is_cut)
		assert_memory_equal(t.body.data + 3 + keep, "\xE2\x80\xA6", 3);
	encode_batch_done(&t);
}

static void test_long_strings(void **state)
{
	enum { SIZE = WIRE_STRING_WRITE_MAX + 100, CUT = WIRE_STRING_WRITE_MAX - 3 };
	char *s = malloc(SIZE);

	memset(s, 'x', SIZE);
	check_cut(s, WIRE_STRING_WRITE_MAX, WIRE_STRING_WRITE_MAX, false);
	check_cut(s, WIRE_STRING_WRITE_MAX + 1, CUT, true);
	check_cut(s, SIZE, CUT, true);
	/* in the middle of a code point */
	for (unsigned back = 1; back < 4; back++) {
		memset(s, 'x', SIZE);
		memcpy(s + CUT - back, "\xF0\x9F\x90\x8D", 4);
		check_cut(s, SIZE, CUT - back, true);
	}
	memset(s, 'x', SIZE);
	memcpy(s + CUT - 4, "\xF0\x9F\x90\x8D", 4);
	check_cut(s, SIZE, CUT, true);
	memset(s, 0x80, SIZE); /* no text at all */
	check_cut(s, SIZE, CUT, true);
	free(s);
}

static void test_sticky_error(void **state)
{
	struct buf b;
	struct encode_batch t;

	buf_init(&b, 10);
	encode_batch_init(&t);
	encode_add_string(&t, 1, "a longer string", 15);
	encode_batch_flush(&t, WIRE_STRINGS, &b);
	assert_int_not_equal(b.err, 0);
	encode_end(&b, &(struct rec_end){0});
	assert_int_not_equal(b.err, 0);
	encode_batch_done(&t);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_recording),
	    cmocka_unit_test(test_process),
	    cmocka_unit_test(test_module_and_host),
	    cmocka_unit_test(test_thread),
	    cmocka_unit_test(test_lost_counters_end),
	    cmocka_unit_test(test_stack_lists),
	    cmocka_unit_test(test_batches),
	    cmocka_unit_test(test_locations),
	    cmocka_unit_test(test_ticks),
	    cmocka_unit_test(test_events),
	    cmocka_unit_test(test_long_strings),
	    cmocka_unit_test(test_sticky_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
