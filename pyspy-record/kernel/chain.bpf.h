/* chain: along the frames of a thread, chunk by chunk of its data stack, or object by object. */
#pragma once
#include "pyspy-record/kernel/lists.bpf.h"

/* A chunk of the data stack: its header tells what lies below it. False: it is not there, or makes no sense. */
static __always_inline bool begin_chunk(struct scratch *s, __u64 chunk, __u64 used)
{
	__u64 header[3]; /* previous, size in bytes, top in words */
	__u64 at = s->is_list ? LIST_BYTES : s->n;
	if (bpf_probe_read_user(header, sizeof header, (void *)chunk))
		return false;
	OPAQUE(at);
	if (at > KERNEL_DATA)
		return false;
	if (!used) {
		used = sizeof header + header[2] * 8;
	} else { /* the top one: a frame may be current still that was just taken off it */
		used += KERNEL_FRAME_MAX;
		if (used > header[1])
			used = header[1];
	}
	if (used < sizeof header || used > KERNEL_DATA || (s->is_list && used > KERNEL_DATA - LIST_BYTES))
		return false;
	struct kernel_piece *piece = (void *)(s->data + at);
	piece->at = chunk;
	piece->len = 0;
	piece->kind = KERNEL_PIECE_CHUNK;
	s->header = at;
	s->n = at + sizeof *piece;
	s->at = chunk;
	s->len = 0;
	s->offset = s->n;
	s->copy_at = chunk;
	s->copy_left = used;
	s->next = header[0];
	s->next_used = 0;
	return true;
}

/* The chain came to its end before the innermost call was found to fit: what called it stands. False: it fits, or there
 * is no such call and all frames are listed (a generator that yields, in the outermost call, has no caller any more).
 */
static __always_inline bool begin_at_caller(struct scratch *s)
{
	__u64 before = s->before;
	s->before = NO_CALL;
	if (!s->is_list || before == NO_CALL || (!before && !s->frame))
		return false;
	s->frame = before;
	s->list_end = s->list_begin;
	s->sample.cut = 0;
	if (s->top && !begin_chunk(s, s->top, s->top_used))
		s->sample.cut |= KERNEL_CUT_ABSENT;
	return true;
}

/* Copy what fits into one call of what is left of the chunk. */
static __always_inline bool continue_chunk(struct scratch *s)
{
	__u64 at = s->n, n = s->copy_left, header = s->header;
	if (n > KERNEL_COPY)
		n = KERNEL_COPY;
	OPAQUE(at);
	OPAQUE(n);
	OPAQUE(header);
	if (at > KERNEL_DATA || header > KERNEL_DATA || n > KERNEL_COPY)
		return false;
	if (bpf_probe_read_user(s->data + at, n, (void *)s->copy_at)) {
		/* the newest frame may reach into a page that was not touched yet; its head lies before that */
		__u64 behind = (s->copy_at + n) % PAGE;
		if (n != s->copy_left || n <= behind)
			behind = 0;
		n -= behind;
		s->copy_left = n;
		OPAQUE(n);
		if (n > KERNEL_COPY || !behind || bpf_probe_read_user(s->data + at, n, (void *)s->copy_at)) {
			s->sample.cut |= KERNEL_CUT_ABSENT;
			return false;
		}
	}
	s->copy_at += n;
	s->copy_left -= n;
	s->len += n;
	s->n = at + ((n + 7) & ~7ULL);
	((struct kernel_piece *)(s->data + header))->len = s->len;
	return true;
}

/* Go down into the next chunk. */
static __always_inline bool begin_next_chunk(struct scratch *s)
{
	if (begin_chunk(s, s->next, s->next_used))
		return true;
	if (s->is_list)
		s->sample.cut |= KERNEL_CUT_ABSENT;
	return false;
}

enum step { STEP_ON, STEP_DONE, STEP_CHUNK /* it goes on in the next chunk, which is not here yet */ };

/* The words below the next chunk's header say how far it is in use. */
static __always_inline void look_at_next(struct scratch *s)
{
	__u64 header[3];
	if (s->next_used || !s->next)
		return;
	bool is_absent = bpf_probe_read_user(header, sizeof header, (void *)s->next);
	if (is_absent && s->is_list)
		s->sample.cut |= KERNEL_CUT_ABSENT;
	if (is_absent || header[2] > KERNEL_DATA / 8)
		s->next = 0;
	else
		s->next_used = sizeof header + header[2] * 8;
}

/* One step along the chain of frames. */
static __always_inline int step(struct scratch *s)
{
	__u64 f = s->frame, inside = f - s->at;
	if (!f)
		return STEP_DONE;
	if (s->n > KERNEL_DATA) {
		s->sample.cut |= KERNEL_CUT_FULL;
		return STEP_DONE;
	}
	if (s->at && inside < s->len && s->len - inside >= s->process.frame_size) {
		__u64 offset = s->offset + inside;
		OPAQUE(offset);
		if (offset > KERNEL_DATA + KERNEL_COPY)
			return STEP_DONE;
		unsigned char *p = s->data + offset;
		OPAQUE(p);
		if (s->is_list && (!fits_call(s, f, p) || !list_frame(s, f, p)))
			return STEP_DONE;
		s->frame = *(__u64 *)(p + (s->process.frame_previous & 0xff));
		if (s->frame - s->at < inside || s->frame - s->at >= s->len)
			return STEP_ON;
		return STEP_DONE; /* callers lie below: this is torn, the recorder will see it */
	}
	look_at_next(s);
	if (s->next && f - s->next < s->next_used)
		return STEP_CHUNK;
	__u64 before = s->n, offset = before + sizeof(struct kernel_piece);
	if (s->n_extras++ >= s->process.frames_max) { /* nobody calls like that: a circle */
		s->sample.cut |= KERNEL_CUT_FULL;
		return STEP_DONE;
	}
	if (!append(s, f + s->process.frame_first, s->process.frame_size, KERNEL_PIECE_EXTRA)) {
		s->sample.cut |= KERNEL_CUT_ABSENT;
		return STEP_DONE;
	}
	OPAQUE(offset);
	if (offset > KERNEL_DATA)
		return STEP_DONE;
	unsigned char *frame = s->data + offset;
	__u64 previous = *(__u64 *)(frame + (s->process.frame_previous & 0xff));
	if (frame[s->process.frame_owner & 0xff] == 0 && s->next) {
		/* a frame of the thread's own lies on the data stack: further down then */
		s->n = before;
		return STEP_CHUNK;
	}
	if (s->is_list) {
		s->n = before;
		/* a frame of the thread's own lies on its data stack: this is torn, the recorder will see it */
		if (frame[s->process.frame_owner & 0xff] == 0 || !fits_call(s, f, frame) || !list_frame(s, f, frame))
			return STEP_DONE;
	}
	s->frame = previous;
	return previous == f ? STEP_DONE : STEP_ON;
}

/* One frame object, and on to its caller. All of the part with the words is read in one go, behind what is sent of it.
 */
static __always_inline int step_object(struct scratch *s)
{
	__u64 f = s->frame, at = s->n, size = s->process.frame_size;
	if (!f)
		return STEP_DONE;
	OPAQUE(at);
	OPAQUE(size);
	if (at > KERNEL_DATA || s->n_extras++ >= s->process.frames_max) { /* a circle, if not very deep */
		s->sample.cut |= KERNEL_CUT_FULL;
		return STEP_DONE;
	}
	size &= FRAME_MASK;
	struct kernel_object *o = (void *)(s->data + at);
	OPAQUE(o);
	unsigned char *raw = (unsigned char *)(o + 1);
	if (bpf_probe_read_user(raw, size, (void *)(f + s->process.frame_first))) {
		s->sample.cut |= KERNEL_CUT_ABSENT;
		return STEP_DONE;
	}
	o->at = f;
	o->code = *(__u64 *)(raw + (s->process.frame_code & 0xff));
	o->globals = *(__u64 *)(raw + (s->process.frame_globals & 0xff));
	o->instr = *(__u32 *)(raw + (s->process.frame_instr & 0xff));
	o->unused = 0;
	s->frame = *(__u64 *)(raw + (s->process.frame_previous & 0xff));
	s->n += sizeof *o;
	return STEP_ON;
}

static __always_inline void begin_objects(struct scratch *s)
{
	__u64 at = s->n;
	OPAQUE(at);
	if (at > KERNEL_DATA)
		return;
	struct kernel_piece *piece = (void *)(s->data + at);
	piece->at = s->frame;
	piece->len = 0;
	piece->kind = KERNEL_PIECE_OBJECTS;
	s->header = s->n;
	s->n += sizeof *piece;
}

/* The piece that they are in is as long as it is now. */
static __always_inline void end_objects(struct scratch *s)
{
	__u64 at = s->header;
	OPAQUE(at);
	if (!s->process.frames_are_objects || at > KERNEL_DATA)
		return;
	((struct kernel_piece *)(s->data + at))->len = s->n - at - sizeof(struct kernel_piece);
	s->header = NO_HEADER;
}

static __always_inline bool goes_on(struct scratch *s, int rc)
{
	s->rc = rc;
	return rc == STEP_ON;
}

/* For bpf_loop, see there: on until there is something else to do. */
static __attribute__((noinline)) long each_object(__u64 i, struct scratch **s)
{
	return !goes_on(*s, step_object(*s));
}

static __attribute__((noinline)) long each_frame(__u64 i, struct scratch **s)
{
	return !goes_on(*s, step(*s));
}

static __attribute__((noinline)) long each_part(__u64 i, struct scratch **s)
{
	return !goes_on(*s, continue_chunk(*s) ? STEP_ON : STEP_DONE) || !(*s)->copy_left;
}
