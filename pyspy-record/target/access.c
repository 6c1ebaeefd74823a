#include "pyspy-record/target/access.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pyspy-record/target/procfile.h"

enum { STATUS_BYTES = 8192, PARENTS_MAX = 1024 };

bool access_in_first_namespace(void)
{
	char map[256];
	unsigned long inside, outside, n;
	return procfile_read("/proc/self/uid_map", map, sizeof map) < 0 ||
	       (sscanf(map, "%lu %lu %lu", &inside, &outside, &n) == 3 && inside == 0 && outside == 0 &&
	        n == UINT32_MAX);
}

static bool in_our_user_namespace(pid_t pid)
{
	char name[64], theirs[64] = "", ours[64] = "";
	snprintf(name, sizeof name, "/proc/%d/ns/user", (int)pid);
	if (readlink(name, theirs, sizeof theirs - 1) <= 0)
		return access_in_first_namespace();
	return readlink("/proc/self/ns/user", ours, sizeof ours - 1) <= 0 || !strcmp(theirs, ours);
}

int access_yama(void)
{
	char text[32];
	return procfile_read(ACCESS_YAMA, text, sizeof text) > 0 ? atoi(text) : -1;
}

static uint64_t number(const char *status, const char *key, int index, int base)
{
	uint64_t v = 0;
	procfile_number(status, key, index, base, &v);
	return v;
}

/* Yama walks the same chain: of those that started it, as far as they live. */
static bool descends_from_us(pid_t pid)
{
	char name[64], status[STATUS_BYTES];
	for (int i = 0; i < PARENTS_MAX && pid > 1; i++) {
		snprintf(name, sizeof name, "/proc/%d/status", (int)pid);
		if (procfile_read(name, status, sizeof status) < 0)
			return false;
		pid = (pid_t)number(status, "PPid", 0, 10);
		if (pid == getpid())
			return true;
	}
	return false;
}

/* Files, not the folder itself: that belongs to the process's user in any case (fs/proc/base.c, task_dump_owner). */
static bool is_dumpable(pid_t pid, uint32_t uid)
{
	char name[64];
	struct stat st;
	snprintf(name, sizeof name, "/proc/%d/status", (int)pid);
	return stat(name, &st) < 0 || st.st_uid == uid;
}

void access_facts_read(pid_t pid, struct access_facts *f)
{
	char name[64], status[STATUS_BYTES];
	uint64_t permitted = 0;

	memset(f, 0, sizeof *f);
	f->pid = pid;
	f->yama = access_yama();
	f->our_uid = f->their_uid = getuid();
	f->is_dumpable = true;
	if (procfile_read("/proc/self/status", status, sizeof status) > 0) {
		f->has_ptrace = number(status, "CapEff", 0, 16) >> CAP_SYS_PTRACE & 1;
		f->has_seccomp = number(status, "Seccomp", 0, 10) == 2;
		permitted = number(status, "CapPrm", 0, 16);
	}
	snprintf(name, sizeof name, "/proc/%d/status", (int)pid);
	if (procfile_read(name, status, sizeof status) > 0) {
		f->their_uid = (uint32_t)number(status, "Uid", 1, 10);
		for (int i = 0; i < 3; i++) /* real, effective, saved */
			f->has_other_ids |=
			    number(status, "Uid", i, 10) != getuid() || number(status, "Gid", i, 10) != getgid();
		f->has_more_capabilities = number(status, "CapPrm", 0, 16) & ~permitted;
		f->is_descendant = descends_from_us(pid);
		f->is_dumpable = is_dumpable(pid, f->their_uid);
	} else {
		f->is_hidden = kill(pid, 0) == 0 || errno == EPERM;
	}
	f->other_user_namespace = !in_our_user_namespace(pid);
}

enum access_obstacle access_obstacle(const struct access_facts *f)
{
	if (f->is_hidden)
		return ACCESS_HIDDEN;
	if (f->yama >= 3)
		return ACCESS_YAMA_NOBODY;
	if (f->has_ptrace)
		return f->other_user_namespace ? ACCESS_NAMESPACE : ACCESS_MODULE_ABOVE;
	if (f->other_user_namespace)
		return ACCESS_NAMESPACE;
	if (f->our_uid == 0)
		return ACCESS_ROOT_WITHOUT;
	if (f->our_uid != f->their_uid)
		return ACCESS_OTHER_USER;
	if (!f->is_dumpable)
		return ACCESS_NOT_DUMPABLE;
	if (f->has_other_ids)
		return ACCESS_OTHER_IDS;
	if (f->has_more_capabilities)
		return ACCESS_CAPABLE;
	if (f->yama == 2)
		return ACCESS_YAMA_ADMIN;
	return f->yama == 1 && !f->is_descendant ? ACCESS_YAMA_PARENTS : ACCESS_MODULE;
}

static const char *module_words(const struct access_facts *f)
{
	return f->has_seccomp ? "a seccomp filter or a security module" : "a security module (AppArmor, SELinux)";
}

void access_hint(const struct access_facts *f, char *out, size_t size)
{
	const char *unconfined = f->has_seccomp ? " --security-opt seccomp=unconfined" : "";
	switch (access_obstacle(f)) {
	case ACCESS_HIDDEN:
		snprintf(out, size, "/proc is mounted with hidepid and does not show process %d; run with sudo",
		         (int)f->pid);
		break;
	case ACCESS_YAMA_NOBODY:
		snprintf(out, size,
		         ACCESS_YAMA " is %d: no process may look into another; it can only be lowered by a reboot "
		                     "with kernel.yama.ptrace_scope=1 or less in sysctl.conf",
		         f->yama);
		break;
	case ACCESS_NAMESPACE:
		snprintf(out, size,
		         "process %d is in another user namespace, where our rights do not count; "
		         "run pyspy-record inside that container, or on the host as root",
		         (int)f->pid);
		break;
	case ACCESS_MODULE_ABOVE:
		snprintf(out, size,
		         "%s forbids it although we have CAP_SYS_PTRACE; in docker add --security-opt "
		         "apparmor=unconfined%s",
		         module_words(f), unconfined);
		break;
	case ACCESS_ROOT_WITHOUT:
		snprintf(out, size,
		         "we are root without CAP_SYS_PTRACE, as in a container; run the container with "
		         "docker run --cap-add SYS_PTRACE, or pyspy-record on the host");
		break;
	case ACCESS_OTHER_USER:
		snprintf(out, size,
		         "process %d belongs to user %u and we are user %u without CAP_SYS_PTRACE; run with sudo, "
		         "as that user, or once: sudo setcap " ACCESS_CAPABILITIES "+ep pyspy-record",
		         (int)f->pid, f->their_uid, f->our_uid);
		break;
	case ACCESS_OTHER_IDS:
		snprintf(out, size,
		         "process %d runs as our user, but its real or saved user or its group is another one; run "
		         "with sudo",
		         (int)f->pid);
		break;
	case ACCESS_NOT_DUMPABLE:
		snprintf(out, size,
		         "process %d is protected (not dumpable: it changed its user, has capabilities, or its "
		         "file is not readable); run with sudo",
		         (int)f->pid);
		break;
	case ACCESS_CAPABLE:
		snprintf(out, size, "process %d has capabilities that we have not; run with sudo", (int)f->pid);
		break;
	case ACCESS_YAMA_ADMIN:
		snprintf(out, size,
		         ACCESS_YAMA " is 2: only CAP_SYS_PTRACE may look into other processes; run with sudo, or: "
		                     "sudo setcap " ACCESS_CAPABILITIES "+ep pyspy-record");
		break;
	case ACCESS_YAMA_PARENTS:
		snprintf(out, size,
		         ACCESS_YAMA " is 1: a process may be looked into by its parents only; run with sudo, or "
		                     "start it with: pyspy-record -- PROGRAM, or: sudo sysctl "
		                     "kernel.yama.ptrace_scope=0");
		break;
	case ACCESS_MODULE:
		snprintf(out, size, "%s forbids it; in docker run with --cap-add SYS_PTRACE%s, else with sudo",
		         module_words(f), unconfined);
		break;
	}
}
