/* scratch: where the copying of one sample stands, and one piece more of it.
 *
 * Only user memory is read, as the layout in map `processes` says. A page that is not there is not waited for: the
 * sample is marked. It runs with interrupts off, so the scratch memory of a CPU has one user at a time.
 */
#pragma once
#include "pyspy-record/kernel/tasks.bpf.h"

enum {
	PAGE = 4096,
	FRAME_MASK = 127, /* bits of a frame's length: KERNEL_FRAME_MAX */
	NO_HEADER = KERNEL_DATA + 1,
	/* where frames are listed: first come pieces and the list, then what is read on the way to it */
	LIST_BYTES = 96 << 10,
};

#define NO_CALL (~0ULL)

/* Where the copying of one sample stands. Kept in memory, so that the verifier sees the same state at each turn. */
struct scratch {
	__u64 frame;              /* to look at next */
	__u64 at, len, offset;    /* the piece of the data stack that was copied last, and where in `data` it is */
	__u64 next, next_used;    /* the chunk below it */
	__u64 copy_at, copy_left; /* of a chunk that is being copied */
	__u64 header;             /* where in `data` the header of that piece is */
	__u64 n;                  /* bytes of `data` in use */
	__u64 calls;              /* of the next program, for this sample */
	__u64 rc;                 /* of the last step */
	__u64 task;               /* address of its task_struct */
	__u64 n_extras;           /* frames met outside of the data stack */
	__u64 n_states, next_state;
	__u64 is_list, list_begin, list_end; /* where in `data` the list is; list_end: as far as it goes by now */
	__u64 same;                          /* frames that are as they were */
	__u64 top, top_used;                 /* the chunk that the chain begins in */
	__u64 before;                        /* the frame that the innermost call must lead to; NO_CALL = it does */
	__u64 states[KERNEL_STATES_MAX];     /* those of a thread that has several; the first one is begun by take() */
	struct kernel_process process;
	struct kernel_sample sample;
	unsigned char data[KERNEL_DATA + KERNEL_COPY + 4096]; /* right behind the sample */
};

/* Keep the compiler from knowing what a number is: a bound that it thinks to be clear is one that the verifier misses.
 */
#define OPAQUE(x) asm volatile("" : "+r"(x))

/* Append `len` bytes (at most KERNEL_COPY) of the target to the data, as a piece of its own. False: they are not there.
 */
static __always_inline bool append(struct scratch *s, __u64 from, __u64 len, __u32 kind)
{
	__u64 at = s->n;
	OPAQUE(at);
	if (at > KERNEL_DATA)
		return false;
	/* from here on the pointer: old verifiers forget the bounds of a number that is put aside */
	struct kernel_piece *piece = (void *)(s->data + at);
	OPAQUE(piece);
	OPAQUE(len);
	if (kind != KERNEL_PIECE_TSTATE)
		len &= FRAME_MASK; /* one path for the verifier, not two: frames are many */
	else if (len > KERNEL_TSTATE_MAX)
		len = KERNEL_TSTATE_MAX;
	piece->at = from;
	piece->len = len;
	piece->kind = kind;
	if (bpf_probe_read_user(piece + 1, len, (void *)from))
		return false;
	s->n += sizeof *piece + ((len + 7) & ~7ULL);
	return true;
}
