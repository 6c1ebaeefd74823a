/* front_commands: the command line of py-spy 0.4.3 as data: parsing, help and shell completions come from it. */
#pragma once
#include "libcommon/args.h"

enum front_option {
	FRONT_PID = 1,
	FRONT_FULL_FILENAMES,
	FRONT_OUTPUT,
	FRONT_FORMAT,
	FRONT_DURATION,
	FRONT_RATE,
	FRONT_SUBPROCESSES,
	FRONT_FUNCTION,
	FRONT_NOLINENO,
	FRONT_THREADS,
	FRONT_GIL,
	FRONT_IDLE,
	FRONT_NATIVE,
	FRONT_NONBLOCKING,
	FRONT_DELAY,
	FRONT_CORE,
	FRONT_LOCALS,
	FRONT_JSON,
	FRONT_ACCEPTED, /* hidden in py-spy, of no meaning here */
	FRONT_HELP,
	FRONT_VERSION,
	/* not py-spy's */
	FRONT_KEEP,
	FRONT_BLOCKING,
	FRONT_ENGINE,
	FRONT_MAX_CPU,
	FRONT_QUIET,
};

struct front_command {
	const char *name, *summary, *usage;
	const char *examples; /* lines "  pyspy ...", first thing in its help */
	const char *notes;    /* below its options; NULL = none */
	const char *later;    /* it is not there yet: what to do instead; NULL = it is */
	const struct arg_option *options;
	const char *words; /* what its first word may be, for completions: "bash zsh"; NULL = a program, or nothing */
};
/* Ends with a row without a name. */
extern const struct front_command front_commands[];

struct front_format {
	const char *name, *suffix; /* of a file without a name */
};
extern const struct front_format front_formats[];
extern const char front_shells[]; /* "bash elvish ..." */

/* By its name or an unambiguous beginning of it; NULL = none. */
const struct front_command *front_command_named(const char *word);
const struct front_format *front_format_named(const char *word);
