#include "pyspy-record/front/front_words.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/log.h"
#include "libcommon/path.h"
#include "pyspy-record/front/front_commands.h"

enum { NAME_LENGTH = 60, NAMES_TRIED = 1000 };

struct asked {
	const char *output;
	const struct front_format *format; /* NULL = not said */
	const char *pid;                   /* the first one */
	char *const *program;              /* NULL = none */
	bool keep;
};

static int add(struct front_words *w, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static int add(struct front_words *w, const char *fmt, ...)
{
	char *word = NULL;
	va_list ap;

	va_start(ap, fmt);
	int n = vasprintf(&word, fmt, ap);
	va_end(ap);
	if (n < 0)
		return ERR_NO_MEMORY;
	if (vec_push(&w->v, word))
		return 0;
	free(word);
	return ERR_NO_MEMORY;
}

static int add_end(struct front_words *w)
{
	return vec_push(&w->v, NULL) ? 0 : ERR_NO_MEMORY;
}

void front_words_done(struct front_words *w)
{
	for (size_t i = 0; i < w->v.n; i++)
		free(w->v.v[i]);
	vec_free(&w->v);
}

static int set_format(struct asked *asked, const char *word)
{
	struct buf b;

	asked->format = front_format_named(word);
	if (asked->format)
		return 0;
	buf_init(&b, 0);
	escape_text(&b, word, strlen(word));
	log_error("-f %s: not a format; flamegraph, html, raw, speedscope, chrometrace, pprof or firefox",
	          buf_cstr(&b));
	buf_done(&b);
	return ERR_USAGE;
}

static int take(struct front_words *w, struct asked *asked, int id, const char *value)
{
	switch (id) {
	case FRONT_PID:
		asked->pid = asked->pid ? asked->pid : value;
		return add(w, "--pid=%s", value);
	case FRONT_OUTPUT:
		asked->output = value;
		return 0;
	case FRONT_FORMAT:
		return set_format(asked, value);
	case FRONT_DURATION:
		return add(w, "--duration=%s", value);
	case FRONT_RATE:
		return add(w, "--rate=%s", value);
	case FRONT_FUNCTION:
		return add(w, "--function");
	case FRONT_NOLINENO:
		return add(w, "--nolineno");
	case FRONT_FULL_FILENAMES:
		return add(w, "--full-filenames");
	case FRONT_THREADS:
		return add(w, "--threads");
	case FRONT_GIL:
		return add(w, "--gil");
	case FRONT_IDLE:
		return add(w, "--idle");
	case FRONT_NONBLOCKING:
		return add(w, "--nonblocking");
	case FRONT_KEEP:
		asked->keep = true;
		return 0;
	case FRONT_BLOCKING:
		return add(w, "--blocking");
	case FRONT_ENGINE:
		return add(w, "--engine=%s", value);
	case FRONT_MAX_CPU:
		return add(w, "--max-cpu=%s", value);
	case FRONT_QUIET:
		return add(w, "--quiet");
	case FRONT_SUBPROCESSES:
		log_error(
		    "-s/--subprocesses is not there yet; leave it out, and record each process with its own --pid");
		return ERR_USAGE;
	case FRONT_NATIVE:
		log_error("-n/--native is not there yet; leave it out to record Python frames");
		return ERR_USAGE;
	default:
		return 0;
	}
}

/* py-spy's own pattern: "python3-2026-11-28T22-58-06+0000.svg", or the pid in front; here always in this folder. */
static void name_output(char *out, size_t size, const struct asked *asked)
{
	char name[NAME_LENGTH + 1], when[40];
	const char *from = asked->program ? path_base(asked->program[0]) : asked->pid, *suffix = asked->format->suffix;
	time_t now = time(NULL);
	struct stat st;
	struct tm tm;
	size_t n = 0;
	int pid;

	if (!asked->program && human_parse_pid(asked->pid, &pid) == 0) {
		n = (size_t)snprintf(name, sizeof name, "%d", pid);
	} else {
		for (; *from && n < NAME_LENGTH; from++) {
			bool is_plain = (*from >= '0' && *from <= '9') || (*from >= 'a' && *from <= 'z') ||
			                (*from >= 'A' && *from <= 'Z') || (n && strchr("._-+", *from));
			name[n++] = is_plain ? *from : '_';
		}
	}
	name[n] = 0;
	if (!n)
		strcpy(name, "python");
	if (!localtime_r(&now, &tm) || !strftime(when, sizeof when, "%Y-%m-%dT%H-%M-%S%z", &tm))
		strcpy(when, "0");
	snprintf(out, size, "%s-%s.%s", name, when, suffix);
	for (int i = 1; i <= NAMES_TRIED && lstat(out, &st) == 0; i++)
		snprintf(out, size, "%s-%s-%d.%s", name, when, i, suffix);
}

static bool is_recording(const char *path)
{
	size_t n = strlen(path);
	return n >= 6 && !strcmp(path + n - 6, ".pyspy");
}

static int add_output(struct front_words *w, struct asked *asked)
{
	const char *output = asked->output;
	char name[256];

	if (output && !asked->format && is_recording(output))
		return add(w, "--output=%s", output);
	if (!asked->format)
		asked->format = &front_formats[0];
	if (!output) {
		name_output(name, sizeof name, asked);
		output = name;
	}
	TRY(add(w, "--format=%s", asked->format->name));
	if (!asked->keep)
		TRY(add(w, "--no-keep"));
	return add(w, "--output=%s", output);
}

/* The next option as args_next gives it; py-spy takes -d=10, too. */
static int next(struct args *a, const char **value)
{
	int id = args_next(a, value);
	const char *word = a->index > 1 ? a->argv[a->index - 1] : "";
	if (id > 0 && *value && *value != word && word[1] != '-' && **value == '=')
		++*value;
	return id;
}

static int bad_words(const struct args *a, const char *command)
{
	log_error("%s; see pyspy %s --help", a->message, command);
	return ERR_USAGE;
}

static int record(struct front_words *w, struct args *a, struct asked *asked)
{
	const char *value;
	int id;

	TRY(add(w, "pyspy-record"));
	TRY(add(w, "record"));
	while ((id = next(a, &value)) > 0) {
		if (id == FRONT_HELP)
			return 1;
		TRY(take(w, asked, id, value));
	}
	if (id < 0)
		return bad_words(a, "record");
	asked->program = a->index < a->argc ? a->argv + a->index : NULL;
	if (!asked->program && !asked->pid) {
		log_error(
		    "nothing to record; name a process (--pid PID) or a program to start (-- PROGRAM ...), see pyspy "
		    "record --help");
		return ERR_USAGE;
	}
	TRY(add_output(w, asked));
	if (asked->program)
		TRY(add(w, "--"));
	for (char *const *p = asked->program; p && *p; p++)
		TRY(add(w, "%s", *p));
	return add_end(w);
}

static int no_memory(int rc)
{
	if (rc == ERR_NO_MEMORY)
		log_error("cannot start: %s", err_words(rc));
	return rc;
}

int front_words_record(struct front_words *w, int argc, char **argv, bool *is_program)
{
	struct asked asked = {0};
	struct args a;

	memset(w, 0, sizeof *w);
	args_init(&a, front_command_named("record")->options, argc, argv, true);
	int rc = record(w, &a, &asked);
	*is_program = asked.program != NULL;
	return no_memory(rc);
}

/* Its options have the same names there, and what is not there yet says so itself. */
static int dump(struct front_words *w, struct args *a)
{
	const char *value;
	bool has_target = false;
	int id;

	TRY(add(w, "pyspy-record"));
	TRY(add(w, "dump"));
	while ((id = next(a, &value)) > 0) {
		const struct arg_option *o = a->table;
		if (id == FRONT_HELP)
			return 1;
		while (o->id != id)
			o++;
		has_target |= id == FRONT_PID || id == FRONT_CORE;
		TRY(value ? add(w, "--%s=%s", o->long_name, value) : add(w, "--%s", o->long_name));
	}
	if (id == ERR_USAGE)
		return bad_words(a, "dump");
	if (id == ARGS_POSITIONAL || !has_target) {
		log_error("%s; name a process (--pid PID), see pyspy dump --help",
		          id == ARGS_POSITIONAL ? "dump starts no program" : "nothing to look at");
		return ERR_USAGE;
	}
	return add_end(w);
}

/* pyspy-report's live table has options of the same names. */
static int top(struct front_words *w, struct args *a, bool *is_program)
{
	const char *value;
	bool has_pid = false;
	int id;

	TRY(add(w, "pyspy-report"));
	TRY(add(w, "top"));
	while ((id = next(a, &value)) > 0) {
		const struct arg_option *o = a->table;
		if (id == FRONT_HELP)
			return 1;
		if (id == FRONT_SUBPROCESSES || id == FRONT_NATIVE)
			TRY(take(w, &(struct asked){0}, id, value)); /* says that it is not there yet */
		while (o->id != id)
			o++;
		has_pid |= id == FRONT_PID;
		TRY(id == FRONT_PID ? add(w, "-p%s", value)
		    : value         ? add(w, "--%s=%s", o->long_name, value)
		                    : add(w, "--%s", o->long_name));
	}
	if (id < 0)
		return bad_words(a, "top");
	*is_program = a->index < a->argc;
	if (*is_program == has_pid) {
		log_error("%s; name a process (--pid PID) or a program to start (-- PROGRAM ...), see pyspy top --help",
		          has_pid ? "a process and a program" : "nothing to look at");
		return ERR_USAGE;
	}
	if (*is_program)
		TRY(add(w, "--"));
	for (int i = a->index; i < a->argc; i++)
		TRY(add(w, "%s", a->argv[i]));
	return add_end(w);
}

int front_words_top(struct front_words *w, int argc, char **argv, bool *is_program)
{
	struct args a;

	memset(w, 0, sizeof *w);
	*is_program = false;
	args_init(&a, front_command_named("top")->options, argc, argv, true);
	return no_memory(top(w, &a, is_program));
}

int front_words_dump(struct front_words *w, int argc, char **argv)
{
	struct args a;

	memset(w, 0, sizeof *w);
	args_init(&a, front_command_named("dump")->options, argc, argv, false);
	return no_memory(dump(w, &a));
}
