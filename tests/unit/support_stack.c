#include "tests/unit/support_stack.h"

#include "tests/unit/support_random.h"
#include "tests/unit/support_test.h"

enum { CHUNK_STRIDE = 16 << 20 };

const uint32_t support_stack_versions[3] = {0x030b07f0, 0x030c01f0, 0x030d00f0};
const uint32_t support_stack_old_versions[6] = {0x020307f0, 0x020712f0, 0x030306f0, 0x03060ff0, 0x030812f0, 0x030a0df0};

uint32_t support_stack_draw(struct support_stack *s, uint32_t below)
{
	return support_draw(&s->seed, below);
}

bool support_stack_has_cframe(const struct support_stack *s)
{
	return s->l->frame_root == LAYOUT_ROOT_CFRAME;
}

bool support_stack_is_old(const struct support_stack *s)
{
	return s->l->frame_root == LAYOUT_ROOT_FRAME;
}

/* Where a member of a frame is: up to 3.10 they count from the first one that is read. */
static raddr_t member(const struct support_stack *s, raddr_t frame, uint32_t offset)
{
	return frame + s->l->frame.first + offset;
}

raddr_t support_stack_innermost(const struct support_stack *s)
{
	return s->frames.n ? s->frames.v[s->frames.n - 1].at : 0;
}

void support_stack_set_innermost(struct support_stack *s, raddr_t at)
{
	if (support_stack_has_cframe(s))
		support_memory_u64(&s->m, s->cframe + s->l->cframe.current_frame, at);
	else
		support_memory_u64(&s->m, SUPPORT_STACK_TSTATE + s->l->tstate.frame_root, at);
}

void support_stack_set_top(struct support_stack *s)
{
	if (support_stack_is_old(s)) /* there is none */
		return;
	support_memory_u64(&s->m, SUPPORT_STACK_TSTATE + s->l->tstate.datastack_chunk, s->chunk);
	support_memory_u64(&s->m, SUPPORT_STACK_TSTATE + s->l->tstate.datastack_top, s->top);
}

raddr_t support_stack_on_c(struct support_stack *s, size_t n)
{
	s->c_next -= (n + 15) / 16 * 16;
	assert_true(s->c_next > SUPPORT_STACK_C);
	return s->c_next;
}

static void new_chunk(struct support_stack *s, size_t size)
{
	raddr_t away = s->chunks.n * CHUNK_STRIDE; /* up and down, for they come in any order */
	raddr_t at = s->chunks.n % 2 ? SUPPORT_STACK_CHUNKS - away : SUPPORT_STACK_CHUNKS + away;
	if (s->chunk) /* top is brought up to date only now */
		support_memory_u64(&s->m, s->chunk + 16, (s->top - s->chunk - 24) / 8);
	support_memory_map(&s->m, at, size);
	support_memory_u64(&s->m, at, s->chunk);
	support_memory_u64(&s->m, at + 8, size);
	assert_true(vec_push(&s->chunks, at));
	s->chunk = at;
	s->chunk_end = at + size;
	/* CPython leaves the first word of the first chunk free */
	s->top = at + 24 + (s->chunks.n == 1 ? 8 : 0);
}

void support_stack_begin(struct support_stack *s, uint32_t version)
{
	s->version = version;
	s->l = layout_find(version, LAYOUT_RELEASE);
	support_memory_init(&s->m);
	support_memory_map(&s->m, SUPPORT_STACK_TSTATE, s->l->tstate.size);
	support_memory_map(&s->m, SUPPORT_STACK_C, SUPPORT_STACK_C_BYTES);
	support_memory_map(&s->m, SUPPORT_STACK_OBJECTS, SUPPORT_STACK_OBJECTS_BYTES);
	walk_init(&s->w, &s->m.reader, s->l);
	s->t = (struct walk_thread){.tstate = SUPPORT_STACK_TSTATE};
	s->frames.n = s->chunks.n = 0;
	s->seed = 7;
	s->c_bytes = 0;
	s->chunk = s->top = s->chunk_end = s->cframe = 0;
	s->c_next = SUPPORT_STACK_C + SUPPORT_STACK_C_BYTES - 256;
	s->object_next = SUPPORT_STACK_OBJECTS;
	s->chunk_size = SUPPORT_STACK_CHUNK;
	s->serial = 0;
	s->frame_bytes = 120;
	s->locals = 20;
	s->next_is_first = false;
	if (support_stack_has_cframe(s)) { /* the thread state's own */
		s->cframe = support_stack_on_c(s, s->l->cframe.size);
		support_memory_u64(&s->m, SUPPORT_STACK_TSTATE + s->l->tstate.frame_root, s->cframe);
	}
}

void support_stack_end(struct support_stack *s)
{
	walk_thread_done(&s->t);
	walk_done(&s->w);
	vec_free(&s->frames);
	vec_free(&s->chunks);
	support_memory_done(&s->m);
}

void support_stack_put(struct support_stack *s, raddr_t at, unsigned owner, raddr_t previous)
{
	struct support_stack_frame p = {.at = at,
	                                .cframe = s->cframe,
	                                .c_was = s->call_c,
	                                .is_shim = owner == OWNER_CSTACK,
	                                .is_first = s->next_is_first};
	s->serial++;
	p.want = (struct walk_frame){.code = 0x600000000 + s->serial * 64,
	                             .instr = 0x700000000 + s->serial * 2,
	                             .globals = 0x800000000 + s->serial * 16,
	                             .owner = (uint8_t)owner};
	support_memory_u64(&s->m, member(s, at, s->l->frame.previous), previous);
	if (support_stack_is_old(s)) {
		uint32_t lasti = support_stack_draw(s, 5) ? support_stack_draw(s, 1000) : UINT32_MAX;
		p.want.instr = lasti == UINT32_MAX ? WALK_NOT_STARTED : (uint64_t)lasti * s->l->frame.instr_unit;
		p.want.owner = 0; /* nobody knows */
		support_memory_u64(&s->m, member(s, at, s->l->frame.code), p.want.code);
		support_memory_u64(&s->m, member(s, at, s->l->frame.globals), p.want.globals);
		support_memory_u32(&s->m, member(s, at, s->l->frame.instr), lasti);
		assert_true(vec_push(&s->frames, p));
		return;
	}
	support_memory_u64(&s->m, at + s->l->frame.code, p.is_shim ? 0 : p.want.code);
	support_memory_u64(&s->m, at + s->l->frame.instr, p.want.instr);
	support_memory_u64(&s->m, at + s->l->frame.globals, p.want.globals);
	support_memory_u8(&s->m, at + s->l->frame.owner, (uint8_t)owner);
	if (s->l->frame.is_entry)
		support_memory_u8(&s->m, at + s->l->frame.is_entry, s->next_is_first);
	s->next_is_first = false;
	assert_true(vec_push(&s->frames, p));
}

void support_stack_call(struct support_stack *s)
{
	raddr_t previous = support_stack_innermost(s);
	if (support_stack_is_old(s))
		return;
	s->call_c = s->c_next;
	s->c_next -= s->c_bytes;
	if (support_stack_has_cframe(s)) {
		raddr_t new = support_stack_on_c(s, s->l->cframe.size);
		support_memory_u64(&s->m, new + s->l->cframe.previous, s->cframe);
		support_memory_u64(&s->m, SUPPORT_STACK_TSTATE + s->l->tstate.frame_root, new);
		s->cframe = new;
	}
	if (s->l->frame.is_entry)
		s->next_is_first = true;
	else
		support_stack_put(s, support_stack_on_c(s, s->l->frame.size), OWNER_CSTACK, previous);
}

static void push_at(struct support_stack *s, raddr_t at, unsigned owner, raddr_t was_chunk, raddr_t was_top)
{
	support_stack_put(s, at, owner, support_stack_innermost(s));
	s->frames.v[s->frames.n - 1].chunk = was_chunk;
	s->frames.v[s->frames.n - 1].top = was_top;
	support_stack_set_innermost(s, at);
}

void support_stack_push_generator(struct support_stack *s, raddr_t at)
{
	push_at(s, at, OWNER_GENERATOR, s->chunk, s->top);
}

void support_stack_push(struct support_stack *s, unsigned owner)
{
	raddr_t at, was_chunk = s->chunk, was_top = s->top;
	if (support_stack_is_old(s)) { /* with some locals and a stack */
		at = s->object_next;
		s->object_next += s->l->frame.size + 8 * (raddr_t)support_stack_draw(s, s->locals);
		assert_true(s->object_next < SUPPORT_STACK_OBJECTS + SUPPORT_STACK_OBJECTS_BYTES);
	} else if (owner == OWNER_GENERATOR) {
		at = s->object_next + 16;
		s->object_next += SUPPORT_STACK_GENERATOR;
		assert_true(s->object_next < SUPPORT_STACK_OBJECTS + SUPPORT_STACK_OBJECTS_BYTES);
	} else {
		if (s->top + s->frame_bytes > s->chunk_end || !s->chunk)
			new_chunk(s, s->chunk_size);
		at = s->top;
		s->top += s->frame_bytes;
		support_stack_set_top(s);
	}
	push_at(s, at, owner, was_chunk, was_top);
}

void support_stack_pop(struct support_stack *s)
{
	struct support_stack_frame p = s->frames.v[--s->frames.n];
	assert_false(p.is_shim);
	if (support_stack_is_old(s)) {
		s->object_next = p.at; /* the last one to come is the first to go */
		support_memory_u64(&s->m, member(s, p.at, s->l->frame.previous), 0);
		support_stack_set_innermost(s, support_stack_innermost(s));
		return;
	}
	if (p.want.owner == OWNER_GENERATOR) {
		if (p.at == s->object_next - SUPPORT_STACK_GENERATOR + 16)
			s->object_next -= SUPPORT_STACK_GENERATOR;
		support_memory_u64(&s->m, p.at + s->l->frame.previous, 0);
	} else if (p.chunk != s->chunk && p.chunk) {
		support_memory_unmap(&s->m, s->chunk);
		s->chunks.n--;
		s->chunk = p.chunk;
		s->chunk_end = s->chunk + s->chunk_size;
		s->top = p.top;
		support_stack_set_top(s);
	} else {
		s->top = p.chunk ? p.top : s->chunk + 32;
		support_stack_set_top(s);
	}
	bool ends_call = p.is_first;
	if (s->frames.n && s->frames.v[s->frames.n - 1].is_shim) {
		p.c_was = s->frames.v[--s->frames.n].c_was;
		ends_call = true;
	}
	if (ends_call && support_stack_has_cframe(s)) {
		s->cframe = *(uint64_t *)support_memory_at(&s->m, p.cframe + s->l->cframe.previous, 8);
		support_memory_u64(&s->m, SUPPORT_STACK_TSTATE + s->l->tstate.frame_root, s->cframe);
	}
	if (ends_call)
		s->c_next = p.c_was;
	if (!support_stack_has_cframe(s) || (s->frames.n && !ends_call))
		support_stack_set_innermost(s, support_stack_innermost(s));
}

void support_stack_call_and_push(struct support_stack *s, unsigned n)
{
	support_stack_call(s);
	for (unsigned i = 0; i < n; i++)
		support_stack_push(s, OWNER_THREAD);
}

void support_stack_link(struct support_stack *s, size_t frame, raddr_t previous)
{
	support_memory_u64(&s->m, member(s, s->frames.v[frame].at, s->l->frame.previous), previous);
}

void support_stack_compare(const struct support_stack *s, const struct walk *w, size_t n)
{
	size_t k = 0;
	for (size_t i = s->frames.n; i-- > 0 && k < n;) {
		if (s->frames.v[i].is_shim)
			continue;
		assert_true(k < w->frames.n);
		const struct walk_frame *got = &w->frames.v[k++], *want = &s->frames.v[i].want;
		assert_true(got->code == want->code && got->instr == want->instr && got->globals == want->globals);
		assert_int_equal(got->owner, want->owner);
		assert_true(got->at == s->frames.v[i].at);
	}
	assert_int_equal(k, w->frames.n);
}

void support_stack_expect_whole(struct support_stack *s)
{
	assert_int_equal(walk_alone(&s->w, &s->t, &s->batch), 0);
	support_stack_compare(s, &s->w, SIZE_MAX);
	assert_false(s->w.is_cut);
}

void support_stack_expect_found(struct support_stack *s)
{
	unsigned tries = 0;
	do {
		assert_int_equal(walk_alone(&s->w, &s->t, &s->batch), 0);
		support_stack_compare(s, &s->w, s->w.frames.n);
		assert_true(++tries <= WALK_EXTRAS_MAX / WALK_REPAIRS_MAX + 2);
	} while (s->w.is_cut);
	support_stack_expect_whole(s);
}

void support_stack_expect_at_once(struct support_stack *s)
{
	uint64_t calls = s->m.reader.calls;
	support_stack_expect_whole(s);
	assert_int_equal(s->m.reader.calls - calls, 1);
}

void support_stack_expect_planned(struct support_stack *s)
{
	support_stack_expect_whole(s);
	support_stack_expect_at_once(s);
	support_stack_expect_at_once(s);
}
