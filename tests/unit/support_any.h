/* support_any: a recording of all that the format allows, at random, in the same order each time (support_noise):
 * several epochs, threads that are redefined or never defined, ticks and events, certified stacks and others, doubts,
 * mean gaps, CPU time told by entries and by closings. */
#pragma once
#include "libcommon/buf.h"

void support_any_recording(struct buf *out);
