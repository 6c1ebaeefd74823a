#include "pyspy-record/target/access.h"

#include <errno.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The text behind "key:" of a status file, as far as it is a number in `base`; index counts from 0. */
static unsigned long long status_value(FILE *f, const char *key, int index, int base)
{
	char line[512];
	size_t n = strlen(key);
	rewind(f);
	while (fgets(line, sizeof line, f)) {
		if (strncmp(line, key, n) || line[n] != ':')
			continue;
		char *p = line + n + 1;
		for (unsigned long long v;; index--) {
			v = strtoull(p, &p, base);
			if (index == 0)
				return v;
		}
	}
	return 0;
}

static bool same_link(pid_t pid, const char *what)
{
	char name[64], theirs[64] = "", ours[64] = "";
	snprintf(name, sizeof name, "/proc/%d/%s", (int)pid, what);
	if (readlink(name, theirs, sizeof theirs - 1) <= 0)
		return true;
	snprintf(name, sizeof name, "/proc/self/%s", what);
	return readlink(name, ours, sizeof ours - 1) <= 0 || !strcmp(theirs, ours);
}

void access_facts_read(pid_t pid, struct access_facts *f)
{
	char name[64];
	struct stat st;

	memset(f, 0, sizeof *f);
	f->pid = pid;
	f->yama = -1;
	f->our_uid = f->their_uid = geteuid();
	f->is_dumpable = true;
	FILE *file = fopen("/proc/self/status", "re");
	if (file) {
		f->has_ptrace = status_value(file, "CapEff", 0, 16) >> CAP_SYS_PTRACE & 1;
		f->has_seccomp = status_value(file, "Seccomp", 0, 10) == 2;
		fclose(file);
	}
	snprintf(name, sizeof name, "/proc/%d/status", (int)pid);
	file = fopen(name, "re");
	if (file) {
		f->their_uid = (uint32_t)status_value(file, "Uid", 1, 10);
		f->is_our_child = status_value(file, "PPid", 0, 10) == (unsigned long long)getpid();
		fclose(file);
		snprintf(name, sizeof name, "/proc/%d", (int)pid);
		f->is_dumpable = stat(name, &st) < 0 || st.st_uid == f->their_uid;
	} else {
		f->is_hidden = kill(pid, 0) == 0 || errno == EPERM;
	}
	f->other_user_namespace = !same_link(pid, "ns/user");
	file = fopen("/proc/sys/kernel/yama/ptrace_scope", "re");
	if (file) {
		if (fscanf(file, "%d", &f->yama) != 1)
			f->yama = -1;
		fclose(file);
	}
}

#define YAMA "/proc/sys/kernel/yama/ptrace_scope"

void access_hint(const struct access_facts *f, char *out, size_t size)
{
	if (f->is_hidden)
		snprintf(out, size, "/proc is mounted with hidepid and does not show process %d; run with sudo",
		         (int)f->pid);
	else if (f->yama >= 3)
		snprintf(out, size,
		         YAMA " is %d: no process may look into another; it can only be lowered by a reboot "
		              "with kernel.yama.ptrace_scope=1 or less in sysctl.conf",
		         f->yama);
	else if (f->has_ptrace && f->other_user_namespace)
		snprintf(out, size,
		         "process %d is in another user namespace, where our CAP_SYS_PTRACE does not count; "
		         "run pyspy-record inside that container, or on the host as root",
		         (int)f->pid);
	else if (f->has_ptrace)
		snprintf(out, size,
		         "%s forbids it although we have CAP_SYS_PTRACE; in docker add --security-opt "
		         "apparmor=unconfined%s",
		         f->has_seccomp ? "a seccomp filter or a security module"
		                        : "a security module (AppArmor, SELinux)",
		         f->has_seccomp ? " --security-opt seccomp=unconfined" : "");
	else if (f->our_uid == 0)
		snprintf(out, size,
		         "we are root without CAP_SYS_PTRACE, as in a container; run the container with "
		         "docker run --cap-add SYS_PTRACE, or pyspy-record on the host");
	else if (f->our_uid != f->their_uid)
		snprintf(out, size,
		         "process %d belongs to user %u and we are user %u without CAP_SYS_PTRACE; run with sudo, "
		         "as that user, or once: sudo setcap cap_sys_ptrace+ep pyspy-record",
		         (int)f->pid, f->their_uid, f->our_uid);
	else if (!f->is_dumpable)
		snprintf(out, size,
		         "process %d is protected (not dumpable: it changed its user, has capabilities, or its "
		         "file is not readable); run with sudo",
		         (int)f->pid);
	else if (f->yama == 2)
		snprintf(out, size,
		         YAMA " is 2: only CAP_SYS_PTRACE may look into other processes; run with sudo, or: "
		              "sudo setcap cap_sys_ptrace+ep pyspy-record");
	else if (f->yama == 1 && !f->is_our_child)
		snprintf(out, size,
		         YAMA " is 1: a process may be looked into by its parents only; run with sudo, or "
		              "start it with: pyspy-record -- PROGRAM, or: sudo sysctl kernel.yama.ptrace_scope=0");
	else
		snprintf(out, size, "%s forbids it; in docker run with --cap-add SYS_PTRACE%s, else with sudo",
		         f->has_seccomp ? "a seccomp filter or a security module"
		                        : "a security module (AppArmor, SELinux)",
		         f->has_seccomp ? " --security-opt seccomp=unconfined" : "");
}
