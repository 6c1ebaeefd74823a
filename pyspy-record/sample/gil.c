#include "pyspy-record/sample/gil.h"

#include <sys/syscall.h>

bool gil_is_held(const struct target *t, const struct sample_thread *th, const unsigned char *image)
{
	const struct layout *l = &t->interpreter.layout;
	const struct sample_interp *in = &t->interps[th->interp];
	if (l->gil_kind == LAYOUT_GIL_CURRENT)
		return t->words.gil_current == th->tstate;
	if (in->words.gil.locked != 1 || in->words.gil.last_holder != th->tstate)
		return false;
	if (l->gil_kind == LAYOUT_GIL_STATUS)
		return walk_u32(image, l->tstate.status) & l->tstate.status_active;
	return walk_u32(image, l->tstate.state) == 1;
}

bool gil_is_awaited(const struct target *t, const struct sample_thread *th, long syscall, uint64_t arg)
{
	const struct layout *l = &t->interpreter.layout;
	bool is_one = l->gil_kind == LAYOUT_GIL_CURRENT;
	raddr_t gil = is_one ? t->interpreter.gil : t->interps[th->interp].gil;
	return gil && syscall == SYS_futex && arg >= gil &&
	       arg < gil + (is_one ? t->interpreter.gil_bytes : l->gil.size);
}

uint32_t gil_flags(const struct target *t, const struct sample_thread *th, const unsigned char *image)
{
	if (!gil_is_held(t, th, image))
		return 0;
	return WIRE_FLAG_GIL | (t->interps[th->interp].words.gc ? WIRE_FLAG_GC : 0);
}
