/* record_options: the options of `pyspy-record record`, parsed and checked. */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "pyspy-record/emit/writer.h"
#include "pyspy-record/view_formats.h"

enum { RECORD_OPTIONS_NOTES = 64, RECORD_OPTIONS_PIDS = 64 };
enum record_engine {
	RECORD_ENGINE_AUTO, /* the kernel where it may */
	RECORD_ENGINE_KERNEL,
	RECORD_ENGINE_OUTSIDE,
};
struct record_options {
	int pids[RECORD_OPTIONS_PIDS]; /* -p, repeatable */
	unsigned n_pids;
	char **program;     /* words to start, NULL-terminated; NULL when attaching */
	const char *output; /* -o; NULL = default name; "-" = stdout */
	/* one step: -f, or what the name of the output asks for; then `output` is the view's. NULL = a recording */
	const struct view_format *view;
	bool no_keep;         /* --no-keep: the recording is dropped once the view is there */
	double rate_hz;       /* -r, default 100; 0.01 .. 100000 */
	uint64_t duration_ns; /* -d; 0 = until the end */
	uint64_t wait_ns;     /* --wait: how long a program may take until Python appears; default 10 s */
	bool wait_is_given;
	bool quiet;                /* -q */
	enum record_engine engine; /* --engine, default auto */
	bool nonblocking;          /* --nonblocking: no stops at all */
	bool blocking;             /* --blocking: a stop for every sample; then engine is outside */
	uint32_t stop_ppm;         /* --max-stop PERCENT, default 0.2 % = 2000 millionths of wall time */
	bool stop_is_given;
	uint32_t cpu_ppm;       /* --max-cpu PERCENT of one CPU, in millionths; 0 = no bound */
	uint32_t view_defaults; /* -g -i -t -F --nolineno --full-filenames: kept in the file (enum wire_view) */
	struct writer_note notes[RECORD_OPTIONS_NOTES]; /* --note KEY=VALUE */
	unsigned n_notes;
	uint64_t flush_ns; /* --flush, default 1 s; 100 ms .. 60 s */
};
/* argv[0] is skipped. 0; ERR_USAGE (message printed on stderr); 1 = help or version was printed, exit 0. Texts point
 * into argv, but for the notes, which record_options_done frees. */
int record_options_parse(struct record_options *o, int argc, char **argv);
void record_options_done(struct record_options *o);
void record_options_help(FILE *out);
