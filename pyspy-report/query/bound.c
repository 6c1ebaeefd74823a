#include "pyspy-report/query/bound.h"

#define ABOUT 1.02

struct bound bound_of(const struct profile_recording *r)
{
	const uint64_t *c = r->counters;
	double span = (double)(r->end_ns - r->begin_ns), hz = r->mean_gap_ns ? 1e9 / (double)r->mean_gap_ns : 0,
	       longest = (double)c[WIRE_COUNTER_LONGEST_GAP_NS];
	struct bound b = {.ppm = r->cpu_ppm,
	                  .cpu_ns = c[WIRE_COUNTER_BOUNDED_CPU_NS],
	                  .lowered_ns = c[WIRE_COUNTER_LOWERED_NS],
	                  .lowest_hz = longest > 0 ? 1e9 / longest : hz};

	b.share = span > 0 ? (double)b.cpu_ns / span : 0;
	b.is_held = b.share * 1e6 <= ABOUT * r->cpu_ppm;
	b.mean_hz = span > 0 ? hz * (double)c[WIRE_COUNTER_RATE_NS] / span : 0;
	if (!b.lowered_ns || b.mean_hz > hz)
		b.mean_hz = hz;
	return b;
}
