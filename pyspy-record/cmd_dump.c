#include "pyspy-record/cmd_dump.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/args.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/log.h"
#include "pyspy-record/attach.h"
#include "pyspy-record/core_open.h"
#include "pyspy-record/show/dump.h"
#include "pyspy-record/target/children.h"

enum { EXIT_FINE = 0, EXIT_ERROR = 1, EXIT_USAGE = 2 };
enum {
	OPT_PID = 1,
	OPT_JSON,
	OPT_SUBPROCESSES,
	OPT_FULL_FILENAMES,
	OPT_NONBLOCKING,
	OPT_COLOUR,
	OPT_HELP,
	OPT_VERSION,
	OPT_LOCALS,
	OPT_REDACT_NAMES,
	OPT_NO_REDACT,
	OPT_TASKS,
	OPT_NATIVE,
	OPT_CORE,
	OPT_SYSROOT,
};
enum { PLACES_MAX = 64 };

static const struct arg_option table[] = {
    {OPT_PID, 'p', "pid", "PID", "the process (decimal or 0x hex)"},
    {OPT_CORE, 'c', "core", "FILE", "a core file (gcore's or the kernel's, also compressed with zstd)"},
    {OPT_SYSROOT, 0, "sysroot", "DIR",
     "with -c: where the binaries of its system are (or a binary); may be\nsaid several times"},
    {OPT_JSON, 'j', "json", NULL, "as JSON"},
    {OPT_SUBPROCESSES, 's', "subprocesses", NULL, "the processes that it started, too, and theirs"},
    {OPT_NONBLOCKING, 0, "nonblocking", NULL, "stop nobody; what runs meanwhile is marked as not certain"},
    {OPT_LOCALS, 'l', "locals", NULL, "the variables of each frame, too; -ll, -lll: more of each value"},
    {OPT_TASKS, 0, "tasks", NULL,
     "the asyncio tasks, too: all that are not done, and what each waits for (3.8 and later)"},
    {OPT_REDACT_NAMES, 0, "redact-names", "REGEX",
     "hide values whose name it matches; without it: password, token, api_key and their like"},
    {OPT_NO_REDACT, 0, "no-redact", NULL, "hide nothing, no secrets within texts either"},
    {OPT_FULL_FILENAMES, 0, "full-filenames", NULL, "whole file names"},
    {OPT_COLOUR, 0, "color", "WHEN", "auto (a terminal; NO_COLOR, CLICOLOR, CLICOLOR_FORCE), always, never"},
    {OPT_HELP, 'h', "help", NULL, "this help"},
    {OPT_VERSION, 'V', "version", NULL, "print the version"},
    /* known from py-spy, not there yet */
    {OPT_NATIVE, 'n', "native", NULL, NULL},
    {0},
};

struct dump_command {
	int pid;
	const char *core;
	const char *places[PLACES_MAX];
	size_t n_places;
	bool json, children, nonblocking;
	struct dump_options show;
	bool tasks;
	unsigned locals; /* how often -l was given */
	const char *redact;
	struct secrets secrets;
};

static void help(FILE *out)
{
	fputs("Examples:\n"
	      "  pyspy-record dump -p 4711                 what each thread does now\n"
	      "  pyspy-record dump -l -p 4711              with the variables of each frame\n"
	      "  pyspy-record dump --tasks -p 4711         with all asyncio tasks\n"
	      "  pyspy-record dump -s -p 4711              and the processes that it started\n"
	      "  pyspy-record dump --json -p 4711 | jq '.threads[] | select(.holds_gil)'\n"
	      "  pyspy-record dump -l -c core.4711         of a core file\n"
	      "\n"
	      "Usage: pyspy-record dump [options] -p PID\n"
	      "       pyspy-record dump [options] -c FILE\n"
	      "\n"
	      "Shows the Python stack of each thread, innermost frame first, at one moment: who holds the GIL is "
	      "stopped\n"
	      "while the stacks are read (well under 10 ms), and nobody else; threads that sleep are read as they "
	      "stand.\n"
	      "\n"
	      "Options:\n",
	      out);
	args_help(out, table);
	fputs("\n"
	      "With -l, values are as Python's repr() prints them; what has a __repr__ of its own that is not the "
	      "standard\n"
	      "library's, or none, is shown as <module.Class object at 0x7f12: attribute=value>. What is left out is "
	      "said: "
	      "… 9 more.\n"
	      "A core file lacks what was never written to of the files that were mapped: that comes from the files "
	      "themselves,\n"
	      "found by path or build id here or below --sysroot; a file with another build id is not used, and said. "
	      "What a\n"
	      "truncated core has is shown. A compressed one is unpacked into TMPDIR (/var/tmp) for as long as it is "
	      "read.\n"
	      "Secrets within texts are hidden, too: passwords in URLs, password=..., bearer tokens, private keys.\n"
	      "--tasks: each task with what it waits for, and the frames of what it awaits, innermost first.\n"
	      "A thread is active when it is on a CPU or would be, or holds the GIL (+gil); +gc: it collects garbage.\n"
	      "Exit status: 0 fine, 1 error, 2 usage.\n",
	      out);
}

static bool is_on(const char *name)
{
	const char *value = getenv(name);
	return value && *value && strcmp(value, "0") != 0;
}

static bool wants_colour(void)
{
	const char *no = getenv("NO_COLOR"), *cli = getenv("CLICOLOR");
	if (no && *no)
		return false;
	if (is_on("CLICOLOR_FORCE"))
		return true;
	return isatty(STDOUT_FILENO) && !(cli && !strcmp(cli, "0"));
}

static int usage(const char *message)
{
	log_error("%s; `pyspy-record dump --help` lists the options", message);
	return ERR_USAGE;
}

static int take_colour(struct dump_command *c, const char *value)
{
	if (!strcmp(value, "always") || !strcmp(value, "never"))
		c->show.colour = value[0] == 'a';
	else if (strcmp(value, "auto"))
		return usage("--color wants auto, always or never");
	return 0;
}

static int take_place(struct dump_command *c, const char *value)
{
	struct stat st;
	if (c->n_places == PLACES_MAX)
		return usage("more than 64 times --sysroot");
	if (stat(value, &st) < 0) {
		log_error("--sysroot %s: %s; it wants a folder with the binaries of the core's system, or a binary",
		          value, strerror(errno));
		return ERR_USAGE;
	}
	c->places[c->n_places++] = value;
	return 0;
}

static int take_option(struct dump_command *c, int id, const char *value)
{
	switch (id) {
	case ARGS_POSITIONAL:
	case OPT_PID:
		if (c->pid || c->core)
			return usage("one process at a time");
		if (human_parse_pid(value, &c->pid) < 0)
			return usage("--pid wants a process id, decimal or 0x hex");
		return 0;
	case OPT_JSON:
		c->json = true;
		return 0;
	case OPT_SUBPROCESSES:
		c->children = true;
		return 0;
	case OPT_NONBLOCKING:
		c->nonblocking = true;
		return 0;
	case OPT_FULL_FILENAMES:
		c->show.full_filenames = true;
		return 0;
	case OPT_COLOUR:
		return take_colour(c, value);
	case OPT_HELP:
		help(stdout);
		return 1;
	case OPT_VERSION:
		printf("pyspy-record %s\n", PYSPY_VERSION);
		return 1;
	case OPT_LOCALS:
		c->locals++;
		return 0;
	case OPT_TASKS:
		c->tasks = true;
		return 0;
	case OPT_REDACT_NAMES:
		c->redact = value;
		return 0;
	case OPT_NO_REDACT:
		c->redact = NULL;
		return 0;
	case OPT_CORE:
		if (c->pid || c->core)
			return usage("one process at a time");
		c->core = value;
		return 0;
	case OPT_SYSROOT:
		return take_place(c, value);
	default:
		return usage("--native is not there yet");
	}
}

static int parse(struct dump_command *c, int argc, char **argv)
{
	struct args a;
	const char *value;
	int id;
	*c = (struct dump_command){.show.colour = wants_colour(), .redact = SECRETS_DEFAULT};
	args_init(&a, table, argc, argv, false);
	while ((id = args_next(&a, &value)) != ARGS_END) {
		if (id == ERR_USAGE)
			return usage(a.message);
		int rc = take_option(c, id, value);
		if (rc)
			return rc;
	}
	if (!c->pid && !c->core)
		return usage("which process? --pid PID, or --core FILE");
	if (!c->core && c->n_places)
		return usage("--sysroot is for --core");
	if (c->core && c->children)
		log_info("--subprocesses means nothing here: a core file holds one process");
	char why[128];
	if (c->redact && secrets_init(&c->secrets, c->redact, why, sizeof why) < 0) {
		log_error("--redact-names `%s`: %s; it wants a POSIX extended regular expression", c->redact, why);
		return ERR_USAGE;
	}
	return 0;
}

static int open_target(const struct dump_command *c, struct target *t, struct corefile *core, pid_t pid, bool is_child,
                       char *message, size_t size)
{
	static const struct session_signals no_signals;
	if (c->core)
		return core_open(t, core, c->core, c->places, c->n_places, message, size);
	return attach_open(t, pid, NULL, is_child ? 0 : UINT64_C(3000000000), false, &no_signals, message, size);
}

/* What is looked at while the threads stand. */
struct visit {
	struct dump_tasks *tasks;   /* NULL: not asked for; */
	struct dump_locals *locals; /* the same */
};

static void prepare(void *ctx, struct target *t)
{
	const struct visit *v = ctx;
	if (v->tasks)
		dump_tasks_prepare(v->tasks, t);
}

static bool visit(void *ctx, struct target *t, struct snapshot *s, uint64_t until_ns)
{
	const struct visit *v = ctx;
	bool is_picky = v->tasks && dump_tasks_visit(v->tasks, t, s, until_ns);
	if (v->locals)
		dump_locals_visit(v->locals, t, s, until_ns);
	return is_picky;
}

/* One process, printed. 0, or why there is nothing of it. */
static int show_open(const struct dump_command *c, pid_t pid, bool is_child)
{
	struct corefile core = {.fd = -1};
	struct dump_options show = c->show;
	struct target *t = calloc(1, sizeof *t);
	struct stops *stops = calloc(1, sizeof *stops);
	struct snapshot s = {0};
	struct facts facts = {0};
	struct dump_locals locals = {.level = c->locals, .secrets = &c->secrets};
	struct dump_tasks tasks = {0};
	struct visit looks = {c->tasks ? &tasks : NULL, c->locals ? &locals : NULL};
	struct process_facts process = {0};
	struct dump_process p = {.pid = pid,
	                         .target = t,
	                         .snapshot = &s,
	                         .stops = stops,
	                         .facts = &facts,
	                         .core = c->core ? &core : NULL,
	                         .core_path = c->core,
	                         .locals = looks.locals,
	                         .tasks = looks.tasks};
	char message[512] = "";
	bool is_open = false, has_facts = false;
	int rc = t && stops ? open_target(c, t, &core, pid, is_child, message, sizeof message) : ERR_NO_MEMORY;
	if (rc == 0) {
		is_open = true;
		p.pid = t->facts.pid;
		bool retries = c->core || interpreter_retries_calls(&t->interpreter);
		if (!retries && !c->nonblocking)
			log_info("process %d: CPython %s does not try interrupted calls again, so nobody is stopped",
			         (int)pid, t->interpreter.version);
		if (c->tasks)
			dump_tasks_open(&tasks, t);
		rc = snapshot_take(t, stops, retries && !c->nonblocking && !c->core,
		                   &(struct snapshot_looks){prepare, visit, &looks}, &s);
		if (rc == 0) {
			dump_tasks_finish(&tasks, t, &s);
			dump_locals_finish(&locals, t, &s);
		}
	}
	if (rc == 0) {
		facts_read(&t->reader, &t->interpreter.layout, t->interps[t->n_interps - 1].at, &facts, NULL);
	} else {
		has_facts = !c->core && process_facts_read(pid, &process) == 0;
		p.cmdline = process.cmdline;
		p.n_cmdline = has_facts ? process.n_cmdline : 0;
		p.is_python = rc != ERR_NOT_PYTHON && rc != ERR_AGAIN;
		p.problem = !p.is_python     ? "it is not Python"
		            : *message       ? message
		            : rc == ERR_GONE ? "it has ended"
		                             : err_words(rc);
	}
	if (rc == 0 && c->core)
		core_tell(&core, c->core);
	if (rc < 0 && c->core && !*message)
		core_no_threads(&core, c->core, rc, message, sizeof message);
	if (rc < 0 && !is_child)
		log_error("%s", *message ? message : p.problem);
	else if (c->json)
		dump_json_open(stdout, &p, &show);
	else
		dump_text(stdout, &p, &show);
	if (rc == 0)
		facts_done(&facts);
	if (has_facts)
		process_facts_done(&process);
	dump_tasks_done(&tasks);
	dump_locals_done(&locals);
	snapshot_done(&s);
	if (is_open)
		target_close(t);
	if (c->core)
		corefile_close(&core);
	free(stops);
	free(t);
	return rc;
}

/* JSON: each child stands in its parent's "children". */
static void show_children(const struct dump_command *c, const struct children *children)
{
	unsigned depth = 0; /* of the object that is open */
	for (size_t i = 0; i < children->list.n; i++) {
		const struct children_entry *e = &children->list.v[i];
		if (c->json) {
			for (; depth >= e->depth; depth--)
				dump_json_close(stdout);
			if (i && children->list.v[i - 1].depth >= e->depth)
				fputs(", ", stdout);
			depth = e->depth;
		} else {
			putchar('\n');
		}
		show_open(c, e->pid, true);
	}
	for (; c->json && depth > 0; depth--)
		dump_json_close(stdout);
}

int cmd_dump(int argc, char **argv, char *const *words)
{
	struct dump_command c;
	struct children children = {0};
	(void)words;
	int rc = parse(&c, argc, argv);
	if (rc)
		return rc < 0 ? EXIT_USAGE : EXIT_FINE;
	rc = show_open(&c, c.pid, false);
	if (rc < 0) {
		secrets_done(&c.secrets);
		return EXIT_ERROR;
	}
	if (c.children && !c.core && children_of(c.pid, &children) == 0)
		show_children(&c, &children);
	children_done(&children);
	secrets_done(&c.secrets);
	if (c.json) {
		dump_json_close(stdout);
		putchar('\n');
	}
	return EXIT_FINE;
}
