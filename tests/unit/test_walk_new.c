/* walk: what 3.14 and later changed: tagged references to code, entry frames of two kinds, and in free-threaded builds
 * which copy of the code a frame runs. From outside and out of copies. */
#include "libcommon/err.h"
#include "tests/unit/support_copy.h"
#include "tests/unit/support_test.h"

enum { OWNER_3_14_CSTACK = 4 };
static const struct {
	uint32_t version;
	enum layout_build build;
} all[] = {{0x030e0af0, LAYOUT_RELEASE},
           {0x030f02f0, LAYOUT_RELEASE},
           {0x030d05f0, LAYOUT_FREETHREADED},
           {0x030e0af0, LAYOUT_FREETHREADED},
           {0x030f02f0, LAYOUT_FREETHREADED}};
static struct support_stack s;
static struct support_copy c;

static void in_all(void (*test)(void))
{
	for (size_t i = 0; i < N_OF(all); i++) {
		support_stack_begin(&s, all[i].version);
		s.l = layout_find(all[i].version, all[i].build);
		assert_non_null(s.l);
		s.w.layout = s.l;
		support_memory_unmap(&s.m, SUPPORT_STACK_TSTATE);
		support_memory_map(&s.m, SUPPORT_STACK_TSTATE, s.l->tstate.size);
		support_stack_call_and_push(&s, 5);
		support_stack_push(&s, OWNER_GENERATOR);
		support_stack_call_and_push(&s, 3);
		support_stack_push(&s, OWNER_GENERATOR);
		support_stack_push(&s, OWNER_THREAD);
		test();
		support_stack_end(&s);
		support_copy_forget(&c);
	}
}

static int walk_copy_of_it(void)
{
	support_copy_make(&c, &s);
	return walk_copied(&s.w, &c.copy);
}

static void expect_whole(void)
{
	assert_int_equal(walk_copy_of_it(), 0);
	support_stack_compare(&s, &s.w, SIZE_MAX);
	support_stack_expect_whole(&s);
}

static void expect_torn(void)
{
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN);
	assert_int_equal(walk_copy_of_it(), ERR_TORN);
}

/* The low bits say whether the frame holds a reference of its own. 3.13 has none. */
static void tags(void)
{
	unsigned most = layout_minor(s.l) == 0x30d ? 0 : 3;
	for (unsigned tag = 0; tag <= most; tag++) {
		for (size_t i = 0; i < s.frames.n; i++) {
			const struct support_stack_frame *f = &s.frames.v[i];
			if (!f->is_shim)
				support_memory_u64(&s.m, f->at + s.l->frame.code, f->want.code | (i % 2 ? tag : 0));
		}
		expect_whole();
	}
}
static void test_tags(void **state)
{
	in_all(tags);
}

static void set_shims(unsigned owner)
{
	for (size_t i = 0; i < s.frames.n; i++)
		if (s.frames.v[i].is_shim)
			support_memory_u8(&s.m, s.frames.v[i].at + s.l->frame.owner, (uint8_t)owner);
}

/* 3.14: 3 the interpreter, 4 the C stack. Else: 3 only. */
static void owners(void)
{
	bool has_two = layout_minor(s.l) == 0x30e;
	for (unsigned owner = 3; owner < 256; owner++) {
		set_shims(owner);
		if (owner == 3 || (owner == OWNER_3_14_CSTACK && has_two))
			expect_whole();
		else
			expect_torn();
	}
	/* one of them in the middle, among frames of both kinds */
	set_shims(3);
	if (has_two)
		support_memory_u8(&s.m, s.frames.v[0].at + s.l->frame.owner, OWNER_3_14_CSTACK);
	expect_whole();
	support_stack_pop(&s);
	expect_whole();
}
static void test_owners(void **state)
{
	in_all(owners);
}

/* The index of each frame; all that is read of a frame holds it. */
static void copies(void)
{
	bool has_copies = s.l->frame.tlbc_index != 0;
	assert_int_equal(has_copies, layout_is_freethreaded(s.l) && layout_minor(s.l) != 0x30d);
	assert_true(walk_frame_bytes(s.l) >= s.l->frame.tlbc_index + 4 && walk_frame_bytes(s.l) <= WALK_PIECE);
	for (size_t i = 0; has_copies && i < s.frames.n; i++)
		support_memory_u32(&s.m, s.frames.v[i].at + s.l->frame.tlbc_index, (uint32_t)(100 + i));
	for (int from_copy = 0; from_copy < 2; from_copy++) {
		assert_int_equal(from_copy ? walk_copy_of_it() : walk_alone(&s.w, &s.t, &s.batch), 0);
		size_t k = 0;
		for (size_t i = s.frames.n; i-- > 0;)
			if (!s.frames.v[i].is_shim)
				assert_int_equal(s.w.frames.v[k++].tlbc_index, has_copies ? 100 + i : 0);
		assert_int_equal(k, s.w.frames.n);
	}
}
static void test_copies(void **state)
{
	in_all(copies);
}

/* The chunk that was this thread's may be another one's by the time that it is read: its outermost chunk is another. */
static void other_root(void)
{
	raddr_t other = SUPPORT_STACK_CHUNKS + (UINT64_C(1) << 34);
	assert_int_equal(s.chunks.n, 1);
	for (int look = 0; look < WALK_ROOT_LOOKS; look++)
		support_stack_expect_whole(&s);
	support_memory_map(&s.m, other, 4096);
	support_memory_u64(&s.m, other + 8, 4096);
	support_memory_u64(&s.m, s.chunk, other);
	for (int pass = 0; pass < 15; pass++)
		assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN);
	support_memory_u64(&s.m, s.chunk, 0);
	support_stack_expect_whole(&s);
	/* the other one may have been met first: then it is not held on to ... */
	walk_thread_done(&s.t);
	s.t = (struct walk_thread){.tstate = SUPPORT_STACK_TSTATE};
	support_memory_u64(&s.m, s.chunk, other);
	support_stack_expect_whole(&s);
	assert_int_equal(s.t.root, other);
	assert_int_equal(s.t.root_looks, 1); /* nor trusted: sample/roots.c */
	support_memory_u64(&s.m, s.chunk, 0);
	support_stack_expect_whole(&s);
	assert_int_equal(s.t.root, s.chunk);
	assert_int_equal(s.t.root_looks, 1);
	assert_true(WALK_ROOT_LOOKS > 1);
	/* ... and not for ever when it was met several times */
	support_memory_u64(&s.m, s.chunk, other);
	for (int look = 0; look < WALK_ROOT_LOOKS; look++)
		support_stack_expect_whole(&s);
	support_memory_u64(&s.m, s.chunk, 0);
	for (int pass = 0; pass < 16; pass++)
		assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN);
	support_stack_expect_planned(&s);
}
static void test_other_root(void **state)
{
	in_all(other_root);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_tags),
	    cmocka_unit_test(test_owners),
	    cmocka_unit_test(test_copies),
	    cmocka_unit_test(test_other_root),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
