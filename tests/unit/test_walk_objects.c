/* walk: up to 3.10 frames are objects, each where its own memory is: read from outside and out of copies, whole, cut,
 * torn. */
#include "libcommon/err.h"
#include "tests/unit/support_copy.h"
#include "tests/unit/support_test.h"

static struct support_stack s;
static struct support_copy c;

static void in_all(void (*test)(void))
{
	for (size_t i = 0; i < N_OF(support_stack_old_versions); i++) {
		support_stack_begin(&s, support_stack_old_versions[i]);
		assert_true(support_stack_is_old(&s));
		test();
		support_stack_end(&s);
		support_copy_forget(&c);
	}
}

static int walk_copy_of_it(void)
{
	support_copy_make(&c, &s);
	uint64_t calls = s.m.reader.calls;
	int rc = walk_copied(&s.w, &c.copy);
	assert_true(s.m.reader.calls == calls);
	return rc;
}

/* In a copy and from outside. */
static void expect_whole(void)
{
	assert_int_equal(walk_copy_of_it(), 0);
	support_stack_compare(&s, &s.w, SIZE_MAX);
	assert_false(s.w.is_cut);
	support_stack_expect_whole(&s);
}

static void expect_torn(void)
{
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN);
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN); /* with it all planned */
	assert_int_equal(walk_copy_of_it(), ERR_TORN);
}

static void push(unsigned n)
{
	while (n-- > 0)
		support_stack_push(&s, OWNER_THREAD);
}

/* --- stacks that are all there */

static void whole(void)
{
	expect_whole(); /* a thread that has not begun */
	for (unsigned n = 1; n < 40; n++) {
		push(1);
		expect_whole();
	}
	support_stack_expect_planned(&s);
	push(960);
	expect_whole();
	support_stack_expect_planned(&s); /* near to each other: one call */
	while (s.frames.n) {
		support_stack_pop(&s);
		if (s.frames.n % 100 < 2)
			expect_whole();
	}
}
static void test_whole(void **state)
{
	in_all(whole);
}

static void programs(void)
{
	for (unsigned step = 0; step < 800; step++) {
		unsigned n = 1 + support_stack_draw(&s, support_stack_draw(&s, 10) ? 4 : 200);
		if (support_stack_draw(&s, 100) < (step / 100 % 2 ? 40 : 55))
			push(s.frames.n < 2500 ? n : 1);
		else
			for (; n > 0 && s.frames.n; n--)
				support_stack_pop(&s);
		uint64_t repairs = s.w.repairs;
		expect_whole();
		expect_whole();
		assert_true(s.w.repairs - repairs <= 2500); /* of what came since */
	}
}
static void test_programs(void **state)
{
	in_all(programs);
}

/* The recursion of a program that has raised its limit: it converges to a few calls. */
static void deep(void)
{
	enum { DEPTH = 10000 };
	s.locals = 4;
	push(DEPTH);
	unsigned tries = 0;
	do {
		uint64_t calls = s.m.reader.calls;
		assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), 0);
		assert_true(s.m.reader.calls - calls <= WALK_REPAIRS_MAX + 10);
		support_stack_compare(&s, &s.w, s.w.frames.n);
		assert_true(++tries <= DEPTH / WALK_REPAIRS_MAX + 1);
	} while (s.w.is_cut);
	support_stack_expect_at_once(&s);
	support_stack_expect_at_once(&s);
	/* more than are remembered */
	push(WALK_EXTRAS_MAX + 1000 - DEPTH);
	for (unsigned i = 0; i < WALK_EXTRA_KEPT + 30; i++) /* the outermost are forgotten, and the next ones found */
		assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), 0);
	uint64_t calls = s.m.reader.calls;
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), 0);
	assert_true(s.w.is_cut && s.w.frames.n >= WALK_EXTRAS_MAX);
	support_stack_compare(&s, &s.w, s.w.frames.n);
	assert_true(s.m.reader.calls - calls <= WALK_REPAIRS_FULL + 10);
}
static void test_deep(void **state)
{
	in_all(deep);
}

/* Each on a page of its own, and more of them than a batch has pieces for. */
static void far_apart(void)
{
	enum { N = 3 * WALK_SPANS_MAX };
	s.locals = 1;
	for (unsigned i = 0; i < N; i++) {
		s.object_next = SUPPORT_STACK_OBJECTS + ((raddr_t)(i * 7 % N) << 13);
		push(1);
	}
	support_stack_expect_whole(&s);
	support_stack_expect_whole(&s); /* now it is known who follows whom */
	uint64_t calls = s.m.reader.calls;
	support_stack_expect_whole(&s);
	assert_true(s.m.reader.calls - calls < 16);
}
static void test_far_apart(void **state)
{
	in_all(far_apart);
}

/* --- what makes no sense */

static void circles(void)
{
	push(300);
	support_stack_expect_planned(&s);
	for (unsigned round = 0; round < 100; round++) {
		size_t from = support_stack_draw(&s, 300), to = from + support_stack_draw(&s, (uint32_t)(300 - from));
		raddr_t was = from ? s.frames.v[from - 1].at : 0;
		support_stack_link(&s, from, s.frames.v[to].at);
		expect_torn();
		support_stack_link(&s, from, was);
		support_stack_expect_whole(&s);
	}
}
static void test_circles(void **state)
{
	in_all(circles);
}

static void nowhere(void)
{
	static const raddr_t at[] = {1,          8,          4088,           0x20001,        0x30000,
	                             1ull << 47, UINT64_MAX, UINT64_MAX - 7, UINT64_MAX - 63};
	push(5);
	for (size_t i = 0; i < N_OF(at); i++) {
		support_stack_link(&s, 2, at[i]);
		assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN);
		assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN);
		assert_int_equal(walk_copy_of_it(), 0);
		assert_true(s.w.is_cut && s.w.frames.n == 3);
		support_stack_set_innermost(&s, at[i]);
		expect_torn();
		support_stack_set_innermost(&s, support_stack_innermost(&s));
	}
	support_stack_link(&s, 2, s.frames.v[1].at);
	expect_whole();
}
static void test_nowhere(void **state)
{
	in_all(nowhere);
}

/* A frame that ends where its mapping does. */
static void at_the_end(void)
{
	const raddr_t page = UINT64_C(0x60000000);
	push(2);
	support_memory_map(&s.m, page, 4096);
	s.object_next = page + 4096 - (s.l->frame.first + walk_frame_bytes(s.l) + 7) / 8 * 8;
	raddr_t at = s.object_next;
	support_stack_put(&s, at, OWNER_THREAD, support_stack_innermost(&s));
	support_stack_set_innermost(&s, at);
	expect_whole();
	expect_whole();
	support_memory_unmap(&s.m, page);
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN);
}
static void test_at_the_end(void **state)
{
	in_all(at_the_end);
}

/* --- copies that hold less */

static void cut(void)
{
	push(50);
	for (size_t kept = 0; kept < 50; kept++) {
		support_copy_make(&c, &s);
		c.copy.n_objects = kept;
		c.copy.is_cut = true;
		int rc = walk_copied(&s.w, &c.copy);
		assert_int_equal(rc, kept ? 0 : ERR_TORN); /* not even the innermost one */
		if (kept)
			support_stack_compare(&s, &s.w, kept);
		assert_true(!kept || s.w.is_cut);
	}
	/* none of them is the innermost one; one has no address */
	support_copy_make(&c, &s);
	c.objects[0].at += 8;
	assert_int_equal(walk_copied(&s.w, &c.copy), ERR_TORN);
	support_copy_make(&c, &s);
	c.objects[20].at++;
	assert_int_equal(walk_copied(&s.w, &c.copy), ERR_TORN);
	support_copy_make(&c, &s);
	c.copy.tstate_len = s.l->tstate.frame_root + 7;
	assert_int_equal(walk_copied(&s.w, &c.copy), ERR_TORN);
}
static void test_cut(void **state)
{
	in_all(cut);
}

/* Any word of any frame holds anything. */
static void anything(void)
{
	push(30);
	support_stack_expect_planned(&s);
	for (unsigned round = 0; round < 3000; round++) {
		raddr_t frame = s.frames.v[support_stack_draw(&s, 30)].at + s.l->frame.first;
		raddr_t at = frame + support_stack_draw(&s, (uint32_t)walk_frame_bytes(s.l) / 8) * 8;
		uint64_t was = support_copy_word(&s, at), now = (uint64_t)support_stack_draw(&s, 1u << 31) << 16;
		switch (support_stack_draw(&s, 4)) {
		case 0:
			now = s.frames.v[support_stack_draw(&s, 30)].at + support_stack_draw(&s, 9);
			break;
		case 1:
			now = SUPPORT_STACK_OBJECTS + support_stack_draw(&s, SUPPORT_STACK_OBJECTS_BYTES) / 8 * 8;
			break;
		case 2:
			now = 0;
			break;
		}
		support_memory_u64(&s.m, at, now);
		int rc = walk_alone(&s.w, &s.t, &s.batch);
		assert_true(rc == 0 || rc == ERR_TORN);
		assert_true(s.w.frames.n <= 1000);
		rc = walk_copy_of_it();
		assert_true(rc == 0 || rc == ERR_TORN);
		support_memory_u64(&s.m, at, was);
	}
	expect_whole();
}
static void test_anything(void **state)
{
	in_all(anything);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole),      cmocka_unit_test(test_programs), cmocka_unit_test(test_deep),
	    cmocka_unit_test(test_far_apart),  cmocka_unit_test(test_circles),  cmocka_unit_test(test_nowhere),
	    cmocka_unit_test(test_at_the_end), cmocka_unit_test(test_cut),      cmocka_unit_test(test_anything),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
