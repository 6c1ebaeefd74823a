#include "pyspy-report/query/filter.h"

#include "format/wire.h"

bool filter_is_idle(uint32_t flags)
{
	if (flags & WIRE_FLAG_GIL)
		return false;
	switch (flags & WIRE_FLAG_STATE) {
	case WIRE_STATE_SLEEPING:
	case WIRE_STATE_DISK:
	case WIRE_STATE_STOPPED:
		return true;
	case WIRE_STATE_UNKNOWN:
		return (flags & WIRE_FLAG_GIL_WAIT) != 0;
	default:
		return false;
	}
}

bool filter_keeps(const struct filter *f, uint32_t flags)
{
	if (f->gil_only && !(flags & WIRE_FLAG_GIL))
		return false;
	return f->idle || !filter_is_idle(flags);
}
