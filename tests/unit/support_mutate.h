/* support_mutate: recordings made wrong, in the same order each time. */
#pragma once
#include "format/block.h"
#include "format/encode.h"
#include "libcommon/buf.h"

/* 0 .. below-1; 0 for 0. */
uint32_t support_noise(uint32_t below);
/* A few bytes changed, gone, doubled, or the end cut off. */
void support_mutate(struct buf *b);
/* `out` becomes the file with the content of one of its blocks changed, and sealed anew; false when that is no whole
 * block. */
bool support_mutate_content(const struct buf *file, struct block_sealer *sealer, struct buf *out);
