#include "pyspy-record/sample/gil.h"

#include <sys/syscall.h>

bool gil_is_held(const struct target *t, raddr_t tstate, uint32_t interp, const unsigned char *image)
{
	const struct layout *l = &t->interpreter.layout;
	const struct sample_interp *in = &t->interps[interp];
	if (l->gil_kind == LAYOUT_GIL_CURRENT)
		return tstate && t->words.gil_current == tstate;
	/* the kernel's samples have not this word; a GIL that is switched off is let go of, too */
	if (layout_is_freethreaded(l) && !t->sampled_ns && in->words.gil_enabled == 0)
		return false;
	if (in->words.gil.locked != 1 || in->words.gil.last_holder != tstate)
		return false;
	if (l->gil_kind == LAYOUT_GIL_STATUS)
		return walk_u32(image, l->tstate.status) & l->tstate.status_active;
	return walk_u32(image, l->tstate.state) == 1;
}

static bool is_in_gil(const struct target *t, uint32_t interp, uint64_t at)
{
	bool is_one = t->interpreter.layout.gil_kind == LAYOUT_GIL_CURRENT;
	raddr_t gil = is_one ? t->interpreter.gil : t->interps[interp].gil;
	return gil && at - gil < (is_one ? t->interpreter.gil_bytes : t->interpreter.layout.gil.size);
}

bool gil_is_awaited(const struct target *t, const struct sample_thread *th, long syscall, uint64_t arg)
{
	for (size_t i = 0; syscall == SYS_futex && i < th->states.n; i++)
		if (is_in_gil(t, th->states.v[i]->interp, arg))
			return true;
	return false;
}

uint32_t gil_state_flags(const struct target *t, raddr_t tstate, uint32_t interp, const unsigned char *image)
{
	if (!gil_is_held(t, tstate, interp, image))
		return 0;
	return WIRE_FLAG_GIL | (t->interps[interp].words.gc ? WIRE_FLAG_GC : 0);
}

uint32_t gil_flags(const struct target *t, const struct sample_thread *th)
{
	uint32_t flags = 0;
	for (size_t i = 0; i < th->states.n; i++) { /* it runs in one of them at most */
		const struct sample_state *s = th->states.v[i];
		if (!s->is_gone)
			flags |= gil_state_flags(t, s->tstate, s->interp, s->walk.image);
	}
	return flags;
}
