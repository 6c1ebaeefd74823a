/* track_names: what processes and threads are called in views that show them over time. Texts are raw: escape them. */
#pragma once
#include "libcommon/buf.h"
#include "pyspy-report/query/timeline.h"

enum { TRACK_NAMES_CMDLINE = 256 }; /* bytes; a longer command line is cut and ends in U+2026 */

/* "python3 app.py (pid 12)"; where there are several hosts "(pid 12 on web1)"; "[unknown process]" */
void track_names_process(struct buf *out, const struct profile *p, uint32_t process);
/* "MainThread (tid 12)", "thread 12", "[unknown thread 3]"; a thread with several tracks: "(tid 12, recording 2)" */
void track_names_thread(struct buf *out, const struct profile *p, const struct timeline_track *t);
