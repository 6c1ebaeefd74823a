/* live_loop: `top` while it happens: the source, the model and the screen (or plain tables) until one of them ends.
 *
 * Flow:    command line -> [live_loop] -> live/live_child, live_source, live_model, live_screen or live_plain.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pyspy-report/live/live_ranks.h"

struct live_options {
	const char *follow; /* a file, "-", or NULL: pyspy-record is started */
	char *const *args;  /* its words */
	size_t n_args;
	const char *command; /* what is looked at, for people; raw */
	const char *program; /* saved recordings are named after it */
	bool is_program;     /* pyspy-record starts a program, whose exit status becomes ours */
	uint64_t delay_ns;   /* between two pictures */
	struct live_want want;
	bool by_total; /* sort */
	size_t limit;  /* rows of a plain table */
	int error;     /* exit status */
};

/* The exit status; what went wrong is said on stderr. */
int live_loop_run(const struct live_options *o);
