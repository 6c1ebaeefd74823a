/* support_golden: the small recordings of tests/golden, made anew (its README.md says what each holds). */
#pragma once
#include "libcommon/buf.h"

struct support_golden {
	const char *name; /* tests/golden/NAME.pyspy */
	void (*build)(struct buf *out);
};

/* Ends with a row without name. */
extern const struct support_golden SUPPORT_GOLDEN[];
