/* walk_copied: copies of which anything was changed, and copies of memory of which anything was changed: each walk
 * ends, and sees nothing but its pieces (sanitizers tell, for each is a block of its own). */
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

/* Three chunks, the generators between the first two; two calls on top of that. */
static void build(void)
{
	support_stack_call(&s);
	while (s.chunks.n < 2)
		support_stack_push(&s, OWNER_THREAD);
	for (int i = 0; i < 3; i++)
		support_stack_push(&s, OWNER_GENERATOR);
	while (s.chunks.n < 3)
		support_stack_push(&s, OWNER_THREAD);
	support_stack_call_and_push(&s, 2);
	support_stack_push(&s, OWNER_GENERATOR);
	support_stack_call_and_push(&s, 3);
}

static uint64_t wild_word(void)
{
	const uint64_t values[] = {s.frames.v[support_stack_draw(&s, (uint32_t)s.frames.n)].at,
	                           s.frames.v[s.frames.n - 1 - support_stack_draw(&s, 8)].at,
	                           s.chunks.v[support_stack_draw(&s, (uint32_t)s.chunks.n)],
	                           s.cframe,
	                           support_stack_draw(&s, 300),
	                           0,
	                           0 - (uint64_t)support_stack_draw(&s, 300),
	                           (uint64_t)support_stack_draw(&s, UINT32_MAX) << support_stack_draw(&s, 33),
	                           SUPPORT_STACK_C + SUPPORT_STACK_C_BYTES - 8 * support_stack_draw(&s, 40),
	                           s.top - 8 * support_stack_draw(&s, 100)};
	return values[support_stack_draw(&s, N_OF(values))];
}

/* One piece of the copy says something else; its block is as long as it was, so len does not grow. */
static void spoil(void)
{
	bool is_chunk = copy->n_chunks && support_stack_draw(&s, 2);
	size_t n = is_chunk ? copy->n_chunks : copy->n_extras;
	struct walk_piece *p = is_chunk ? copy->chunks : copy->extras;
	if (!n)
		return;
	p += support_stack_draw(&s, (uint32_t)n);
	uint32_t words = p->len / 8;
	switch (support_stack_draw(&s, 12)) {
	case 0:
		p->at = wild_word();
		break;
	case 1:
		p->at += 8 * (uint64_t)support_stack_draw(&s, 40) - 160;
		break;
	case 2:
		p->len = support_stack_draw(&s, p->len + 1);
		break;
	case 3: /* one in the place of another */
		if (copy->n_extras)
			*p = copy->extras[support_stack_draw(&s, (uint32_t)copy->n_extras)];
		break;
	case 4:
		if (copy->n_chunks)
			*p = copy->chunks[support_stack_draw(&s, (uint32_t)copy->n_chunks)];
		break;
	case 5: { /* two of them are one, in part */
		uint32_t skip = support_stack_draw(&s, words + 1) * 8;
		*p =
		    (struct walk_piece){p->at + (support_stack_draw(&s, 2) ? skip : 8), p->len - skip, p->bytes + skip};
		break;
	}
	case 6:
		*(is_chunk ? &copy->n_chunks : &copy->n_extras) = support_stack_draw(&s, (uint32_t)n + 1);
		break;
	case 7:
		if (copy->tstate_len)
			memcpy((unsigned char *)copy->tstate +
			           8 * support_stack_draw(&s, (uint32_t)copy->tstate_len / 8),
			       &(uint64_t){wild_word()}, 8);
		break;
	default:
		if (words) /* the headers, fields of frames, anything */
			memcpy((unsigned char *)p->bytes +
			           8 * support_stack_draw(&s, support_stack_draw(&s, 3) || words < 3 ? words : 3),
			       &(uint64_t){wild_word()}, 8);
	}
}

static void any_copy(void)
{
	size_t ends[3] = {0};
	build();
	for (unsigned round = 0; round < 4000; round++) {
		support_copy_make(&c, &s);
		for (unsigned n = 1 + support_stack_draw(&s, 5); n > 0; n--)
			spoil();
		int rc = walk_copied(&s.w, copy);
		assert_true(rc == 0 || rc == ERR_TORN);
		assert_true(s.w.frames.n <= WALK_FRAMES_MAX);
		ends[rc < 0 ? 0 : s.w.is_cut ? 1 : 2]++;
	}
	assert_true(ends[0] > 200 && ends[1] > 200 && ends[2] > 200);
}
static void test_any_copy(void **state)
{
	in_all(any_copy);
}

/* The target's own memory changed: what both ways of reading it believe is the same. */
static void any_memory(void)
{
	static struct walk_frame live[WALK_FRAMES_MAX];
	size_t n_both = 0, n_live = 0;
	build();
	for (unsigned round = 0; round < 3000; round++) {
		size_t frame = support_stack_draw(&s, 2) ? s.frames.n - 1 - support_stack_draw(&s, 8)
		                                         : support_stack_draw(&s, (uint32_t)s.frames.n);
		const raddr_t words[] = {SUPPORT_STACK_TSTATE + s.l->tstate.frame_root,
		                         s.frames.v[frame].at + 8 * support_stack_draw(&s, 8),
		                         s.frames.v[frame].at + s.l->frame.previous,
		                         s.frames.v[frame].at + 64,
		                         s.chunks.v[support_stack_draw(&s, 2)] + 8 * support_stack_draw(&s, 3),
		                         s.cframe ? s.cframe + 8 * support_stack_draw(&s, 2) : s.chunk};
		raddr_t at = words[support_stack_draw(&s, N_OF(words))];
		uint64_t was = support_copy_word(&s, at);
		support_memory_u64(&s.m, at, wild_word());
		int outside = walk_alone(&s.w, &s.t, &s.batch);
		size_t n = s.w.frames.n;
		if (n)
			memcpy(live, s.w.frames.v, n * sizeof *live);
		support_copy_make(&c, &s);
		int copied = walk_copied(&s.w, copy);
		n_live += outside == 0;
		if (outside == 0 && copied == 0 && !s.w.is_cut) {
			n_both++;
			assert_int_equal(s.w.frames.n, n);
			for (size_t i = 0; i < n; i++)
				assert_true(live[i].code == s.w.frames.v[i].code &&
				            live[i].instr == s.w.frames.v[i].instr &&
				            live[i].globals == s.w.frames.v[i].globals &&
				            live[i].owner == s.w.frames.v[i].owner);
		}
		support_memory_u64(&s.m, at, was);
	}
	assert_true(n_both > 300 && n_both > n_live / 10 * 9);
}
static void test_any_memory(void **state)
{
	in_all(any_memory);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_any_copy),
	    cmocka_unit_test(test_any_memory),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
