/* buckets: what each thread spent where, over time: (node, thread, bucket of time) -> samples and nanoseconds.
 *
 * Flow:    profile/lanes -> [buckets] -> view/page. For views in which somebody chooses threads and a stretch of time.
 * Exact:   the sums of a node's and thread's cells are those of the tally, to the nanosecond. When it was is as exact
 *          as lanes are (ends of blocks; some tens of milliseconds inside), in steps of width_ns; samples that reach
 *          over the end of a bucket are shared out.
 * Memory:  bounded: where there would be more than `most` cells, buckets get twice as wide. Only with a single bucket
 *          left there may be more: as many as there are different (node, thread).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/vec.h"

enum { BUCKETS_FIRST = 600, BUCKETS_RECENT = 1 << 14 };

struct buckets_cell {
	uint32_t node, thread, bucket;
	uint64_t n, ns;
};

struct buckets {
	uint64_t width_ns, end_ns;
	uint32_t count;
	size_t most;
	VEC(struct buckets_cell) cells; /* after buckets_finish: by node, thread, bucket, each once */
	size_t sorted;                  /* so many of them are in order */
	struct buckets_cell *recent;    /* on their way there; n and ns 0 = free */
};

/* Of the time 0 .. end_ns. 0 or ERR_NO_MEMORY; buckets_done in any case. */
int buckets_init(struct buckets *b, uint64_t end_ns, size_t most);
void buckets_done(struct buckets *b);
/* n samples that stand for [begin_ns, begin_ns + length_ns); what is beyond the end belongs to the last bucket. */
int buckets_add(struct buckets *b, uint32_t node, uint32_t thread, uint64_t begin_ns, uint64_t length_ns, uint64_t n);
int buckets_finish(struct buckets *b);
/* Cells of these pairs (in their order, bucket not looked at, each once) shall add up to what stands there: CPU time is
 * not known by the moment, and is shared out in proportion to time. A pair without cells gets one in the first bucket.
 */
int buckets_agree(struct buckets *b, const struct buckets_cell *sums, size_t n);
/* An order for qsort: node, thread, bucket. */
int buckets_compare(const void *a, const void *b);
