/* span: the part of a recording's time that a view is about (--time A..B).
 *
 * Half-open: what happens at A is in it, what happens at B is not. Each end is meant by the recording's own start, its
 * end, or the clock; it becomes a time of the recording (CLOCK_BOOTTIME) block by block, because the clock may be set
 * while it runs.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

enum span_kind {
	SPAN_OPEN,
	SPAN_OFFSET,   /* ns since the recording began */
	SPAN_FROM_END, /* ns before its end */
	SPAN_SHARE,    /* ns / SPAN_WHOLE of the way from its begin to its end */
	SPAN_CLOCK,    /* CLOCK_REALTIME */
};
#define SPAN_WHOLE INT64_C(1000000000)

struct span_point {
	enum span_kind kind;
	int64_t ns; /* not negative, but for SPAN_CLOCK */
};

struct span {
	struct span_point from, to; /* all zero: everything */
};

/* What the ends are meant by. */
struct span_of {
	uint64_t begin_ns, end_ns; /* of the recording; end_ns is looked at only where span_needs_end */
	int64_t anchor_ns;         /* of the block: CLOCK_REALTIME minus CLOCK_BOOTTIME */
};

bool span_is_open(const struct span *s);   /* nothing is left out */
bool span_needs_end(const struct span *s); /* how long the recording is must be known first */
uint64_t span_point_at(const struct span_point *p, const struct span_of *of); /* not for SPAN_OPEN */
/* [*from_ns, *until_ns); an open end is 0 or UINT64_MAX. */
void span_resolve(const struct span *s, const struct span_of *of, uint64_t *from_ns, uint64_t *until_ns);
