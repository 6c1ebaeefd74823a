/* sample.bpf.c: what the program copies of stacks that are well made, byte for byte. Needs rights; skipped without. */
#include "tests/unit/support_kernel_target.h"
#include "tests/unit/support_test.h"

enum {
	TSTATE = KERNEL_PIECE_TSTATE,
	CHUNK = KERNEL_PIECE_CHUNK,
	EXTRA = KERNEL_PIECE_EXTRA,
	HEADER = 24,
	PIECES = 4096
};

static struct kernel *k;
static bool without_loop; /* the programs of kernels before 5.17 */
static struct kernel_target t;

/* What a sample must hold. */
static struct expected {
	uint32_t kind, len;
	uint64_t at;
} expected[PIECES];
static size_t n_expected;

static void expect(uint32_t kind, uint64_t at, size_t len)
{
	assert_true(n_expected < PIECES);
	expected[n_expected++] = (struct expected){kind, (uint32_t)len, at};
}

/* The chunk of this frame, counted from the innermost; -1 = none. */
static int chunk_of(uint64_t frame)
{
	for (size_t i = 0; i < t.n_chunks; i++) {
		uint64_t at = t.chunks[t.n_chunks - 1 - i];
		if (frame > at && frame < at + kt_get(&t, at + 8))
			return (int)i;
	}
	return -1;
}

/* As far as it is in use, and a frame more: of the innermost one it may just have been taken off. */
static void expect_chunk(int i)
{
	uint64_t at = t.chunks[t.n_chunks - 1 - (size_t)i], size = kt_get(&t, at + 8);
	uint64_t used = (i ? HEADER + kt_get(&t, at + 16) * 8 : t.top - at) + KERNEL_FRAME_MAX;
	expect(CHUNK, at, used < size ? used : size);
}

static void expect_stack(void)
{
	int entered = 0;
	n_expected = 0;
	expect(TSTATE, kt_at(&t, KT_TSTATE), KT_TSTATE_SIZE);
	if (t.rules.root_is_cframe) {
		expect(EXTRA, kt_at(&t, KT_CFRAMES), KT_CFRAME_SIZE);
		if (kt_get(&t, kt_at(&t, KT_CFRAMES) + 8) >= 4096)
			expect(EXTRA, kt_get(&t, kt_at(&t, KT_CFRAMES) + 8), KT_CFRAME_SIZE);
	}
	if (t.n_frames && t.n_chunks)
		expect_chunk(0);
	for (size_t i = t.n_frames; i-- > 0;) {
		int chunk = chunk_of(t.frames[i]);
		if (chunk < 0)
			expect(EXTRA, t.frames[i], KT_FRAME_SIZE);
		for (; chunk > entered; expect_chunk(++entered))
			;
	}
}

static void compare_piece(const struct kernel_piece *got, const struct expected *want)
{
	if (got->kind != want->kind || got->at != want->at || got->len != want->len)
		fail_msg("piece %d: kind %u at %llx, %u bytes; expected %u, %llx, %u", (int)(want - expected),
		         got->kind, (unsigned long long)(got->at - kt_at(&t, 0)), got->len, want->kind,
		         (unsigned long long)(want->at - kt_at(&t, 0)), want->len);
	assert_memory_equal(got + 1, t.memory + (got->at - kt_at(&t, 0)), got->len);
}

static void compare(const struct kernel_sample *m, size_t n)
{
	const unsigned char *p = (const unsigned char *)(m + 1), *end = p + m->n_bytes;
	assert_int_equal(n, sizeof *m + m->n_bytes);
	for (size_t i = 0; i < n_expected; i++) {
		const struct kernel_piece *got = (const void *)p;
		assert_true(p < end);
		compare_piece(got, &expected[i]);
		p += sizeof *got + (got->len + 7) / 8 * 8;
	}
	assert_true(p == end);
}

/* All samples of some ms are this, and there are some of them. */
static void expect_samples(enum kt_order order, uint32_t cut)
{
	kt_run(&t, order, 30);
	size_t n = 0;
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kernel_sample *m = t.records.v[i].m;
		if (m->head.kind != KERNEL_SAMPLE)
			continue;
		assert_int_equal(m->cut, cut);
		assert_int_equal(m->head.tid, t.pid);
		assert_int_equal(m->tstate, kt_at(&t, KT_TSTATE));
		assert_int_equal(m->interp, kt_at(&t, KT_INTERP));
		assert_int_equal(m->gil, kt_at(&t, KT_GIL));
		compare(m, t.records.v[i].n);
		n += m->head.trigger == KERNEL_ON_CLOCK;
	}
	assert_true(n >= 2);
}

static void expect_whole(void)
{
	expect_stack();
	expect_samples(KT_SPIN, 0);
}

static bool begin(void)
{
	if (!k)
		return false;
	kt_open(&t, k);
	kt_clock(&t);
	return true;
}

/* --- stacks */

static void test_nothing_runs(void **state)
{
	if (!begin())
		skip();
	expect_whole();
	kt_chunk(&t, 16384); /* a data stack, and nothing on it */
	expect_whole();
	kt_close(&t);
}

static void test_one_chunk(void **state)
{
	if (!begin())
		skip();
	for (unsigned n = 1; n <= 60; n *= 4) {
		kt_push(&t, 104, n);
		expect_whole();
	}
	kt_close(&t);
}

/* A frame that reaches the chunk's end. */
static void test_full_chunk(void **state)
{
	if (!begin())
		skip();
	kt_chunk(&t, 4096);
	kt_push(&t, 800, 5);
	kt_push(&t, KT_FRAME_SIZE, 1);
	assert_int_equal(t.end - t.top, 0);
	expect_whole();
	kt_close(&t);
}

static void test_several_chunks(void **state)
{
	if (!begin())
		skip();
	while (t.n_chunks < 5)
		kt_push(&t, 360, 1);
	expect_whole();
	kt_push(&t, 16300, 1); /* a chunk of one frame */
	kt_push(&t, 360, 1);
	assert_int_equal(t.n_chunks, 7);
	expect_whole();
	kt_chunk(&t, 100000); /* more than is copied at once */
	kt_push(&t, 3000, 33);
	expect_whole();
	kt_push(&t, 360, 1);
	expect_whole();
	kt_close(&t);
}

/* A chunk was begun, and nothing is on it yet; so twice. */
static void test_empty_chunks(void **state)
{
	if (!begin())
		skip();
	kt_push(&t, 360, 3);
	kt_chunk(&t, 16384);
	expect_whole();
	kt_chunk(&t, 16384);
	expect_whole();
	kt_close(&t);
}

static void test_outside(void **state)
{
	if (!begin())
		skip();
	kt_push_outside(&t, KT_CSTACK); /* no data stack at all */
	kt_push_outside(&t, KT_GENERATOR);
	expect_whole();
	kt_push(&t, 104, 3);
	expect_whole();
	kt_push_outside(&t, KT_GENERATOR);
	expect_whole();
	for (int i = 0; i < 20; i++) {
		kt_push_outside(&t, KT_CSTACK);
		kt_push(&t, 1000, 2);
		kt_push_outside(&t, KT_GENERATOR);
		kt_push_outside(&t, KT_GENERATOR);
		kt_push(&t, 1000, 1);
	}
	assert_int_equal(t.n_chunks, 4);
	expect_whole();
	kt_chunk(&t, 16384); /* generators between two chunks */
	kt_push_outside(&t, KT_GENERATOR);
	expect_whole();
	kt_close(&t);
}

/* Frames of neighbours on the heap that touch the data stack. */
static void test_outside_beside_chunks(void **state)
{
	if (!begin())
		skip();
	kt_push(&t, 104, 3);
	uint64_t below = t.chunks[0] - KT_FRAME_SIZE - 16, behind = t.end;
	kt_put_frame(&t, below, KT_GENERATOR);
	kt_put_frame(&t, behind, KT_GENERATOR);
	kt_push(&t, 104, 1);
	expect_whole();
	kt_close(&t);
}

static void test_cframes(void **state)
{
	if (!begin())
		skip();
	t.rules.root_is_cframe = 1;
	kt_clear(&t);
	kt_tell(&t);
	expect_whole(); /* the thread state's own, nothing was called */
	kt_put(&t, kt_at(&t, KT_CFRAMES) + 8, 0x171);
	expect_whole(); /* freed, by a thread that ends: a word of malloc's */
	kt_push(&t, 104, 5);
	kt_put(&t, kt_at(&t, KT_CFRAMES) + 8, 0);
	expect_whole();
	kt_put(&t, kt_at(&t, KT_CFRAMES) + 8, kt_at(&t, KT_CFRAMES) + 0x40);
	kt_put(&t, kt_at(&t, KT_CFRAMES) + 0x48, 0x1234567); /* those before that are not asked for */
	expect_whole();
	while (t.n_chunks < 3)
		kt_push(&t, 360, 1);
	kt_push_outside(&t, KT_GENERATOR);
	expect_whole();
	kt_close(&t);
}

static void test_deep(void **state)
{
	if (!begin())
		skip();
	kt_push(&t, 104, 2000);
	expect_whole();
	for (int i = 0; i < 100; i++)
		kt_push_outside(&t, KT_GENERATOR);
	expect_whole();
	/* as deep as one sample goes: the chunks that were met are whole, those below are missing */
	kt_push(&t, 104, 2000);
	expect_stack();
	kt_run(&t, KT_SPIN, 30);
	size_t n = 0;
	for (size_t i = 0; i < t.records.n; i++) {
		struct kernel_sample *m = t.records.v[i].m;
		if (m->head.kind != KERNEL_SAMPLE)
			continue;
		assert_int_equal(m->cut, KERNEL_CUT_FULL);
		const unsigned char *p = (const unsigned char *)(m + 1), *end = p + m->n_bytes;
		for (n = 0; p < end; n++) {
			compare_piece((const void *)p, &expected[n]);
			p += sizeof(struct kernel_piece) + (((const struct kernel_piece *)p)->len + 7) / 8 * 8;
		}
		assert_true(n > 12 && n < n_expected);
	}
	assert_true(n > 0);
	kt_close(&t);
}

/* Deeper than it is followed, though all of it would fit. */
static void test_deep_and_small(void **state)
{
	if (!begin())
		skip();
	kt_push(&t, KT_FRAME_SIZE, 2400);
	expect_whole();
	kt_push(&t, KT_FRAME_SIZE, 1000);
	if (!without_loop && kt_has_loop()) { /* there the room for the sample is the only limit */
		expect_whole();
		kt_close(&t);
		return;
	}
	kt_run(&t, KT_SPIN, 30);
	assert_true(kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_CLOCK) > 0);
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kernel_sample *m = t.records.v[i].m;
		assert_true(m->head.kind != KERNEL_SAMPLE ||
		            (m->cut == KERNEL_CUT_FULL && m->n_bytes > 150000 && m->n_bytes < KERNEL_DATA));
	}
	kt_close(&t);
}

/* The newest frame reaches into a page that was never touched: its head is there, and so is all of the stack. */
static void test_page_behind(void **state)
{
	if (!begin())
		skip();
	kt_chunk(&t, 16384);
	kt_push(&t, 800, 5);
	kt_push(&t, 4000, 1); /* from 4024 on */
	t.control->lacking = t.chunks[0] + 4096;
	expect_stack();
	assert_int_equal(expected[1].kind, CHUNK);
	expected[1].len = 4096;
	expect_samples(KT_LACK, 0);
	/* a page in between is missed */
	kt_push(&t, 800, 1);
	expect_stack();
	n_expected = 1;
	t.control->lacking = t.chunks[0];
	expect_samples(KT_LACK, KERNEL_CUT_ABSENT);
	kt_clear(&t);
	t.next_chunk += 0x140; /* so that what is copied at once ends in a page */
	kt_chunk(&t, 100000);
	kt_push(&t, 3000, 30);
	t.control->lacking = (t.chunks[0] + KERNEL_COPY) / 4096 * 4096;
	kt_run(&t, KT_LACK, 30);
	size_t n = 0;
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kernel_sample *m = t.records.v[i].m;
		if (m->head.kind != KERNEL_SAMPLE)
			continue;
		n++;
		assert_true(m->cut == KERNEL_CUT_ABSENT && m->n_bytes < 1000); /* nothing behind it is taken for it */
	}
	assert_true(n > 0);
	kt_close(&t);
}

/* More bytes than a sample holds. */
static void test_large(void **state)
{
	if (!begin())
		skip();
	kt_push(&t, 4000, 60); /* 240 KB */
	expect_whole();
	kt_push(&t, 4000, 60);
	kt_run(&t, KT_SPIN, 30);
	assert_true(kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_CLOCK) > 0);
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kernel_sample *m = t.records.v[i].m;
		assert_true(m->head.kind != KERNEL_SAMPLE ||
		            (m->cut == KERNEL_CUT_FULL && m->n_bytes >= KERNEL_DATA && m->n_bytes < 300000));
	}
	kt_close(&t);
}

/* --- words */

static void expect_words(uint64_t holder, uint32_t locked, uint64_t current, uint32_t gc, uint32_t generation)
{
	kt_run(&t, KT_SPIN, 20);
	assert_true(kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_CLOCK) > 0);
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kernel_sample *m = t.records.v[i].m;
		if (m->head.kind != KERNEL_SAMPLE)
			continue;
		assert_int_equal(m->gil_last_holder, holder);
		assert_int_equal(m->gil_locked, locked);
		assert_int_equal(m->gil_current, current);
		assert_int_equal(m->gc, gc);
		assert_int_equal(m->generation, generation);
	}
}

static void test_words(void **state)
{
	if (!begin())
		skip();
	kt_push(&t, 104, 2);
	expect_words(0, 0, 0, 0, 0);
	kt_put(&t, kt_at(&t, KT_GIL) + 32, 0x1122334455667788);
	kt_put_u32(&t, kt_at(&t, KT_GIL) + 40, 1);
	kt_put_u32(&t, kt_at(&t, KT_INTERP) + 100, 7);
	kt_put_u32(&t, kt_at(&t, KT_INTERP) + 104, 4711);
	expect_words(0x1122334455667788, 1, 0, 7, 4711);
	t.rules.interp_generation = 0;
	t.rules.gil_current = kt_at(&t, KT_GIL) + 0x80;
	kt_put(&t, t.rules.gil_current, 0x99aabbccddeeff00);
	kt_tell(&t);
	expect_words(0, 0, 0x99aabbccddeeff00, 7, 0);
	kt_close(&t);
}

/* Of several thread states: the one that runs, by its word or by the runtime's; else the one that ran last. */
static void expect_state(size_t place)
{
	kt_run(&t, KT_SPIN, 20);
	assert_true(kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_CLOCK) > 0);
	for (size_t i = 0; i < t.records.n; i++)
		if (t.records.v[i].m->head.kind == KERNEL_SAMPLE)
			assert_int_equal(t.records.v[i].m->tstate, kt_at(&t, place));
}

static void test_several_states(void **state)
{
	uint32_t word, *other;
	if (!begin())
		skip();
	memcpy(t.memory + KT_OTHER_TSTATE, t.memory + KT_TSTATE, KT_TSTATE_SIZE);
	t.binding.n = 2;
	t.binding.states[1] = t.binding.states[0];
	t.binding.states[1].tstate = kt_at(&t, KT_OTHER_TSTATE);
	word = t.rules.state_word;
	other = (uint32_t *)(t.memory + KT_OTHER_TSTATE + word);
	kt_put_u32(&t, kt_at(&t, KT_TSTATE) + word, 1);
	*other = 0;
	kt_tell(&t);
	expect_state(KT_TSTATE);
	*other = 1;
	kt_put_u32(&t, kt_at(&t, KT_TSTATE) + word, 2); /* not of the mask */
	expect_state(KT_OTHER_TSTATE);
	*other = 0;
	expect_state(KT_OTHER_TSTATE); /* it was the last */
	t.rules.gil_current = kt_at(&t, KT_GIL);
	kt_put(&t, t.rules.gil_current, kt_at(&t, KT_TSTATE));
	kt_tell(&t);
	expect_state(KT_TSTATE);
	kt_close(&t);
}

/* The thread states of a sample, in order, each with the frames outside of the data stack that follow it. */
static void expect_pieces(const struct kernel_sample *m, const size_t *places, const unsigned *frames, size_t n)
{
	const unsigned char *p = (const unsigned char *)(m + 1), *end = p + m->n_bytes;
	size_t state = 0;
	unsigned extras = 0;
	while (p < end) {
		const struct kernel_piece *piece = (const void *)p;
		if (piece->kind == KERNEL_PIECE_TSTATE) {
			if (state)
				assert_int_equal(extras, frames[state - 1]);
			assert_true(state < n);
			assert_int_equal(piece->at, kt_at(&t, places[state++]));
			assert_memory_equal(piece + 1, t.memory + places[state - 1], piece->len);
			extras = 0;
		}
		extras += piece->kind == KERNEL_PIECE_EXTRA;
		p += sizeof *piece + (piece->len + 7) / 8 * 8;
	}
	assert_int_equal(state, n);
	assert_int_equal(extras, frames[n - 1]);
}

/* All states of the thread are followed, the one that runs too only once; one that cannot be read is left out. */
static void test_all_states(void **state)
{
	static const size_t places[] = {KT_TSTATE, KT_OTHER_TSTATE, KT_OTHER_TSTATE + 0x200};
	if (!begin())
		skip();
	kt_clear(&t);
	kt_push_outside(&t, KT_CSTACK);
	kt_push_outside(&t, KT_GENERATOR);
	kt_push_outside(&t, KT_GENERATOR);
	for (size_t i = 1; i < N_OF(places); i++)
		memcpy(t.memory + places[i], t.memory + KT_TSTATE, KT_TSTATE_SIZE);
	/* the second one is at its caller's caller, the third one has no frame */
	kt_put(&t, kt_at(&t, places[1]) + t.rules.frame_root, t.frames[0]);
	kt_put(&t, kt_at(&t, places[2]) + t.rules.frame_root, 0);
	t.binding.n = 3;
	for (size_t i = 0; i < N_OF(places); i++) {
		t.binding.states[i] = t.binding.states[0];
		t.binding.states[i].tstate = kt_at(&t, places[i]);
	}
	kt_put_u32(&t, kt_at(&t, places[1]) + t.rules.state_word, 1);
	kt_tell(&t);
	kt_run(&t, KT_SPIN, 20);
	size_t n = 0;
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kernel_sample *m = t.records.v[i].m;
		if (m->head.kind != KERNEL_SAMPLE)
			continue;
		n++;
		assert_int_equal(m->tstate, kt_at(&t, places[1]));
		assert_int_equal(m->cut, 0);
		expect_pieces(m, places, (unsigned[]){3, 1, 0}, 3);
	}
	assert_true(n > 0);
	t.binding.states[1].tstate = 0x1000; /* nothing is there */
	kt_tell(&t);
	kt_run(&t, KT_SPIN, 20);
	for (size_t i = 0; i < t.records.n; i++)
		if (t.records.v[i].m->head.kind == KERNEL_SAMPLE)
			expect_pieces(t.records.v[i].m, (size_t[]){KT_TSTATE, places[2]}, (unsigned[]){3, 0}, 2);
	assert_true(kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_CLOCK) > 0);
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
	without_loop = true;
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
	    cmocka_unit_test(test_nothing_runs),
	    cmocka_unit_test(test_one_chunk),
	    cmocka_unit_test(test_full_chunk),
	    cmocka_unit_test(test_several_chunks),
	    cmocka_unit_test(test_empty_chunks),
	    cmocka_unit_test(test_outside),
	    cmocka_unit_test(test_outside_beside_chunks),
	    cmocka_unit_test(test_cframes),
	    cmocka_unit_test(test_deep),
	    cmocka_unit_test(test_deep_and_small),
	    cmocka_unit_test(test_page_behind),
	    cmocka_unit_test(test_large),
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_several_states),
	    cmocka_unit_test(test_all_states),
	};
	const struct CMUnitTest again[] = {
	    cmocka_unit_test(test_several_chunks), cmocka_unit_test(test_outside_beside_chunks),
	    cmocka_unit_test(test_deep),           cmocka_unit_test(test_deep_and_small),
	    cmocka_unit_test(test_all_states),
	};
	int rc = cmocka_run_group_tests(tests, set_up, tear_down);
	return rc ? rc : cmocka_run_group_tests(again, set_up_without_loop, tear_down);
}
