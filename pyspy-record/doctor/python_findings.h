/* python_findings: the interpreter that was found in a process, and what can be told of it. */
#pragma once
#include "pyspy-record/doctor/finding.h"
#include "pyspy-record/doctor/machine.h"
#include "pyspy-record/python/interpreter.h"

struct python_findings {
	bool is_known, is_free_threaded;
	char version[INTERPRETER_VERSION_TEXT];
	const char *build;    /* "release", "debug", "free-threaded", "free-threaded debug" */
	const char *found_by; /* "dynamic symbol", ".symtab", ".PyRuntime", "scan" */
	char *object;         /* the file that it is in, as the process has it; with python_findings_done */
	uint32_t n_interpreters, n_threads;
};

/* Look, and add what was found: the Python, then what works on it (group "features"). The process may run meanwhile. */
void python_findings_examine(struct python_findings *s, struct reader *r, const struct interpreter *in,
                             const struct machine *m, struct findings *f);
void python_findings_done(struct python_findings *s);
