/* walk: what makes no sense is torn, and whatever the memory says, each walk ends within our own. */
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

/* --- what is torn */

static void expect_torn(void)
{
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN);
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN); /* with it all planned */
}

static void circles(void)
{
	support_stack_call(&s);
	while (s.chunks.n < 3)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_push(&s, OWNER_THREAD);
	support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_planned(&s);
	size_t n = s.frames.n;
	for (unsigned round = 0; round < 200; round++) { /* any frame calls itself, or is called by one further in */
		size_t from = 1 + support_stack_draw(&s, (uint32_t)n - 1),
		       to = from + support_stack_draw(&s, (uint32_t)(n - from));
		raddr_t was = s.frames.v[from - 1].at;
		support_stack_link(&s, from, s.frames.v[to].at);
		assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN);
		support_stack_link(&s, from, was);
		support_stack_expect_whole(&s);
	}
	/* older chunks in a circle */
	uint64_t calls = s.m.reader.calls;
	support_memory_u64(&s.m, s.chunks.v[0], s.chunks.v[2]);
	expect_torn();
	support_memory_u64(&s.m, s.chunks.v[0], s.chunks.v[0]);
	expect_torn();
	assert_true(s.m.reader.calls - calls < 20);
	support_memory_u64(&s.m, s.chunks.v[0], 0);
	support_stack_expect_planned(&s);
}
static void test_circles(void **state)
{
	in_all(circles);
}

/* A chain that ends at a generator, or (3.12, 3.13) at a frame without a shim above it. */
static void wrong_ends(void)
{
	support_stack_call_and_push(&s, 3);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_push(&s, OWNER_THREAD);
	size_t generator = s.frames.n - 2;
	support_stack_expect_planned(&s);
	support_stack_link(&s, generator, 0); /* it is not running any more */
	expect_torn();
	assert_int_equal(s.w.frames.n, 1);
	support_stack_link(&s, generator, s.frames.v[generator - 1].at);
	support_stack_expect_planned(&s);
	if (!s.l->frame.is_entry) {
		support_stack_link(&s, generator - 1, 0);
		expect_torn();
		support_stack_link(&s, generator - 1, s.frames.v[generator - 2].at);
	}
	/* a generator that C code runs, and it does not run any more */
	support_stack_call(&s);
	support_stack_push(&s, OWNER_GENERATOR);
	size_t called = s.frames.n - 1;
	support_stack_call_and_push(&s, 1);
	support_stack_expect_planned(&s);
	support_stack_link(&s, called, 0);
	expect_torn();
	support_stack_link(&s, called, s.frames.v[called - 1].at);
	support_stack_pop(&s);
	support_stack_pop(&s);
	support_stack_expect_whole(&s);
	/* owners that there are not */
	static const uint8_t owners[] = {4, 5, 127, 255};
	for (size_t i = 0; i < N_OF(owners); i++) {
		if (owners[i] == s.l->frame.owner_cstack)
			continue; /* 3.11 has no such frames: 255 means none */
		support_memory_u8(&s.m, s.frames.v[generator - 1].at + s.l->frame.owner, owners[i]);
		expect_torn();
		support_memory_u8(&s.m, s.frames.v[generator - 1].at + s.l->frame.owner, OWNER_THREAD);
	}
	/* addresses that are none, or nothing is there; a frame of the thread that lies outside of its chunks */
	static const raddr_t nowhere[] = {1,          8,          4088,           0x20001,        0x30000,
	                                  1ull << 47, UINT64_MAX, UINT64_MAX - 7, UINT64_MAX - 63};
	for (size_t i = 0; i < N_OF(nowhere); i++) {
		support_stack_link(&s, generator - 1, nowhere[i]);
		expect_torn();
	}
	raddr_t outside = SUPPORT_STACK_OBJECTS + SUPPORT_STACK_OBJECTS_BYTES / 2;
	memcpy(support_memory_at(&s.m, outside, 80), support_memory_at(&s.m, s.frames.v[generator - 2].at, 80), 80);
	support_stack_link(&s, generator - 1, outside);
	expect_torn();
	support_stack_link(&s, generator - 1, s.frames.v[generator - 2].at);
	support_stack_expect_planned(&s);
}
static void test_wrong_ends(void **state)
{
	in_all(wrong_ends);
}

/* More than what one walk looks at, or reads in addition. */
static void too_many(void)
{
	support_stack_call_and_push(&s, 2);
	for (int i = 0; i < WALK_REPAIRS_MAX + 500; i++)
		support_stack_push(&s, OWNER_GENERATOR);
	uint64_t calls = s.m.reader.calls;
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), 0);
	assert_true(s.w.is_cut && s.w.frames.n >= WALK_REPAIRS_MAX - 10);
	support_stack_compare(&s, &s.w, s.w.frames.n);
	assert_true(s.m.reader.calls - calls <= WALK_REPAIRS_MAX + 10);
	support_stack_expect_whole(&s); /* some are remembered */
	while (s.frames.v[s.frames.n - 1].want.owner == OWNER_GENERATOR)
		support_stack_pop(&s);
	s.frame_bytes = 10000;
	while (s.chunks.n < WALK_CHUNKS_MAX + 1)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_whole(&s);
	support_stack_push(&s, OWNER_THREAD);
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN);
}
static void test_too_many(void **state)
{
	in_all(too_many);
}

/* 3.11 and 3.12: the new cframe hangs in the thread state, and shows what an earlier call left in its place. */
static void stale_cframe(void)
{
	if (!support_stack_has_cframe(&s))
		return;
	support_stack_call_and_push(&s, 2);
	support_stack_push(&s, OWNER_THREAD);
	support_stack_call_and_push(&s, 1); /* the earlier call ... */
	raddr_t left = support_stack_innermost(&s);
	support_stack_expect_planned(&s);
	support_stack_pop(&s);
	assert_int_equal(s.w.frames.n, 4);
	support_stack_push(
	    &s,
	    OWNER_THREAD); /* ... returned; its place on the data stack is another frame's by now, in another place too
	                    */
	support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_planned(&s);
	raddr_t before = s.cframe, c_was = s.c_next, caller;
	memcpy(&caller, support_memory_at(&s.m, left + s.l->frame.previous, 8), 8);
	raddr_t new = support_stack_on_c(&s, s.l->cframe.size);
	support_memory_u64(&s.m, new + s.l->cframe.previous, before);
	support_memory_u64(&s.m, new + s.l->cframe.current_frame, left);
	support_memory_u64(&s.m, SUPPORT_STACK_TSTATE + s.l->tstate.frame_root, new);
	if (s.l->frame.is_entry) { /* what is there says that it began a call, whose caller is not the innermost one */
		support_memory_u8(&s.m, left + s.l->frame.is_entry, 1);
		expect_torn();
		support_memory_u8(&s.m, left + s.l->frame.is_entry, 0);
	} else {
		raddr_t shim = support_stack_on_c(&s, s.l->frame.size);
		memcpy(support_memory_at(&s.m, shim, 80), support_memory_at(&s.m, s.frames.v[0].at, 80), 80);
		support_memory_u64(&s.m, shim + s.l->frame.previous, s.frames.v[1].at);
		support_memory_u64(&s.m, left + s.l->frame.previous, shim);
		expect_torn();
	}
	support_memory_u64(&s.m, new + s.l->cframe.previous,
	                   12); /* a small number is none only where no frame is, either */
	expect_torn();
	support_memory_u64(&s.m, new + s.l->cframe.previous, before);
	/* nothing at all was left there */
	support_memory_u64(&s.m, new + s.l->cframe.current_frame, 0);
	expect_torn();
	/* a cframe before it that cannot be */
	support_memory_u64(&s.m, new + s.l->cframe.previous, 0x1004);
	expect_torn();
	support_memory_u64(&s.m, new + s.l->cframe.previous, 0x44440000);
	expect_torn();
	support_memory_u64(&s.m, SUPPORT_STACK_TSTATE + s.l->tstate.frame_root, 0x44440000);
	expect_torn();
	support_memory_u64(&s.m, SUPPORT_STACK_TSTATE + s.l->tstate.frame_root, before);
	s.c_next = c_was;
	support_memory_u64(&s.m, left + s.l->frame.previous, caller);
	support_stack_expect_planned(&s);
}
static void test_stale_cframe(void **state)
{
	in_all(stale_cframe);
}

/* The words that chunks are found by. */
static void wild_chunks(void)
{
	static const uint64_t wild[] = {
	    1,          8,          24,         1 << 20,         64 << 20,       (64 << 20) + 8,
	    1ull << 40, 1ull << 47, 1ull << 63, UINT64_MAX - 30, UINT64_MAX - 7, UINT64_MAX};
	support_stack_call(&s);
	while (s.chunks.n < 2)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_planned(&s);
	for (size_t i = 0; i < N_OF(wild); i++) {
		int rc;
		for (int planned = 0; planned < 2; planned++) {
			support_memory_u64(&s.m, SUPPORT_STACK_TSTATE + s.l->tstate.datastack_chunk, wild[i]);
			rc = walk_alone(&s.w, &s.t, &s.batch);
			assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ);
		}
		support_stack_set_top(&s);
		support_stack_expect_whole(&s);
		support_memory_u64(&s.m, SUPPORT_STACK_TSTATE + s.l->tstate.datastack_top, wild[i]);
		for (int planned = 0; planned < 2; planned++) {
			rc = walk_alone(&s.w, &s.t, &s.batch);
			assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ);
		}
		support_stack_set_top(&s);
		support_stack_expect_whole(&s);
		support_memory_u64(&s.m, s.chunk, wild[i]); /* the chunk below */
		for (int planned = 0; planned < 2; planned++) {
			rc = walk_alone(&s.w, &s.t, &s.batch);
			assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ);
		}
		support_memory_u64(&s.m, s.chunk, s.chunks.v[0]);
		support_memory_u64(&s.m, s.chunk + 8, wild[i]); /* its size says nothing about what is used */
		support_stack_expect_whole(&s);
		support_stack_expect_whole(&s);
		support_memory_u64(&s.m, s.chunk + 8, s.chunk_size);
		uint64_t was = *(uint64_t *)support_memory_at(&s.m, s.chunks.v[0] + 16, 8);
		support_memory_u64(&s.m, s.chunks.v[0] + 16, wild[i]); /* top of the chunk below */
		for (int planned = 0; planned < 2; planned++) {
			rc = walk_alone(&s.w, &s.t, &s.batch);
			assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ || (rc == 0 && wild[i] < 2048));
		}
		support_memory_u64(&s.m, s.chunks.v[0] + 16, was);
		support_stack_expect_whole(&s);
	}
}
static void test_wild_chunks(void **state)
{
	in_all(wild_chunks);
}

/* Any words of the target changed, or replaced by addresses that mean something: each walk ends, within our own memory,
 * and the thread is found again when they are as they were. */
static void any_memory(void)
{
	support_stack_call(&s);
	while (s.chunks.n < 2)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_call(&s);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_push(&s, OWNER_THREAD);
	support_stack_expect_planned(&s);
	for (unsigned round = 0; round < 4000; round++) {
		struct {
			raddr_t at;
			uint64_t was;
		} changed[4];
		size_t n = 1 + support_stack_draw(&s, N_OF(changed));
		for (size_t i = 0; i < n; i++) {
			size_t frame = support_stack_draw(&s, 3) ? s.frames.n - 1 - support_stack_draw(&s, 8)
			                                         : support_stack_draw(&s, (uint32_t)s.frames.n);
			raddr_t words[] = {SUPPORT_STACK_TSTATE +
			                       8 * (raddr_t)support_stack_draw(&s, s.l->tstate.size / 8),
			                   SUPPORT_STACK_TSTATE + s.l->tstate.datastack_chunk,
			                   SUPPORT_STACK_TSTATE + s.l->tstate.datastack_top,
			                   SUPPORT_STACK_TSTATE + s.l->tstate.frame_root,
			                   s.frames.v[frame].at + 8 * support_stack_draw(&s, 9),
			                   s.frames.v[frame].at + s.l->frame.previous,
			                   s.frames.v[frame].at + 64,
			                   s.chunks.v[support_stack_draw(&s, 2)] + 8 * support_stack_draw(&s, 3),
			                   s.cframe ? s.cframe + 8 * support_stack_draw(&s, 2) : SUPPORT_STACK_TSTATE};
			uint64_t values[] = {s.frames.v[support_stack_draw(&s, (uint32_t)s.frames.n)].at,
			                     s.chunks.v[support_stack_draw(&s, 2)],
			                     s.cframe,
			                     support_stack_draw(&s, 300),
			                     0,
			                     0 - (uint64_t)support_stack_draw(&s, 300),
			                     (uint64_t)support_stack_draw(&s, UINT32_MAX) << support_stack_draw(&s, 33),
			                     SUPPORT_STACK_C + SUPPORT_STACK_C_BYTES - 8 * support_stack_draw(&s, 40),
			                     s.top - 8 * support_stack_draw(&s, 100)};
			changed[i].at = words[support_stack_draw(&s, N_OF(words))];
			memcpy(&changed[i].was, support_memory_at(&s.m, changed[i].at, 8), 8);
			support_memory_u64(&s.m, changed[i].at, values[support_stack_draw(&s, N_OF(values))]);
		}
		uint64_t repairs = s.w.repairs;
		for (int pass = 0; pass < 2; pass++) {
			int rc = walk_alone(&s.w, &s.t, &s.batch);
			assert_true(rc == 0 || rc == ERR_TORN || rc == ERR_MEMORY_READ || rc == ERR_GONE);
			assert_true(s.w.frames.n <= WALK_FRAMES_MAX);
		}
		assert_true(s.w.repairs - repairs < 20000);
		for (size_t i = n; i-- > 0;)
			support_memory_u64(&s.m, changed[i].at, changed[i].was);
		if (round % 8 == 0)
			support_stack_expect_whole(&s);
	}
	support_stack_expect_planned(&s);
}
static void test_any_memory(void **state)
{
	in_all(any_memory);
}

/* Bytes that change between the bulk read and what is read in addition: the program goes on. */
static void pops_meanwhile(struct support_memory *memory, uint64_t call_number)
{
	uint64_t *from = memory->ctx;
	if (call_number == *from) {
		memory->before = NULL;
		support_stack_pop(&s);
		support_stack_pop(&s);
		support_stack_push(&s, OWNER_THREAD);
	}
}
static void moving(void)
{
	uint64_t from;
	support_stack_call_and_push(&s, 4);
	support_stack_expect_planned(&s);
	for (unsigned at = 1; at < 4; at++) {
		for (int i = 0; i < 30; i++)
			support_stack_push(&s, OWNER_THREAD);
		support_stack_push(&s, OWNER_GENERATOR);
		support_stack_push(&s, OWNER_THREAD);
		from = s.m.reader.calls + at;
		s.m.ctx = &from;
		s.m.before = pops_meanwhile;
		int rc = walk_alone(&s.w, &s.t, &s.batch);
		assert_true(rc == 0 || rc == ERR_TORN);
		s.m.before = NULL;
		support_stack_expect_whole(&s);
		while (s.frames.n > 5)
			support_stack_pop(&s);
	}
}
static void test_moving(void **state)
{
	in_all(moving);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_circles),      cmocka_unit_test(test_wrong_ends),  cmocka_unit_test(test_too_many),
	    cmocka_unit_test(test_stale_cframe), cmocka_unit_test(test_wild_chunks), cmocka_unit_test(test_any_memory),
	    cmocka_unit_test(test_moving),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
