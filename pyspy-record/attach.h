/* attach: wait until there is a Python to look at, or say why there is none. */
#pragma once
#include "pyspy-record/sample/target.h"
#include "pyspy-record/session.h"

/* Open process `pid`, waiting up to wait_ns for an interpreter that is not up yet; a started program (`spawn` not NULL)
 * may be something else until then (a shell, env, a shim). What is attached to may too, if we are `patient` (told how
 * long to wait), else for 3 s: a shell or another known launcher from now on, any other from its own start. 0; else the
 * error, with *message (one line: what failed: why; what to do), "" when signals told us to stop. */
int attach_open(struct target *t, pid_t pid, struct spawn *spawn, uint64_t wait_ns, bool patient,
                const struct session_signals *signals, char *message, size_t size);
