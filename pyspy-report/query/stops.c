#include "pyspy-report/query/stops.h"

#include "format/lengths.h"

/* A bucket is wider than the lengths in it: what is known exactly bounds it. */
static uint64_t quantile_ns(const struct profile_recording *r, double q, uint64_t longest_ns)
{
	uint64_t ns = lengths_quantile_ns(r->stop_lengths, q);
	return ns > longest_ns ? longest_ns : ns;
}

struct stops stops_of(const struct profile_recording *r)
{
	const uint64_t *c = r->counters;
	struct stops s = {
	    .n = c[WIRE_COUNTER_STOPS],
	    .total_ns = c[WIRE_COUNTER_STOPPED_NS],
	    .longest_ns = c[WIRE_COUNTER_LONGEST_STOP_NS],
	    .in_syscall = c[WIRE_COUNTER_STOPS_IN_SYSCALL],
	    .given_up = c[WIRE_COUNTER_STOPS_GIVEN_UP],
	};
	for (uint32_t b = 0; b < WIRE_STOP_LENGTHS; b++)
		s.has_lengths |= r->stop_lengths[b] != 0;
	if (s.has_lengths) {
		s.median_ns = quantile_ns(r, 0.5, s.longest_ns);
		s.p99_ns = quantile_ns(r, 0.99, s.longest_ns);
	}
	return s;
}
