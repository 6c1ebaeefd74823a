/* Contents of blocks that no writer would write. */
#include "format/decode.h"
#include "format/encode.h"
#include "tests/unit/support_dump.h"
#include "tests/unit/support_test.h"

/* A record of `type`, its payload given as numbers: each a varint. */
#define RECORD(b, type, ...)                                                                                           \
	put_record(b, type, (const uint64_t[]){__VA_ARGS__}, sizeof((const uint64_t[]){__VA_ARGS__}) / 8)

static void put_record(struct buf *b, uint64_t type, const uint64_t *v, size_t n)
{
	struct buf payload;

	buf_init(&payload, 0);
	for (size_t i = 0; i < n; i++)
		encode_varint(&payload, v[i]);
	encode_varint(b, type);
	encode_varint(b, payload.len);
	buf_put(b, payload.data, payload.len);
	buf_done(&payload);
}

/* Decode and forget the content; wanted: a bad record told with `what`, or none (NULL). */
static void check(struct buf *content, const char *what)
{
	struct support_dump d;

	support_dump_content(&d, content->data, content->len);
	assert_int_equal(d.rc, 0);
	assert_int_equal(d.n_bad_records, what ? 1 : 0);
	assert_int_equal(d.n_damages, what ? 1 : 0);
	assert_int_equal(d.n_blocks, 1); /* block_end is told in any case */
	if (what && !strstr(buf_cstr(&d.damage), what))
		fail_msg("wanted \"%s\", got %s", what, buf_cstr(&d.damage));
	support_dump_done(&d);
	buf_reset(content);
}

/* One good record of each type. */
static void put_one_of_each(struct buf *b)
{
	static const uint8_t BUILD_ID[] = {1, 2};
	static const uint64_t TIMES[] = {100, 200};
	static const struct rec_entry ENTRIES[] = {{.thread = 1, .stack = 1, .has_stack = true},
	                                           {.tick = 1, .thread = 1}};
	static const struct rec_closing CLOSINGS[] = {{1, 5}};
	static const struct rec_gap GAPS[] = {{1, 300}};
	static const struct rec_event EVENTS[] = {{100, 1, 1, 0, 5}};
	str_id ids[] = {1, 2};
	struct rec_note notes[] = {{1, 2}};
	struct encode_batch t;

	encode_batch_init(&t);
	encode_recording(
	    b, &(struct rec_recording){.options = ids, .n_options = 2, .notes = notes, .n_notes = 1, .cpu_ppm = 300});
	encode_add_string(&t, 1, "one", 3);
	encode_add_string(&t, 2, "two", 3);
	encode_batch_flush(&t, WIRE_STRINGS, b);
	encode_add_function(&t, 1, &(struct rec_function){.qualname = 1, .first_line = 3});
	encode_batch_flush(&t, WIRE_FUNCTIONS, b);
	encode_add_location(
	    &t, 1,
	    &(struct rec_location){.function = 1, .has_line = true, .line = 4, .end_line = 5, .has_columns = true}, 3);
	encode_add_location(&t, 2, &(struct rec_location){.is_native = true, .module = 1, .offset = 5}, 0);
	encode_batch_flush(&t, WIRE_LOCATIONS, b);
	encode_add_stack(&t, 1, &(struct rec_stack){0, 1, true});
	encode_batch_flush(&t, WIRE_STACKS, b);
	encode_certify(b, ids, 2);
	encode_process(
	    b, &(struct rec_process){.id = 1, .cmdline = ids, .n_cmdline = 2, .sys_path = ids, .n_sys_path = 2});
	encode_process_end(b, &(struct rec_process_end){.id = 1});
	encode_module(b, &(struct rec_module){.id = 1, .build_id = BUILD_ID, .n_build_id = 2});
	encode_thread(b, &(struct rec_thread){.id = 1});
	encode_thread_end(b, 1, 0);
	encode_ticks(b, &(struct rec_ticks){1, 1, TIMES, 2, ENTRIES, 2, CLOSINGS, 1, GAPS, 1});
	encode_events(b, &(struct rec_events){1, 1, EVENTS, 1});
	encode_lost(b, &(struct rec_lost){0});
	encode_counters(b, &(struct rec_counter){1, 2}, 1);
	encode_end(b, &(struct rec_end){0});
	encode_host(b, &(struct rec_host){.id = 1});
	encode_doubt(b, ids, 2);
	encode_interpreter(b, &(struct rec_interpreter){.process = 1});
	encode_batch_done(&t);
}

struct record {
	uint64_t type;
	const uint8_t *payload;
	size_t n;
};

static bool next_record(const uint8_t **p, const uint8_t *end, struct record *r)
{
	uint64_t n;

	if (*p == end)
		return false;
	assert_true(decode_varint(p, end, &r->type));
	assert_true(decode_varint(p, end, &n));
	r->payload = *p;
	r->n = n;
	*p += n;
	return true;
}

/* Bytes at the end of put_one_of_each's that 1.2 brought: without all of them it is a record of 1.1. */
static size_t new_bytes(uint64_t type)
{
	return type == WIRE_RECORDING ? 2 : type == WIRE_TICKS ? 4 : 0;
}

/* Every payload cut short anywhere is bad; with unknown fields behind, it says the same. */
static void test_each_record_cut_and_extended(void **state)
{
	struct buf all, one, extended;
	struct support_dump a, b;
	struct record r;
	unsigned n_types = 0;

	buf_init(&all, 0);
	buf_init(&one, 0);
	buf_init(&extended, 0);
	put_one_of_each(&all);
	for (const uint8_t *p = all.data; next_record(&p, all.data + all.len, &r); n_types++) {
		for (size_t n = 0; n < r.n; n++) {
			encode_varint(&one, r.type);
			encode_varint(&one, n);
			buf_put(&one, r.payload, n);
			/* on its own allocation: a read beyond the end is seen by the sanitizer */
			check(&one, new_bytes(r.type) && n == r.n - new_bytes(r.type) ? NULL : "");
		}
		encode_varint(&extended, r.type);
		encode_varint(&extended, r.n + 3);
		buf_put(&extended, r.payload, r.n);
		buf_put(&extended, "\xFF\xFF\xFF", 3);
	}
	assert_int_equal(n_types, WIRE_INTERPRETER);
	support_dump_content(&a, all.data, all.len);
	support_dump_content(&b, extended.data, extended.len);
	assert_int_equal(a.n_damages, 0);
	assert_int_equal(b.n_damages, 0);
	assert_string_equal(buf_cstr(&a.text), buf_cstr(&b.text));
	support_dump_done(&a);
	support_dump_done(&b);
	buf_done(&all);
	buf_done(&one);
	buf_done(&extended);
}

static void test_unknown_types(void **state)
{
	struct buf b;

	buf_init(&b, 0);
	RECORD(&b, 0, 1, 2, 3);
	RECORD(&b, WIRE_INTERPRETER + 1, 1, 2, 3);
	RECORD(&b, UINT64_MAX, 1);
	check(&b, NULL);
	buf_done(&b);
}

static void test_counts_and_lengths(void **state)
{
	static const uint64_t HUGE_[] = {100, UINT32_MAX, UINT64_C(1) << 32, UINT64_MAX};
	struct buf b;

	buf_init(&b, 0);
	for (unsigned i = 0; i < N_OF(HUGE_); i++) {
		RECORD(&b, WIRE_STRINGS, 1, HUGE_[i], 0);
		check(&b, "bad head");
		RECORD(&b, WIRE_STRINGS, 1, 1, HUGE_[i]);
		check(&b, "a bad string");
		RECORD(&b, WIRE_STACKS, 1, HUGE_[i], 1, 1);
		check(&b, "bad head");
		RECORD(&b, WIRE_CERTIFY, HUGE_[i], 2);
		check(&b, "a bad list");
		RECORD(&b, WIRE_COUNTERS, HUGE_[i], 1, 1);
		check(&b, "a bad COUNTERS");
		RECORD(&b, WIRE_TICKS, 0, 1, HUGE_[i], 0);
		check(&b, "a bad TICKS");
		RECORD(&b, WIRE_TICKS, 0, 1, 0, 1, HUGE_[i], 0);
		check(&b, "a bad TICKS");
		RECORD(&b, WIRE_TICKS, 0, 1, 0, 1, 0, HUGE_[i]);
		check(&b, "a bad TICKS");
		RECORD(&b, WIRE_EVENTS, 0, 1, 1, HUGE_[i], 0);
		check(&b, "a bad EVENTS");
		RECORD(&b, WIRE_RECORDING, 0, 0, 0, 0, 0, HUGE_[i], 0);
		check(&b, "a bad RECORDING");
		RECORD(&b, WIRE_MODULE, 1, 0, 0, HUGE_[i], 0);
		check(&b, "a bad MODULE");
		encode_varint(&b, WIRE_END);
		encode_varint(&b, HUGE_[i]);
		check(&b, "longer than its block");
	}
	encode_varint(&b, WIRE_END);
	check(&b, "longer than its block");
	buf_put(&b, "\xFF\xFF\xFF", 3);
	check(&b, "longer than its block");
	buf_done(&b);
}

static void test_long_string(void **state)
{
	struct buf b;

	buf_init(&b, 0);
	for (int more = 0; more < 2; more++) {
		size_t n = WIRE_STRING_MAX + (size_t)more;

		encode_varint(&b, WIRE_STRINGS);
		encode_varint(&b, 5 + n);
		encode_varint(&b, 1);
		encode_varint(&b, 1);
		encode_varint(&b, n);
		assert_non_null(buf_reserve(&b, n));
		memset(b.data + b.len, 'x', n);
		b.len += n;
		check(&b, more ? "a bad string" : NULL);
	}
	buf_done(&b);
}

static void test_ids(void **state)
{
	const uint64_t over = WIRE_IDS_MAX + 1;
	struct buf b;

	buf_init(&b, 0);
	RECORD(&b, WIRE_STRINGS, 0, 1, 0);
	check(&b, "bad head");
	RECORD(&b, WIRE_STRINGS, WIRE_IDS_MAX, 2, 0, 0);
	check(&b, "bad head");
	RECORD(&b, WIRE_STRINGS, over, 1, 0);
	check(&b, "bad head");
	RECORD(&b, WIRE_STRINGS, WIRE_IDS_MAX, 1, 0);
	check(&b, NULL);
	RECORD(&b, WIRE_FUNCTIONS, 1, 1, 0, over, 0, 0, 0);
	check(&b, "a bad function");
	RECORD(&b, WIRE_FUNCTIONS, 1, 1, 0, 0, 0, 0, UINT64_C(1) << 31);
	check(&b, "a bad function");
	RECORD(&b, WIRE_LOCATIONS, 1, 1, over << 1, 0, 0);
	check(&b, "a bad location");
	RECORD(&b, WIRE_LOCATIONS, 1, 1, over << 1 | 1, 0, 0);
	check(&b, "a bad location");
	RECORD(&b, WIRE_LOCATIONS, 1, 1, 1, 0, over);
	check(&b, "a bad location");
	RECORD(&b, WIRE_PROCESS_END, 0, 0, 0, 0);
	check(&b, "a bad PROCESS_END");
	RECORD(&b, WIRE_THREAD_END, 0, 0);
	check(&b, "a bad THREAD_END");
	RECORD(&b, WIRE_THREAD_END, over, 0);
	check(&b, "a bad THREAD_END");
	/* lists of differences: to 0, below, above */
	RECORD(&b, WIRE_CERTIFY, 1, 0);
	check(&b, "a bad list");
	RECORD(&b, WIRE_DOUBT, 1, 1);
	check(&b, "a bad list");
	RECORD(&b, WIRE_CERTIFY, 2, 2 * WIRE_IDS_MAX, 2);
	check(&b, "a bad list");
	RECORD(&b, WIRE_CERTIFY, 2, UINT64_MAX - 1, UINT64_MAX);
	check(&b, "a bad list");
	RECORD(&b, WIRE_END, 0, UINT64_C(1) << 32, 0, 0);
	check(&b, "a bad END");
	buf_done(&b);
}

/* Ids of a kind grow: what was told is not told otherwise later. */
static void test_defined_again(void **state)
{
	struct buf b;

	buf_init(&b, 0);
	RECORD(&b, WIRE_STRINGS, 5, 2, 0, 0);
	RECORD(&b, WIRE_STRINGS, 7, 1, 0);
	RECORD(&b, WIRE_STRINGS, 9, 1, 0);
	RECORD(&b, WIRE_FUNCTIONS, 1, 1, 0, 0, 0, 0, 0);
	check(&b, NULL);
	RECORD(&b, WIRE_STRINGS, 5, 2, 0, 0);
	RECORD(&b, WIRE_STRINGS, 6, 1, 0);
	check(&b, "again");
	RECORD(&b, WIRE_STACKS, 1, 2, 1, 0, 1, 0);
	RECORD(&b, WIRE_STACKS, 2, 1, 2, 0);
	check(&b, "again");
	buf_done(&b);
}

static void test_lines(void **state)
{
	struct buf b;

	buf_init(&b, 0);
	/* first line 2^31 - 1, a line further; end line, column beyond */
	RECORD(&b, WIRE_FUNCTIONS, 1, 1, 0, 0, 0, 0, INT32_MAX);
	RECORD(&b, WIRE_LOCATIONS, 1, 1, 2, 2, 0);
	check(&b, "a bad location");
	RECORD(&b, WIRE_FUNCTIONS, 1, 1, 0, 0, 0, 0, INT32_MAX);
	RECORD(&b, WIRE_LOCATIONS, 1, 1, 2, 0, WIRE_LOCATION_COLUMNS, 1, 0, 0);
	check(&b, "a bad location");
	RECORD(&b, WIRE_FUNCTIONS, 1, 1, 0, 0, 0, 0, 0);
	RECORD(&b, WIRE_LOCATIONS, 1, 1, 2, 0, WIRE_LOCATION_COLUMNS, 0, UINT64_C(1) << 31, 0);
	check(&b, "a bad location");
	RECORD(&b, WIRE_FUNCTIONS, 1, 1, 0, 0, 0, 0, 0);
	RECORD(&b, WIRE_LOCATIONS, 1, 1, 2, UINT64_MAX, 0);
	check(&b, "a bad location");
	/* unknown flags are no harm */
	RECORD(&b, WIRE_FUNCTIONS, 1, 1, 0, 0, 0, 0, 1);
	RECORD(&b, WIRE_LOCATIONS, 1, 1, 2, 0, 0xFC);
	check(&b, NULL);
	buf_done(&b);
}

static void test_stacks(void **state)
{
	struct buf b, stacks;

	buf_init(&b, 0);
	buf_init(&stacks, 0);
	RECORD(&b, WIRE_STACKS, 1, 1, 0, 2);
	check(&b, "a bad stack");
	RECORD(&b, WIRE_STACKS, 1, 1, 2, 2);
	check(&b, "a bad stack");
	RECORD(&b, WIRE_STACKS, 5, 1, 5, 2);
	RECORD(&b, WIRE_STACKS, 6, 1, 3, 2); /* above one that was never defined */
	check(&b, NULL);
	/* as deep as may be, and one deeper */
	for (uint32_t i = 0; i < WIRE_DEPTH_MAX + 1; i++) {
		encode_varint(&stacks, 1);
		encode_varint(&stacks, 2);
	}
	for (uint32_t more = 0; more < 2; more++) {
		encode_varint(&b, WIRE_STACKS);
		encode_varint(&b, 4 + 2 * (WIRE_DEPTH_MAX + more));
		encode_varint(&b, 1);
		encode_varint(&b, WIRE_DEPTH_MAX + more);
		buf_put(&b, stacks.data, 2 * (WIRE_DEPTH_MAX + more));
		check(&b, more ? "too deep" : NULL);
	}
	buf_done(&b);
	buf_done(&stacks);
}

static void test_ticks(void **state)
{
	const uint64_t far = UINT64_MAX;
	struct buf b;

	buf_init(&b, 0);
	/* base, unit, n, times; CPU unit, m, ticks, threads, stacks, flags, CPU; closings */
	RECORD(&b, WIRE_TICKS, 0, 1, 2, 0, 1, 1, 2, 0, 1, 1, 1, 5, 0, 0, 0, 0, 0, 0);
	check(&b, NULL);
	RECORD(&b, WIRE_TICKS, 0, 0, 0, 1, 0, 0);
	check(&b, "a bad TICKS"); /* unit 0 */
	RECORD(&b, WIRE_TICKS, 0, 1, 0, 0, 0, 0);
	check(&b, "a bad TICKS"); /* CPU unit 0 */
	RECORD(&b, WIRE_TICKS, far, 1, 1, 1, 1, 0, 0);
	check(&b, "a bad TICKS"); /* time overflows */
	RECORD(&b, WIRE_TICKS, 0, far, 1, 2, 1, 0, 0);
	check(&b, "a bad TICKS");
	RECORD(&b, WIRE_TICKS, 0, 1, 1, 0, 1, 1, 1, 1, 1, 0, 0, 0);
	check(&b, "a bad TICKS"); /* tick 1 of 1 */
	RECORD(&b, WIRE_TICKS, 0, 1, 1, 0, 1, 2, 0, UINT32_MAX, 1, 1, 1, 1, 0, 0, 0, 0, 0);
	check(&b, "a bad TICKS");
	RECORD(&b, WIRE_TICKS, 0, 1, 1, 0, 1, 1, 0, 0, 1, 0, 0, 0);
	check(&b, "a bad TICKS"); /* thread 0 */
	RECORD(&b, WIRE_TICKS, 0, 1, 1, 0, 1, 1, 0, 1, WIRE_IDS_MAX + 2, 0, 0, 0);
	check(&b, "a bad TICKS"); /* stack */
	RECORD(&b, WIRE_TICKS, 0, 1, 1, 0, 2, 1, 0, 1, 1, 0, far, 0);
	check(&b, "a bad TICKS"); /* CPU time overflows */
	RECORD(&b, WIRE_TICKS, 0, 1, 1, 0, 1, 1, 0, 1, 0, 0, 0, 0);
	check(&b, "names no stack");
	RECORD(&b, WIRE_TICKS, 0, 1, 1, 0, 1, 2, 0, 0, 1, 1, 1, 2, 0, 0, 0, 0, 0);
	check(&b, "two entries");
	RECORD(&b, WIRE_TICKS, 0, 1, 1, 0, 1, 0, 1, 0, 0);
	check(&b, "a bad TICKS"); /* closing of thread 0 */
	/* mean gaps: tick, ns */
	RECORD(&b, WIRE_TICKS, 0, 1, 2, 0, 1, 1, 0, 0, 3, 0, 5, 1, WIRE_MEAN_GAP_MAX_NS, 1, 1);
	check(&b, NULL); /* of the gap behind the last one, too */
	RECORD(&b, WIRE_TICKS, 0, 1, 2, 0, 1, 1, 0, 0, 1, 3, 5);
	check(&b, "a bad TICKS"); /* tick 3 of 2 */
	RECORD(&b, WIRE_TICKS, 0, 1, 2, 0, 1, 1, 0, 0, 2, 1, 5, UINT32_MAX, 5);
	check(&b, "a bad TICKS");
	RECORD(&b, WIRE_TICKS, 0, 1, 2, 0, 1, 1, 0, 0, 2, 1, 5, 0, 6);
	check(&b, "a bad TICKS"); /* one tick twice */
	RECORD(&b, WIRE_TICKS, 0, 1, 2, 0, 1, 1, 0, 0, 1, 0, 0);
	check(&b, "a bad TICKS"); /* a mean of 0 */
	RECORD(&b, WIRE_TICKS, 0, 1, 2, 0, 1, 1, 0, 0, 1, 0, WIRE_MEAN_GAP_MAX_NS + 1);
	check(&b, "a bad TICKS");
	RECORD(&b, WIRE_TICKS, 0, 1, 2, 0, 1, 1, 0, 0, 2, 0, 5);
	check(&b, "a bad TICKS"); /* ends early */
	RECORD(&b, WIRE_TICKS, 0, 1, 0, 1, 0, 0);
	RECORD(&b, WIRE_TICKS, 0, 1, 0, 1, 0, 0);
	check(&b, "a second TICKS");
	buf_done(&b);
}

/* What one record leaves behind must not reach the next: "as before" is within a record. */
static void test_state_starts_afresh(void **state)
{
	struct buf b;

	buf_init(&b, 0);
	RECORD(&b, WIRE_EVENTS, 0, 1, 1, 1, 0, 7, 5, 0, 0);
	RECORD(&b, WIRE_EVENTS, 0, 1, 1, 1, 0, 7, 0, 0, 0);
	check(&b, "names no stack");
	RECORD(&b, WIRE_EVENTS, 0, 1, 1, 2, 0, 0, 7, 8, 5, 0, 0, 0, 0, 0);
	check(&b, "names no stack");
	RECORD(&b, WIRE_EVENTS, 0, 1, 1, 1, 0, 7, 5, 0, 0);
	RECORD(&b, WIRE_TICKS, 0, 1, 1, 0, 1, 1, 0, 7, 0, 0, 0, 0);
	check(&b, "names no stack");
	buf_done(&b);
}

static void test_events(void **state)
{
	struct buf b;

	buf_init(&b, 0);
	RECORD(&b, WIRE_EVENTS, 10, 1, 1, 2, 0, 19, 1, 1, 1, 0, 0, 0, 0, 0);
	check(&b, NULL); /* 10, then 10 back: time 0 */
	RECORD(&b, WIRE_EVENTS, 10, 1, 1, 1, 21, 1, 1, 0, 0);
	check(&b, "a bad EVENTS"); /* before 0 */
	RECORD(&b, WIRE_EVENTS, 10, 1, 1, 1, UINT64_MAX, 1, 1, 0, 0);
	check(&b, "a bad EVENTS");
	RECORD(&b, WIRE_EVENTS, UINT64_MAX, 1, 1, 1, 2, 1, 1, 0, 0);
	check(&b, "a bad EVENTS");
	RECORD(&b, WIRE_EVENTS, 0, 0, 1, 0);
	check(&b, "a bad EVENTS");
	RECORD(&b, WIRE_EVENTS, 0, 1, 0, 0);
	check(&b, "a bad EVENTS");
	RECORD(&b, WIRE_EVENTS, 0, 1, 2, 1, 0, 1, 1, 0, UINT64_MAX);
	check(&b, "a bad EVENTS");
	buf_done(&b);
}

/* What stood before a bad record counts, what stands behind it does not; RECORDING is still told, at the end. */
static void test_rest_is_skipped(void **state)
{
	struct buf b;
	struct support_dump d;
	const char *recording, *end;

	buf_init(&b, 0);
	RECORD(&b, WIRE_RECORDING, 1, 1, 1, 1, 1, 0, 7, 0, 0, 0, 0, 0, 0, 9);
	RECORD(&b, WIRE_STRINGS, 1, 1, 0);
	RECORD(&b, WIRE_THREAD_END, 0, 0);
	RECORD(&b, WIRE_THREAD_END, 1, 0);
	support_dump_content(&d, b.data, b.len);
	assert_int_equal(d.n_bad_records, 1);
	assert_non_null(strstr(buf_cstr(&d.damage), "bytes 8 "));
	assert_null(strstr(buf_cstr(&d.text), "thread_end"));
	recording = strstr(buf_cstr(&d.text), "string 1 \"\"\nrecording host 1");
	end = strstr(buf_cstr(&d.text), "block_end");
	assert_true(recording && end && recording < end);
	support_dump_done(&d);
	buf_done(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each_record_cut_and_extended),
	    cmocka_unit_test(test_unknown_types),
	    cmocka_unit_test(test_counts_and_lengths),
	    cmocka_unit_test(test_long_string),
	    cmocka_unit_test(test_ids),
	    cmocka_unit_test(test_defined_again),
	    cmocka_unit_test(test_lines),
	    cmocka_unit_test(test_stacks),
	    cmocka_unit_test(test_ticks),
	    cmocka_unit_test(test_state_starts_afresh),
	    cmocka_unit_test(test_events),
	    cmocka_unit_test(test_rest_is_skipped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
