/* source: what there is to know of a process beside its memory: from /proc, or from a core file.
 *
 * All take the core that the process is in, NULL = none: it runs, and `pid` is the one. What is asked for of a thread
 * while it is sampled is not among it: taskstate, for processes that run only.
 */
#pragma once
#include "pyspy-record/target/corefile.h"
#include "pyspy-record/target/maps.h"

/* As maps_read. */
int source_maps(struct corefile *core, pid_t pid, struct maps *m);
/* The program: its path as in the mappings, and its inode (0 = not known). */
void source_exe(struct corefile *core, pid_t pid, char *path, size_t size, uint64_t *inode);
/* As process_open_mapped, process_ns_tids, process_n_threads. */
int source_open_mapped(struct corefile *core, pid_t pid, const struct maps_entry *m, bool *doubtful);
size_t source_ns_tids(struct corefile *core, pid_t pid, pid_t *tids, size_t most);
unsigned source_n_threads(struct corefile *core, pid_t pid);
/* The stack pointer of a thread that stands still; 0 = it runs, or is not there. */
uint64_t source_stack_pointer(struct corefile *core, pid_t pid, pid_t tid);
/* Where the main thread's stack ends; 0 = not known. */
uint64_t source_stack_end(struct corefile *core, pid_t pid);
