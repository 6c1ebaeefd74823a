#include "pyspy-record/front/front_commands.h"

#include <string.h>

#define PID                                                                                                            \
	{                                                                                                              \
		FRONT_PID, 'p', "pid", "PID", "look at this running process (decimal or 0x hex)"                       \
	}
#define RATE                                                                                                           \
	{                                                                                                              \
		FRONT_RATE, 'r', "rate", "HZ", "samples a second (100)"                                                \
	}
#define SUBPROCESSES                                                                                                   \
	{                                                                                                              \
		FRONT_SUBPROCESSES, 's', "subprocesses", NULL, "its subprocesses too: not there yet"                   \
	}
#define FULL_FILENAMES                                                                                                 \
	{                                                                                                              \
		FRONT_FULL_FILENAMES, 0, "full-filenames", NULL, "whole file names, not only their part in a package"  \
	}
#define GIL                                                                                                            \
	{                                                                                                              \
		FRONT_GIL, 'g', "gil", NULL, "only threads that hold the GIL"                                          \
	}
#define IDLE                                                                                                           \
	{                                                                                                              \
		FRONT_IDLE, 'i', "idle", NULL, "idle threads too"                                                      \
	}
#define NATIVE                                                                                                         \
	{                                                                                                              \
		FRONT_NATIVE, 'n', "native", NULL, "frames of C, C++ and Cython too: not there yet"                    \
	}
#define NONBLOCKING                                                                                                    \
	{                                                                                                              \
		FRONT_NONBLOCKING, 0, "nonblocking", NULL, "never hold the program up, not even for a moment"          \
	}
#define HELP                                                                                                           \
	{                                                                                                              \
		FRONT_HELP, 'h', "help", NULL, "this help"                                                             \
	}

static const struct arg_option record_options[] = {
    PID,
    FULL_FILENAMES,
    {FRONT_OUTPUT, 'o', "output", "FILE",
     "where to write; - is standard output. Default: PROGRAM-TIME.svg or\nPID-TIME.svg"},
    {FRONT_FORMAT, 'f', "format", "FORMAT",
     "flamegraph (default), raw, speedscope, chrometrace; also html, pprof and\nfirefox"},
    {FRONT_DURATION, 'd', "duration", "TIME", "record so many seconds, or such as 500ms, 2m; default: unlimited"},
    RATE,
    SUBPROCESSES,
    {FRONT_FUNCTION, 'F', "function", NULL, "add up by function, not by line"},
    {FRONT_NOLINENO, 0, "nolineno", NULL, "leave line numbers out"},
    {FRONT_THREADS, 't', "threads", NULL, "show threads apart"},
    GIL,
    IDLE,
    NATIVE,
    NONBLOCKING,
    HELP,
    {FRONT_KEEP, 0, "keep", NULL, "keep the recording beside the view, for pyspy-report (not py-spy's)"},
    {FRONT_BLOCKING, 0, "blocking", NULL, "stop threads for each sample, as py-spy does (not py-spy's)"},
    {FRONT_ENGINE, 0, "engine", "NAME", "auto, kernel or outside (not py-spy's)"},
    {FRONT_MAX_CPU, 0, "max-cpu", "PERCENT", "a bound for what the recorder uses of one CPU (not py-spy's)"},
    {FRONT_QUIET, 'q', "quiet", NULL, "say nothing but errors (not py-spy's)"},
    {FRONT_ACCEPTED, 0, "hideprogress", NULL, NULL},
    {FRONT_ACCEPTED, 0, "capture", NULL, NULL},
    {0},
};
static const struct arg_option top_options[] = {
    PID,
    RATE,
    SUBPROCESSES,
    FULL_FILENAMES,
    GIL,
    IDLE,
    {FRONT_DELAY, 0, "delay", "SECONDS", "how often the screen is drawn anew"},
    NATIVE,
    NONBLOCKING,
    HELP,
    {0},
};
static const struct arg_option dump_options[] = {
    PID,
    {FRONT_CORE, 'c', "core", "FILE", "read a core file instead of a process"},
    FULL_FILENAMES,
    {FRONT_LOCALS, 'l', "locals", NULL, "local variables too; -ll: with more of each"},
    {FRONT_JSON, 'j', "json", NULL, "as JSON"},
    {FRONT_SUBPROCESSES, 's', "subprocesses", NULL, "its subprocesses too"},
    NATIVE,
    {FRONT_NONBLOCKING, 0, "nonblocking", NULL, "stop nobody"},
    HELP,
    {0},
};
static const struct arg_option help_options[] = {HELP, {0}};

const char front_shells[] = "bash elvish fish powershell zsh";

const struct front_command front_commands[] = {
    {"record", "a program's stacks into a flame graph or another file",
     "pyspy record [options] -p PID\n       pyspy record [options] [--] PROGRAM [ARG ...]",
     "  pyspy record -o profile.svg --pid 12345\n"
     "  pyspy record -o profile.svg -- python myprogram.py\n"
     "  pyspy record -f speedscope -o profile.json -d 10 --pid 12345\n",
     "It runs pyspy-record, which runs pyspy-report; both must lie beside this program. What differs from py-spy: all\n"
     "messages go to stderr; a program that was started keeps its output and is left to run to its end, and its exit\n"
     "status is passed on (125: the recorder failed; 126, 127: the program could not be run or found; with -p: 0, or\n"
     "1 when it failed; always: 2 usage). Threads are not stopped for their samples. -o FILE.pyspy without -f writes "
     "a\n"
     "recording. pyspy-record --help and pyspy-report --help have more options.\n",
     NULL, record_options, NULL},
    {"top", "the functions that take the time, as a live table",
     "pyspy top [options] -p PID\n       pyspy top [options] [--] PROGRAM [ARG ...]",
     "  pyspy top --pid 12345\n  pyspy top -- python myprogram.py\n",
     "It runs pyspy-report top -p PID (or -- PROGRAM), whose --help has more options; ? on the screen shows the keys.\n"
     "Percentages are of threads' wall time, so never above 100. The program's own output goes to a file that is "
     "named\n"
     "at the end; its exit status is passed on. Without a terminal plain tables are printed.\n",
     NULL, top_options, NULL},
    {"dump", "what each thread does now", "pyspy dump [options] -p PID\n       pyspy dump [options] -c FILE",
     "  pyspy dump --pid 12345\n  pyspy dump --json --pid 12345\n  pyspy dump -c core.12345\n",
     "It runs pyspy-record dump, whose --help has more options.\n", NULL, dump_options, NULL},
    {"completions", "a script that lets a shell complete this command's options", "pyspy completions SHELL",
     "  pyspy completions bash >~/.local/share/bash-completion/completions/pyspy\n"
     "  source <(pyspy completions bash)\n"
     "  pyspy completions fish >~/.config/fish/completions/pyspy.fish\n",
     "SHELL is one of: bash elvish fish powershell zsh.\n", NULL, help_options, front_shells},
    {"help", "this help, or that of a command", "pyspy help [COMMAND]", "  pyspy help record\n", NULL, NULL,
     help_options, "record top dump completions help"},
    {0},
};

const struct front_format front_formats[] = {
    {"flamegraph", "svg"}, {"raw", "txt"},      {"speedscope", "json"}, {"chrometrace", "json"},
    {"pprof", "pb.gz"},    {"firefox", "json"}, {"html", "html"},       {0},
};

const struct front_command *front_command_named(const char *word)
{
	const struct front_command *found = NULL;
	size_t n = strlen(word);

	for (const struct front_command *c = front_commands; c->name; c++) {
		if (!n || strncmp(c->name, word, n) != 0)
			continue;
		if (!c->name[n])
			return c;
		if (found)
			return NULL;
		found = c;
	}
	return found;
}

const struct front_format *front_format_named(const char *word)
{
	for (const struct front_format *f = front_formats; f->name; f++)
		if (!strcmp(f->name, word))
			return f;
	return NULL;
}
