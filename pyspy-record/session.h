/* session: THE loop. Processes in, blocks out.
 *
 * A session looks at one or more processes until something ends it, and leaves a finished file. It prints only through
 * log.h.
 */
#pragma once
#include "pyspy-record/choice.h"
#include "pyspy-record/emit/sink.h"
#include "pyspy-record/record_options.h"
#include "pyspy-record/target/spawn.h"

/* What ended, what was seen: for the summary. */
struct session_result {
	enum wire_reason reason;
	uint64_t ticks, samples, late, uncertified, stops, stopped_ns, reads_failed, threads_seen;
	uint64_t elapsed_ns; /* of recording */
	uint64_t cpu_ns;     /* ours, while we recorded; the rates that were reached */
	double mean_hz, lowest_hz;
	bool started;      /* the first sample was taken; false: nothing was written */
	int error;         /* 0, or why it failed (err.h); for ERR_IO see sink */
	char message[512]; /* for error: "what failed: why; what to do", safe for a terminal */
	char target[256];  /* "python3 app.py (pid 4711, CPython 3.13.1)", safe for a terminal */
};

/* Set by the signal handlers of cmd_record.c; the loop looks at it after every sleep. */
struct session_signals {
	volatile int stop_signal; /* SIGINT, SIGTERM, SIGHUP: end the recording; 0 = go on */
};

/* spawn: the started program, or NULL when attaching to o->pids. Runs until the duration is over, the targets end, or
 * signals->stop_signal is set. The sink stays open. Returns r->error. */
int session_run(const struct record_options *o, const struct choice *choice, struct spawn *spawn, struct sink *sink,
                const struct session_signals *signals, char *const *argv, struct session_result *r);
