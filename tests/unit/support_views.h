/* support_views: recordings that the reporter's tests look at, each making one point. */
#pragma once
#include "libcommon/buf.h"

/* One thread, 100 ticks, no certificate but the innermost ancestor's: see support_views.c for what must come out. */
void support_views_motion(struct buf *out);
/* Names that break things: markup, quotes, control and bidi characters, lone surrogates, ';', ends of CDATA. */
void support_views_hostile(struct buf *out);
/* Two processes, four threads, GIL holders and waiters, idle ones, a deep recursion, native and cut stacks, notes. */
void support_views_many(struct buf *out);
/* A wide and deep call tree: more frames than a picture can hold. */
void support_views_wide(struct buf *out);
/* As small, but its views shall be: idle too, by thread, by function. */
void support_views_defaults(struct buf *out);
/* Every sample lost: threads and stacks that were never defined. */
void support_views_undefined(struct buf *out);

/* Two threads by the kernel, one from outside, 4 s each: most of 100 stacks weigh less than a sample's worth. */
void support_views_kernel(struct buf *out);

/* By name, for those who want them as files. */
struct support_view {
	const char *name;
	void (*make)(struct buf *out);
};
extern const struct support_view support_views[]; /* ends with a NULL name */
