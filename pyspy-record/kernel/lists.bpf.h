/* lists: frames one by one, and which of them are as they were in the thread's last sample (map `lasts`).
 *
 * Most of a stack does not change from one sample to the next, and to bring it over costs the recorder more than all
 * else: it was written on another CPU. The other half is lists.c.
 */
#pragma once
#include "pyspy-record/kernel/scratch.bpf.h"

/* Append a frame to the list: `p` is what was read of it. False: it does not fit, or makes no sense, which the recorder
 * tells by where the chain stopped. */
static __always_inline bool list_frame(struct scratch *s, __u64 f, const unsigned char *p)
{
	__u64 at = s->list_end, owner = p[s->process.frame_owner & 0xff], code = 0, globals = 0, instr = 0, copy = 0;
	__u64 is_flag = s->process.entry_is_flag & 1, flag = p[s->process.entry_at & 0xff] & is_flag;
	if (owner < s->process.owner_cstack) {
		code = *(__u64 *)(p + (s->process.frame_code & 0xff));
		globals = *(__u64 *)(p + (s->process.frame_globals & 0xff));
		instr = *(__u64 *)(p + (s->process.frame_instr & 0xff));
		if (s->process.frame_copy)
			copy = *(__u32 *)(p + (s->process.frame_copy & 0xff));
	}
	if (f & 7 || owner >> (KERNEL_OWNER_BITS - is_flag) || instr >> KERNEL_INSTR_BITS ||
	    copy >> (64 - KERNEL_INSTR_BITS))
		return false;
	OPAQUE(at);
	if (at > LIST_BYTES - sizeof(struct kernel_frame)) {
		s->sample.cut |= KERNEL_CUT_FULL;
		return false;
	}
	struct kernel_frame *k = (void *)(s->data + at);
	OPAQUE(k);
	k->at = f | owner | flag << (KERNEL_OWNER_BITS - 1);
	k->code = code;
	k->globals = globals;
	k->instr = instr | copy << KERNEL_INSTR_BITS;
	s->list_end += sizeof *k;
	return true;
}

/* 3.11 and 3.12 hang a new cframe into the thread state before its current_frame is set, which then shows what an
 * earlier call left there: so the innermost call must begin where the one before it is. False: it does not. */
static __always_inline bool fits_call(struct scratch *s, __u64 f, const unsigned char *p)
{
	__u64 before = s->before;
	if (before == NO_CALL)
		return true;
	if (f == before)
		return false;
	if (p[s->process.entry_at & 0xff] < s->process.entry_least)
		return true;
	if (*(__u64 *)(p + (s->process.frame_previous & 0xff)) != before)
		return false;
	s->before = NO_CALL;
	return true;
}

/* Of the thread state, which is the first piece, only the words that are asked for. They are in order, so none is
 * overwritten before it was taken. */
static __always_inline void keep_words(struct scratch *s)
{
	struct kernel_piece *piece = (void *)s->data;
	unsigned char *image = s->data + sizeof *piece;
	for (int i = 0; i < KERNEL_TSTATE_WORDS; i++)
		((__u64 *)image)[i] = *(__u64 *)(image + (s->process.tstate_words[i] & (KERNEL_TSTATE_MAX - 8)));
	piece->len = s->process.n_tstate_words * sizeof(__u64);
	s->n = sizeof *piece + (piece->len & (KERNEL_TSTATE_MAX - 8));
}

static __always_inline void begin_list(struct scratch *s)
{
	keep_words(s);
	__u64 at = s->n;
	OPAQUE(at);
	if (at > LIST_BYTES)
		return;
	struct kernel_piece *piece = (void *)(s->data + at);
	piece->at = 0;
	piece->len = 0;
	piece->kind = KERNEL_PIECE_FRAMES;
	s->list_begin = s->list_end = s->n + sizeof *piece;
	s->n = LIST_BYTES;
}

/* Is the i-th frame from outside as it was in the thread's last sample? */
static __always_inline bool is_same(struct scratch *s, struct kernel_last *last, __u64 i)
{
	__u64 at = s->list_end - (i + 1) * sizeof(struct kernel_frame), k = last->n - 1 - i;
	if (k >= KERNEL_LAST || at < s->list_begin || at > LIST_BYTES)
		return false;
	OPAQUE(at);
	OPAQUE(k);
	if (at > LIST_BYTES || k >= KERNEL_LAST)
		return false;
	const struct kernel_frame *a = (void *)(s->data + at), *b = &last->frames[k];
	if (a->at != b->at || a->instr != b->instr || a->code != b->code || a->globals != b->globals)
		return false;
	s->same++;
	return true;
}

/* For bpf_loop, see there. */
struct compared {
	struct scratch *s;
	struct kernel_last *last;
};
static __attribute__((noinline)) long each_same(__u64 i, struct compared *c)
{
	return !is_same(c->s, c->last, i);
}

/* How many frames, from the outermost on, are as they were in the thread's last sample? At most n are looked at. */
static __always_inline void find_same(struct scratch *s, struct kernel_last *last, bool has_loop, int n)
{
	struct compared c = {s, last};
	if (has_loop)
		bpf_loop(KERNEL_LAST, each_same, &c, 0);
	else
		for (int i = 0; i < n; i++)
			if (!is_same(s, last, i))
				break;
}

/* What was sent is what the next sample is compared with. */
static __always_inline void keep_list(struct scratch *s, struct kernel_last *last)
{
	__u64 at = s->list_begin, bytes = s->list_end - s->list_begin;
	last->serial = s->sample.serial;
	last->n = 0; /* too many of them */
	OPAQUE(at);
	OPAQUE(bytes);
	if (at > LIST_BYTES || bytes > sizeof last->frames)
		return;
	bpf_probe_read_kernel(last->frames, bytes, s->data + at);
	last->n = bytes / sizeof(struct kernel_frame);
}

/* The last list of this thread's; NULL: there is no room for one, all frames are sent each time. */
static __always_inline struct kernel_last *find_last(struct scratch *s)
{
	__u32 slot = s->sample.slot;
	struct kernel_last *last = slot ? bpf_map_lookup_elem(&lasts, &slot) : NULL;
	if (!last)
		return NULL;
	if (last->round != s->sample.round) {
		last->round = s->sample.round;
		last->n = last->serial = 0;
	}
	s->sample.serial = last->serial + 1;
	return last;
}

static __always_inline void end_list(struct scratch *s, bool is_kept)
{
	__u64 at = s->list_begin - sizeof(struct kernel_piece);
	if (!is_kept)
		s->sample.slot = 0;
	s->sample.same = s->same;
	s->n = s->list_end - s->same * sizeof(struct kernel_frame);
	OPAQUE(at);
	if (at <= LIST_BYTES)
		((struct kernel_piece *)(s->data + at))->len = s->n - s->list_begin;
}
