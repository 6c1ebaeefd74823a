/* meters: how busy each process was over time: threads on a CPU, the GIL held, threads that waited for it.
 *
 * Flow:    profile/lanes -> [meters] -> view/chrometrace. All samples count, whatever a view leaves out.
 * Memory:  at most METERS_BINS bins a process and METERS_ALL in all: where there would be more, bins get twice as wide.
 */
#pragma once
#include "pyspy-report/profile/lanes.h"

enum { METERS_BINS = 1000, METERS_ALL = 1 << 20 };
#define METERS_LEAST_NS UINT64_C(100000000) /* width of a bin at first */

struct meters_bin {
	uint64_t cpu_ns, gil_ns, wait_ns; /* of thread time */
};
struct meter {
	uint32_t recording; /* whose clock it goes by */
	uint64_t first;     /* number of its first bin: bin i covers [i * width_ns, (i + 1) * width_ns) */
	VEC(struct meters_bin) bins;
};
struct meters {
	VEC(struct meter) list; /* by process */
	uint64_t width_ns;
	size_t n_bins;
	bool has_gil; /* some sample held the GIL, or waited for it */
};

void meters_init(struct meters *m);
void meters_done(struct meters *m);
int meters_add(struct meters *m, const struct profile *p, const struct lane_stretch *s); /* 0 or ERR_NO_MEMORY */
