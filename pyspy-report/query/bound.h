/* bound: the recorder's own CPU time, where it was bounded (--max-cpu), and what became of the rate. */
#pragma once
#include "pyspy-report/profile/profile.h"

struct bound {
	uint32_t ppm; /* of one CPU; 0: there was none, and nothing else is known */
	uint64_t cpu_ns, lowered_ns;
	double share;              /* of one CPU, used while it recorded */
	bool is_held;              /* to 2 %: the clocks are read one after the other */
	double mean_hz, lowest_hz; /* 0 = not known; equal to the asked rate when it was never lowered */
};
struct bound bound_of(const struct profile_recording *r);
