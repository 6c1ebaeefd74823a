/* dump: a snapshot as text or JSON.
 *
 * Flow:    sample/snapshot -> [show/dump] -> a FILE*.
 * Trust:   names, files and command lines are the target's: they leave through escape_text or escape_json only.
 */
#pragma once
#include <stdio.h>

#include "pyspy-record/python/facts.h"
#include "pyspy-record/sample/snapshot.h"
#include "pyspy-record/show/dump_locals.h"
#include "pyspy-record/show/dump_tasks.h"
#include "pyspy-record/target/corefile.h"

enum { DUMP_SCHEMA = 1 }; /* of the JSON: a change that breaks readers counts it up */

struct dump_options {
	bool full_filenames; /* not shortened by sys.path, prefixes and the working folder */
	bool colour;         /* text */
};

/* One process: what was seen, or why not. */
struct dump_process {
	pid_t pid;
	const char *problem; /* NULL, or why there is no snapshot: one line, safe for a terminal */
	bool is_python;      /* false: it is another program, which is no problem */
	struct target *target;
	struct snapshot *snapshot;
	const struct stops *stops;
	struct facts *facts;
	const struct dump_locals *locals; /* NULL: not asked for */
	const struct dump_tasks *tasks;   /* NULL: not asked for */
	const struct corefile *core;      /* that it is in; NULL = it runs */
	const char *core_path;
	char **cmdline; /* where there is no target */
	uint32_t n_cmdline;
};

void dump_text(FILE *out, const struct dump_process *p, const struct dump_options *o);
/* One object, without a newline; the caller writes children into it: dump_json_open leaves it open behind "threads". */
void dump_json_open(FILE *out, const struct dump_process *p, const struct dump_options *o);
void dump_json_close(FILE *out);

/* Between the parts of show/: */
/* The part of a file name to show. */
const char *dump_short_file(const struct dump_process *p, const char *file);
/* Text of codes.names. */
const char *dump_name(const struct dump_process *p, uint32_t id, size_t *n);
/* What stands for a code object that a core has not; NULL = it is there. */
const char *dump_absent(const struct dump_process *p, const struct code *code);
/* Text, about a task: "waits for Task-3", "has not begun", ... */
void dump_task_state(const struct tasks *t, const struct tasks_entry *e, struct buf *out);
bool dump_is_active(const struct snapshot_thread *st);
