/* ends: when each recording of an input ends, found by a look at it before it is loaded (span_needs_end). */
#pragma once
#include "libcommon/vec.h"
#include "pyspy-report/profile/feed.h"

struct ends {
	VEC(uint64_t) v; /* by the number that the recording gets in the profile */
};

/* Of the recordings in there; appended. Errors as load_fd. */
int ends_fd(int fd, uint64_t most, struct ends *ends, struct feed_result *r);
