/* lists: the frames of a thread's samples, of which the kernel's program sends only those that are not as they were.
 *
 * Flow:    engine -> [lists] -> sample/events. A slot is one thread's place in the program's map `lasts`, and here.
 * How:     the outermost frames of a stack hardly ever change from one sample to the next. The program compares them
 * with what it sent last (kernel_last), word by word; here the same is kept. Serials tell whether the two are in step.
 * Memory:  a list a slot, as long as its thread's longest. Trust: the program's words about itself are believed as far
 * as they fit to what is here; the frames are the target's word.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pyspy-record/kernel/shared.h"

struct kernel_list {
	pid_t tid;              /* whose slot it is; 0 = nobody's */
	uint32_t turn;          /* of the slot, for its next binding */
	uint32_t round, serial; /* of what it holds; serial 0 = nothing */
	struct kernel_frame *v; /* outermost first */
	size_t n, cap;
};

struct kernel_lists {
	struct kernel_list *v;
	uint32_t n;
};

/* n: slots, the first of which is nobody's. 0 or ERR_NO_MEMORY. */
int lists_init(struct kernel_lists *l, uint32_t n);
void lists_done(struct kernel_lists *l);
/* The slot of a thread, and its round. 0: there is none left; then it is sent all frames each time. */
uint32_t lists_slot(struct kernel_lists *l, pid_t tid, uint32_t *round);
void lists_release(struct kernel_lists *l, pid_t tid);
/* All frames of a sample with a list, outermost first; *frames is ours, until the next call. sent, n_sent: those that
 * came with it, innermost first. ERR_TORN: they go on from a list that is not here, and so would the next ones: the
 * thread is to be bound again. ERR_NO_MEMORY: the same. */
int lists_take(struct kernel_lists *l, const struct kernel_sample *m, const struct kernel_frame *sent, size_t n_sent,
               const struct kernel_frame **frames, size_t *n);
