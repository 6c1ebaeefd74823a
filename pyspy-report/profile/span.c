#include "pyspy-report/profile/span.h"

bool span_is_open(const struct span *s)
{
	return s->from.kind == SPAN_OPEN && s->to.kind == SPAN_OPEN;
}

static bool span_is_of_end(const struct span_point *p)
{
	return p->kind == SPAN_FROM_END || p->kind == SPAN_SHARE;
}

bool span_needs_end(const struct span *s)
{
	return span_is_of_end(&s->from) || span_is_of_end(&s->to);
}

static uint64_t span_add(uint64_t at, uint64_t ns)
{
	return at > UINT64_MAX - ns ? UINT64_MAX : at + ns;
}

uint64_t span_point_at(const struct span_point *p, const struct span_of *of)
{
	uint64_t length = of->end_ns > of->begin_ns ? of->end_ns - of->begin_ns : 0, ns = (uint64_t)p->ns;
	__int128 at;

	switch (p->kind) {
	case SPAN_OFFSET:
		return span_add(of->begin_ns, ns);
	case SPAN_FROM_END:
		return ns < length ? of->end_ns - ns : of->begin_ns;
	case SPAN_SHARE:
		return span_add(of->begin_ns, (uint64_t)((unsigned __int128)length * ns / (uint64_t)SPAN_WHOLE));
	default:
		at = (__int128)p->ns - of->anchor_ns;
		return at < 0 ? 0 : at > (__int128)UINT64_MAX ? UINT64_MAX : (uint64_t)at;
	}
}

void span_resolve(const struct span *s, const struct span_of *of, uint64_t *from_ns, uint64_t *until_ns)
{
	/* events may be older than their recording, and the last one stands at its very end */
	bool all_from = s->from.kind == SPAN_OPEN ||
	                ((s->from.kind == SPAN_OFFSET || s->from.kind == SPAN_SHARE) && s->from.ns == 0);
	bool all_to = s->to.kind == SPAN_OPEN || (s->to.kind == SPAN_SHARE && s->to.ns >= SPAN_WHOLE) ||
	              (s->to.kind == SPAN_FROM_END && s->to.ns == 0);

	*from_ns = all_from ? 0 : span_point_at(&s->from, of);
	*until_ns = all_to ? UINT64_MAX : span_point_at(&s->to, of);
}
