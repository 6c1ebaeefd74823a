/* args: option tables as data; parsing and help come from the same table.
 *
 * Grammar: -x, -xVALUE, -x VALUE, bundles of flags (-gi), --long, --long=VALUE, --long VALUE, "--" ends options.
 * No abbreviations of long names.
 */
#pragma once
#include <stdbool.h>
#include <stdio.h>

struct arg_option {
	int id;                 /* the caller's enum; several rows may share one */
	char short_name;        /* 0 = none */
	const char *long_name;  /* NULL = none */
	const char *value_name; /* NULL = a flag */
	const char *help;       /* one or more lines; NULL = not shown in help */
};

struct args {
	const struct arg_option *table; /* ends with a row of id 0 */
	char **argv;
	int argc;
	int index;               /* next word */
	bool stop_at_positional; /* true: the first word that is no option ends the options (PROGRAM ...) */
	const char *bundle;      /* rest of a bundle of short flags */
	char message[256];       /* after ERR_USAGE: "unknown option --foo", safe to print */
	bool seen_dashes;        /* "--" was met */
};

/* argv[0] is skipped. */
void args_init(struct args *a, const struct arg_option *table, int argc, char **argv, bool stop_at_positional);
/* Next thing: returns the option's id with *value (NULL for flags);
 * ARGS_POSITIONAL with *value = the word; ARGS_END at the end (with stop_at_positional, a->index is the first word of
 * the program); ERR_USAGE with a->message. */
enum { ARGS_END = 0, ARGS_POSITIONAL = -1 };
int args_next(struct args *a, const char **value);
/* Print the table, two columns, values named, wrapped at 100. */
void args_help(FILE *out, const struct arg_option *table);
