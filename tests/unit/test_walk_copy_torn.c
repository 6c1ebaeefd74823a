/* walk_copied: copies that make no sense are torn, and whatever they say, nothing outside of their pieces is looked at.
 */
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

static void expect_torn(void)
{
	assert_int_equal(walk_copied(&s.w, copy), ERR_TORN);
}

/* The innermost n frames of the stack; SIZE_MAX: all of it, and not cut. */
static void expect_frames(size_t n)
{
	assert_int_equal(walk_copied(&s.w, copy), 0);
	assert_int_equal(s.w.is_cut, n != SIZE_MAX);
	support_stack_compare(&s, &s.w, n);
	if (n != SIZE_MAX)
		assert_int_equal(s.w.frames.n, n);
}

/* Where the copy has what lies at `at`. */
static unsigned char *in_copy(raddr_t at)
{
	for (size_t i = 0; i < copy->n_chunks; i++)
		if (at - copy->chunks[i].at < copy->chunks[i].len)
			return (unsigned char *)copy->chunks[i].bytes + (at - copy->chunks[i].at);
	for (size_t i = 0; i < copy->n_extras; i++)
		if (at - copy->extras[i].at < copy->extras[i].len)
			return (unsigned char *)copy->extras[i].bytes + (at - copy->extras[i].at);
	fail_msg("the copy lacks %#llx", (unsigned long long)at);
	return NULL;
}

static uint64_t set(raddr_t at, uint64_t value)
{
	uint64_t was;
	memcpy(&was, in_copy(at), 8);
	memcpy(in_copy(at), &value, 8);
	return was;
}

static raddr_t previous_of(size_t frame)
{
	return s.frames.v[frame].at + s.l->frame.previous;
}

/* The stack without its innermost call, the first `n` frames of that; SIZE_MAX as above. */
static void expect_caller(size_t n)
{
	size_t was = s.frames.n;
	while (!s.frames.v[s.frames.n - 1].is_shim && !s.frames.v[s.frames.n - 1].is_first)
		s.frames.n--;
	s.frames.n--;
	expect_frames(n);
	s.frames.n = was;
}

/* Where a cframe may show what an earlier call left there (3.11, 3.12), what called it stands. */
static void expect_torn_or_caller(void)
{
	if (support_stack_has_cframe(&s))
		expect_caller(SIZE_MAX);
	else
		expect_torn();
}

enum { INNER = 4 }; /* frames of the innermost call */

/* Three chunks, the generators between the first two; a call on top of that. */
static void build(void)
{
	support_stack_call(&s);
	while (s.chunks.n < 2)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_push(&s, OWNER_THREAD);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_push(&s, OWNER_GENERATOR);
	while (s.chunks.n < 3)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_push(&s, OWNER_THREAD);
	support_stack_call_and_push(&s, INNER);
	support_copy_make(&c, &s);
	expect_frames(SIZE_MAX);
}

/* Place of the innermost frame of the outer call. */
static size_t outer_last(void)
{
	return s.frames.n - INNER - (s.l->frame.is_entry ? 1 : 2);
}

/* The frames from `inner` on, and those below `outer` unless it is cut there. */
static void expect_frames_past(size_t inner, size_t outer, bool is_cut)
{
	size_t n = 0;
	for (size_t i = 0; i < s.frames.n; i++)
		n += !s.frames.v[i].is_shim && ((i < outer && !is_cut) || i >= inner);
	assert_int_equal(walk_copied(&s.w, copy), 0);
	assert_int_equal(s.w.is_cut, is_cut);
	assert_int_equal(s.w.frames.n, n);
}

/* Addresses where no frame can be called from: none at all; itself, or further in; headers; what is not in use; half a
 * frame before the end of it. */
static void wrong_addresses(void)
{
	build();
	size_t inner = s.frames.n - 2, outer = outer_last();
	const raddr_t wrong[] = {0,
	                         1,
	                         8,
	                         4088,
	                         0x20001,
	                         0x30004,
	                         1ull << 47,
	                         UINT64_MAX,
	                         UINT64_MAX - 7,
	                         s.frames.v[outer - 1].at + 4,
	                         s.frames.v[outer - 1].at + 1,
	                         s.frames.v[inner].at,
	                         s.frames.v[inner + 1].at,
	                         s.chunk,
	                         s.chunk + 16,
	                         s.top,
	                         s.top + 64,
	                         s.top - 16,
	                         s.chunk_end - 8,
	                         s.chunk_end - 80,
	                         s.chunks.v[0],
	                         s.chunks.v[1] + 8,
	                         s.chunks.v[1] + SUPPORT_STACK_CHUNK - 8};
	for (size_t i = 0; i < N_OF(wrong); i++) {
		uint64_t was = set(previous_of(outer), wrong[i]);
		expect_torn();
		set(previous_of(outer), was);
		was = set(previous_of(inner), wrong[i]);
		expect_torn_or_caller();
		set(previous_of(inner), was);
		expect_frames(SIZE_MAX);
	}
	/* where one may be, but was not copied */
	const raddr_t elsewhere[] = {0x12345678, SUPPORT_STACK_OBJECTS + SUPPORT_STACK_OBJECTS_BYTES, s.chunk_end,
	                             s.chunk - 256, s.chunks.v[0] - 8};
	for (size_t i = 0; i < N_OF(elsewhere); i++) {
		uint64_t was = set(previous_of(outer), elsewhere[i]);
		expect_frames(INNER + 1);
		set(previous_of(outer), was);
		was = set(previous_of(inner), elsewhere[i]);
		expect_frames(2);
		set(previous_of(inner), was);
	}
	/* in the part of an older chunk that is in use and was not copied; but the walk came into it further down */
	size_t below = outer;
	while (s.frames.v[below].at - s.chunks.v[2] < SUPPORT_STACK_CHUNK)
		below--;
	while (s.frames.v[below].want.owner)
		below--; /* the innermost frame of chunk 1, ... */
	assert_true(s.frames.v[below].at - s.chunks.v[1] < SUPPORT_STACK_CHUNK);
	raddr_t missing = s.frames.v[below].at;
	copy->chunks[1].len = (uint32_t)(missing - s.chunks.v[1]);
	uint64_t was_outer = set(previous_of(outer), missing);
	expect_frames_past(outer, below, true);
	uint64_t top = set(s.chunks.v[1] + 16, 10); /* ... not in use; nor does it help that the header is nonsense */
	expect_torn();
	static const uint64_t tops[] = {SUPPORT_STACK_CHUNK / 8, 1 << 27, 1ull << 61, 1ull << 63, UINT64_MAX};
	for (size_t i = 0; i < N_OF(tops); i++) {
		set(s.chunks.v[1] + 16, tops[i]);
		expect_torn();
	}
	set(s.chunks.v[1] + 16, top);
	set(previous_of(outer), s.frames.v[below - 1].at);
	expect_frames_past(outer, below, false);
	set(previous_of(below - 1), missing);
	expect_torn();
	set(previous_of(below - 1), s.frames.v[below - 2].at);
	copy->chunks[1].len += (uint32_t)s.frame_bytes;
	set(previous_of(outer), was_outer);
	expect_frames(SIZE_MAX);
	/* a frame that is all right, but for its address */
	size_t bytes = walk_frame_bytes(s.l);
	raddr_t beside = s.frames.v[outer - 1].at;
	memmove(in_copy(beside) + 4, in_copy(beside), bytes);
	set(previous_of(outer), beside + 4);
	expect_torn();
	memmove(in_copy(beside), in_copy(beside) + 4, bytes);
	set(previous_of(outer), was_outer);
	expect_frames(SIZE_MAX);
	/* a thread's own frame that lies on no chunk of it */
	size_t generator = outer;
	while (s.frames.v[generator].want.owner != OWNER_GENERATOR)
		generator--;
	in_copy(s.frames.v[generator].at)[s.l->frame.owner] = OWNER_THREAD;
	expect_torn();
}
static void test_wrong_addresses(void **state)
{
	in_all(wrong_addresses);
}

static void owners(void)
{
	static const uint8_t values[] = {4, 5, 127, 255};
	build();
	size_t inner = s.frames.n - 2, outer = outer_last();
	for (size_t i = 0; i < N_OF(values); i++) {
		if (values[i] == s.l->frame.owner_cstack)
			continue;
		in_copy(s.frames.v[outer].at)[s.l->frame.owner] = values[i];
		expect_torn();
		in_copy(s.frames.v[outer].at)[s.l->frame.owner] = OWNER_THREAD;
		in_copy(s.frames.v[inner].at)[s.l->frame.owner] = values[i];
		expect_torn_or_caller();
		in_copy(s.frames.v[inner].at)[s.l->frame.owner] = OWNER_THREAD;
	}
}
static void test_owners(void **state)
{
	in_all(owners);
}

/* Any frame is called by one that it called, within chunks and outside of them. */
static void circles(void)
{
	build();
	size_t n = s.frames.n, outer = outer_last(), n_outside = 0;
	for (size_t from = 1; from <= outer; from++) {
		raddr_t was = set(previous_of(from), s.frames.v[from].at);
		expect_torn();
		for (size_t to = from; to < n; to += 1 + support_stack_draw(&s, 10)) {
			set(previous_of(from), s.frames.v[to].at);
			expect_torn();
		}
		for (size_t to = from; s.frames.v[from].want.owner && to < n; to++) {
			if (!s.frames.v[to].want.owner)
				continue;
			n_outside++;
			set(previous_of(from), s.frames.v[to].at);
			expect_torn();
		}
		set(previous_of(from), was);
	}
	assert_true(n_outside >= 6);
	expect_frames(SIZE_MAX);
	for (size_t from = outer + 2; from < n; from++) { /* in the innermost call */
		if (s.frames.v[from].is_shim)
			continue;
		raddr_t was =
		    set(previous_of(from), s.frames.v[from + support_stack_draw(&s, (uint32_t)(n - from))].at);
		expect_torn_or_caller();
		set(previous_of(from), was);
	}
}
static void test_circles(void **state)
{
	in_all(circles);
}

/* The chunks are the chain that the thread state and their headers speak of. */
static void wrong_chunks(void)
{
	build();
	struct walk_copy good = *copy;
	static const raddr_t wild[] = {0, 1, 24, 4096, 1ull << 40, 1ull << 47, UINT64_MAX, UINT64_MAX - 7};
	for (size_t i = 0; i < copy->n_chunks; i++) {
		for (size_t k = 0; k < N_OF(wild); k++) {
			copy->chunks[i].at = wild[k];
			expect_torn();
			if (!wild[k]) /* there are none, says the thread state */
				continue;
			unsigned char *leads = i ? in_copy(good.chunks[i - 1].at)
			                         : (unsigned char *)copy->tstate + s.l->tstate.datastack_chunk;
			memcpy(leads, &wild[k], 8);                             /* what leads there says the same */
			bool is_one = wild[k] == 4096 || wild[k] == 1ull << 40; /* then only its frames are missing */
			int rc = walk_copied(&s.w, copy);
			assert_true(rc == ERR_TORN || (is_one && s.w.is_cut));
			memcpy(leads, &good.chunks[i].at, 8);
		}
		for (size_t k = 0; k < copy->n_chunks; k++) { /* one twice */
			copy->chunks[i] = good.chunks[k];
			if (k != i)
				expect_torn();
		}
		*copy = good;
		copy->chunks[i].len = WALK_CHUNK_MAX + 1;
		expect_torn();
		*copy = good;
		for (size_t k = 0; i && k <= i;
		     k++) { /* headers that lead back: then it is the copy that does not follow */
			raddr_t was = set(copy->chunks[i - 1].at, copy->chunks[k].at);
			if (k != i)
				expect_torn();
			set(copy->chunks[i - 1].at, was);
		}
	}
	/* a copy that goes round as its headers do: the third chunk is missing, and the first is none further down */
	size_t n = 0, in_third = 0;
	for (size_t i = 0; i < s.frames.n; i++) {
		bool is_missing = s.frames.v[i].at - s.chunks.v[0] < SUPPORT_STACK_CHUNK || (in_third == i && i == 0);
		in_third = is_missing ? i + 1 : in_third;
		n += i >= in_third && !s.frames.v[i].is_shim;
	}
	set(copy->chunks[1].at, copy->chunks[0].at);
	copy->chunks[2] = copy->chunks[0];
	expect_frames(n);
	set(previous_of(in_third), s.frames.v[s.frames.n - 1].at);
	expect_torn();
	/* one that begins inside of the other */
	*copy = good;
	support_copy_make(&c, &s);
	raddr_t inside = copy->chunks[0].at + 256;
	memcpy(in_copy(inside), in_copy(copy->chunks[1].at), 24);
	set(copy->chunks[0].at, inside);
	copy->chunks[1] = (struct walk_piece){inside, copy->chunks[0].len - 256, copy->chunks[0].bytes + 256};
	for (copy->n_chunks = 3; copy->n_chunks > 0; copy->n_chunks--) {
		int rc = walk_copied(&s.w, copy);
		assert_true(rc == ERR_TORN || (rc == 0 && s.w.is_cut));
	}
}
static void test_wrong_chunks(void **state)
{
	in_all(wrong_chunks);
}

/* 3.11 and 3.12: a new cframe shows what an earlier call left in its place. */
static void stale_cframe(void)
{
	if (!support_stack_has_cframe(&s))
		return;
	support_stack_call_and_push(&s, 3);
	support_stack_call_and_push(&s, 2);
	raddr_t left = support_stack_innermost(&s), caller = s.frames.v[s.frames.n - 2].at;
	support_stack_pop(&s);
	support_stack_pop(&s);
	support_stack_push(&s, OWNER_THREAD); /* where the caller's frame was */
	support_stack_push(&s, OWNER_GENERATOR);
	support_copy_make(&c, &s);
	expect_frames(SIZE_MAX);
	raddr_t before = s.cframe, new = support_stack_on_c(&s, s.l->cframe.size);
	support_memory_u64(&s.m, new + s.l->cframe.previous, before);
	support_memory_u64(&s.m, SUPPORT_STACK_TSTATE + s.l->tstate.frame_root, new);
	s.top = left + s.frame_bytes; /* still to be read */
	support_stack_set_top(&s);
	const raddr_t shown[] = {0,
	                         left,
	                         12,
	                         caller,
	                         support_stack_innermost(&s),
	                         s.frames.v[s.frames.n - 3].at,
	                         SUPPORT_STACK_OBJECTS + 512};
	for (size_t i = 0; i < N_OF(shown); i++) {
		support_memory_u64(&s.m, new + s.l->cframe.current_frame, shown[i]);
		support_copy_make(&c, &s);
		/* what called it was not copied where the chain did not lead there */
		if (walk_copied(&s.w, copy) == 0)
			support_stack_compare(&s, &s.w, s.w.frames.n);
		for (size_t k = s.frames.n; k-- > 0;)
			if (s.frames.v[k].want.owner)
				support_copy_extra(&c, &s, s.frames.v[k].at, walk_frame_bytes(s.l));
		expect_frames(SIZE_MAX);
		/* without what called it, there is nothing to be said */
		size_t extras = copy->n_extras;
		copy->n_extras = 1;
		expect_torn();
		copy->n_extras = extras;
	}
}

/* The same where the chain leads out of the copy: what it shows lies beyond what called it. */
static void stale_and_cut(void)
{
	if (!support_stack_has_cframe(&s))
		return;
	support_stack_call_and_push(&s, 3);
	support_stack_call_and_push(&s, 2);
	raddr_t left = support_stack_innermost(&s);
	support_stack_pop(&s);
	support_stack_pop(&s);
	support_stack_push(&s, OWNER_THREAD);
	raddr_t new = support_stack_on_c(&s, s.l->cframe.size);
	support_memory_u64(&s.m, new + s.l->cframe.previous, s.cframe);
	support_memory_u64(&s.m, new + s.l->cframe.current_frame, left);
	support_memory_u64(&s.m, SUPPORT_STACK_TSTATE + s.l->tstate.frame_root, new);
	s.top = left + s.frame_bytes;
	support_stack_set_top(&s);
	/* two generators that call each other */
	raddr_t generator = SUPPORT_STACK_OBJECTS + 4096;
	size_t second = s.frames.n - 3;
	support_stack_put(&s, generator, OWNER_GENERATOR, generator + 256);
	support_stack_put(&s, generator + 256, OWNER_GENERATOR, generator);
	s.frames.n -= 2;
	support_stack_link(&s, second, 0x44440000);
	for (size_t to = second; to < s.frames.n; to++) { /* past it; to itself, which began no call */
		support_memory_u64(&s.m, left + s.l->frame.previous, s.frames.v[to].at);
		support_copy_make(&c, &s);
		expect_frames(3);
	}
	support_memory_u64(&s.m, new + s.l->cframe.current_frame, generator);
	support_copy_make(&c, &s);
	expect_frames(3);
	/* what called it is a generator */
	support_memory_u64(&s.m, new + s.l->cframe.current_frame, left);
	support_stack_push(&s, OWNER_GENERATOR);
	support_memory_u64(&s.m, left + s.l->frame.previous, support_stack_innermost(&s));
	support_copy_make(&c, &s);
	expect_frames(4);
}
static void test_stale_cframe(void **state)
{
	in_all(stale_cframe);
	in_all(stale_and_cut);
}

/* 3.11 and 3.12: a generator that yields has lost its caller, and is its cframe's current frame yet. */
static void leaving_generator(void)
{
	support_stack_call_and_push(&s, 2);
	support_stack_push(&s, OWNER_GENERATOR);
	support_copy_make(&c, &s);
	set(previous_of(s.frames.n - 1), 0);
	if (support_stack_has_cframe(&s))
		expect_frames(1); /* in the thread's first call nobody knows its caller any more */
	else
		expect_torn();
	support_stack_call_and_push(&s, 1);
	support_stack_push(&s, OWNER_GENERATOR);
	support_copy_make(&c, &s);
	set(previous_of(s.frames.n - 1), 0);
	for (size_t k = s.frames.n - 2; k-- > 0;) /* as it stands in the copy when the chain goes on */
		if (s.frames.v[k].want.owner)
			support_copy_extra(&c, &s, s.frames.v[k].at, walk_frame_bytes(s.l));
	expect_torn_or_caller();
}
static void test_leaving_generator(void **state)
{
	in_all(leaving_generator);
}

/* The fields of the thread state that are needed are in the copy of it. */
static void short_tstate(void)
{
	build();
	size_t need = s.l->tstate.frame_root;
	if (s.l->tstate.datastack_chunk > need)
		need = s.l->tstate.datastack_chunk;
	if (s.l->tstate.datastack_top > need)
		need = s.l->tstate.datastack_top;
	for (size_t n = 0; n < copy->tstate_len; n++) {
		unsigned char *tstate = malloc(n + 1);
		assert_non_null(tstate);
		memcpy(tstate + 1, copy->tstate, n);
		struct walk_copy part = *copy;
		part.tstate = tstate + 1;
		part.tstate_len = n;
		assert_int_equal(walk_copied(&s.w, &part), n < need + 8 ? ERR_TORN : 0);
		free(tstate);
	}
}
static void test_short_tstate(void **state)
{
	in_all(short_tstate);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_wrong_addresses),   cmocka_unit_test(test_owners),
	    cmocka_unit_test(test_circles),           cmocka_unit_test(test_wrong_chunks),
	    cmocka_unit_test(test_stale_cframe),      cmocka_unit_test(test_short_tstate),
	    cmocka_unit_test(test_leaving_generator),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
