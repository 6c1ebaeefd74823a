/* rings: the ring buffer that programs write to; a larger one takes its place where it is too small.
 *
 * Most programs' samples need little room, and all of a ring's pages count as ours: so it begins small. Programs reach
 * it through a map of maps with one entry; the one before is read to its end and closed. Threads: one reader. Memory:
 * the ring; two of them while one takes the other's place.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pyspy-record/kernel/ring.h"

struct rings {
	struct ring ring;            /* the one that is in use */
	int fd, outer_fd;            /* it, and the map that it is in; -1 = none */
	uint32_t most;               /* bytes that one may have */
	uint64_t n_lost;             /* as of the last time that it was found nearly full */
	uint64_t (*lost)(void *ctx); /* how many records had no room so far; NULL: not known */
	void *lost_ctx;
};

/* `fd`: the ring of `size` bytes that is in the map `outer_fd`; it is ours when this went well. As ring_open. */
int rings_open(struct rings *r, int fd, int outer_fd, uint32_t size, uint32_t most);
void rings_close(struct rings *r);
/* As ring_drain, all that is there; then there is a larger one (*is_new, and another fd) where 64 of the largest record
 * that was met would not fit, or three quarters were full: twice as large; or records were lost: as large as may be. It
 * waits some ms for programs that use the old one. Where no larger one can be had the old one stays. */
int rings_drain(struct rings *r, ring_visit *visit, void *ctx, bool *is_new);
