/* lengths: the buckets in which a recording counts how long stops were (FORMAT.md 5.2): eight an octave, 1 us to 67 ms.
 */
#pragma once
#include <stdint.h>

/* Of a stop of `ns`: 0 .. WIRE_STOP_LENGTHS - 1. */
uint32_t lengths_bucket(uint64_t ns);
/* The shortest length in bucket b; of WIRE_STOP_LENGTHS: where the last one ends. */
uint64_t lengths_begin_ns(uint32_t b);
/* The length that the part `q` (0 .. 1) of the stops did not exceed, from counts[WIRE_STOP_LENGTHS]; inside of its
 * bucket in proportion. 0 when nothing was counted. */
uint64_t lengths_quantile_ns(const uint64_t *counts, double q);
