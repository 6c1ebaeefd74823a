#include "pyspy-record/cmd_doctor.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/args.h"
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/log.h"
#include "pyspy-record/attach.h"
#include "pyspy-record/doctor/process_findings.h"
#include "pyspy-record/doctor/verdict.h"
#include "pyspy-record/option_word.h"

enum { OPT_PID = 1, OPT_JSON, OPT_HELP, OPT_VERSION };
enum { EXIT_CAN = 0, EXIT_CANNOT = 1, EXIT_USAGE = 2, WAIT_S = 10 /* as record does, where it waits */ };

static const struct arg_option table[] = {
    {OPT_PID, 'p', "pid", "PID", "look at this process too (decimal or 0x hex)"},
    {OPT_JSON, 'j', "json", NULL, "for programs: one JSON document with a schema_version"},
    {OPT_HELP, 'h', "help", NULL, "this help"},
    {OPT_VERSION, 'V', "version", NULL, "print the version"},
    {0},
};

struct doctor_options {
	pid_t pid;
	bool json;
};

static void help(void)
{
	fputs(
	    "Examples:\n"
	    "  pyspy-record doctor               what can be attached here, and why not more\n"
	    "  pyspy-record doctor -p 4711       can this process be recorded, and what would be seen of it\n"
	    "  pyspy-record doctor -p 4711 --json | jq .verdict\n\n"
	    "Usage: pyspy-record doctor [options]\n\n"
	    "Looks at what this user may do on this machine, and at a process; says of each fact where it was read,\n"
	    "and of what stands in the way what can be done about it. What can be tried is tried. Nothing is stopped\n"
	    "or changed; of the process some memory is read.\n\n"
	    "Options:\n",
	    stdout);
	args_help(stdout, table);
	fputs("\nExit status: 0 the process can be recorded (without -p: processes of this user can be attached),\n"
	      "1 it cannot, 2 usage. A program that pyspy-record starts itself may be recorded all the same.\n",
	      stdout);
}

static int set_pid(struct doctor_options *o, const char *word)
{
	int pid;
	TRY(option_pid(word, &pid));
	if (o->pid && o->pid != pid)
		return option_wrong("-p", word, "a second process; look at one after the other");
	o->pid = pid;
	return 0;
}

/* 0; 1: help or version was printed; ERR_USAGE. */
static int parse(struct doctor_options *o, int argc, char **argv)
{
	struct args a;
	const char *value;
	int id;
	*o = (struct doctor_options){0};
	args_init(&a, table, argc, argv, false);
	while ((id = args_next(&a, &value)) != ARGS_END) {
		switch (id) {
		case OPT_PID:
			TRY(set_pid(o, value));
			break;
		case OPT_JSON:
			o->json = true;
			break;
		case OPT_HELP:
			help();
			return 1;
		case OPT_VERSION:
			puts("pyspy-record " PYSPY_VERSION);
			return 1;
		case ARGS_POSITIONAL:
			return option_wrong("doctor", value, "takes no such word; name a process with -p PID");
		default:
			log_error("%s; see pyspy-record doctor --help", a.message);
			return ERR_USAGE;
		}
	}
	return 0;
}

/* The words of a failure are "what: why; what to do". */
static void add_failure(struct findings *f, const char *message)
{
	const char *cut = strstr(message, "; ");
	f->group = "python";
	findings_add(f, "python", FINDING_PROBLEM, 0, "its memory", "%.*s",
	             (int)(cut ? cut - message : (long)strlen(message)), message);
	if (cut)
		findings_advise(f, "%s", cut + 2);
}

static const char *first_problem(const struct findings *f)
{
	const struct finding *one = findings_problem(f);
	return one ? one->fact : "out of memory";
}

/* As recording would begin: with the same patience, and the same words when it fails. */
static void examine_process(struct verdict *v, struct machine *m, struct findings *f, struct python_findings *s)
{
	static const struct session_signals none;
	struct process_findings p;
	struct target *t = calloc(1, sizeof *t);
	char message[512] = "";
	process_findings_examine(&p, m, f, v->pid);
	int rc = !t            ? ERR_NO_MEMORY
	         : !p.is_there ? ERR_GONE
	         : p.memory.killed_by
	             ? ERR_PERMISSION
	             : attach_open(t, v->pid, NULL, WAIT_S * CLOCK_NS_PER_S, false, &none, message, sizeof message);
	if (rc == 0) {
		process_findings_examine_stops(&p, m, f, interpreter_retries_calls(&t->interpreter));
		python_findings_examine(s, &t->reader, &t->interpreter, m, f);
		target_close(t);
	} else if (rc == ERR_NO_MEMORY) {
		f->failed = true;
	} else if (rc == ERR_UNSUPPORTED) {
		snprintf(s->version, sizeof s->version, "%s", t->interpreter.version);
	}
	if (rc < 0 && !findings_problem(f))
		add_failure(f, message);
	free(t);
	v->can = rc == 0 && !findings_problem(f);
	v->by_kernel = v->can && m->kernel.open.worked;
	if (v->can)
		snprintf(v->text, sizeof v->text, "Process %d (CPython %s) can be recorded, %s: pyspy-record -p %d",
		         (int)v->pid, s->version, v->by_kernel ? "by the kernel's engine" : "from outside",
		         (int)v->pid);
	else
		snprintf(v->text, sizeof v->text, "Process %d cannot be recorded: %s", (int)v->pid, first_problem(f));
}

static void judge_machine(struct verdict *v, const struct machine *m, const struct findings *f)
{
	v->can = m->may_attach_own && !findings_problem(f);
	v->by_kernel = v->can && m->kernel.open.worked;
	if (v->can)
		snprintf(v->text, sizeof v->text, "Processes of %s can be attached, %s",
		         m->may_attach_others ? "this user and of others" : "this user, but not of others,",
		         v->by_kernel ? "by the kernel's engine" : "from outside");
	else
		snprintf(v->text, sizeof v->text, "No process can be attached%s: %s",
		         m->may_start && !m->may_attach_own ? " but what is started by it (pyspy-record -- PROGRAM)"
		                                            : "",
		         first_problem(f));
}

static int print(const struct verdict *v, bool json)
{
	struct buf out;
	buf_init(&out, 0);
	if (json)
		verdict_json(v, &out);
	else
		verdict_text(v, &out);
	bool failed = out.err || v->findings->failed;
	if (failed)
		log_error("cannot tell what was found: out of memory; free some");
	else
		fwrite(out.data, 1, out.len, stdout);
	buf_done(&out);
	return failed ? EXIT_CANNOT : v->can ? EXIT_CAN : EXIT_CANNOT;
}

int cmd_doctor(int argc, char **argv, char *const *words)
{
	struct doctor_options o;
	struct machine m;
	struct findings f = {0};
	struct python_findings s = {0};
	(void)words;
	int rc = parse(&o, argc, argv);
	if (rc)
		return rc < 0 ? EXIT_USAGE : EXIT_CAN;
	struct verdict v = {.pid = o.pid, .time_ns = clock_real_ns(), .machine = &m, .findings = &f, .python = &s};
	machine_examine(&m, &f, !o.pid, o.pid);
	if (o.pid)
		examine_process(&v, &m, &f, &s);
	else
		judge_machine(&v, &m, &f);
	rc = print(&v, o.json);
	findings_done(&f);
	python_findings_done(&s);
	return rc;
}
