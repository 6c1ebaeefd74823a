/* report_live: `top` of something that runs: its own options, and the way into live/. */
#pragma once
#include "pyspy-report/report_options.h"

enum {
	LIVE_PID = REPORT_OWN + 100,
	LIVE_RATE,
	LIVE_DELAY,
	LIVE_NONBLOCKING,
	LIVE_SUBPROCESSES,
	LIVE_NATIVE,
	LIVE_ARGS,
	LIVE_FOLLOW
};
#define REPORT_LIVE_ROWS                                                                                               \
	{LIVE_PID, 'p', NULL, "PID", "live: look at this process (decimal or 0x hex); may be repeated"},               \
	    {LIVE_ARGS, 0, "live", NULL, "live: the words behind -- are those of pyspy-record, as they are"},          \
	    {LIVE_FOLLOW, 0, "follow", "FILE|-", "live: a recording that is being written, or a stream of one"},       \
	    {LIVE_DELAY, 0, "delay", "SECONDS", "live: how often the picture is made anew (1)"},                       \
	    {LIVE_RATE, 'r', "rate", "HZ", "live: samples a second (100)"},                                            \
	    {LIVE_NONBLOCKING, 0, "nonblocking", NULL, "live: never hold a thread up, not even for a moment"},         \
	    {LIVE_SUBPROCESSES, 's', "subprocesses", NULL, "live: its subprocesses too: not there yet"},               \
	{                                                                                                              \
		LIVE_NATIVE, 'n', "native", NULL, "live: frames of C, C++ and Cython too: not there yet"               \
	}

struct report_live_how {
	bool by_line, by_thread, by_total;
	size_t limit;          /* rows of a plain table */
	const char *unfitting; /* an option of `top` that only tables of recordings have, or NULL */
};

/* An own option of these ids; 0, or ERR_USAGE with `message`. */
int report_live_option(int id, const char *value, char *message, size_t size);
/* The words ask for something that runs; `has_words`: there was a "--". */
bool report_live_is_asked(bool has_words);
/* They do not: 0, or REPORT_USAGE (said on stderr): an option is of no use then. */
int report_live_unasked(void);
/* Run it. `words`: what stands behind "--", or NULL. The exit status. */
int report_live_run(const struct report_options *o, const struct report_live_how *how, char *const *words, size_t n);
