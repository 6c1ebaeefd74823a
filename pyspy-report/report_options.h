/* report_options: the command line of every verb: one shared table, and rows of the verb's own.
 *
 * A verb is one struct report_verb (cmd_<verb>.c); main.c lists them. What is not said on the command line is taken
 * from the recording (its view defaults), else from the defaults here.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

#include "libcommon/args.h"
#include "libcommon/vec.h"
#include "pyspy-report/profile/profile.h"
#include "pyspy-report/query/filter.h"
#include "pyspy-report/query/naming.h"

/* Which shared options a verb takes; -o, --strict, -h and -V all do. */
enum report_group {
	REPORT_FILTER = 1,   /* -g -i --time --pid --process --thread --state --focus --ignore --hide --show-from */
	REPORT_NAMING = 2,   /* -F --nolineno --full-filenames --strip-prefix --level */
	REPORT_THREADS = 4,  /* -t --processes */
	REPORT_SHAPE = 8,    /* --collapse-recursion: for all that show stacks */
	REPORT_MEASURE = 16, /* --measure: for all that show sums */
	REPORT_INVERT = 32,  /* --invert: for trees */
	REPORT_REPLAY = 64,  /* no option: the verb reads the samples again (report_job_replay) */
};
enum { REPORT_OWN = 1000 }; /* ids of a verb's own rows begin here */

struct report_options;

struct report_verb {
	const char *name, *summary; /* one line, for `pyspy-report --help` */
	const char *examples;       /* lines "  pyspy-report ...", first thing in its help */
	const char *about;          /* what comes out */
	unsigned groups;
	const struct arg_option *own; /* NULL = none */
	/* Take an own option; 0, or ERR_USAGE with `message`: "wrong value 'x' for --limit: a number" */
	int (*own_option)(int id, const char *value, char *message, size_t size);
	int (*run)(const struct report_verb *verb, int argc, char **argv); /* argv[0] = the verb; exit status */
	/* With REPORT_REPLAY: whether these options need it. NULL: all do. */
	bool (*replays)(const struct report_options *o);
};

enum report_choice { REPORT_UNSET = 0, REPORT_YES, REPORT_NO };

struct report_options {
	VEC(const char *) files; /* none = the newest *.pyspy here */
	const char *output;      /* NULL or "-" = standard output */
	bool strict;
	bool no_index; /* the recordings themselves, although an index lies beside them */
	enum report_choice gil, idle, threads, function, nolineno, full_filenames, processes;
	struct filter_rules rules;
	enum filter_measure measure;
	enum naming_group group;
	VEC(const char *) strip;
	bool collapse, invert;
};

/* 0; ERR_USAGE (said on stderr: exit status 2); 1 = help or version was printed (exit status 0). */
int report_options_parse(struct report_options *o, const struct report_verb *v, int argc, char **argv);
void report_options_done(struct report_options *o);

/* What holds after looking at the recording's view defaults. */
struct filter report_options_filter(const struct report_options *o, const struct profile *p); /* not prepared yet */
struct naming_options report_options_naming(const struct report_options *o, const struct profile *p);
bool report_options_threads(const struct report_options *o, const struct profile *p);

/* The version of this program, for -V and files it makes. */
extern const char report_version[];
