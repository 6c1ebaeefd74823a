/* process_findings: one process: may it be looked at, and what stands in the way.
 *
 * Trust: what is read of it is its own: bytes.
 */
#pragma once
#include "pyspy-record/doctor/machine.h"
#include "pyspy-record/target/access.h"

struct process_findings {
	pid_t pid;     /* of the process, also when asked by the number of a thread */
	bool is_there; /* a process that has a memory */
	struct access_facts access;
	struct trial memory;
	pid_t tracer; /* 0 = nobody */
};

/* Look, and add what was found. What stands in the way of reading it is a problem. */
void process_findings_examine(struct process_findings *p, const struct machine *m, struct findings *f, pid_t pid);
/* Can its threads be stopped? After the interpreter was found: `retries` as interpreter_retries_calls. */
void process_findings_examine_stops(const struct process_findings *p, const struct machine *m, struct findings *f,
                                    bool retries);
