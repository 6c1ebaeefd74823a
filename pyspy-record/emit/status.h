/* status: what people read on stderr about a run: one line when it begins, a line that moves, two lines at the end.
 *
 * Flow:    session, cmd_record -> [status] -> log. Nothing with -q; the moving line only on a terminal, and only when
 *          attached: a started program has the terminal to itself.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "pyspy-record/emit/sink.h"

struct status_now {
	uint64_t elapsed_ns; /* of recording */
	uint64_t ticks, samples;
	uint64_t late;        /* ticks skipped */
	uint64_t uncertified; /* samples */
	uint64_t stops, stopped_ns;
	uint64_t reads_failed;
	uint64_t threads; /* now, or seen, at the end */
	uint64_t bytes;   /* of the file */
	/* of a bounded CPU: the bound, 0 = none; used; rates, equal to the asked one when it was never lowered */
	uint32_t cpu_ppm;
	uint64_t cpu_ns;
	double mean_hz, lowest_hz, asked_hz;
};

/* is_live: show the moving line. Called once, before the others. */
void status_init(bool is_live);
/* The first interpreter was found. `target` is safe for a terminal; output as given to -o. */
void status_started(const char *target, double rate_hz, const char *output);
/* Now and then; about twice a second is right. */
void status_progress(const struct status_now *n);
/* After sink_close. `why`: what ended the recording, "the program ended". */
void status_summary(const struct status_now *n, const char *why);
/* The recording was written. How to see it: by this verb of pyspy-report, in a file `view` ("-": on standard output;
 * NULL: named like the recording). */
void status_wrote(const struct sink *sink, const char *verb, const char *view);
/* A view was written to `path`; its size, 0 = not known; `kept`: the recording is still there. */
void status_wrote_view(const char *path, uint64_t bytes, const struct sink *kept);
