#include "pyspy-record/python/awaits.h"

#include "pyspy-record/python/repr_parts.h"
#include "pyspy-record/python/walk_chain.h"

enum { TAG_MASK = 3 /* of a _PyStackRef, 3.14 and later */, STACK_MAX = 1 << 20 };

enum life { CREATED, SUSPENDED, AWAITS, RUNNING, ENDED };

/* One generator (or coroutine), as it is now. */
struct look {
	struct repr *p;
	raddr_t at;    /* the object */
	raddr_t frame; /* 0: it has none any more */
	enum life life;
	struct walk_frame walked;
};

static int read_byte(struct repr *p, raddr_t at, int8_t *v)
{
	return reader_read(p->reader, at, v, 1);
}

bool awaits_has_frame(const struct repr_type *t)
{
	return strcmp(t->name, "coroutine") == 0 || strcmp(t->name, "generator") == 0 ||
	       strcmp(t->name, "async_generator") == 0;
}

/* --- what a frame says */

static int read_frame_object(struct look *k)
{
	const struct layout *l = k->p->layout;
	raddr_t first = k->frame + l->frame.first, code, globals;
	int32_t lasti;
	TRY(repr_word(k->p, first + l->frame.code, &code));
	TRY(repr_word(k->p, first + l->frame.globals, &globals));
	TRY(reader_read(k->p->reader, first + l->frame.instr, &lasti, sizeof lasti));
	k->walked = walk_frame_of_object(l, k->frame, code, globals, lasti);
	k->walked.owner = 1;
	return 0;
}

static int read_frame(struct look *k)
{
	const struct layout *l = k->p->layout;
	unsigned char raw[WALK_PIECE];
	if (l->frame_root == LAYOUT_ROOT_FRAME)
		return read_frame_object(k);
	TRY(reader_read(k->p->reader, k->frame, raw, walk_frame_bytes(l)));
	k->walked = (struct walk_frame){.code = walk_u64(raw, l->frame.code) & ~(raddr_t)l->frame.tag_mask,
	                                .instr = walk_u64(raw, l->frame.instr),
	                                .globals = walk_u64(raw, l->frame.globals),
	                                .owner = 1,
	                                .tlbc_index = l->frame.tlbc_index ? walk_u32(raw, l->frame.tlbc_index) : 0,
	                                .at = k->frame};
	return 0;
}

/* The instruction that comes next: is it the one by which an await goes on? */
static int awaits_by_code(struct look *k, bool *yes)
{
	const struct layout *l = k->p->layout;
	const struct values_layout *s = k->p->shape;
	uint8_t next[2];
	raddr_t at = k->walked.instr + 2, code;
	if (l->code.bytecode) {
		TRY(repr_word(k->p, k->walked.code + l->code.bytecode, &code));
		at += code + l->bytes.ob_sval;
	}
	TRY(reader_read(k->p->reader, at, next, sizeof next));
	*yes = (next[0] == s->awaits.opcode || (s->awaits.also && next[0] == s->awaits.also)) &&
	       next[1] >= s->awaits.argument;
	return 0;
}

static int find_life(struct look *k)
{
	const struct values_layout *s = k->p->shape;
	int8_t state = 0;
	bool awaits = false;
	if (s->generator.running) { /* up to 3.9 */
		TRY(read_byte(k->p, k->at + s->generator.running, &state));
		k->life = state ? RUNNING : k->walked.instr == WALK_NOT_STARTED ? CREATED : SUSPENDED;
	} else {
		TRY(read_byte(k->p, s->stack.state ? k->frame + s->stack.state : k->at + s->generator.state, &state));
		if (state == s->state.created)
			k->life = CREATED;
		else if (state == s->state.running)
			k->life = RUNNING;
		else if (s->stack.state
		             ? state > 0
		             : state == s->state.cleared || (s->state.completed && state == s->state.completed))
			k->life = ENDED;
		else
			k->life = SUSPENDED;
		if (s->state.awaits &&
		    (state == s->state.awaits || (s->state.awaits_locked && state == s->state.awaits_locked)))
			k->life = AWAITS;
	}
	if (k->life == SUSPENDED && s->awaits.opcode) {
		TRY(awaits_by_code(k, &awaits));
		k->life = awaits ? AWAITS : SUSPENDED;
	}
	return 0;
}

/* The generator at k->at: its frame, and how it is. */
static int look_at(struct look *k)
{
	const struct values_layout *s = k->p->shape;
	if (s->generator.frame) {
		TRY(repr_word(k->p, k->at + s->generator.frame, &k->frame));
		if (!k->frame) {
			k->life = ENDED;
			return 0;
		}
	} else if (s->generator.iframe) {
		k->frame = k->at + s->generator.iframe;
	}
	if (!object_is_address(k->frame))
		return ERR_TORN;
	TRY(read_frame(k));
	TRY(find_life(k));
	return k->life != ENDED && !object_is_address(k->walked.code) ? ERR_TORN : 0;
}

/* What it waits for: the top of its stack. */
static int awaited(struct look *k, raddr_t *object)
{
	const struct values_layout *s = k->p->shape;
	raddr_t top;
	int32_t count = 0;
	if (s->stack.count)
		TRY(reader_read(k->p->reader, k->frame + s->stack.count, &count, sizeof count));
	if (s->stack.pointer)
		TRY(repr_word(k->p, k->frame + s->stack.pointer, &top));
	else if (s->stack.values)
		TRY(repr_word(k->p, k->frame + s->stack.values, &top));
	else
		top = k->frame + s->frame.localsplus;
	if (count < 0 || count > STACK_MAX || !object_is_address(top))
		return ERR_TORN;
	TRY(repr_word(k->p, top + 8 * (uint64_t)count - 8, object));
	if (!k->p->layout->frame.tag_mask)
		return 0;
	*object &= ~(raddr_t)TAG_MASK;
	if (!*object) { /* 3.15 has an empty slot (or an index) on top of it */
		TRY(repr_word(k->p, top - 16, object));
		*object &= ~(raddr_t)TAG_MASK;
	}
	return 0;
}

/* --- what stands between */

/* What an object that hands over to another one hands over to; 0: it does not. */
static int behind(struct repr *p, raddr_t object, const struct repr_type *t, raddr_t *inner)
{
	static const char *const wrappers[] = {"coroutine_wrapper", "async_generator_asend", "async_generator_athrow",
	                                       "anext_awaitable"};
	*inner = 0;
	for (size_t i = 0; i < sizeof wrappers / sizeof *wrappers; i++)
		if (strcmp(t->name, wrappers[i]) == 0)
			return repr_word(p, object + repr_body(p), inner);
	if (strcmp(t->name, "_GeneratorWrapper") == 0 && strcmp(t->module, "types") == 0) {
		int rc = repr_attribute(p, object, t, "_GeneratorWrapper__wrapped", inner);
		if (rc == ERR_AGAIN)
			*inner = 0;
		return rc == ERR_AGAIN ? 0 : rc;
	}
	return 0;
}

static bool is_fatal(int rc)
{
	return rc == ERR_GONE || rc == ERR_NO_MEMORY || rc == ERR_PERMISSION;
}

/* One step. 0: *at is what comes next (0: nothing); or an error. */
static int step(struct repr *p, raddr_t *at, struct awaits_frames *frames, struct awaits *a)
{
	struct look k = {.p = p, .at = *at};
	raddr_t next;
	int rc = 0;
	const struct repr_type *t = repr_type_of(p, *at, &rc);
	if (!t)
		return rc;
	if (!awaits_has_frame(t)) {
		TRY(behind(p, *at, t, &next));
		if (!next)
			a->end = *at;
		*at = next;
		return 0;
	}
	TRY(look_at(&k));
	*at = 0;
	if (k.life == ENDED) {
		a->has_ended = a->n == 0;
		return 0;
	}
	if (!vec_push(&frames->list, k.walked))
		return ERR_NO_MEMORY;
	a->n++;
	a->is_begun |= k.life != CREATED;
	a->is_running = k.life == RUNNING;
	return k.life == AWAITS ? awaited(&k, at) : 0;
}

int awaits_follow(struct repr *p, raddr_t coroutine, struct awaits_frames *frames, struct awaits *a)
{
	raddr_t at = coroutine, mark = 0;
	size_t first = frames->list.n;
	*a = (struct awaits){0};
	for (unsigned i = 0; at; i++) {
		if (at == mark || i >= AWAITS_MAX) { /* a circle comes to its mark again before twice its length */
			a->is_cut = true;
			return 0;
		}
		if ((i & (i - 1)) == 0)
			mark = at;
		int rc = step(p, &at, frames, a);
		if (rc < 0 && (is_fatal(rc) || frames->list.n == first))
			return rc;
		if (rc < 0) {
			a->is_cut = true;
			return 0;
		}
	}
	return 0;
}
