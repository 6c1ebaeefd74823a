/* children: the processes that a process has started, and theirs. */
#pragma once
#include <stddef.h>
#include <sys/types.h>

#include "libcommon/vec.h"

struct children_entry {
	pid_t pid;
	unsigned depth; /* of a child: 1 */
};
enum { CHILDREN_PROCESSES_MAX = 4096, CHILDREN_DEPTH_MAX = 64 };
struct children {
	VEC(struct children_entry) list; /* each one before its own children, these by pid */
};

/* Read from /proc; what comes or goes meanwhile may be missing. 0 or ERR_NO_MEMORY; children_done in any case. Threads
 * have children, too: those of all threads are the process's. */
int children_of(pid_t pid, struct children *c);
void children_done(struct children *c);
