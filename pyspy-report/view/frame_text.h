/* frame_text: the escaped text of frames, made once each. */
#pragma once
#include "pyspy-report/query/naming.h"

struct frame_text {
	const struct naming *naming;
	void (*escape)(struct buf *out, const char *s, size_t n);
	struct buf all, raw;
	VEC(size_t) begin; /* by frame; SIZE_MAX = not made yet */
	VEC(size_t) length;
};

void frame_text_init(struct frame_text *t, const struct naming *n, void (*escape)(struct buf *, const char *, size_t));
void frame_text_done(struct frame_text *t);
/* Valid until the next call; "" and t->all.err set without memory. */
const char *frame_text_get(struct frame_text *t, uint32_t frame, size_t *n);
