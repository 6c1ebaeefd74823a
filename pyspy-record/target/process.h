/* process: what the kernel says of one process, read from /proc.
 *
 * Trust: /proc texts come from the target (names, command line): bytes, not text for a terminal.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct process_facts {
	pid_t pid, ns_pid, parent_pid; /* pid: the process, also when asked by a tid; ns_pid: in its own namespace */
	uint64_t start_ns;             /* CLOCK_BOOTTIME, in clock ticks' resolution */
	uint64_t start_ticks;          /* field 22 of /proc/PID/stat: identity together with pid */
	uint32_t uid;                  /* effective */
	bool same_pid_namespace, same_mount_namespace;
	char exe[4096]; /* target of /proc/PID/exe, may end in " (deleted)"; "" when unreadable */
	char cwd[4096];
	char **cmdline; /* n_cmdline words, allocated */
	uint32_t n_cmdline;
	char comm[64];
};

/* 0; ERR_GONE (no such process, or a zombie); ERR_PERMISSION; ERR_NO_MEMORY. On error *p needs no done. */
int process_facts_read(pid_t pid, struct process_facts *p);
void process_facts_done(struct process_facts *p);
/* Start time ticks of a pid (or of a tid: path /proc/PID/task/TID); ERR_GONE. */
int process_start_ticks(pid_t pid, pid_t tid, uint64_t *ticks);
/* ns of CLOCK_BOOTTIME for clock ticks since boot. */
uint64_t process_ticks_to_ns(uint64_t ticks);
/* Threads of a process just now; 0 = gone. */
unsigned process_n_threads(pid_t pid);
/* The tids of a process's threads as its own pid namespace counts, ascending, at most `most`; how many. */
size_t process_ns_tids(pid_t pid, pid_t *tids, size_t most);
/* Does a process with this pid and start time still run (not a zombie)? */
bool process_is_alive(pid_t pid, uint64_t start_ticks);
/* A thread of the kernel: it has no memory of its own. False when there is no such process. */
bool process_is_kernel_thread(pid_t pid);
/* A file of the target, as the target sees it: PATH below /proc/PID/root (symlinks resolved inside it). A deleted file
 * (PATH ends in " (deleted)", or the mapping at `begin` says so when begin != 0) through /proc/PID/map_files/BEGIN-END
 * or /proc/PID/exe, never another file that now has its name. Only regular files. Returns an O_RDONLY|O_CLOEXEC fd or
 * -1 (errno). */
int process_open_file(pid_t pid, const char *path, uint64_t begin, uint64_t end);
/* The file behind a mapping of the target: by its name as the target sees it, as we see it (a chroot), through
 * map_files or /proc/PID/exe, whichever has the mapping's inode. Where none has (some file systems give a mapping
 * another number; the file was replaced and we may not use map_files) the first that could be opened and *doubtful is
 * set: compare it with what is mapped. An O_RDONLY|O_CLOEXEC fd or -1 (errno). */
struct maps_entry;
int process_open_mapped(pid_t pid, const struct maps_entry *m, bool *doubtful);
/* Why may we not read this process's memory? One English sentence for people: what (yama's ptrace_scope with its value
 * and file, other user, missing CAP_SYS_PTRACE, non-dumpable, seccomp), and what to do (sudo, setcap, sysctl, docker
 * --cap-add). */
void process_permission_hint(pid_t pid, char *out, size_t size);
