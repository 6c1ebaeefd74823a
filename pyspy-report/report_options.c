#include "pyspy-report/report_options.h"

#include <stdarg.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/log.h"
#include "pyspy-report/report_filters.h"

const char report_version[] = PYSPY_VERSION;

enum {
	OPTION_OUTPUT = 1,
	OPTION_STRICT,
	OPTION_HELP,
	OPTION_VERSION,
	OPTION_GIL,
	OPTION_NO_GIL,
	OPTION_IDLE,
	OPTION_NO_IDLE,
	OPTION_THREADS,
	OPTION_NO_THREADS,
	OPTION_FUNCTION,
	OPTION_NO_FUNCTION,
	OPTION_NOLINENO,
	OPTION_LINENO,
	OPTION_FULL,
	OPTION_NO_FULL,
	OPTION_PROCESSES,
	OPTION_NO_PROCESSES,
	OPTION_COLLAPSE,
	OPTION_INVERT,
	OPTION_NO_INDEX,
};

static const struct arg_option filter_rows[] = {
    {OPTION_GIL, 'g', "gil", NULL, "only samples that hold the GIL"},
    {OPTION_NO_GIL, 0, "no-gil", NULL, "not so, although the recording asks for it"},
    {OPTION_IDLE, 'i', "idle", NULL, "idle samples too: sleeping, or waiting for the GIL"},
    {OPTION_NO_IDLE, 0, "no-idle", NULL, "not so, although the recording asks for it"},
    {REPORT_TIME, 0, "time", "A..B",
     "only from A to before B, either may be missing: 10s or 1m30s since the recording began, -10s before its end, "
     "25%, "
     "2026-11-28T07:13:44Z (without Z or +01:00: local time)"},
    {REPORT_PID, 0, "pid", "PID", "only this process; several: --pid 12,13 or --pid again"},
    {REPORT_PROCESS, 0, "process", "REGEX", "only processes with this in their command line"},
    {REPORT_THREAD, 0, "thread", "REGEX|TID", "only threads with this in their name, or of this number"},
    {REPORT_STATE, 0, "state", "LIST",
     "only samples in one of these states (idle ones too): running, runnable, blocked, gc, gil-wait, unknown"},
    {REPORT_FOCUS, 0, "focus", "REGEX", "only stacks with a frame that matches; the whole stack stays"},
    {REPORT_IGNORE, 0, "ignore", "REGEX", "no stacks with a frame that matches"},
    {REPORT_HIDE, 0, "hide", "REGEX", "frames that match are left out, their time is their caller's"},
    {REPORT_SHOW_FROM, 0, "show-from", "REGEX",
     "stacks begin at the outermost frame that matches; those without one are left out"},
    {0},
};
static const struct arg_option naming_rows[] = {
    {OPTION_FUNCTION, 'F', "function", NULL, "one frame for each function, with its first line"},
    {OPTION_NO_FUNCTION, 0, "no-function", NULL, "one frame for each line"},
    {OPTION_NOLINENO, 0, "nolineno", NULL, "names without line numbers; also merges the lines of a function"},
    {OPTION_LINENO, 0, "lineno", NULL, "names with line numbers"},
    {OPTION_FULL, 0, "full-filenames", NULL, "file names in full, not shortened by the program's sys.path"},
    {OPTION_NO_FULL, 0, "no-full-filenames", NULL, "file names shortened"},
    {REPORT_STRIP, 0, "strip-prefix", "FOLDER", "file names without this folder in front; may be given again"},
    {REPORT_LEVEL, 0, "level", "line|function|file|module",
     "what a frame is: function is -F; of a file or module in a row there is one frame"},
    {0},
};
static const struct arg_option recursion_rows[] = {
    {OPTION_COLLAPSE, 0, "collapse-recursion", NULL, "a function that calls itself is one frame (the innermost)"},
    {0},
};
static const struct arg_option measure_rows[] = {
    {REPORT_MEASURE_BY, 0, "measure", "samples|wall|cpu",
     "what is counted: samples, the time of threads, or the CPU time that they used; default: samples, where the rate "
     "was lowered or the kernel sampled wall"},
    {0},
};
static const struct arg_option invert_rows[] = {
    {OPTION_INVERT, 0, "invert", NULL,
     "callees above their callers: each stack from its innermost frame out; of more than 4 M frames the lightest show "
     "[callers left out]"},
    {0},
};
static const struct arg_option thread_rows[] = {
    {OPTION_THREADS, 't', "threads", NULL, "the thread as first frame of each stack"},
    {OPTION_NO_THREADS, 0, "no-threads", NULL, "threads merged"},
    {OPTION_PROCESSES, 0, "processes", NULL, "the process as first frame; so by itself when there are several"},
    {OPTION_NO_PROCESSES, 0, "no-processes", NULL, "processes merged"},
    {0},
};
static const struct arg_option common_rows[] = {
    {OPTION_OUTPUT, 'o', "output", "FILE", "write there instead of standard output (-)"},
    {OPTION_STRICT, 0, "strict", NULL, "damaged or unfinished input: exit status 4 (otherwise a warning and 0)"},
    {OPTION_NO_INDEX, 0, "no-index", NULL, "read the recording itself, although an index of it, FILE.idx, is there"},
    {OPTION_HELP, 'h', "help", NULL, "this text"},
    {OPTION_VERSION, 'V', "version", NULL, "the version"},
    {0},
};

enum { TABLE_MAX = 80, MESSAGE_MAX = 600 };

static void add_rows(struct arg_option *table, size_t *n, const struct arg_option *rows)
{
	for (; rows && rows->id && *n < TABLE_MAX - 1; rows++)
		table[(*n)++] = *rows;
}

static void make_table(struct arg_option *table, const struct report_verb *v)
{
	size_t n = 0;

	add_rows(table, &n, v->own);
	if (v->groups & REPORT_FILTER)
		add_rows(table, &n, filter_rows);
	if (v->groups & REPORT_THREADS)
		add_rows(table, &n, thread_rows);
	if (v->groups & REPORT_NAMING)
		add_rows(table, &n, naming_rows);
	if (v->groups & REPORT_SHAPE)
		add_rows(table, &n, recursion_rows);
	if (v->groups & REPORT_INVERT)
		add_rows(table, &n, invert_rows);
	if (v->groups & REPORT_MEASURE)
		add_rows(table, &n, measure_rows);
	add_rows(table, &n, common_rows);
	memset(&table[n], 0, sizeof table[n]);
}

static void print_help(const struct report_verb *v, const struct arg_option *table)
{
	printf("%s\n\nExamples:\n%s\nUsage: pyspy-report %s [options] [FILE ...|-]\n\n%s\n\nOptions:\n", v->summary,
	       v->examples, v->name, v->about);
	args_help(stdout, table);
	if (v->groups & REPORT_FILTER)
		printf(
		    "\nREGEX is an extended one (grep -E; (?i) in front: in either case) and may match anywhere: in "
		    "the "
		    "function's\nname, its name behind the module's (json.decoder.JSONDecoder.decode), the module's "
		    "name "
		    "or the file's\nfull name; with function:, module: or file: in front only there. An option given "
		    "again: one of them has to\nmatch. As in `go tool pprof`, but nothing is lost: a stack of which "
		    "--hide leaves nothing shows [hidden].\n");
	printf("\nWithout FILE the newest *.pyspy of the current folder is read; - reads standard input; several files "
	       "are\n"
	       "merged. Exit status: 0 fine, 1 error, 2 usage, 4 damaged input with --strict.\n");
}

static int usage(const struct report_verb *v, const char *message)
{
	log_error("%s; see pyspy-report %s --help", message, v->name);
	return ERR_USAGE;
}

/* Options that are on or off, or only remembered; false when it is none of them. */
static bool take(struct report_options *o, int id, const char *value)
{
	switch (id) {
	case OPTION_OUTPUT:
		o->output = value;
		return true;
	case OPTION_STRICT:
		o->strict = true;
		return true;
	case OPTION_NO_INDEX:
		o->no_index = true;
		return true;
	case OPTION_GIL:
	case OPTION_NO_GIL:
		o->gil = id == OPTION_GIL ? REPORT_YES : REPORT_NO;
		return true;
	case OPTION_IDLE:
	case OPTION_NO_IDLE:
		o->idle = id == OPTION_IDLE ? REPORT_YES : REPORT_NO;
		return true;
	case OPTION_THREADS:
	case OPTION_NO_THREADS:
		o->threads = id == OPTION_THREADS ? REPORT_YES : REPORT_NO;
		return true;
	case OPTION_FUNCTION:
	case OPTION_NO_FUNCTION:
		o->function = id == OPTION_FUNCTION ? REPORT_YES : REPORT_NO;
		return true;
	case OPTION_NOLINENO:
	case OPTION_LINENO:
		o->nolineno = id == OPTION_NOLINENO ? REPORT_YES : REPORT_NO;
		return true;
	case OPTION_FULL:
	case OPTION_NO_FULL:
		o->full_filenames = id == OPTION_FULL ? REPORT_YES : REPORT_NO;
		return true;
	case OPTION_PROCESSES:
	case OPTION_NO_PROCESSES:
		o->processes = id == OPTION_PROCESSES ? REPORT_YES : REPORT_NO;
		return true;
	case OPTION_COLLAPSE:
		o->collapse = true;
		return true;
	case OPTION_INVERT:
		o->invert = true;
		return true;
	default:
		return false;
	}
}

int report_options_parse(struct report_options *o, const struct report_verb *v, int argc, char **argv)
{
	struct arg_option table[TABLE_MAX];
	struct args a;
	const char *value;
	char message[MESSAGE_MAX] = "";
	int id, rc;

	memset(o, 0, sizeof *o);
	make_table(table, v);
	args_init(&a, table, argc, argv, false);
	while ((id = args_next(&a, &value)) != ARGS_END) {
		if (id == ERR_USAGE)
			return usage(v, a.message);
		if (id == OPTION_HELP) {
			print_help(v, table);
			return 1;
		}
		if (id == OPTION_VERSION) {
			printf("pyspy-report %s\n", report_version);
			return 1;
		}
		if (id == ARGS_POSITIONAL) {
			if (!vec_push(&o->files, value))
				return usage(v, "out of memory");
		} else if (!take(o, id, value)) {
			rc = id < REPORT_OWN ? report_filters_take(o, id, value, message, sizeof message)
			                     : v->own_option(id, value, message, sizeof message);
			if (rc == ERR_NO_MEMORY)
				return usage(v, "out of memory");
			if (rc < 0)
				return usage(v, message);
		}
	}
	if (o->output && !*o->output)
		return usage(v, "-o needs the name of a file");
	return 0;
}

void report_options_done(struct report_options *o)
{
	vec_free(&o->files);
	vec_free(&o->strip);
	filter_rules_done(&o->rules);
}

static bool choose(enum report_choice choice, const struct profile *p, enum wire_view bit)
{
	return choice == REPORT_UNSET ? (profile_view_defaults(p) & bit) != 0 : choice == REPORT_YES;
}

struct filter report_options_filter(const struct report_options *o, const struct profile *p)
{
	struct filter f = {.gil_only = choose(o->gil, p, WIRE_VIEW_GIL),
	                   .idle = choose(o->idle, p, WIRE_VIEW_IDLE),
	                   .measure = o->measure,
	                   .rules = &o->rules};

	if (o->rules.states && o->idle == REPORT_UNSET) /* who asks for states says what is wanted */
		f.idle = true;
	return f;
}

struct naming_options report_options_naming(const struct report_options *o, const struct profile *p)
{
	return (struct naming_options){.by_function = choose(o->function, p, WIRE_VIEW_FUNCTION),
	                               .no_lines = choose(o->nolineno, p, WIRE_VIEW_NOLINENO),
	                               .full_filenames = choose(o->full_filenames, p, WIRE_VIEW_FULL_FILENAMES),
	                               .group = o->group,
	                               .strip = o->strip.v,
	                               .n_strip = o->strip.n};
}

bool report_options_threads(const struct report_options *o, const struct profile *p)
{
	return choose(o->threads, p, WIRE_VIEW_THREADS);
}
