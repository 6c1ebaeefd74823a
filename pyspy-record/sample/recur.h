/* recur: do the stacks that are met after the tables were emptied come again? A program with many stacks needs large
 * tables; one that makes new stacks for ever has no use for them.
 *
 * Memory:  128 KB, from the first one on; two sets of hashes, of this time and of the times before: as many of these as
 * met 200,000 stacks together.
 * Trust:   a set says "was there" of some that were not: one in ten when it holds 50,000, a third with 200,000.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct recur {
	uint64_t *now, *before; /* NULL: nothing was put in yet, or no memory */
	size_t n, n_again;      /* of this time: put in; were there before */
	size_t n_before;        /* different ones */
};

/* All zero to begin with. */
void recur_done(struct recur *r);
void recur_put(struct recur *r, uint32_t hash);
/* The tables are emptied. */
void recur_turn(struct recur *r);
/* Most of what was put in this time was met before. */
bool recur_is_again(const struct recur *r);
