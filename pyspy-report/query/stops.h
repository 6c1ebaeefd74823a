/* stops: how long threads of a recording were stopped (PTRACE_INTERRUPT until they were let go). */
#pragma once
#include "pyspy-report/profile/profile.h"

struct stops {
	uint64_t n, total_ns, longest_ns;
	uint64_t in_syscall; /* of them: came to rest in a system call */
	uint64_t given_up;   /* beside them: threads that did not come to rest in time */
	bool has_lengths;    /* the recorder counted them by length, and there are some: */
	uint64_t median_ns, p99_ns;
};

struct stops stops_of(const struct profile_recording *r);
