/* walk: threads' stacks as 3.11, 3.12 and 3.13 keep them, in a fake target: every frame is found in its order, out of
 * one read where that can be; what is torn is said to be. */
#include "pyspy-record/python/walk.h"

#include <errno.h>

#include "libcommon/err.h"
#include "tests/unit/support_memory.h"
#include "tests/unit/support_test.h"

#define TSTATE  UINT64_C(0x10000000)
#define CHUNKS  UINT64_C(0x200000000000) /* a data-stack chunk each 16 MiB */
#define CSTACK  UINT64_C(0x7ff000000000)
#define OBJECTS UINT64_C(0x50000000) /* generators */
enum { CSTACK_SIZE = 1 << 20, OBJECTS_SIZE = 1 << 20, GENERATOR = 160, CHUNK = 16384, CHUNK_STRIDE = 16 << 20 };
enum { OWNER_THREAD = 0, OWNER_GENERATOR = 1, OWNER_CSTACK = 3 };

static const uint32_t versions[] = {0x030b07f0, 0x030c01f0, 0x030d00f0};

struct placed {                         /* one frame of the target */
	raddr_t at, chunk, top, cframe; /* chunk and top as they were before it was pushed; cframe: of its call */
	struct walk_frame want;
	bool is_shim, is_first; /* of its evaluator call */
};

static struct support_memory m;
static struct walk w;
static struct walk_thread t;
static struct reader_batch batch;
static const struct layout *l;
static VEC(struct placed) stack;
static VEC(raddr_t) chunks;
static raddr_t chunk, top, chunk_end, cframe, c_next, object_next;
static uint32_t chunk_size, serial;
static bool next_is_first;
static size_t frame_bytes;

static uint64_t seed;
static uint32_t draw(uint32_t below)
{
	seed = seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (uint32_t)(seed >> 33) % below;
}

static bool has_cframe(void)
{
	return l->frame_root == LAYOUT_ROOT_CFRAME;
}

static raddr_t innermost(void)
{
	return stack.n ? stack.v[stack.n - 1].at : 0;
}

static void set_innermost(raddr_t at)
{
	if (has_cframe())
		support_memory_u64(&m, cframe + l->cframe.current_frame, at);
	else
		support_memory_u64(&m, TSTATE + l->tstate.frame_root, at);
}

static void set_top(void)
{
	support_memory_u64(&m, TSTATE + l->tstate.datastack_chunk, chunk);
	support_memory_u64(&m, TSTATE + l->tstate.datastack_top, top);
}

static raddr_t on_c_stack(size_t n)
{
	c_next -= (n + 15) / 16 * 16;
	assert_true(c_next > CSTACK);
	return c_next;
}

static void new_chunk(size_t size)
{
	raddr_t at = CHUNKS + chunks.n * CHUNK_STRIDE;
	if (chunk) /* top is brought up to date only now */
		support_memory_u64(&m, chunk + 16, (top - chunk - 24) / 8);
	support_memory_map(&m, at, size);
	support_memory_u64(&m, at, chunk);
	support_memory_u64(&m, at + 8, size);
	assert_true(vec_push(&chunks, at));
	chunk = at;
	chunk_end = at + size;
	/* CPython leaves the first word of the first chunk free */
	top = at + 24 + (chunks.n == 1 ? 8 : 0);
}

static void begin(uint32_t version)
{
	l = layout_find(version);
	support_memory_init(&m);
	support_memory_map(&m, TSTATE, l->tstate.size);
	support_memory_map(&m, CSTACK, CSTACK_SIZE);
	support_memory_map(&m, OBJECTS, OBJECTS_SIZE);
	walk_init(&w, &m.reader, l);
	t = (struct walk_thread){.tstate = TSTATE};
	stack.n = chunks.n = 0;
	chunk = top = chunk_end = cframe = 0;
	c_next = CSTACK + CSTACK_SIZE - 256;
	object_next = OBJECTS;
	chunk_size = CHUNK;
	serial = 0;
	frame_bytes = 120;
	next_is_first = false;
	if (has_cframe()) { /* the thread state's own */
		cframe = on_c_stack(l->cframe.size);
		support_memory_u64(&m, TSTATE + l->tstate.frame_root, cframe);
	}
}

static void end(void)
{
	walk_thread_done(&t);
	walk_done(&w);
	support_memory_done(&m);
}

static void put_frame(raddr_t at, unsigned owner, raddr_t previous)
{
	struct placed p = {.at = at, .cframe = cframe, .is_shim = owner == OWNER_CSTACK, .is_first = next_is_first};
	serial++;
	p.want = (struct walk_frame){0x600000000 + serial * 64, 0x700000000 + serial * 2, 0x800000000 + serial * 16,
	                             (uint8_t)owner};
	support_memory_u64(&m, at + l->frame.previous, previous);
	support_memory_u64(&m, at + l->frame.code, p.is_shim ? 0 : p.want.code);
	support_memory_u64(&m, at + l->frame.instr, p.want.instr);
	support_memory_u64(&m, at + l->frame.globals, p.want.globals);
	support_memory_u8(&m, at + l->frame.owner, (uint8_t)owner);
	if (l->frame.is_entry)
		support_memory_u8(&m, at + l->frame.is_entry, next_is_first);
	next_is_first = false;
	assert_true(vec_push(&stack, p));
}

/* C code calls the evaluator: as _PyEval_EvalFrameDefault begins. */
static void call(void)
{
	raddr_t previous = innermost();
	if (has_cframe()) {
		raddr_t new = on_c_stack(l->cframe.size);
		support_memory_u64(&m, new + l->cframe.previous, cframe);
		support_memory_u64(&m, TSTATE + l->tstate.frame_root, new);
		cframe = new;
	}
	if (l->frame.is_entry)
		next_is_first = true;
	else
		put_frame(on_c_stack(l->frame.size), OWNER_CSTACK, previous);
}

static void push(unsigned owner)
{
	raddr_t at, previous = innermost(), was_chunk = chunk, was_top = top;
	if (owner == OWNER_GENERATOR) {
		at = object_next + 16;
		object_next += GENERATOR;
		assert_true(object_next + GENERATOR < OBJECTS + OBJECTS_SIZE);
	} else {
		if (top + frame_bytes > chunk_end || !chunk)
			new_chunk(chunk_size);
		at = top;
		top += frame_bytes;
		set_top();
	}
	put_frame(at, owner, previous);
	stack.v[stack.n - 1].chunk = was_chunk;
	stack.v[stack.n - 1].top = was_top;
	set_innermost(at);
}

/* The innermost frame returns, and its call with it if it was its first. */
static void pop(void)
{
	struct placed p = stack.v[--stack.n];
	assert_false(p.is_shim);
	if (p.want.owner == OWNER_GENERATOR) {
		object_next -= GENERATOR;
		support_memory_u64(&m, p.at + l->frame.previous, 0);
	} else if (p.chunk != chunk && p.chunk) {
		support_memory_unmap(&m, chunk);
		chunks.n--;
		chunk = p.chunk;
		chunk_end = chunk + chunk_size;
		top = p.top;
		set_top();
	} else {
		top = p.chunk ? p.top : chunk + 32;
		set_top();
	}
	bool ends_call = p.is_first;
	if (stack.n && stack.v[stack.n - 1].is_shim) {
		stack.n--;
		ends_call = true;
	}
	if (ends_call && has_cframe()) {
		cframe = *(uint64_t *)support_memory_at(&m, p.cframe + l->cframe.previous, 8);
		support_memory_u64(&m, TSTATE + l->tstate.frame_root, cframe);
		c_next = cframe;
		for (size_t i = stack.n; i-- > 0 && c_next == cframe;) /* the shim of that call lies below it */
			if (stack.v[i].is_shim)
				c_next = stack.v[i].at;
	}
	if (!has_cframe() || (stack.n && !ends_call))
		set_innermost(innermost());
}

/* A call of n frames on the data stack, the first calls of a thread. */
static void call_and_push(unsigned n)
{
	call();
	for (unsigned i = 0; i < n; i++)
		push(OWNER_THREAD);
}

static void compare_frames(void)
{
	size_t k = 0;
	for (size_t i = stack.n; i-- > 0;) {
		if (stack.v[i].is_shim)
			continue;
		assert_true(k < w.frames.n);
		const struct walk_frame *got = &w.frames.v[k++], *want = &stack.v[i].want;
		assert_true(got->code == want->code && got->instr == want->instr && got->globals == want->globals);
		assert_int_equal(got->owner, want->owner);
	}
	assert_int_equal(k, w.frames.n);
	assert_false(w.is_cut);
}

static void expect_whole(void)
{
	assert_int_equal(walk_alone(&w, &t, &batch), 0);
	compare_frames();
}

/* In one system call, nothing read in addition. */
static void expect_at_once(void)
{
	uint64_t calls = m.reader.calls;
	expect_whole();
	assert_int_equal(m.reader.calls - calls, 1);
}

/* As two ticks would see it: then it is all planned. */
static void expect_planned(void)
{
	expect_whole();
	expect_at_once();
	expect_at_once();
}

static void in_all(void (*test)(void))
{
	for (size_t i = 0; i < N_OF(versions); i++) {
		begin(versions[i]);
		seed = 7;
		test();
		end();
	}
	vec_free(&stack);
	vec_free(&chunks);
}

static void plain(void)
{
	expect_planned(); /* a thread that has not begun: no chunk, no frame */
	call_and_push(1);
	expect_planned();
	for (int i = 0; i < 10; i++)
		push(OWNER_THREAD);
	expect_whole();
	call_and_push(3);
	call_and_push(1);
	expect_planned();
	while (stack.n) {
		pop();
		expect_planned();
	}
}
static void test_plain(void **state)
{
	in_all(plain);
}

/* More frames than the window that was planned: the rest is read in addition, once. */
static void growth(void)
{
	call_and_push(2);
	expect_planned();
	for (unsigned step = 1; step < 60; step++) {
		for (unsigned i = 0; i < step % 40; i++)
			if (top + 3 * frame_bytes < chunk_end)
				push(OWNER_THREAD);
		uint64_t calls = m.reader.calls;
		expect_whole();
		assert_true(m.reader.calls - calls <= 2);
		expect_at_once();
		for (unsigned i = 0; i < step % 23 && stack.n > 4; i++)
			pop();
	}
	/* to the very end of a chunk, with nothing readable behind it */
	while (top + frame_bytes <= chunk_end)
		push(OWNER_THREAD);
	expect_planned();
}
static void test_growth(void **state)
{
	in_all(growth);
}

static void generators(void)
{
	call_and_push(2);
	expect_planned();
	push(OWNER_GENERATOR);
	push(OWNER_THREAD);
	call();
	push(OWNER_GENERATOR);
	push(OWNER_GENERATOR);
	push(OWNER_THREAD);
	expect_planned();
	uint64_t repairs = w.repairs;
	for (int i = 0; i < 100; i++) { /* they come and go */
		pop();
		expect_at_once();
		push(OWNER_THREAD);
		expect_at_once();
	}
	assert_int_equal(w.repairs, repairs);
	pop();
	pop();
	expect_whole();
	for (int i = 0; i < 100; i++)
		expect_at_once();
	assert_true(t.n_extras <= 12); /* what was not met for long is not read any more */
	while (stack.n > 3)
		pop();
	expect_whole();
	for (int i = 0; i < 100; i++)
		expect_at_once();
	assert_true(t.n_extras <= 3);
	/* more of them than are remembered */
	for (int i = 0; i < WALK_EXTRAS_MAX + 300; i++)
		push(OWNER_GENERATOR);
	push(OWNER_THREAD);
	expect_whole();
	expect_whole();
	assert_true(t.n_extras <= WALK_EXTRAS_MAX);
	/* the innermost frame is one */
	pop();
	expect_whole();
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
	call_and_push(1);
	support_memory_map(&m, UINT64_C(0x60000000), 4096);
	raddr_t next = object_next;
	object_next = at - 16;
	raddr_t previous = innermost();
	put_frame(at, OWNER_GENERATOR, previous);
	set_innermost(at);
	object_next = next;
	push(OWNER_THREAD);
	expect_whole();
	expect_whole();
	support_memory_unmap(&m, UINT64_C(0x60000000));
	assert_int_equal(walk_alone(&w, &t, &batch), ERR_TORN);
}
static void test_at_the_end(void **state)
{
	in_all(at_the_end);
}

static void several_chunks(void)
{
	for (unsigned round = 0; round < 4; round++) {
		call();
		while (chunks.n < 1 + 2 * round)
			push(OWNER_THREAD);
		push(OWNER_GENERATOR);
		push(OWNER_THREAD);
		expect_planned();
	}
	/* there and back across the bound: the last frame of a chunk, the first of the next */
	while (top + frame_bytes <= chunk_end)
		push(OWNER_THREAD);
	for (int i = 0; i < 20; i++) {
		expect_whole();
		size_t n = chunks.n;
		push(OWNER_THREAD);
		assert_int_equal(chunks.n, n + 1);
		expect_planned();
		pop();
		assert_int_equal(chunks.n, n);
		expect_planned();
	}
	/* a frame too large for an ordinary chunk */
	chunk_size = 1 << 20;
	frame_bytes = 40000;
	push(OWNER_THREAD);
	expect_planned();
	frame_bytes = 120;
	for (int i = 0; i < 100; i++)
		push(OWNER_THREAD);
	expect_planned();
	uint64_t before = m.bytes_read;
	expect_at_once();
	assert_true(m.bytes_read - before < (1 << 18)); /* used parts, not whole chunks */
}
static void test_several_chunks(void **state)
{
	in_all(several_chunks);
}

/* As deep as chunks go: recursion is bounded by frames, not by the memory that they take. */
static void deep(void)
{
	call();
	while (stack.n < 20000)
		push(OWNER_THREAD);
	assert_true(chunks.n > 100);
	expect_whole();
	expect_whole();
}
static void test_deep(void **state)
{
	in_all(deep);
}

static void cut(void)
{
	chunk_size = 1 << 20;
	call();
	while (stack.n < WALK_FRAMES_MAX)
		push(OWNER_THREAD);
	if (l->frame.is_entry) /* exactly as many as there may be */
		expect_planned();
	while (stack.n < WALK_FRAMES_MAX + 10)
		push(OWNER_THREAD);
	for (int i = 0; i < 2; i++) {
		assert_int_equal(walk_alone(&w, &t, &batch), 0);
		assert_true(w.is_cut);
		assert_int_equal(w.frames.n, WALK_FRAMES_MAX);
		for (size_t k = 0; k < w.frames.n; k++)
			assert_true(w.frames.v[k].code == stack.v[stack.n - 1 - k].want.code);
	}
	while (stack.n > 100)
		pop();
	expect_whole();
}
static void test_cut(void **state)
{
	in_all(cut);
}

/* Random programs. */
static void programs(void)
{
	for (unsigned step = 0; step < 3000; step++) {
		unsigned what = draw(100), depth = step / 300 % 2 ? 30 : 55; /* phases of growing and shrinking */
		if (stack.n == 0 || what < 8) {
			call();
			push(draw(4) ? OWNER_THREAD : OWNER_GENERATOR);
			if (stack.v[0].want.owner == OWNER_GENERATOR) { /* a thread does not begin with one */
				while (stack.n)
					pop();
				call_and_push(1);
			}
		} else if (what < depth) {
			for (unsigned n = 1 + draw(draw(10) ? 3 : 200); n > 0; n--)
				push(OWNER_THREAD);
		} else if (what < depth + 8) {
			push(OWNER_GENERATOR);
		} else {
			for (unsigned n = 1 + draw(draw(10) ? 4 : 300); n > 0 && stack.n; n--)
				pop();
		}
		expect_whole();
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
	call();
	while (chunks.n < 4)
		push(OWNER_THREAD);
	push(OWNER_GENERATOR);
	push(OWNER_GENERATOR);
	push(OWNER_THREAD);
	expect_planned();
	/* the pieces in their order: older chunks, frames outside, the thread state, the top chunk */
	size_t n_older = 3, n_extras = t.n_extras;
	assert_int_equal(t.n_older, n_older);
	for (size_t piece = 0; piece < n_older + n_extras + 2; piece++) {
		expect_planned();
		size_t extras = t.n_extras;
		assert_int_equal(extras, n_extras);
		walk_begin_pass(&w);
		reader_batch_clear(&batch);
		assert_true(reader_batch_add(&batch, TSTATE, &first, 8)); /* another's piece in front */
		assert_true(walk_plan(&w, &t, &batch, &first));
		assert_int_equal(first, 1);
		assert_int_equal(batch.n, 1 + n_older + n_extras + 2);
		raddr_t at = (raddr_t)(uintptr_t)batch.remote[1 + piece].iov_base;
		if (piece < n_older)
			assert_true(at == chunks.v[piece]);
		assert_int_equal(at == TSTATE, piece == n_older + n_extras);
		assert_int_equal(at == chunk, piece == n_older + n_extras + 1);
		assert_int_equal(walk_failed_piece(&w, &t, piece), at == TSTATE ? ERR_GONE : 0);
		for (size_t i = 0; i < t.n_extras; i++)
			assert_true(t.extras[i].at != at);
		assert_int_equal(t.n_extras, piece >= n_older && piece < n_older + n_extras ? extras - 1 : extras);
	}
	/* memory that is really gone: other extras take the place of those in front */
	expect_planned();
	support_memory_unmap(&m, OBJECTS);
	assert_int_equal(walk_alone(&w, &t, &batch), ERR_TORN);
	assert_int_equal(w.frames.n, 1); /* what was seen */
	support_memory_map(&m, OBJECTS, OBJECTS_SIZE);
	assert_int_equal(walk_alone(&w, &t, &batch), ERR_TORN); /* all zero now */
	support_memory_unmap(&m, chunks.v[1]);
	int rc = walk_alone(&w, &t, &batch);
	assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ);
	support_memory_unmap(&m, chunk);
	rc = walk_alone(&w, &t, &batch);
	assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ);
	support_memory_unmap(&m, TSTATE);
	assert_int_equal(walk_alone(&w, &t, &batch), ERR_GONE);
	m.error = ESRCH;
	assert_int_equal(walk_alone(&w, &t, &batch), ERR_GONE);
	m.error = EPERM;
	assert_int_equal(walk_alone(&w, &t, &batch), ERR_PERMISSION);
}
static void test_failed_pieces(void **state)
{
	in_all(failed_pieces);
}

/* A chunk that was given back and is another thread's, or nobody's, by the next tick. */
static void chunks_go(void)
{
	call();
	while (chunks.n < 5)
		push(OWNER_THREAD);
	expect_planned();
	while (chunks.n > 1)
		pop();
	expect_planned();
	while (chunks.n < 3)
		push(OWNER_THREAD);
	push(OWNER_GENERATOR);
	expect_whole();
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
	call();
	while (chunks.n < 3)
		push(OWNER_THREAD);
	expect_planned();
	size_t need = t.n_older + t.n_extras + 2;
	for (size_t left = 0; left < need + 3; left++) {
		reader_batch_clear(&batch);
		for (size_t i = 0; i < WALK_PLAN_MAX - left; i++)
			reader_batch_add(&batch, TSTATE, to, 8);
		walk_begin_pass(&w);
		assert_int_equal(walk_plan(&w, &t, &batch, &first), left >= need);
		assert_int_equal(batch.n, WALK_PLAN_MAX - left + (left >= need ? need : 0));
		if (left >= need)
			assert_int_equal(first, WALK_PLAN_MAX - left);
	}
	expect_whole();
}
static void test_full_batch(void **state)
{
	in_all(full_batch);
}

/* --- what is torn */

static void expect_torn(void)
{
	assert_int_equal(walk_alone(&w, &t, &batch), ERR_TORN);
	assert_int_equal(walk_alone(&w, &t, &batch), ERR_TORN); /* with it all planned */
}

static void link_to(size_t frame, raddr_t previous)
{
	support_memory_u64(&m, stack.v[frame].at + l->frame.previous, previous);
}

static void circles(void)
{
	call();
	while (chunks.n < 3)
		push(OWNER_THREAD);
	push(OWNER_GENERATOR);
	push(OWNER_GENERATOR);
	push(OWNER_GENERATOR);
	push(OWNER_THREAD);
	push(OWNER_THREAD);
	expect_planned();
	size_t n = stack.n;
	for (unsigned round = 0; round < 200; round++) { /* any frame calls itself, or is called by one further in */
		size_t from = 1 + draw((uint32_t)n - 1), to = from + draw((uint32_t)(n - from));
		raddr_t was = stack.v[from - 1].at;
		link_to(from, stack.v[to].at);
		assert_int_equal(walk_alone(&w, &t, &batch), ERR_TORN);
		link_to(from, was);
		expect_whole();
	}
	/* older chunks in a circle */
	support_memory_u64(&m, chunks.v[0], chunks.v[2]);
	expect_torn();
	support_memory_u64(&m, chunks.v[0], chunks.v[0]);
	expect_torn();
	support_memory_u64(&m, chunks.v[0], 0);
	expect_planned();
}
static void test_circles(void **state)
{
	in_all(circles);
}

/* A chain that ends at a generator, or (3.12, 3.13) at a frame without a shim above it. */
static void wrong_ends(void)
{
	call_and_push(3);
	push(OWNER_GENERATOR);
	push(OWNER_THREAD);
	size_t generator = stack.n - 2;
	expect_planned();
	link_to(generator, 0); /* it is not running any more */
	expect_torn();
	assert_int_equal(w.frames.n, 1);
	link_to(generator, stack.v[generator - 1].at);
	expect_planned();
	if (!l->frame.is_entry) {
		link_to(generator - 1, 0);
		expect_torn();
		link_to(generator - 1, stack.v[generator - 2].at);
	}
	/* owners that there are not */
	static const uint8_t owners[] = {4, 5, 127, 255};
	for (size_t i = 0; i < N_OF(owners); i++) {
		if (owners[i] == l->frame.owner_cstack)
			continue; /* 3.11 has no such frames: 255 means none */
		support_memory_u8(&m, stack.v[generator - 1].at + l->frame.owner, owners[i]);
		expect_torn();
		support_memory_u8(&m, stack.v[generator - 1].at + l->frame.owner, OWNER_THREAD);
	}
	/* addresses that are none, or nothing is there; a frame of the thread that lies outside of its chunks */
	static const raddr_t nowhere[] = {1,          8,          4088,           0x20001,        0x30000,
	                                  1ull << 47, UINT64_MAX, UINT64_MAX - 7, UINT64_MAX - 63};
	for (size_t i = 0; i < N_OF(nowhere); i++) {
		link_to(generator - 1, nowhere[i]);
		expect_torn();
	}
	raddr_t outside = OBJECTS + OBJECTS_SIZE / 2;
	memcpy(support_memory_at(&m, outside, 80), support_memory_at(&m, stack.v[generator - 2].at, 80), 80);
	link_to(generator - 1, outside);
	expect_torn();
	link_to(generator - 1, stack.v[generator - 2].at);
	expect_planned();
}
static void test_wrong_ends(void **state)
{
	in_all(wrong_ends);
}

/* 3.11 and 3.12: the new cframe hangs in the thread state, and shows what an earlier call left in its place. */
static void stale_cframe(void)
{
	if (!has_cframe())
		return;
	call_and_push(2);
	push(OWNER_THREAD);
	call_and_push(1); /* the earlier call ... */
	raddr_t left = innermost();
	expect_planned();
	pop();
	assert_int_equal(w.frames.n, 4);
	push(OWNER_THREAD); /* ... returned; its place on the data stack is another frame's by now, in another place too
	                     */
	push(OWNER_THREAD);
	expect_planned();
	raddr_t before = cframe, c_was = c_next, caller;
	memcpy(&caller, support_memory_at(&m, left + l->frame.previous, 8), 8);
	raddr_t new = on_c_stack(l->cframe.size);
	support_memory_u64(&m, new + l->cframe.previous, before);
	support_memory_u64(&m, new + l->cframe.current_frame, left);
	support_memory_u64(&m, TSTATE + l->tstate.frame_root, new);
	if (l->frame.is_entry) { /* what is there says that it began a call, whose caller is not the innermost one */
		support_memory_u8(&m, left + l->frame.is_entry, 1);
		expect_torn();
		support_memory_u8(&m, left + l->frame.is_entry, 0);
	} else {
		raddr_t shim = on_c_stack(l->frame.size);
		memcpy(support_memory_at(&m, shim, 80), support_memory_at(&m, stack.v[0].at, 80), 80);
		support_memory_u64(&m, shim + l->frame.previous, stack.v[1].at);
		support_memory_u64(&m, left + l->frame.previous, shim);
		expect_torn();
	}
	/* nothing at all was left there */
	support_memory_u64(&m, new + l->cframe.current_frame, 0);
	expect_torn();
	/* a cframe before it that cannot be */
	support_memory_u64(&m, new + l->cframe.previous, 12);
	expect_torn();
	support_memory_u64(&m, new + l->cframe.previous, 0x44440000);
	expect_torn();
	support_memory_u64(&m, TSTATE + l->tstate.frame_root, 0x44440000);
	expect_torn();
	support_memory_u64(&m, TSTATE + l->tstate.frame_root, before);
	c_next = c_was;
	support_memory_u64(&m, left + l->frame.previous, caller);
	expect_planned();
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
	call();
	while (chunks.n < 2)
		push(OWNER_THREAD);
	push(OWNER_THREAD);
	expect_planned();
	for (size_t i = 0; i < N_OF(wild); i++) {
		int rc;
		for (int planned = 0; planned < 2; planned++) {
			support_memory_u64(&m, TSTATE + l->tstate.datastack_chunk, wild[i]);
			rc = walk_alone(&w, &t, &batch);
			assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ);
		}
		set_top();
		expect_whole();
		support_memory_u64(&m, TSTATE + l->tstate.datastack_top, wild[i]);
		for (int planned = 0; planned < 2; planned++) {
			rc = walk_alone(&w, &t, &batch);
			assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ);
		}
		set_top();
		expect_whole();
		support_memory_u64(&m, chunk, wild[i]); /* the chunk below */
		for (int planned = 0; planned < 2; planned++) {
			rc = walk_alone(&w, &t, &batch);
			assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ);
		}
		support_memory_u64(&m, chunk, chunks.v[0]);
		support_memory_u64(&m, chunk + 8, wild[i]); /* its size says nothing about what is used */
		expect_whole();
		expect_whole();
		support_memory_u64(&m, chunk + 8, chunk_size);
		uint64_t was = *(uint64_t *)support_memory_at(&m, chunks.v[0] + 16, 8);
		support_memory_u64(&m, chunks.v[0] + 16, wild[i]); /* top of the chunk below */
		for (int planned = 0; planned < 2; planned++) {
			rc = walk_alone(&w, &t, &batch);
			assert_true(rc == ERR_TORN || rc == ERR_MEMORY_READ || (rc == 0 && wild[i] < 2048));
		}
		support_memory_u64(&m, chunks.v[0] + 16, was);
		expect_whole();
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
	call();
	while (chunks.n < 2)
		push(OWNER_THREAD);
	push(OWNER_GENERATOR);
	call();
	push(OWNER_GENERATOR);
	push(OWNER_THREAD);
	expect_planned();
	for (unsigned round = 0; round < 4000; round++) {
		struct {
			raddr_t at;
			uint64_t was;
		} changed[4];
		size_t n = 1 + draw(N_OF(changed));
		for (size_t i = 0; i < n; i++) {
			size_t frame = draw(3) ? stack.n - 1 - draw(8) : draw((uint32_t)stack.n);
			raddr_t words[] = {TSTATE + 8 * (raddr_t)draw(l->tstate.size / 8),
			                   TSTATE + l->tstate.datastack_chunk,
			                   TSTATE + l->tstate.datastack_top,
			                   TSTATE + l->tstate.frame_root,
			                   stack.v[frame].at + 8 * draw(9),
			                   stack.v[frame].at + l->frame.previous,
			                   stack.v[frame].at + 64,
			                   chunks.v[draw(2)] + 8 * draw(3),
			                   cframe ? cframe + 8 * draw(2) : TSTATE};
			uint64_t values[] = {stack.v[draw((uint32_t)stack.n)].at,
			                     chunks.v[draw(2)],
			                     cframe,
			                     draw(300),
			                     0,
			                     0 - (uint64_t)draw(300),
			                     (uint64_t)draw(UINT32_MAX) << draw(33),
			                     CSTACK + CSTACK_SIZE - 8 * draw(40),
			                     top - 8 * draw(100)};
			changed[i].at = words[draw(N_OF(words))];
			memcpy(&changed[i].was, support_memory_at(&m, changed[i].at, 8), 8);
			support_memory_u64(&m, changed[i].at, values[draw(N_OF(values))]);
		}
		uint64_t repairs = w.repairs;
		for (int pass = 0; pass < 2; pass++) {
			int rc = walk_alone(&w, &t, &batch);
			assert_true(rc == 0 || rc == ERR_TORN || rc == ERR_MEMORY_READ || rc == ERR_GONE);
			assert_true(w.frames.n <= WALK_FRAMES_MAX);
		}
		assert_true(w.repairs - repairs < 20000);
		for (size_t i = n; i-- > 0;)
			support_memory_u64(&m, changed[i].at, changed[i].was);
		if (round % 8 == 0)
			expect_whole();
	}
	expect_planned();
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
		pop();
		pop();
		push(OWNER_THREAD);
	}
}
static void moving(void)
{
	uint64_t from;
	call_and_push(4);
	expect_planned();
	for (unsigned at = 1; at < 4; at++) {
		for (int i = 0; i < 30; i++)
			push(OWNER_THREAD);
		push(OWNER_GENERATOR);
		push(OWNER_THREAD);
		from = m.reader.calls + at;
		m.ctx = &from;
		m.before = pops_meanwhile;
		int rc = walk_alone(&w, &t, &batch);
		assert_true(rc == 0 || rc == ERR_TORN);
		m.before = NULL;
		expect_whole();
		while (stack.n > 5)
			pop();
	}
}
static void test_moving(void **state)
{
	in_all(moving);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_plain),
	    cmocka_unit_test(test_growth),
	    cmocka_unit_test(test_generators),
	    cmocka_unit_test(test_at_the_end),
	    cmocka_unit_test(test_several_chunks),
	    cmocka_unit_test(test_deep),
	    cmocka_unit_test(test_cut),
	    cmocka_unit_test(test_programs),
	    cmocka_unit_test(test_failed_pieces),
	    cmocka_unit_test(test_chunks_go),
	    cmocka_unit_test(test_full_batch),
	    cmocka_unit_test(test_circles),
	    cmocka_unit_test(test_wrong_ends),
	    cmocka_unit_test(test_stale_cframe),
	    cmocka_unit_test(test_wild_chunks),
	    cmocka_unit_test(test_any_memory),
	    cmocka_unit_test(test_moving),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
