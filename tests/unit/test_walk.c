/* walk: threads' stacks as 3.11, 3.12 and 3.13 keep them, in a fake target: every frame is found in its order, out of
 * one read where that can be, whatever cannot be read any more. */
#include <errno.h>

#include "libcommon/err.h"
#include "tests/unit/support_stack.h"
#include "tests/unit/support_test.h"

static struct support_stack s;

static void in_all(void (*test)(void))
{
	for (size_t i = 0; i < N_OF(support_stack_versions); i++) {
		support_stack_begin(&s, support_stack_versions[i]);
		test();
		support_stack_end(&s);
	}
}

static void plain(void)
{
	support_stack_expect_planned(&s); /* a thread that has not begun: no chunk, no frame */
	support_stack_call_and_push(&s, 1);
	support_stack_expect_planned(&s);
	for (int i = 0; i < 10; i++)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_whole(&s);
	support_stack_call_and_push(&s, 3);
	support_stack_call_and_push(&s, 1);
	support_stack_expect_planned(&s);
	while (s.frames.n) {
		support_stack_pop(&s);
		support_stack_expect_planned(&s);
	}
}
static void test_plain(void **state)
{
	in_all(plain);
}

/* More frames than the window that was planned: the rest is read in addition, once. */
static void growth(void)
{
	support_stack_call_and_push(&s, 2);
	support_stack_expect_planned(&s);
	for (unsigned step = 1; step < 60; step++) {
		for (unsigned i = 0; i < step % 40; i++)
			if (s.top + 3 * s.frame_bytes < s.chunk_end)
				support_stack_push(&s, OWNER_THREAD);
		uint64_t calls = s.m.reader.calls;
		support_stack_expect_whole(&s);
		assert_true(s.m.reader.calls - calls <= 2);
		support_stack_expect_at_once(&s);
		for (unsigned i = 0; i < step % 23 && s.frames.n > 4; i++)
			support_stack_pop(&s);
	}
	/* to the very end of a chunk, with nothing readable behind it */
	while (s.top + s.frame_bytes <= s.chunk_end)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_planned(&s);
}
static void test_growth(void **state)
{
	in_all(growth);
}

static void generators(void)
{
	support_stack_call_and_push(&s, 2);
	support_stack_expect_planned(&s);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_push(&s, OWNER_THREAD);
	support_stack_call(&s);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_planned(&s);
	uint64_t repairs = s.w.repairs;
	for (int i = 0; i < 100; i++) { /* they come and go */
		support_stack_pop(&s);
		support_stack_expect_at_once(&s);
		support_stack_push(&s, OWNER_THREAD);
		support_stack_expect_at_once(&s);
	}
	assert_int_equal(s.w.repairs, repairs);
	support_stack_pop(&s);
	support_stack_pop(&s);
	support_stack_expect_whole(&s);
	for (int i = 0; i < 100; i++)
		support_stack_expect_at_once(&s);
	assert_true(s.t.n_extras <= 12); /* what was not met for long is not read any more */
	while (s.frames.n > 3)
		support_stack_pop(&s);
	support_stack_expect_whole(&s);
	for (int i = 0; i < 100; i++)
		support_stack_expect_at_once(&s);
	assert_true(s.t.n_extras <= 3);
	/* more of them than are remembered */
	for (int i = 0; i < WALK_EXTRAS_MAX + WALK_REPAIRS_FULL / 2; i++)
		support_stack_push(&s, OWNER_GENERATOR);
	support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_found(&s);
	support_stack_expect_whole(&s);
	assert_true(s.t.n_extras <= WALK_EXTRAS_MAX);
	/* the innermost frame is one */
	support_stack_pop(&s);
	support_stack_expect_whole(&s);
}
static void test_generators(void **state)
{
	in_all(generators);
}

/* A generator's frame, a cframe in the last bytes that can be read. */
static void at_the_end(void)
{
	enum { FRAME = 80 };
	raddr_t at = UINT64_C(0x60001000) - FRAME;
	support_stack_call_and_push(&s, 1);
	support_memory_map(&s.m, UINT64_C(0x60000000), 4096);
	support_stack_push_generator(&s, at);
	support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_whole(&s);
	support_stack_expect_whole(&s);
	support_memory_unmap(&s.m, UINT64_C(0x60000000));
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN);
}
static void test_at_the_end(void **state)
{
	in_all(at_the_end);
}

/* A thread that ends has freed its state: malloc's word is where its own cframe spoke of the one before. */
static void freed_state(void)
{
	support_stack_expect_whole(&s);
	if (!support_stack_has_cframe(&s))
		return;
	support_memory_u64(&s.m, s.cframe + s.l->cframe.previous, 0x171);
	support_stack_expect_whole(&s);
	assert_int_equal(s.w.frames.n, 0);
}
static void test_freed_state(void **state)
{
	in_all(freed_state);
}

static void several_chunks(void)
{
	for (unsigned round = 0; round < 4; round++) {
		support_stack_call(&s);
		while (s.chunks.n < 1 + 2 * round)
			support_stack_push(&s, OWNER_THREAD);
		support_stack_push(&s, OWNER_GENERATOR);
		support_stack_push(&s, OWNER_THREAD);
		support_stack_expect_planned(&s);
	}
	/* there and back across the bound: the last frame of a chunk, the first of the next */
	while (s.top + s.frame_bytes <= s.chunk_end)
		support_stack_push(&s, OWNER_THREAD);
	for (int i = 0; i < 20; i++) {
		support_stack_expect_whole(&s);
		size_t n = s.chunks.n;
		support_stack_push(&s, OWNER_THREAD);
		assert_int_equal(s.chunks.n, n + 1);
		support_stack_expect_planned(&s);
		support_stack_pop(&s);
		assert_int_equal(s.chunks.n, n);
		support_stack_expect_planned(&s);
	}
	/* a frame too large for an ordinary chunk */
	s.chunk_size = 1 << 20;
	s.frame_bytes = 40000;
	support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_planned(&s);
	s.frame_bytes = 120;
	for (int i = 0; i < 100; i++)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_planned(&s);
	uint64_t before = s.m.bytes_read;
	support_stack_expect_at_once(&s);
	assert_true(s.m.bytes_read - before < (1 << 18)); /* used parts, not whole chunks */
}
static void test_several_chunks(void **state)
{
	in_all(several_chunks);
}

/* As deep as chunks go: recursion is bounded by frames, not by the memory that they take. */
static void deep(void)
{
	support_stack_call(&s);
	while (s.frames.n < 20000)
		support_stack_push(&s, OWNER_THREAD);
	assert_true(s.chunks.n > 100);
	support_stack_expect_whole(&s);
	support_stack_expect_whole(&s);
}
static void test_deep(void **state)
{
	in_all(deep);
}

static void cut(void)
{
	s.chunk_size = 1 << 20;
	support_stack_call(&s);
	while (s.frames.n < WALK_FRAMES_MAX)
		support_stack_push(&s, OWNER_THREAD);
	if (s.l->frame.is_entry) /* exactly as many as there may be */
		support_stack_expect_planned(&s);
	while (s.frames.n < WALK_FRAMES_MAX + 10)
		support_stack_push(&s, OWNER_THREAD);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), 0);
		assert_true(s.w.is_cut);
		assert_int_equal(s.w.frames.n, WALK_FRAMES_MAX);
		for (size_t k = 0; k < s.w.frames.n; k++)
			assert_true(s.w.frames.v[k].code == s.frames.v[s.frames.n - 1 - k].want.code);
	}
	while (s.frames.n > 100)
		support_stack_pop(&s);
	support_stack_expect_whole(&s);
}
static void test_cut(void **state)
{
	in_all(cut);
}

/* Random programs. */
static void programs(void)
{
	for (unsigned step = 0; step < 3000; step++) {
		unsigned what = support_stack_draw(&s, 100),
		         depth = step / 300 % 2 ? 30 : 55; /* phases of growing and shrinking */
		if (s.frames.n == 0 || what < 8) {
			support_stack_call(&s);
			support_stack_push(&s, support_stack_draw(&s, 4) ? OWNER_THREAD : OWNER_GENERATOR);
			if (s.frames.v[0].want.owner == OWNER_GENERATOR) { /* a thread does not begin with one */
				while (s.frames.n)
					support_stack_pop(&s);
				support_stack_call_and_push(&s, 1);
			}
		} else if (what < depth) {
			for (unsigned n = 1 + support_stack_draw(&s, support_stack_draw(&s, 10) ? 3 : 200); n > 0; n--)
				support_stack_push(&s, OWNER_THREAD);
		} else if (what < depth + 8) {
			support_stack_push(&s, OWNER_GENERATOR);
		} else {
			for (unsigned n = 1 + support_stack_draw(&s, support_stack_draw(&s, 10) ? 4 : 300);
			     n > 0 && s.frames.n; n--)
				support_stack_pop(&s);
		}
		support_stack_expect_whole(&s);
	}
}
static void test_programs(void **state)
{
	in_all(programs);
}

/* --- what cannot be read */

static void failed_pieces(void)
{
	size_t first;
	support_stack_call(&s);
	while (s.chunks.n < 4)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_planned(&s);
	/* the pieces in their order: older chunks, spans of what is outside, the thread state, the top chunk */
	size_t n_older = 3, n_spans = s.t.n_spans, n_extras = s.t.n_extras;
	assert_int_equal(s.t.n_older, n_older);
	assert_int_equal(n_spans, 2); /* the generators, and what lies on the C stack */
	assert_true(n_extras > 2);
	for (size_t piece = 0; piece < n_older + n_spans + 2; piece++) {
		support_stack_expect_planned(&s);
		assert_int_equal(s.t.n_extras, n_extras);
		walk_begin_pass(&s.w);
		reader_batch_clear(&s.batch);
		assert_true(reader_batch_add(&s.batch, SUPPORT_STACK_TSTATE, &first, 8)); /* another's piece in front */
		assert_true(walk_plan(&s.w, &s.t, &s.batch, &first));
		assert_int_equal(first, 1);
		assert_int_equal(s.batch.n, 1 + n_older + n_spans + 2);
		raddr_t at = (raddr_t)(uintptr_t)s.batch.remote[1 + piece].iov_base;
		raddr_t end = at + s.batch.remote[1 + piece].iov_len;
		if (piece < n_older)
			assert_true(at == s.chunks.v[piece]);
		assert_int_equal(at == SUPPORT_STACK_TSTATE, piece == n_older + n_spans);
		assert_int_equal(at == s.chunk, piece == n_older + n_spans + 1);
		size_t inside = 0;
		for (size_t i = 0; i < n_extras; i++)
			inside += s.t.extras[i].at >= at && s.t.extras[i].at < end;
		assert_int_equal(inside > 0, piece >= n_older && piece < n_older + n_spans);
		assert_int_equal(walk_failed_piece(&s.w, &s.t, piece), at == SUPPORT_STACK_TSTATE ? ERR_GONE : 0);
		for (size_t i = 0; i < s.t.n_extras; i++)
			assert_true(s.t.extras[i].at < at || s.t.extras[i].at >= end);
		assert_int_equal(s.t.n_extras, n_extras - inside);
	}
	/* memory that is really gone */
	support_stack_expect_planned(&s);
	support_memory_unmap(&s.m, SUPPORT_STACK_OBJECTS);
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN);
	assert_int_equal(s.w.frames.n, 1); /* what was seen */
	support_memory_map(&s.m, SUPPORT_STACK_OBJECTS, SUPPORT_STACK_OBJECTS_BYTES);
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN); /* all zero now */
	support_memory_unmap(&s.m, s.chunks.v[1]);
	int rc = walk_alone(&s.w, &s.t, &s.batch);
	assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ);
	support_memory_unmap(&s.m, s.chunk);
	rc = walk_alone(&s.w, &s.t, &s.batch);
	assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ);
	support_memory_unmap(&s.m, SUPPORT_STACK_TSTATE);
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_GONE);
	s.m.error = ESRCH;
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_GONE);
	s.m.error = EPERM;
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_PERMISSION);
}
static void test_failed_pieces(void **state)
{
	in_all(failed_pieces);
}

/* Chunks that are given back may be another thread's, or nobody's, by the next tick. */
static void chunks_go(void)
{
	support_stack_call(&s);
	while (s.chunks.n < 5)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_planned(&s);
	while (s.chunks.n > 1)
		support_stack_pop(&s);
	support_stack_expect_planned(&s);
	while (s.chunks.n < 3)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_expect_whole(&s);
}

/* What is known of the others stays known: nothing of them is read twice. */
static void others_stay(void)
{
	support_stack_call(&s);
	while (s.chunks.n < 20)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_planned(&s);
	for (int i = 0; i < 5; i++) {
		uint64_t repairs = s.w.repairs, bytes = s.m.bytes_read;
		for (size_t n = s.chunks.n; s.chunks.n == n;)
			support_stack_push(&s, OWNER_THREAD);
		support_stack_expect_whole(&s);
		assert_true(s.w.repairs - repairs <= 2); /* the new one; what the one before it grew by */
		assert_true(s.m.bytes_read - bytes < s.chunks.n * SUPPORT_STACK_CHUNK);
		support_stack_expect_at_once(&s);
		repairs = s.w.repairs;
		support_stack_pop(&s); /* the new one is gone: a read fails, a second one does not plan it */
		support_stack_expect_whole(&s);
		assert_int_equal(s.w.repairs, repairs);
		support_stack_expect_at_once(&s);
		repairs = s.w.repairs;
		while (s.chunks.n > 17 - (unsigned)i)
			support_stack_pop(&s);
		support_stack_expect_whole(&s);
		assert_int_equal(s.w.repairs, repairs);
		while (s.chunks.n < 20)
			support_stack_push(&s, OWNER_THREAD);
		support_stack_expect_planned(&s);
	}
	/* the top one cannot be read for a while; nor its header, nor one in the middle */
	raddr_t gone[] = {s.chunk, s.chunks.v[7], s.chunks.v[0]};
	for (size_t i = 0; i < N_OF(gone); i++) {
		unsigned char was[SUPPORT_STACK_CHUNK];
		memcpy(was, support_memory_at(&s.m, gone[i], sizeof was), sizeof was);
		support_memory_unmap(&s.m, gone[i]);
		for (int k = 0; k < 3; k++) {
			int rc = walk_alone(&s.w, &s.t, &s.batch);
			assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ);
		}
		support_memory_map(&s.m, gone[i], sizeof was);
		memcpy(support_memory_at(&s.m, gone[i], sizeof was), was, sizeof was);
		support_stack_expect_planned(&s);
	}
}
static void test_others_stay(void **state)
{
	in_all(others_stay);
}

static void test_chunks_go(void **state)
{
	in_all(chunks_go);
}

/* A plan that does not fit adds nothing. */
static void full_batch(void)
{
	static unsigned char to[8];
	size_t first;
	support_stack_call(&s);
	while (s.chunks.n < 3)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_planned(&s);
	size_t need = s.t.n_older + s.t.n_spans + 2;
	for (size_t left = 0; left < need + 3; left++) {
		reader_batch_clear(&s.batch);
		for (size_t i = 0; i < WALK_PLAN_MAX - left; i++)
			reader_batch_add(&s.batch, SUPPORT_STACK_TSTATE, to, 8);
		walk_begin_pass(&s.w);
		assert_int_equal(walk_plan(&s.w, &s.t, &s.batch, &first), left >= need);
		assert_int_equal(s.batch.n, WALK_PLAN_MAX - left + (left >= need ? need : 0));
		if (left >= need)
			assert_int_equal(first, WALK_PLAN_MAX - left);
	}
	support_stack_expect_whole(&s);
}
static void test_full_batch(void **state)
{
	in_all(full_batch);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),       cmocka_unit_test(test_growth),
	    cmocka_unit_test(test_generators),  cmocka_unit_test(test_at_the_end),
	    cmocka_unit_test(test_freed_state), cmocka_unit_test(test_several_chunks),
	    cmocka_unit_test(test_deep),        cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_programs),    cmocka_unit_test(test_failed_pieces),
	    cmocka_unit_test(test_chunks_go),   cmocka_unit_test(test_others_stay),
	    cmocka_unit_test(test_full_batch),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
