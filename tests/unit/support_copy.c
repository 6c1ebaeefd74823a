#include "tests/unit/support_copy.h"

#include "tests/unit/support_test.h"

enum { CHUNK_HEADER = 24, FRAMES_MAX = 100000 };

unsigned char *support_copy_block(struct support_copy *c, struct support_stack *s, raddr_t at, size_t n)
{
	unsigned char *p = malloc(n);
	assert_non_null(p);
	memcpy(p, support_memory_at(&s->m, at, n), n);
	assert_true(c->n_blocks < N_OF(c->blocks));
	c->blocks[c->n_blocks++] = p;
	return p;
}

void support_copy_forget(struct support_copy *c)
{
	while (c->n_blocks)
		free(c->blocks[--c->n_blocks]);
	c->copy.n_chunks = c->copy.n_extras = c->copy.n_objects = 0;
	c->copy.objects = NULL;
	c->copy.is_cut = false;
}

uint64_t support_copy_word(struct support_stack *s, raddr_t at)
{
	uint64_t v = 0;
	if (support_memory_has(&s->m, at, 8))
		memcpy(&v, support_memory_at(&s->m, at, 8), 8);
	return v;
}

void support_copy_extra(struct support_copy *c, struct support_stack *s, raddr_t at, size_t n)
{
	if (c->copy.n_extras < WALK_COPY_EXTRAS)
		c->copy.extras[c->copy.n_extras++] =
		    (struct walk_piece){at, (uint32_t)n, support_copy_block(c, s, at, n)};
}

static bool in_a_chunk(struct support_stack *s, raddr_t at)
{
	for (size_t i = 0; i < s->chunks.n; i++)
		if (at >= s->chunks.v[i] && at < s->chunks.v[i] + support_copy_word(s, s->chunks.v[i] + 8))
			return true;
	return false;
}

static void copy_chunks(struct support_copy *c, struct support_stack *s)
{
	raddr_t at = support_copy_word(s, SUPPORT_STACK_TSTATE + s->l->tstate.datastack_chunk);
	raddr_t top = support_copy_word(s, SUPPORT_STACK_TSTATE + s->l->tstate.datastack_top);
	for (size_t i = 0; at && i < WALK_COPY_CHUNKS; i++) {
		size_t used = i ? CHUNK_HEADER + support_copy_word(s, at + 16) * 8 : top - at;
		if (used < CHUNK_HEADER || used > WALK_CHUNK_MAX || !support_memory_has(&s->m, at, used))
			break;
		c->copy.chunks[c->copy.n_chunks++] =
		    (struct walk_piece){at, (uint32_t)used, support_copy_block(c, s, at, used)};
		at = support_copy_word(s, at);
	}
}

static void copy_objects(struct support_copy *c, struct support_stack *s)
{
	raddr_t at = support_copy_word(s, SUPPORT_STACK_TSTATE + s->l->tstate.frame_root);
	size_t n = walk_frame_bytes(s->l);
	c->copy.objects = c->objects;
	while (at && c->copy.n_objects < SUPPORT_COPY_OBJECTS && support_memory_has(&s->m, at + s->l->frame.first, n)) {
		raddr_t first = at + s->l->frame.first;
		c->objects[c->copy.n_objects++] =
		    (struct walk_object){.at = at,
		                         .code = support_copy_word(s, first + s->l->frame.code),
		                         .globals = support_copy_word(s, first + s->l->frame.globals),
		                         .lasti = walk_u32(support_memory_at(&s->m, first + s->l->frame.instr, 4), 0)};
		at = support_copy_word(s, first + s->l->frame.previous);
	}
	c->copy.is_cut = at != 0;
}

static void copy_frames(struct support_copy *c, struct support_stack *s)
{
	raddr_t frame = support_copy_word(s, SUPPORT_STACK_TSTATE + s->l->tstate.frame_root);
	size_t n = walk_frame_bytes(s->l), cframe_bytes = s->l->cframe.size;
	if (support_stack_has_cframe(s)) {
		raddr_t root = frame, before = support_copy_word(s, root + s->l->cframe.previous);
		frame = support_copy_word(s, root + s->l->cframe.current_frame);
		if (support_memory_has(&s->m, root, cframe_bytes))
			support_copy_extra(c, s, root, cframe_bytes);
		if (support_memory_has(&s->m, before, cframe_bytes))
			support_copy_extra(c, s, before, cframe_bytes);
	}
	for (int i = 0; frame && i < FRAMES_MAX && support_memory_has(&s->m, frame, n); i++) {
		if (!in_a_chunk(s, frame))
			support_copy_extra(c, s, frame, n);
		frame = support_copy_word(s, frame + s->l->frame.previous);
	}
}

void support_copy_make(struct support_copy *c, struct support_stack *s)
{
	support_copy_forget(c);
	c->copy.tstate_len = s->l->tstate.size;
	c->copy.tstate = support_copy_block(c, s, SUPPORT_STACK_TSTATE, c->copy.tstate_len);
	if (support_stack_is_old(s)) {
		copy_objects(c, s);
		return;
	}
	copy_chunks(c, s);
	copy_frames(c, s);
}
