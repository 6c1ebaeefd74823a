/* sample.bpf.c: frames one by one (3.13 and later), of which only those are sent that are not as they were. Needs
 * rights; skipped without. */
#include "tests/unit/support_kernel_target.h"
#include "tests/unit/support_test.h"

enum { CODE = 24, GLOBALS = 32, INSTR = 40, COPY = 48, OWNER = 70, PREVIOUS = 16 };

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
	return (struct kernel_frame){.at = at | t.memory[at - kt_at(&t, 0) + OWNER],
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
		assert_true(s->n_sent == sent_later || s->n_sent == sent);
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
	    cmocka_unit_test(test_slots),
	};
	int rc = cmocka_run_group_tests(tests, set_up, tear_down);
	return rc ? rc : cmocka_run_group_tests(tests, set_up_without_loop, tear_down);
}
