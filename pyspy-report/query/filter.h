/* filter: which samples a view is about. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

struct filter {
	bool gil_only; /* -g: only samples that hold the GIL */
	bool idle;     /* -i: idle ones too */
};

/* Not on a CPU, not runnable and not holding the GIL; who only waits for the GIL is idle too. A sample whose state is
 * not known counts as busy, unless it waits for the GIL. */
bool filter_is_idle(uint32_t flags);
bool filter_keeps(const struct filter *f, uint32_t flags);
