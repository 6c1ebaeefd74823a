/* status: what a person sees of a recording, on stderr: a line when it begins, a progress line on a terminal, a summary. */
#pragma once
#include <stddef.h>
#include <stdint.h>

#include "pyspy-record/emit/sink.h"

struct session_result;

/* "sampling python3 app.py (pid 4711, CPython 3.13.1) at 100 Hz -> app.pyspy". target: safe for a terminal. */
void status_started(const char *target, double rate_hz, const char *output);

struct status_now {
	uint64_t elapsed_ns, ticks, samples, late, uncertified, bytes;
	size_t threads;
};
/* The progress line (log_progress). */
void status_progress(const struct status_now *n);
/* Why it ended, what there is, what to type next. */
void status_summary(const struct session_result *r, const struct sink *sink);
