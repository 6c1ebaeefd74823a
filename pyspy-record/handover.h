/* handover: the finished recording goes to pyspy-report, and what comes of it is said: the one step from a program to
 * its view. */
#pragma once
#include <signal.h>
#include <stdbool.h>

#include "pyspy-record/emit/sink.h"
#include "pyspy-record/record_options.h"
#include "pyspy-record/reporter.h"
#include "pyspy-record/view_file.h"

struct handover {
	struct view_file *view;
	struct reporter *reporter;     /* the signal handlers kill it */
	const struct sink *sink;       /* closed: where the recording is */
	volatile sig_atomic_t *signal; /* set by them: no view is wanted any more */
};
/* `recording`: a descriptor of it, closed here; -errno: it could not be opened. `is_whole`: the recorder had no
 * failure. True: the view is there, and the recording was dropped if it should be. False: said on stderr; the recording
 * is kept and named, and the view's place is as it was. */
bool handover_run(struct handover *h, const struct record_options *o, int recording, bool is_whole);
