#include "format/lengths.h"

#include "format/wire.h"

enum { PARTS = 8, SHIFT = 7 /* PARTS << SHIFT: 1024 ns */ };

uint64_t lengths_begin_ns(uint32_t b)
{
	return (uint64_t)(PARTS + b % PARTS) << (SHIFT + b / PARTS);
}

uint32_t lengths_bucket(uint64_t ns)
{
	if (ns < lengths_begin_ns(1))
		return 0;
	uint32_t octave = 63 - (uint32_t)__builtin_clzll(ns >> SHIFT) - 3; /* PARTS is 1 << 3 */
	uint32_t b = octave * PARTS + (uint32_t)(ns >> (SHIFT + octave)) - PARTS;
	return b < WIRE_STOP_LENGTHS ? b : WIRE_STOP_LENGTHS - 1;
}

uint64_t lengths_quantile_ns(const uint64_t *counts, double q)
{
	double all = 0, before = 0;
	for (uint32_t b = 0; b < WIRE_STOP_LENGTHS; b++)
		all += (double)counts[b];
	for (uint32_t b = 0; b < WIRE_STOP_LENGTHS; b++) {
		double n = (double)counts[b], begin = (double)lengths_begin_ns(b);
		if (n > 0 && before + n >= q * all)
			return (uint64_t)(begin + ((double)lengths_begin_ns(b + 1) - begin) * (q * all - before) / n);
		before += n;
	}
	return 0;
}
