/* sample.bpf.c: stacks of frame objects (up to 3.10), well made and not. Needs rights; skipped without. */
#include "tests/unit/support_kernel_target.h"
#include "tests/unit/support_test.h"

enum { ROOT = 24, NATIVE_ID = 8, PREVIOUS = 16, CODE = 24, GLOBALS = 40, INSTR = 60, FIRST = 8, END = 64, STRIDE = 80 };

static struct kernel *k;
static struct kernel_target t;

static bool begin(void)
{
	if (!k)
		return false;
	kt_open(&t, k);
	t.rules.frames_are_objects = 1;
	t.rules.frames_max = KERNEL_OBJECTS;
	t.rules.frame_first = FIRST;
	t.rules.frame_size = END - FIRST;
	t.rules.frame_previous = PREVIOUS - FIRST;
	t.rules.frame_code = CODE - FIRST;
	t.rules.frame_globals = GLOBALS - FIRST;
	t.rules.frame_instr = INSTR - FIRST;
	t.rules.datastack_chunk = t.rules.datastack_top = 0;
	kt_tell(&t);
	kt_clock(&t);
	return true;
}

static void push(unsigned n)
{
	for (; n > 0; n--)
		kt_put_frame(&t, kt_at(&t, KT_CHUNKS) + t.n_frames * STRIDE, KT_THREAD);
}

static uint64_t frame(size_t from_innermost)
{
	return t.frames[t.n_frames - 1 - from_innermost];
}

static void expect_object(const struct kernel_object *o, uint64_t at)
{
	assert_int_equal(o->at, at);
	assert_int_equal(o->code, kt_get(&t, at + CODE));
	assert_int_equal(o->globals, kt_get(&t, at + GLOBALS));
	assert_int_equal(o->instr, kt_get(&t, at + INSTR - 4) >> 32);
	assert_int_equal(o->unused, 0);
}

/* All samples of some ms hold the thread state and these objects, innermost first; then `more` in a circle of them
 * from `again` on (counted from the innermost). */
static void expect(uint32_t cut, size_t n, size_t again, size_t more)
{
	size_t samples = 0;
	kt_run(&t, KT_SPIN, 30);
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kernel_sample *m = t.records.v[i].m;
		if (m->head.kind != KERNEL_SAMPLE)
			continue;
		assert_int_equal(m->cut, cut);
		const struct kernel_piece *p = (const void *)(m + 1);
		assert_int_equal(p->kind, KERNEL_PIECE_TSTATE);
		assert_int_equal(p->len, KT_TSTATE_SIZE);
		p = (const void *)((const char *)(p + 1) + KT_TSTATE_SIZE);
		assert_int_equal(p->kind, KERNEL_PIECE_OBJECTS);
		assert_int_equal(p->len, (n + more) * sizeof(struct kernel_object));
		const struct kernel_object *o = (const void *)(p + 1);
		for (size_t f = 0; f < n; f++)
			expect_object(&o[f], frame(f));
		for (size_t f = 0; f < more; f++)
			expect_object(&o[n + f], frame(again + f % (n - again)));
		assert_int_equal(m->n_bytes, (const char *)(o + n + more) - (const char *)(m + 1));
		samples += m->head.trigger == KERNEL_ON_CLOCK;
	}
	assert_true(samples >= 2);
}

static void test_whole(void **state)
{
	if (!begin())
		skip();
	expect(0, 0, 0, 0);
	push(1);
	expect(0, 1, 0, 0);
	push(9);
	expect(0, 10, 0, 0);
	push(KERNEL_ROW - 11); /* as many as one program follows, and one more and less */
	for (int i = 0; i < 3; i++, push(1))
		expect(0, t.n_frames, 0, 0);
	push(1000);
	expect(0, t.n_frames, 0, 0);
	push(KERNEL_OBJECTS - (unsigned)t.n_frames);
	expect(0, KERNEL_OBJECTS, 0, 0);
	kt_close(&t);
}

static void test_too_deep(void **state)
{
	if (!begin())
		skip();
	push(KERNEL_OBJECTS + 1);
	expect(KERNEL_CUT_FULL, KERNEL_OBJECTS, 0, 0);
	push(100);
	expect(KERNEL_CUT_FULL, KERNEL_OBJECTS, 0, 0);
	kt_close(&t);
}

static void test_circles(void **state)
{
	if (!begin())
		skip();
	push(30);
	kt_put(&t, frame(0) + PREVIOUS, frame(0));
	expect(KERNEL_CUT_FULL, 1, 0, KERNEL_OBJECTS - 1);
	kt_put(&t, frame(0) + PREVIOUS, frame(1));
	kt_put(&t, frame(20) + PREVIOUS, frame(3));
	expect(KERNEL_CUT_FULL, 21, 3, KERNEL_OBJECTS - 21);
	kt_close(&t);
}

static void test_not_there(void **state)
{
	static const uint64_t nowhere[] = {
	    1, 8, 0x7000, UINT64_C(0xffff888000100000), UINT64_C(0x8000000000000000), UINT64_MAX, UINT64_MAX - 15};
	if (!begin())
		skip();
	push(30);
	for (size_t i = 0; i < N_OF(nowhere); i++) {
		kt_put(&t, frame(9) + PREVIOUS, nowhere[i]);
		expect(KERNEL_CUT_ABSENT, 10, 0, 0);
		kt_put(&t, kt_at(&t, KT_TSTATE) + ROOT, nowhere[i]);
		expect(KERNEL_CUT_ABSENT, 0, 0, 0);
		kt_put(&t, kt_at(&t, KT_TSTATE) + ROOT, frame(0));
	}
	kt_put(&t, frame(9) + PREVIOUS, frame(10));
	expect(0, 30, 0, 0);
	/* sizes and offsets that no layout has */
	t.rules.frame_size = UINT32_MAX;
	t.rules.frame_code = t.rules.frame_globals = t.rules.frame_instr = UINT32_MAX;
	kt_tell(&t);
	kt_run(&t, KT_SPIN, 30);
	assert_true(kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_CLOCK) >= 2);
	kt_close(&t);
}

/* The thread state has the pthread_t: the tid lies behind where it points to, or it must do by itself. */
static void test_pthread(void **state)
{
	enum { DESCRIPTOR = KT_FRAMES, TID = 720 };
	if (!begin())
		skip();
	push(3);
	uint64_t pthread = kt_at(&t, DESCRIPTOR);
	kt_put(&t, kt_at(&t, KT_TSTATE) + NATIVE_ID, pthread);
	t.rules.pthread_tid = TID;
	kt_put_u32(&t, pthread + TID, (uint32_t)t.pid);
	kt_tell(&t);
	expect(0, 3, 0, 0);
	kt_put_u32(&t, pthread + TID, (uint32_t)t.pid + 1); /* another thread's */
	kt_run(&t, KT_SPIN, 20);
	assert_int_equal(kt_count(&t, KERNEL_SAMPLE, 0), 0);
	kt_put(&t, kt_at(&t, KT_TSTATE) + NATIVE_ID, 0x7000); /* nothing is there */
	kt_tell(&t);
	kt_run(&t, KT_SPIN, 20);
	assert_int_equal(kt_count(&t, KERNEL_SAMPLE, 0), 0);
	t.rules.pthread_tid = 0;
	t.binding.ns_tid = pthread;
	kt_put(&t, kt_at(&t, KT_TSTATE) + NATIVE_ID, pthread);
	kt_tell(&t);
	expect(0, 3, 0, 0);
	kt_close(&t);
}

static int set_up(void **state)
{
	k = kt_engine_complete(1000);
	return 0;
}

static int set_up_without_loop(void **state)
{
	k = kt_engine_without_loop(1000);
	return 0;
}

static int tear_down(void **state)
{
	kernel_close(k);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole),     cmocka_unit_test(test_too_deep), cmocka_unit_test(test_circles),
	    cmocka_unit_test(test_not_there), cmocka_unit_test(test_pthread),
	};
	int rc = cmocka_run_group_tests(tests, set_up, tear_down);
	return rc ? rc : cmocka_run_group_tests(tests, set_up_without_loop, tear_down);
}
