/* Are the frame and the thread state of one moment? From outside the state is read first, and says which frame is the
 * innermost and where the data stack ends; the frame is read half a microsecond later. By then the function may have
 * returned and another one been called, whose frame has its place: a stack that makes sense, and shows the next
 * function in place of the one that ran (0.3 to 0.5 % of the samples of an asyncio loop, 3.13). But a frame ends where
 * the data stack does (Python/ceval.c, clear_thread_frame asserts it), and another function's has another size. Sizes
 * are learned from threads that stand still, which all that is believed is certified by anyway.
 *
 * While a callee's frame is cleared, which may take long, the caller is the innermost again, and the callee's still
 * lies behind it: its `previous` says so. While it is set up it says so not yet: such a sample, of some nanoseconds, is
 * torn.
 *
 * 3.11 and later: before that each frame has its own memory.
 */
#include "pyspy-record/sample/target.h"

/* The innermost frame on the top chunk, and its code object. False: none is there, or it was not met before. */
static bool innermost(const struct target *t, const struct sample_thread *th, raddr_t *at, code_id *code)
{
	const struct walk *w = &t->walk;
	const struct walk_chunk *top = &th->states.v[0]->walk.top;
	if (!w->has_chunks || !top->at || th->states.n != 1)
		return false;
	for (size_t i = 0; i < w->frames.n; i++) {
		const struct walk_frame *f = &w->frames.v[i];
		if (f->owner != 0)
			continue;
		*at = f->at;
		*code = codes_known(&t->codes, f->code, f->globals);
		return *code && *at - top->at < top->len;
	}
	return false;
}

static raddr_t end_of_stack(const struct target *t, const struct sample_thread *th)
{
	return walk_u64(th->states.v[0]->walk.image, t->interpreter.layout.tstate.datastack_top);
}

/* Does a frame lie at `at` that was called by the innermost one? */
static bool is_callee(const struct target *t, const struct sample_thread *th, raddr_t at)
{
	const struct walk_chunk *top = &th->states.v[0]->walk.top;
	size_t offset = (size_t)(at - top->at), word = offset + t->interpreter.layout.frame.previous;
	return offset < top->len && word + 8 <= top->len && walk_u64(top->image, word) == t->walk.innermost;
}

bool target_ends_fit(const struct target *t, const struct sample_thread *th)
{
	raddr_t at;
	code_id id;
	if (!innermost(t, th, &at, &id) || !t->codes.v.v[id].frame_bytes)
		return true;
	raddr_t end = at + t->codes.v.v[id].frame_bytes, end_of_all = end_of_stack(t, th);
	return end == end_of_all || (end < end_of_all && is_callee(t, th, end));
}

void target_note_end(struct target *t, const struct sample_thread *th)
{
	raddr_t at;
	code_id id;
	if (!innermost(t, th, &at, &id))
		return;
	struct code *code = codes_at(&t->codes, id);
	uint64_t bytes = end_of_stack(t, th) - at;
	/* a callee may be behind it: the least that was seen */
	if (bytes < UINT32_MAX && (!code->frame_bytes || bytes < code->frame_bytes))
		code->frame_bytes = (uint32_t)bytes;
}
