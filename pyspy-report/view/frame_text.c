#include "pyspy-report/view/frame_text.h"

#include <string.h>

#include "libcommon/err.h"

void frame_text_init(struct frame_text *t, const struct naming *n, void (*escape)(struct buf *, const char *, size_t))
{
	memset(t, 0, sizeof *t);
	t->naming = n;
	t->escape = escape;
	buf_init(&t->all, 0);
	buf_init(&t->raw, 0);
}

void frame_text_done(struct frame_text *t)
{
	buf_done(&t->all);
	buf_done(&t->raw);
	vec_free(&t->begin);
	vec_free(&t->length);
}

const char *frame_text_get(struct frame_text *t, uint32_t frame, size_t *n)
{
	*n = 0;
	while (t->begin.n <= frame) {
		if (!vec_push(&t->begin, SIZE_MAX) || !vec_push(&t->length, 0)) {
			t->all.err = ERR_NO_MEMORY;
			return "";
		}
	}
	if (t->begin.v[frame] == SIZE_MAX) {
		size_t begin = t->all.len;

		buf_reset(&t->raw);
		naming_text(t->naming, frame, &t->raw);
		t->escape(&t->all, buf_cstr(&t->raw), t->raw.len);
		if (t->raw.err)
			t->all.err = t->raw.err;
		if (t->all.err)
			return "";
		t->begin.v[frame] = begin;
		t->length.v[frame] = t->all.len - begin;
	}
	*n = t->length.v[frame];
	return *n ? (const char *)t->all.data + t->begin.v[frame] : "";
}
