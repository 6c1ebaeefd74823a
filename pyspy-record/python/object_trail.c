#include "pyspy-record/python/object_trail.h"

#include <string.h>

enum { BYTES_MAX = 16 << 20 };

void object_trail_done(struct object_trail *t)
{
	vec_free(&t->pieces);
	buf_done(&t->bytes);
}

void object_trail_clear(struct object_trail *t)
{
	t->pieces.n = 0;
	buf_reset(&t->bytes);
	t->is_broken = false;
}

void object_trail_break(struct object_trail *t)
{
	if (t)
		t->is_broken = true;
}

void object_trail_add(struct object_trail *t, raddr_t at, const void *bytes, size_t n)
{
	if (!t || t->is_broken || n == 0)
		return;
	struct object_piece piece = {at, (uint32_t)n, (uint32_t)t->bytes.len};
	if (t->pieces.n < OBJECT_TRAIL_PIECES && n <= BYTES_MAX - t->bytes.len)
		buf_put(&t->bytes, bytes, n);
	else
		t->is_broken = true;
	if (t->is_broken || t->bytes.err || !vec_push(&t->pieces, piece))
		object_trail_break(t);
}

bool object_trail_holds(struct object_trail *t, struct reader *r)
{
	static struct reader_batch batch; /* large, and used by one thread only */
	static unsigned char now[65536];
	for (size_t i = 0; i < t->pieces.n && !t->is_broken;) {
		size_t first = i, n = 0;
		reader_batch_clear(&batch);
		for (; i < t->pieces.n && t->pieces.v[i].n <= sizeof now - n; i++) {
			if (!reader_batch_add(&batch, t->pieces.v[i].at, now + n, t->pieces.v[i].n))
				break;
			n += t->pieces.v[i].n;
		}
		if (i == first || reader_batch_read(r, &batch) != (int)batch.n ||
		    memcmp(now, t->bytes.data + t->pieces.v[first].pos, n) != 0)
			return false;
	}
	return !t->is_broken;
}
