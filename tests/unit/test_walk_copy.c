/* walk_copied: stacks that somebody copied at one instant. They are the same as when they are read from outside; what
 * is missing cuts them. */
#include "pyspy-record/python/walk.h"

#include "libcommon/err.h"
#include "tests/unit/support_copy.h"
#include "tests/unit/support_test.h"

static struct support_stack s;
static struct support_copy c;
static struct walk_copy *const copy = &c.copy;

static void in_all(void (*test)(void))
{
	for (size_t i = 0; i < N_OF(support_stack_versions); i++) {
		support_stack_begin(&s, support_stack_versions[i]);
		test();
		support_stack_end(&s);
		support_copy_forget(&c);
	}
}

static int walk_it(void)
{
	uint64_t calls = s.m.reader.calls, repairs = s.w.repairs;
	int rc = walk_copied(&s.w, copy);
	assert_true(s.m.reader.calls == calls && s.w.repairs == repairs);
	assert_true(rc == 0 || rc == ERR_TORN);
	return rc;
}

static size_t n_frames(void)
{
	size_t n = 0;
	for (size_t i = 0; i < s.frames.n; i++)
		n += !s.frames.v[i].is_shim;
	return n;
}

/* All of it, in the copy and from outside. */
static void expect_whole(void)
{
	support_copy_make(&c, &s);
	assert_int_equal(walk_it(), 0);
	support_stack_compare(&s, &s.w, SIZE_MAX);
	assert_false(s.w.is_cut);
	support_stack_expect_whole(&s);
}

/* --- stacks that are all there */

static void whole(void)
{
	expect_whole(); /* a thread that has not begun */
	support_stack_call_and_push(&s, 1);
	expect_whole();
	support_stack_push(&s, OWNER_GENERATOR);
	expect_whole();
	support_stack_push(&s, OWNER_THREAD);
	support_stack_call(&s);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_push(&s, OWNER_GENERATOR);
	expect_whole();
	while (s.chunks.n < 7)
		support_stack_push(&s, OWNER_THREAD);
	expect_whole();
	/* a generator whose caller is the last frame of an older chunk, and one between two chunks */
	while (s.top + s.frame_bytes <= s.chunk_end)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_push(&s, OWNER_GENERATOR);
	expect_whole();
	support_stack_push(&s, OWNER_THREAD);
	assert_int_equal(s.chunks.n, 8);
	expect_whole();
}
static void whole_between(void)
{
	support_memory_map(&s.m, SUPPORT_STACK_CHUNKS + (8 << 20), 4096); /* between the chunks */
	support_stack_call(&s);
	while (s.chunks.n < 3)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_push_generator(&s, SUPPORT_STACK_CHUNKS + (8 << 20) + 64);
	support_stack_push(&s, OWNER_THREAD);
	expect_whole();
}
static void test_whole(void **state)
{
	in_all(whole);
	in_all(whole_between);
}

/* Random programs. */
static void programs(void)
{
	for (unsigned step = 0; step < 600; step++) {
		unsigned what = support_stack_draw(&s, 100), depth = step / 100 % 2 ? 30 : 55;
		if (s.frames.n == 0) {
			support_stack_call_and_push(&s, 1);
		} else if (what < 8) {
			support_stack_call(&s);
			support_stack_push(&s, support_stack_draw(&s, 4) ? OWNER_THREAD : OWNER_GENERATOR);
		} else if (what < depth) {
			for (unsigned n = 1 + support_stack_draw(&s, support_stack_draw(&s, 10) ? 3 : 200); n > 0; n--)
				support_stack_push(&s, OWNER_THREAD);
		} else if (what < depth + 8) {
			support_stack_push(&s, OWNER_GENERATOR);
		} else {
			unsigned n = 1 + support_stack_draw(&s, support_stack_draw(&s, 10) ? 4 : 300);
			for (; n > 0 && s.frames.n; n--)
				support_stack_pop(&s);
		}
		expect_whole();
	}
}
static void test_programs(void **state)
{
	in_all(programs);
}

/* Pieces may be longer than they must: one that holds all of the C stack, generators with what follows them. */
static void longer_pieces(void)
{
	for (int i = 0; i < 20; i++) {
		support_stack_call_and_push(&s, 2);
		support_stack_push(&s, OWNER_GENERATOR);
	}
	support_copy_make(&c, &s);
	copy->n_extras = 0;
	size_t c_bytes = (size_t)(SUPPORT_STACK_C + SUPPORT_STACK_C_BYTES - s.c_next);
	copy->extras[0] =
	    (struct walk_piece){s.c_next, (uint32_t)c_bytes, support_copy_block(&c, &s, s.c_next, c_bytes)};
	copy->n_extras = 1;
	for (size_t i = s.frames.n; i-- > 0;) {
		if (s.frames.v[i].is_shim)
			copy->extras[copy->n_extras++] = copy->extras[0];
		else if (s.frames.v[i].want.owner == OWNER_GENERATOR)
			support_copy_extra(&c, &s, s.frames.v[i].at, SUPPORT_STACK_GENERATOR - 16);
	}
	assert_int_equal(walk_it(), 0);
	support_stack_compare(&s, &s.w, SIZE_MAX);
	assert_false(s.w.is_cut);
}
static void test_longer_pieces(void **state)
{
	in_all(longer_pieces);
}

/* A chunk was begun, and top is not in it yet; or it is about to be given back. */
static void between_chunks(void)
{
	support_stack_call(&s);
	while (s.chunks.n < 3)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_pop(&s);
	assert_int_equal(s.chunks.n, 2);
	raddr_t new = SUPPORT_STACK_CHUNKS + (200 << 20);
	support_memory_map(&s.m, new, SUPPORT_STACK_CHUNK);
	support_memory_u64(&s.m, new, s.chunk);
	support_memory_u64(&s.m, new + 8, SUPPORT_STACK_CHUNK);
	support_memory_u64(&s.m, s.chunk + 16, (s.top - s.chunk - 24) / 8);
	support_copy_make(&c, &s);
	unsigned char *tstate = support_copy_block(&c, &s, SUPPORT_STACK_TSTATE, copy->tstate_len);
	memcpy(tstate + s.l->tstate.datastack_chunk, &new, 8);
	copy->tstate = tstate;
	memmove(&copy->chunks[1], &copy->chunks[0], copy->n_chunks++ * sizeof copy->chunks[0]);
	copy->chunks[0] = (struct walk_piece){new, 24, support_copy_block(&c, &s, new, 24)};
	assert_int_equal(walk_it(), 0);
	support_stack_compare(&s, &s.w, SIZE_MAX);
	assert_false(s.w.is_cut);
}
static void test_between_chunks(void **state)
{
	in_all(between_chunks);
}

/* --- stacks of which a part is missing */

static bool has_extra(raddr_t at, size_t n)
{
	for (size_t i = 0; i < copy->n_extras; i++)
		if (at >= copy->extras[i].at && at + n <= copy->extras[i].at + copy->extras[i].len)
			return true;
	return false;
}

static bool has_frame(raddr_t at)
{
	size_t n = walk_frame_bytes(s.l);
	for (size_t i = 0; i < copy->n_chunks && copy->chunks[i].len >= 24; i++)
		if (at >= copy->chunks[i].at && at + n <= copy->chunks[i].at + copy->chunks[i].len)
			return true;
	return has_extra(at, n);
}

/* How many frames, from the innermost on, can be found in what there is. */
static size_t expected(bool *is_cut)
{
	size_t n = 0;
	*is_cut = true;
	if (support_stack_has_cframe(&s)) {
		raddr_t before = support_copy_word(&s, s.cframe + s.l->cframe.previous);
		if (!has_extra(s.cframe, s.l->cframe.size) || (before && !has_extra(before, s.l->cframe.size)))
			return 0;
	}
	for (size_t i = s.frames.n; i-- > 0;) {
		if (!has_frame(s.frames.v[i].at))
			return n;
		n += !s.frames.v[i].is_shim;
	}
	*is_cut = false;
	return n;
}

static size_t n_cut, n_torn;
static void expect_cut(void)
{
	bool is_cut;
	size_t n = expected(&is_cut);
	int rc = walk_it();
	assert_int_equal(rc, is_cut && n == 0 ? ERR_TORN : 0);
	n_torn += rc < 0;
	if (rc < 0)
		return;
	n_cut += is_cut;
	assert_int_equal(s.w.is_cut, is_cut);
	assert_int_equal(s.w.frames.n, n);
	support_stack_compare(&s, &s.w, n);
}

static void build(void)
{
	for (int i = 0; i < 5; i++) {
		support_stack_call_and_push(&s, 3);
		support_stack_push(&s, OWNER_GENERATOR);
		support_stack_push(&s, OWNER_GENERATOR);
		for (size_t n = s.chunks.n; s.chunks.n == n;)
			support_stack_push(&s, OWNER_THREAD);
		support_stack_push(&s, OWNER_GENERATOR);
	}
	/* a call of two generators that begins a chunk; a frame that has one to itself */
	while (s.top + s.frame_bytes <= s.chunk_end)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_call_and_push(&s, 1);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_push(&s, OWNER_GENERATOR);
	for (size_t n = s.chunks.n; s.chunks.n == n;)
		support_stack_push(&s, OWNER_THREAD);
}

static void cut(void)
{
	build();
	n_cut = n_torn = 0;
	support_copy_make(&c, &s);
	size_t chunks = copy->n_chunks, extras = copy->n_extras;
	for (copy->n_chunks = 0; copy->n_chunks < chunks; copy->n_chunks++)
		expect_cut();
	for (copy->n_extras = 0; copy->n_extras < extras; copy->n_extras++)
		expect_cut();
	for (size_t i = 0; i < chunks; i++) { /* as far as it was copied */
		struct walk_piece was = copy->chunks[i];
		unsigned char *bytes = malloc(was.len);
		assert_non_null(bytes);
		for (uint32_t len = 0; len <= was.len; len += 8) {
			unsigned char *end = bytes + was.len - len; /* ends where the block does */
			memcpy(end, was.bytes, len);
			copy->chunks[i].len = len;
			copy->chunks[i].bytes = end;
			expect_cut();
		}
		free(bytes);
		copy->chunks[i] = was;
	}
	for (size_t i = 0; i < extras; i++) {
		uint32_t was = copy->extras[i].len;
		for (copy->extras[i].len = 0; copy->extras[i].len < was; copy->extras[i].len++)
			expect_cut();
	}
	expect_cut();
	assert_int_equal(s.w.frames.n, n_frames());
	assert_true(n_cut > 1000 && n_torn > 10);
	for (int round = 0; round < 2000; round++) { /* several at once */
		support_copy_make(&c, &s);
		copy->n_chunks -= support_stack_draw(&s, 3);
		copy->n_extras -= support_stack_draw(&s, 2) ? 0 : support_stack_draw(&s, (uint32_t)extras);
		for (size_t i = 0; i < copy->n_chunks; i++)
			if (support_stack_draw(&s, 4) == 0)
				copy->chunks[i].len = support_stack_draw(&s, copy->chunks[i].len / 8) * 8;
		for (size_t i = 0; i < copy->n_extras; i++)
			if (support_stack_draw(&s, 40) == 0)
				copy->extras[i].len = support_stack_draw(&s, copy->extras[i].len);
		expect_cut();
	}
}
static void test_cut(void **state)
{
	in_all(cut);
}

/* More chunks and frames than there may be. */
static void deep(void)
{
	support_stack_call(&s);
	while (s.chunks.n < WALK_COPY_CHUNKS)
		support_stack_push(&s, OWNER_THREAD);
	expect_whole();
	while (s.chunks.n < WALK_COPY_CHUNKS + 3)
		support_stack_push(&s, OWNER_THREAD);
	support_copy_make(&c, &s);
	expect_cut();
	assert_true(s.w.is_cut && s.w.frames.n > 20000);
	s.chunk_size = 1 << 20;
	while (n_frames() < WALK_FRAMES_MAX + 5000) /* in the copied chunks alone */
		for (int i = 0; i < 1000; i++)
			support_stack_push(&s, OWNER_THREAD);
	support_copy_make(&c, &s);
	assert_int_equal(walk_it(), 0);
	assert_true(s.w.is_cut);
	assert_int_equal(s.w.frames.n, WALK_FRAMES_MAX);
	support_stack_compare(&s, &s.w, WALK_FRAMES_MAX);
}
static void test_deep(void **state)
{
	in_all(deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_whole),         cmocka_unit_test(test_programs),
	    cmocka_unit_test(test_longer_pieces), cmocka_unit_test(test_between_chunks),
	    cmocka_unit_test(test_cut),           cmocka_unit_test(test_deep),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
