/* sample.bpf.c: frames one by one (3.11 and later), of which only those are sent that are not as they were. Needs
 * rights; skipped without. */
#include "tests/unit/support_kernel_target.h"
#include "tests/unit/support_test.h"

enum { CODE = 24, GLOBALS = 32, INSTR = 40, COPY = 48, OWNER = 70, ENTRY = 71, PREVIOUS = 16 };
#define ANY SIZE_MAX /* it may have been seen while its stack was built */
enum { CFRAME_FRAME = 16, CFRAME_PREVIOUS = 8, CFRAME_BEFORE = KT_CFRAMES + 0x40 };

static struct kernel *k;
static struct kernel_target t;

static bool begin(void)
{
	if (!k)
		return false;
	kt_open(&t, k);
	t.rules.frames_are_listed = 1;
	t.rules.frames_max = KERNEL_LISTED;
	t.rules.owner_cstack = KT_CSTACK;
	t.rules.frame_code = CODE;
	t.rules.frame_globals = GLOBALS;
	t.rules.frame_instr = INSTR;
	kt_tell(&t);
	kt_clock(&t);
	return true;
}

static struct kernel_frame frame_at(uint64_t at)
{
	if (t.memory[at - kt_at(&t, 0) + OWNER] == KT_CSTACK)
		return (struct kernel_frame){.at = at | KT_CSTACK};
	uint64_t copy = t.rules.frame_copy ? kt_get(&t, at + COPY) & UINT32_MAX : 0;
	uint64_t flag = t.rules.entry_is_flag ? t.memory[at - kt_at(&t, 0) + ENTRY] << (KERNEL_OWNER_BITS - 1) : 0;
	return (struct kernel_frame){.at = at | t.memory[at - kt_at(&t, 0) + OWNER] | flag,
	                             .code = kt_get(&t, at + CODE),
	                             .globals = kt_get(&t, at + GLOBALS),
	                             .instr = kt_get(&t, at + INSTR) | copy << KERNEL_INSTR_BITS};
}

/* All samples of some ms have the innermost `n` frames, and the chain goes on at `next`. How many came with the first
 * one that is no longer as before, and with the last one. */
static void expect_frames(enum kt_order order, size_t n, uint32_t cut, uint64_t next, size_t sent, size_t sent_later)
{
	size_t samples = 0;
	kt_run(&t, order, 30);
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kt_sample *s = &t.records.v[i];
		if (s->m->head.kind != KERNEL_SAMPLE)
			continue;
		assert_int_equal(s->m->cut, cut);
		assert_int_equal(s->m->next, next);
		assert_int_equal(s->n_frames, n);
		for (size_t f = 0; f < n; f++) {
			struct kernel_frame want = frame_at(t.frames[t.n_frames - n + f]);
			assert_memory_equal(&s->frames[f], &want, sizeof want);
		}
		samples++;
		if (s->n_sent != sent_later && s->n_sent != sent && sent != ANY)
			fail_msg("%zu frames of %zu came, not %zu or %zu", s->n_sent, n, sent, sent_later);
		if (samples > 2)
			assert_int_equal(s->n_sent, sent_later);
	}
	assert_true(samples > 2);
}

static void expect_whole(size_t sent)
{
	expect_frames(KT_SPIN, t.n_frames, 0, 0, sent, 0);
}

static void test_calls_and_returns(void **state)
{
	if (!begin())
		skip();
	expect_whole(0);
	kt_push(&t, 104, 10);
	expect_whole(10);
	kt_push(&t, 104, 3);
	expect_whole(3);
	kt_push_outside(&t, KT_GENERATOR);
	kt_push(&t, 104, 1);
	expect_whole(2);
	t.n_frames -= 3; /* they return */
	kt_set_root(&t, t.frames[t.n_frames - 1]);
	expect_whole(0);
	kt_push_outside(&t, KT_CSTACK);
	kt_push(&t, 104, 300); /* another chunk */
	kt_close(&t);
}

/* Any word of a frame: it and those further in are sent. */
static void test_any_word(void **state)
{
	static const size_t words[] = {CODE, GLOBALS, INSTR};
	if (!begin())
		skip();
	kt_push(&t, 104, 8);
	for (size_t i = 0; i < N_OF(words); i++) {
		uint64_t at = t.frames[3 + i];
		kt_run(&t, KT_SPIN, 10);
		kt_put(&t, at + words[i], kt_get(&t, at + words[i]) + 8);
		expect_whole(t.n_frames - 3 - i);
	}
	kt_run(&t, KT_SPIN, 10);
	t.memory[t.frames[2] - kt_at(&t, 0) + OWNER] = KT_CSTACK;
	expect_whole(t.n_frames - 2);
	kt_put(&t, t.frames[2] + INSTR, UINT64_MAX); /* not looked at */
	expect_whole(0);
	t.rules.frame_copy = COPY;
	for (size_t i = 0; i < t.n_frames; i++)
		kt_put_u32(&t, t.frames[i] + COPY, (uint32_t)i);
	kt_tell(&t);
	kt_run(&t, KT_SPIN, 10);
	kt_put_u32(&t, t.frames[7] + COPY, UINT16_MAX);
	expect_whole(1);
	kt_close(&t);
}

/* Frames at other places with the same words are others. */
static void test_same_words_elsewhere(void **state)
{
	if (!begin())
		skip();
	kt_push(&t, 104, 6);
	kt_run(&t, KT_SPIN, 10);
	uint64_t was = t.frames[5];
	t.n_frames--;
	t.top += 64;
	kt_push(&t, 104, 1);
	memcpy(t.memory + (t.frames[5] - kt_at(&t, 0)), t.memory + (was - kt_at(&t, 0)), KT_FRAME_SIZE);
	kt_put(&t, t.frames[5] + PREVIOUS, t.frames[4]);
	expect_whole(1);
	kt_close(&t);
}

/* Several chunks; more than are kept of the last list; more than the program follows. */
static void test_deep(void **state)
{
	if (!begin())
		skip();
	kt_push(&t, 104, KERNEL_LAST - 1);
	expect_whole(KERNEL_LAST - 1);
	kt_push(&t, 104, 2);
	expect_frames(KT_SPIN, KERNEL_LAST + 1, 0, 0, 2, KERNEL_LAST + 1);
	kt_push(&t, 104, 2200 - KERNEL_LAST - 1);
	expect_frames(KT_SPIN, 2200, 0, 0, 2200, 2200);
	kt_push(&t, 104, 1000);
	kt_run(&t, KT_SPIN, 30);
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kt_sample *s = &t.records.v[i];
		if (s->m->head.kind != KERNEL_SAMPLE)
			continue;
		assert_int_equal(s->m->cut, KERNEL_CUT_FULL);
		assert_true(s->n_frames > 2400 && s->n_frames < t.n_frames);
		for (size_t f = 0; f < s->n_frames; f++) {
			struct kernel_frame want = frame_at(t.frames[t.n_frames - s->n_frames + f]);
			assert_memory_equal(&s->frames[f], &want, sizeof want);
		}
		assert_int_equal(s->m->next, t.frames[t.n_frames - s->n_frames - 1]);
	}
	kt_close(&t);
}

/* A page is not there: what lies further in is whole. */
static void test_absent(void **state)
{
	if (!begin())
		skip();
	kt_push(&t, 104, 100);
	kt_chunk(&t, 16384);
	kt_push(&t, 104, 20);
	t.control->lacking = t.chunks[0];
	expect_frames(KT_LACK, 20, KERNEL_CUT_ABSENT, t.frames[99], 20, 0);
	kt_close(&t);
}

/* What no chain does: it is not followed, and it is not said that something was missing. */
static void test_torn(void **state)
{
	if (!begin())
		skip();
	kt_push(&t, 104, 10);
	kt_put(&t, t.frames[5] + PREVIOUS, t.frames[8]); /* a caller above what it called */
	expect_frames(KT_SPIN, 5, 0, t.frames[8], 5, 0);
	kt_put(&t, t.frames[5] + PREVIOUS, t.frames[4] + 4); /* between two words */
	expect_frames(KT_SPIN, 5, 0, t.frames[4] + 4, 5, 0);
	kt_put(&t, t.frames[5] + PREVIOUS, kt_at(&t, KT_FRAMES)); /* a thread's own frame that is on no chunk */
	expect_frames(KT_SPIN, 5, 0, kt_at(&t, KT_FRAMES), 5, 0);
	kt_put(&t, t.frames[5] + PREVIOUS, t.frames[4]);
	kt_put(&t, t.frames[4] + INSTR, UINT64_C(1) << KERNEL_INSTR_BITS);
	expect_frames(KT_SPIN, 5, 0, t.frames[4], 5, 0);
	kt_close(&t);
}

/* --- 3.11 and 3.12: the chain begins in the innermost call's cframe */

/* A frame on the data stack, and whether it is the outermost of its call (3.11). */
static void push(bool is_entry)
{
	kt_push(&t, 104, 1);
	t.memory[t.frames[t.n_frames - 1] - kt_at(&t, 0) + ENTRY] = is_entry;
}

/* A call of the evaluator: the frames that it has by now. */
static void call(unsigned n)
{
	uint64_t caller = t.n_frames ? t.frames[t.n_frames - 1] : 0;
	if (!t.rules.entry_is_flag)
		kt_push_outside(&t, KT_CSTACK);
	for (unsigned i = 0; i < n; i++)
		push(i == 0);
	kt_put(&t, kt_at(&t, KT_CFRAMES) + CFRAME_PREVIOUS, kt_at(&t, CFRAME_BEFORE));
	kt_put(&t, kt_at(&t, CFRAME_BEFORE) + CFRAME_FRAME, caller);
}

/* Whatever the new cframe shows before it is told its frame, the stack is that of the call before. */
static void expect_caller(uint64_t shown, size_t n)
{
	size_t all = t.n_frames;
	kt_set_root(&t, shown);
	t.n_frames = n;
	expect_frames(KT_SPIN, n, 0, 0, ANY, 0);
	t.n_frames = all;
	kt_set_root(&t, t.frames[all - 1]);
	expect_frames(KT_SPIN, all, 0, 0, ANY, 0);
}

static void test_calls(void **state)
{
	static const uint64_t bad[] = {0, 8, 0xffff800000000000, 0x7fffffffe000, 0xdeadbeefdeadbee8};
	for (int flag = 0; flag < 2; flag++) {
		if (!begin())
			skip();
		t.rules.root_is_cframe = 1;
		t.rules.entry_is_flag = flag;
		t.rules.entry_at = flag ? ENTRY : OWNER;
		t.rules.entry_least = flag ? 1 : KT_CSTACK;
		kt_clear(&t);
		kt_tell(&t);
		expect_whole(0); /* the thread state's own, nothing was called */
		kt_put(&t, kt_at(&t, KT_CFRAMES) + CFRAME_PREVIOUS, 0x171);
		expect_whole(0); /* freed, by a thread that ends: a word of malloc's */
		/* a generator that yields, in the outermost call, has lost its caller before the cframe loses it */
		kt_put(&t, kt_at(&t, KT_CFRAMES) + CFRAME_PREVIOUS, kt_at(&t, CFRAME_BEFORE));
		kt_push_outside(&t, KT_GENERATOR);
		t.memory[t.frames[0] - kt_at(&t, 0) + ENTRY] = 0;
		expect_whole(ANY);
		kt_clear(&t);
		call(5);
		expect_whole(ANY);
		expect_frames(KT_SPIN, t.n_frames, 0, 0, 0, 0);
		call(2);
		size_t before = t.n_frames;
		call(3);
		expect_whole(ANY);
		for (size_t i = 0; i < N_OF(bad); i++)
			expect_caller(bad[i], before);
		for (size_t i = 0; i < before; i++) /* what an earlier call left there: any frame further out */
			expect_caller(t.frames[i], before);
		expect_caller(t.frames[before] + 4, before);
		uint64_t behind = t.top;
		memcpy(t.memory + (behind - kt_at(&t, 0)), t.memory + (t.frames[t.n_frames - 1] - kt_at(&t, 0)),
		       KT_FRAME_SIZE);
		kt_put(&t, behind + PREVIOUS, behind); /* and what has returned, in a circle */
		expect_caller(behind, before);
		kt_put(&t, behind + PREVIOUS, 0);
		expect_caller(behind, before);
		/* a generator that has no caller any more */
		kt_push_outside(&t, KT_GENERATOR);
		uint64_t generator = t.frames[--t.n_frames];
		t.memory[generator - kt_at(&t, 0) + ENTRY] = 1;
		kt_put(&t, generator + PREVIOUS, 0);
		expect_caller(generator, before);
		/* down into another chunk and back */
		while (t.n_chunks < 3) {
			kt_chunk(&t, 16384);
			push(false);
		}
		expect_whole(ANY);
		before = t.n_frames;
		call(1);
		expect_whole(ANY);
		expect_caller(t.frames[2], before);
		/* nothing leads to the call before, nor is that to be had */
		kt_put(&t, kt_at(&t, KT_CFRAMES) + CFRAME_PREVIOUS, 0x7fffffffe000);
		kt_run(&t, KT_SPIN, 10);
		const struct kt_sample *last = t.records.n > 1 ? &t.records.v[t.records.n - 1] : NULL;
		assert_true(last && last->m->cut == KERNEL_CUT_ABSENT && last->n_frames == 0);
		kt_close(&t);
	}
}

/* A thread that is bound anew, and one for which there is no slot. */
static void test_slots(void **state)
{
	if (!begin())
		skip();
	kt_push(&t, 104, 5);
	expect_whole(5);
	kernel_unbind(k, t.pid);
	kt_tell(&t);
	expect_whole(5);
	kernel_unbind(k, t.pid);
	for (pid_t i = 1; i <= 2048; i++)
		kernel_bind(k, -i, &t.binding);
	kt_tell(&t);
	expect_frames(KT_SPIN, 5, 0, 0, 5, 5);
	for (pid_t i = 1; i <= 2048; i++)
		kernel_unbind(k, -i);
	kt_tell(&t);
	expect_whole(5);
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
	    cmocka_unit_test(test_calls_and_returns),
	    cmocka_unit_test(test_any_word),
	    cmocka_unit_test(test_same_words_elsewhere),
	    cmocka_unit_test(test_deep),
	    cmocka_unit_test(test_absent),
	    cmocka_unit_test(test_torn),
	    cmocka_unit_test(test_calls),
	    cmocka_unit_test(test_slots),
	};
	int rc = cmocka_run_group_tests(tests, set_up, tear_down);
	return rc ? rc : cmocka_run_group_tests(tests, set_up_without_loop, tear_down);
}
