/* access: why the kernel does not let us read a process's memory, in words.
 *
 * What must hold: ptrace(2), "Ptrace access mode checking" (PTRACE_MODE_ATTACH_REALCREDS), and
 * Documentation/admin-guide/LSM/Yama.rst. Facts and words are apart so that the words can be tested without the
 * machine they are about. Users: attach (one sentence), doctor (each fact by itself).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define ACCESS_YAMA         "/proc/sys/kernel/yama/ptrace_scope"
#define ACCESS_CAPABILITIES "cap_sys_ptrace" /* what opens most doors, for setcap(8) */

struct access_facts {
	pid_t pid;
	uint32_t our_uid, their_uid; /* real; effective */
	bool has_other_ids;          /* its real, its saved user or one of its groups is not ours */
	bool has_more_capabilities;  /* permitted to it, and not to us */
	bool has_ptrace;             /* we have CAP_SYS_PTRACE */
	bool is_hidden;              /* /proc (hidepid) does not show the process to us */
	bool is_dumpable;            /* the files in /proc/PID belong to the process's own user */
	bool is_descendant;          /* we, or a child of ours, ... started it */
	bool other_user_namespace;   /* also where its one is not shown to us, and ours is not the first */
	bool has_seccomp;            /* a seccomp filter is on us */
	int yama;                    /* ACCESS_YAMA; -1 = no yama */
};
/* What cannot be read is left at its harmless value. */
void access_facts_read(pid_t pid, struct access_facts *f);
/* The value of ACCESS_YAMA; -1 = no yama. */
int access_yama(void);
/* Are we in the first user namespace? Capabilities count for everybody only there. */
bool access_in_first_namespace(void);

/* What stands in the way, the first that must be removed. */
enum access_obstacle {
	ACCESS_HIDDEN,
	ACCESS_YAMA_NOBODY,  /* 3 */
	ACCESS_NAMESPACE,    /* our rights do not count in its user namespace */
	ACCESS_MODULE_ABOVE, /* something forbids it that stands above CAP_SYS_PTRACE */
	ACCESS_ROOT_WITHOUT, /* we are root without CAP_SYS_PTRACE */
	ACCESS_OTHER_USER,
	ACCESS_OTHER_IDS,
	ACCESS_NOT_DUMPABLE,
	ACCESS_CAPABLE,      /* it has capabilities that we have not */
	ACCESS_YAMA_ADMIN,   /* 2 */
	ACCESS_YAMA_PARENTS, /* 1, and it is none of our descendants */
	ACCESS_MODULE,       /* none of these: seccomp, AppArmor, SELinux ... */
};
/* Of a process that we may not read. */
enum access_obstacle access_obstacle(const struct access_facts *f);
/* "what stands in the way; what to do" */
void access_hint(const struct access_facts *f, char *out, size_t size);
