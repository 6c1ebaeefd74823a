/* support_copy: a copy of a support_stack as the kernel's program makes it.
 *
 * Memory: each piece is a block of its own, exactly as long as the piece, so that sanitizers see a byte too many.
 */
#pragma once
#include "tests/unit/support_stack.h"

enum { SUPPORT_COPY_OBJECTS = 30000 };

struct support_copy {
	struct walk_copy copy; /* tests may change all of it */
	void *blocks[WALK_COPY_CHUNKS + WALK_COPY_EXTRAS + 64];
	size_t n_blocks;
	struct walk_object objects[SUPPORT_COPY_OBJECTS]; /* of `copy` */
};

/* What the target's memory holds now. All chunks in use (as many as fit), and what the chain of frames meets outside of
 * them, as far as it can be read. */
void support_copy_make(struct support_copy *c, struct support_stack *s);
void support_copy_forget(struct support_copy *c);
/* n bytes of the target, in a block of the copy's. */
unsigned char *support_copy_block(struct support_copy *c, struct support_stack *s, raddr_t at, size_t n);
/* One more piece outside of the chunks; none when there is no room. */
void support_copy_extra(struct support_copy *c, struct support_stack *s, raddr_t at, size_t n);
/* A word of the target; 0 where it cannot be read. */
uint64_t support_copy_word(struct support_stack *s, raddr_t at);
