/* access: why the kernel does not let us read a process's memory, in words.
 *
 * What must hold: ptrace(2), "Ptrace access mode checking" (PTRACE_MODE_ATTACH_REALCREDS), and
 * Documentation/admin-guide/LSM/Yama.rst. Facts and words are apart so that the words can be tested without the
 * machine they are about.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct access_facts {
	pid_t pid;
	uint32_t our_uid, their_uid; /* effective */
	bool has_ptrace;             /* we have CAP_SYS_PTRACE */
	bool is_hidden;              /* /proc (hidepid) does not show the process to us */
	bool is_dumpable;            /* /proc/PID belongs to the process's own user */
	bool is_our_child;
	bool other_user_namespace;
	bool has_seccomp; /* a seccomp filter is on us */
	int yama;         /* /proc/sys/kernel/yama/ptrace_scope; -1 = no yama */
};
/* What cannot be read is left at its harmless value. */
void access_facts_read(pid_t pid, struct access_facts *f);
/* "what stands in the way; what to do" */
void access_hint(const struct access_facts *f, char *out, size_t size);
