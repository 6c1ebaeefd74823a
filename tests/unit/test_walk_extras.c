/* walk_extras: what lies outside of the data stack comes over with the one read: near ones as one piece, many of them,
 * and those that come and go. */
#include "pyspy-record/python/walk_extras.h"

#include "tests/unit/support_stack.h"
#include "tests/unit/support_test.h"

#define HEAP UINT64_C(0x60000000) /* generators that lie far apart */

static struct support_stack s;

static void in_all(void (*test)(void))
{
	for (size_t i = 0; i < N_OF(support_stack_versions); i++) {
		support_stack_begin(&s, support_stack_versions[i]);
		test();
		support_stack_end(&s);
	}
}

/* Pieces of a plan that lie in HEAP. */
static size_t spans_in_heap(void)
{
	size_t n = 0, first;
	walk_begin_pass(&s.w);
	reader_batch_clear(&s.batch);
	assert_true(walk_plan(&s.w, &s.t, &s.batch, &first));
	for (size_t i = 0; i < s.batch.n; i++)
		n += (raddr_t)(uintptr_t)s.batch.remote[i].iov_base >= HEAP &&
		     (raddr_t)(uintptr_t)s.batch.remote[i].iov_base < HEAP + (1 << 28);
	size_t planned = s.t.n_spans;
	assert_int_equal(planned, walk_extras_spans(&s.t));
	return n;
}

static void near_and_far(void)
{
	static const struct {
		unsigned apart; /* from the end of what is kept of one to the next */
		size_t spans;
	} cases[] = {{8, 1}, {72, 1}, {1024, 1}, {WALK_SPAN_GAP, 1}, {WALK_SPAN_GAP + 8, 2}, {4096, 2}, {100000, 2}};
	support_memory_map(&s.m, HEAP, 1 << 20);
	for (size_t i = 0; i < N_OF(cases); i++) {
		raddr_t a = HEAP + 1024, b = a + WALK_PIECE + cases[i].apart;
		support_stack_call_and_push(&s, 2);
		support_stack_push_generator(&s, i % 2 ? a : b); /* either may be the caller */
		support_stack_push_generator(&s, i % 2 ? b : a);
		support_stack_push(&s, OWNER_THREAD);
		support_stack_expect_planned(&s);
		assert_int_equal(spans_in_heap(), cases[i].spans);
		while (s.frames.n)
			support_stack_pop(&s);
		for (int k = 0; k < WALK_EXTRA_KEPT + 20; k++)
			support_stack_expect_whole(&s);
		assert_int_equal(spans_in_heap(), 0);
	}
}
static void test_near_and_far(void **state)
{
	in_all(near_and_far);
}

/* Frames that end where mappings do, with a page between them that is not there. */
static void holes(void)
{
	enum { FRAME = 80 };
	support_memory_map(&s.m, HEAP, 4096);
	support_memory_map(&s.m, HEAP + 8192, 4096);
	support_memory_map(&s.m, HEAP + 12288, 4096);
	support_stack_call_and_push(&s, 2);
	support_stack_push_generator(&s, HEAP + 4096 - FRAME);
	support_stack_push_generator(&s, HEAP + 8192);
	support_stack_push_generator(&s, HEAP + 12288 - FRAME); /* across two mappings that touch */
	support_stack_push_generator(&s, HEAP + 16384 - FRAME);
	support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_planned(&s);
	assert_int_equal(spans_in_heap(), 3 + 1);
}
static void test_holes(void **state)
{
	in_all(holes);
}

/* Recursion through C: a shim on the C stack for each frame (3.12, 3.13). */
static void through_c(void)
{
	s.c_bytes = 400;
	for (int i = 0; i < 1000; i++)
		support_stack_call_and_push(&s, 1);
	support_stack_expect_planned(&s);
	assert_int_equal(s.t.n_spans, 1);
	for (int i = 0; i < 40; i++) {
		uint64_t repairs = s.w.repairs;
		for (int k = 0; k < i; k++)
			support_stack_pop(&s);
		support_stack_expect_whole(&s);
		for (int k = 0; k < i; k++)
			support_stack_call_and_push(&s, 1);
		support_stack_expect_whole(&s);
		assert_true(s.w.repairs - repairs <= 4); /* two cframes that were further out; the top chunk grew */
	}
}
static void test_through_c(void **state)
{
	in_all(through_c);
}

/* More than are remembered: the others are read one by one, and take no other's place. */
static void many(void)
{
	enum { MORE = WALK_REPAIRS_FULL - 10 };
	support_stack_call_and_push(&s, 2);
	support_stack_expect_planned(&s);
	for (int i = 0; i < WALK_EXTRAS_MAX + MORE; i++)
		support_stack_push(&s, OWNER_GENERATOR);
	support_stack_expect_found(&s);
	assert_int_equal(s.t.n_extras, WALK_EXTRAS_MAX);
	for (int i = 0; i < 3; i++) {
		uint64_t calls = s.m.reader.calls;
		support_stack_expect_whole(&s);
		assert_true(s.m.reader.calls - calls <= 1 + MORE + 4); /* 4: cframes, shim */
		assert_int_equal(s.t.n_extras, WALK_EXTRAS_MAX);
	}
	for (int i = 0; i < WALK_EXTRAS_MAX; i++) /* the innermost go, and are forgotten for those that are there */
		support_stack_pop(&s);
	for (int i = 0; i < WALK_EXTRA_KEPT + 20; i++)
		support_stack_expect_whole(&s);
	assert_true(s.t.n_extras <= MORE + 4);
	support_stack_expect_at_once(&s);
}
static void test_many(void **state)
{
	in_all(many);
}

/* More pieces than a thread may take of a batch. */
static void far_apart(void)
{
	enum { MORE = 100 };
	support_memory_map(&s.m, HEAP, (size_t)(WALK_SPANS_MAX + MORE + 1) << 12);
	support_stack_call_and_push(&s, 2);
	for (uint32_t i = 0; i < WALK_SPANS_MAX + MORE; i++) /* not in their order */
		support_stack_push_generator(&s, HEAP + 64 + ((i * 7 % (WALK_SPANS_MAX + MORE)) << 12));
	support_stack_push(&s, OWNER_THREAD);
	for (int i = 0; i < 3; i++)
		support_stack_expect_whole(&s);
	uint64_t calls = s.m.reader.calls;
	support_stack_expect_whole(&s);
	assert_true(s.m.reader.calls - calls <= 1 + MORE + 4);
	assert_int_equal(s.t.n_spans, WALK_SPANS_MAX);
	assert_true(s.t.n_extras >= WALK_SPANS_MAX + MORE);
}
static void test_far_apart(void **state)
{
	in_all(far_apart);
}

/* As they are asked for in any order, with any that fail: against an array of what is there. */
static void any_order(void)
{
	enum { PLACES = 500 };
	size_t first;
	support_memory_map(&s.m, HEAP, PLACES * 512);
	for (size_t i = 0; i < PLACES * 512; i += 8)
		support_memory_u64(&s.m, HEAP + i, i * UINT64_C(0x9e3779b97f4a7c15));
	for (int round = 0; round < 300; round++) {
		walk_begin_pass(&s.w);
		reader_batch_clear(&s.batch);
		assert_true(walk_plan(&s.w, &s.t, &s.batch, &first));
		assert_int_equal(reader_batch_read(s.w.reader, &s.batch), (int)s.batch.n);
		s.t.last_extra = s.t.n_extras;
		for (uint32_t n = support_stack_draw(&s, 60); n > 0; n--) {
			uint32_t words = PLACES * 512 / 8, size = 8 + support_stack_draw(&s, 81);
			uint32_t near = support_stack_draw(&s, 6) ? words : 24; /* many at the end of the mapping */
			uint32_t at = (words - 1 - support_stack_draw(&s, near)) * 8;
			const unsigned char *p = walk_extras_get(&s.w, &s.t, HEAP + at, size);
			if (at + size > PLACES * 512) {
				assert_null(p);
				continue;
			}
			assert_non_null(p);
			assert_memory_equal(p, support_memory_at(&s.m, HEAP + at, size), size);
		}
		for (size_t i = 1; i < s.t.n_extras; i++)
			assert_true(s.t.extras[i - 1].at < s.t.extras[i].at);
		if (round % 10 == 9) { /* any of them, one that is none */
			size_t n = s.t.n_extras;
			walk_extras_failed(&s.t, support_stack_draw(&s, (uint32_t)s.t.n_spans + 3));
			assert_true(n == 0 || s.t.n_extras < n);
		}
	}
}
static void test_any_order(void **state)
{
	in_all(any_order);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_near_and_far), cmocka_unit_test(test_holes),     cmocka_unit_test(test_through_c),
	    cmocka_unit_test(test_many),         cmocka_unit_test(test_far_apart), cmocka_unit_test(test_any_order),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
