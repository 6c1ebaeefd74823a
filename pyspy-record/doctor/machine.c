#include "pyspy-record/doctor/machine.h"

#include <dirent.h>
#include <errno.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "pyspy-record/doctor/machine_parts.h"
#include "pyspy-record/kernel/engine.h"
#include "pyspy-record/sample/priority.h"
#include "pyspy-record/target/access.h"
#include "pyspy-record/target/process.h"
#include "pyspy-record/target/procfile.h"

enum { STATUS_BYTES = 65536, TRIED_OTHERS = 16 };

uint32_t machine_rights(const struct machine *m, bool kernel)
{
	uint64_t wanted = UINT64_C(1) << CAP_SYS_PTRACE;
	uint32_t remedies = 0;
	if (kernel)
		wanted |= UINT64_C(1) << MACHINE_BPF | UINT64_C(1) << MACHINE_PERFMON;
	if ((m->bounding & wanted) == wanted && m->first_user_namespace && !m->no_new_privs)
		remedies |= REMEDY_SUDO | (kernel ? REMEDY_SETCAP_KERNEL : REMEDY_SETCAP);
	if (*m->container)
		remedies |= kernel ? REMEDY_CONTAINER_KERNEL : REMEDY_CONTAINER;
	return remedies & REMEDY_SUDO ? remedies : remedies | REMEDY_HOST;
}

static uint64_t number(const char *status, const char *key, int index, int base)
{
	uint64_t v = 0;
	procfile_number(status, key, index, base, &v);
	return v;
}

static void read_own_status(struct machine *m)
{
	char *status = malloc(STATUS_BYTES);
	m->uid = getuid();
	m->euid = geteuid();
	if (status && procfile_read("/proc/self/status", status, STATUS_BYTES) > 0) {
		m->effective = number(status, "CapEff", 0, 16);
		m->permitted = number(status, "CapPrm", 0, 16);
		m->bounding = number(status, "CapBnd", 0, 16);
		m->ambient = number(status, "CapAmb", 0, 16);
		m->no_new_privs = number(status, "NoNewPrivs", 0, 10) != 0;
		m->seccomp = (int)number(status, "Seccomp", 0, 10);
	}
	free(status);
}

/* --- rights of this user */

static void examine_capability(const struct machine *m, struct findings *f, const char *id, int cap,
                               const char *without)
{
	uint64_t bit = UINT64_C(1) << cap, admin = UINT64_C(1) << CAP_SYS_ADMIN;
	bool by_admin = cap != CAP_SYS_PTRACE && !(m->effective & bit) && (m->effective & admin);
	bool has = by_admin || (m->effective & bit);
	const char *lacks = !has && !(m->bounding & bit) ? ", and cannot be had: it is not in the bounding set" : "";
	uint32_t remedies = has ? 0 : machine_rights(m, cap != CAP_SYS_PTRACE);
	findings_add(f, id, has ? FINDING_OK : FINDING_WARNING, remedies,
	             "/proc/self/status: CapEff CapPrm CapBnd CapAmb",
	             "%s: effective %s, permitted %s, bounding %s, ambient %s%s%s%s",
	             cap == CAP_SYS_PTRACE ? "CAP_SYS_PTRACE"
	             : cap == MACHINE_BPF  ? "CAP_BPF"
	                                   : "CAP_PERFMON",
	             m->effective & bit ? "yes" : "no", m->permitted & bit ? "yes" : "no",
	             m->bounding & bit ? "yes" : "no", m->ambient & bit ? "yes" : "no",
	             by_admin ? "; CAP_SYS_ADMIN stands for it" : "", has ? "" : without, lacks);
}

static void examine_rights(const struct machine *m, struct findings *f)
{
	findings_add(f, "user", FINDING_OK, 0, "getuid(2), getgid(2)",
	             "user %u (effective %u), group %u (effective %u)", m->uid, m->euid, (unsigned)getgid(),
	             (unsigned)getegid());
	examine_capability(m, f, "cap_sys_ptrace", CAP_SYS_PTRACE, "; without it only own processes can be attached");
	examine_capability(m, f, "cap_bpf", MACHINE_BPF, "; the kernel's engine wants it");
	examine_capability(m, f, "cap_perfmon", MACHINE_PERFMON, "; the kernel's engine wants it");
	machine_examine_file(m, f);
	findings_add(f, "no_new_privs", m->no_new_privs ? FINDING_WARNING : FINDING_OK, 0,
	             "/proc/self/status: NoNewPrivs",
	             m->no_new_privs ? "no_new_privs is set: sudo and file capabilities give no rights here"
	                             : "no_new_privs is not set");
	if (m->no_new_privs)
		findings_advise(f, "start it where that is not set (setpriv --no-new-privs, systemd NoNewPrivileges=, "
		                   "Kubernetes allowPrivilegeEscalation: false set it)");
}

/* --- what the system forbids */

static void examine_yama(const struct machine *m, struct findings *f)
{
	bool exempt = m->effective >> CAP_SYS_PTRACE & 1;
	enum finding_level level = m->yama >= 3 || (m->yama > 0 && !exempt) ? FINDING_WARNING : FINDING_OK;
	uint32_t remedies = level == FINDING_OK ? 0
	                    : m->yama >= 3      ? REMEDY_REBOOT
	                    : m->yama == 1      ? REMEDY_START | REMEDY_YAMA | machine_rights(m, false)
	                                        : machine_rights(m, false);
	if (m->yama < 0)
		findings_add(f, "yama", FINDING_OK, 0, ACCESS_YAMA, "yama is not there: it forbids nothing");
	else
		findings_add(
		    f, "yama", level, remedies, ACCESS_YAMA, "ptrace_scope is %d: %s%s", m->yama,
		    m->yama == 0   ? "it forbids nothing"
		    : m->yama == 1 ? "only the parents of a process may look into it"
		    : m->yama == 2 ? "only who has CAP_SYS_PTRACE may look into others"
		                   : "no process may look into another, not even root's, until the next boot",
		    m->yama > 0 && m->yama < 3 && exempt ? ", and CAP_SYS_PTRACE, which we have, exempts from it" : "");
}

static void examine_seccomp(const struct machine *m, struct findings *f)
{
	const struct trial *t = &m->own.child, *s = &m->own.stop;
	bool forbids = m->seccomp && m->yama < 3 &&
	               ((t->was_made && !t->worked) || (s->was_made && !s->worked && m->own.orphan.worked));
	findings_add(f, "seccomp", forbids ? FINDING_WARNING : FINDING_OK,
	             forbids ? REMEDY_SECCOMP | REMEDY_CONTAINER : 0, "/proc/self/status: Seccomp", "%s%s",
	             m->seccomp == 2   ? "a seccomp filter is on us"
	             : m->seccomp == 1 ? "seccomp's strict mode is on us"
	                               : "no seccomp filter is on us",
	             forbids           ? "; it forbids process_vm_readv(2) or ptrace(2), see below"
	             : m->seccomp == 2 ? "; it lets through what is needed, see below"
	                               : "");
}

static void examine_user_namespace(struct machine *m, struct findings *f)
{
	char map[4096], *line = map;
	unsigned long inside, outside, n;
	ssize_t got = procfile_read("/proc/self/uid_map", map, sizeof map);
	m->first_user_namespace = access_in_first_namespace();
	if (got < 0) {
		findings_add(f, "user_namespace", FINDING_OK, 0, "/proc/self/uid_map",
		             "there are no user namespaces here");
		return;
	}
	char shown[512] = "";
	size_t used = 0;
	for (int i = 0; i < 8 && sscanf(line, "%lu %lu %lu", &inside, &outside, &n) == 3; i++) {
		int wrote =
		    snprintf(shown + used, sizeof shown - used, "%s%lu=%lu (%lu)", i ? ", " : "", inside, outside, n);
		used += wrote > 0 && (size_t)wrote < sizeof shown - used ? (size_t)wrote : 0;
		line = strchr(line, '\n');
		if (!line++)
			break;
	}
	if (m->first_user_namespace)
		findings_add(f, "user_namespace", FINDING_OK, 0, "/proc/self/uid_map",
		             "we are in the first user namespace");
	else
		findings_add(
		    f, "user_namespace", FINDING_WARNING, REMEDY_HOST, "/proc/self/uid_map",
		    "we are in a user namespace, users inside=outside (how many): %s; capabilities count inside of "
		    "it only, and none of them loads eBPF programs",
		    *shown ? shown : "none is mapped");
}

/* Options of the mount that lies on /proc, the last one of the list. */
static void examine_hidepid(struct machine *m, struct findings *f)
{
	static const char *const words[] = {"off", "noaccess", "invisible", NULL, "ptraceable"};
	char line[4096], point[1024], found[32] = "";
	FILE *file = fopen("/proc/self/mountinfo", "re");
	while (file && fgets(line, sizeof line, file)) {
		const char *options = strstr(line, " - proc ");
		if (!options || sscanf(line, "%*s %*s %*s %*s %1023s", point) != 1 || strcmp(point, "/proc"))
			continue;
		const char *at = strstr(options, "hidepid=");
		snprintf(found, sizeof found, "%.*s", at ? (int)strcspn(at + 8, ",\n ") : 0, at ? at + 8 : "");
	}
	if (file)
		fclose(file);
	m->hidepid = atoi(found);
	for (int i = 1; i < 5; i++)
		if (words[i] && !strcmp(found, words[i]))
			m->hidepid = i;
	bool matters = m->hidepid && !(m->effective >> CAP_SYS_PTRACE & 1);
	findings_add(f, "hidepid", matters ? FINDING_WARNING : FINDING_OK, matters ? machine_rights(m, false) : 0,
	             "/proc/self/mountinfo", "/proc is mounted %s%s%s",
	             m->hidepid ? "with hidepid=" : "without hidepid", m->hidepid ? found : "",
	             matters ? ": it hides other users' processes from us" : "");
}

static void examine_modules(const struct machine *m, struct findings *f)
{
	char list[512], label[256];
	bool known = procfile_read("/sys/kernel/security/lsm", list, sizeof list) > 0;
	if (procfile_read("/proc/self/attr/current", label, sizeof label) <= 0)
		label[0] = '\0';
	list[strcspn(list, "\n")] = label[strcspn(label, "\n")] = '\0';
	bool confined =
	    *label && strcmp(label, "unconfined") && strcmp(label, "kernel") && !strstr(label, "unconfined_t");
	bool forbids = confined && m->yama < 3 && m->own.orphan.was_made && !m->own.orphan.worked;
	findings_add(f, "security_modules", forbids ? FINDING_WARNING : FINDING_OK, forbids ? REMEDY_APPARMOR : 0,
	             "/sys/kernel/security/lsm, /proc/self/attr/current", "security modules: %s; we are %s%s",
	             known ? list : "not told", confined ? "confined as " : "not confined", confined ? label : "");
}

/* --- what can be done, by doing it */

static void examine_own(struct machine *m, struct findings *f, bool alone)
{
	const struct trial *child = &m->own.child, *orphan = &m->own.orphan, *stop = &m->own.stop;
	enum finding_level bad = alone ? FINDING_PROBLEM : FINDING_WARNING;
	uint32_t remedies = m->yama >= 3  ? REMEDY_REBOOT
	                    : m->seccomp  ? REMEDY_SECCOMP | REMEDY_CONTAINER
	                    : m->yama > 0 ? REMEDY_START | REMEDY_YAMA | machine_rights(m, false)
	                                  : REMEDY_APPARMOR | REMEDY_HOST;
	m->may_start = child->worked;
	m->may_attach_own = orphan->worked;
	findings_add(
	    f, "started_programs", child->worked ? FINDING_OK : bad, child->worked ? 0 : remedies,
	    "process_vm_readv(2) of a child", "programs that pyspy-record starts %s%s",
	    child->worked ? "can be recorded" : "cannot be recorded: ", child->worked ? "" : trial_words(child));
	findings_add(
	    f, "own_processes", orphan->worked ? FINDING_OK : bad, orphan->worked ? 0 : remedies,
	    "process_vm_readv(2) of a process of ours that is no child", "processes of this user %s%s",
	    orphan->worked ? "can be attached" : "cannot be attached: ", orphan->worked ? "" : trial_words(orphan));
	if (!orphan->worked)
		return;
	bool fatal = stop->killed_by && !m->kernel.open.worked;
	findings_add(f, "stop",
	             stop->worked ? FINDING_OK
	             : fatal      ? FINDING_PROBLEM
	                          : FINDING_WARNING,
	             stop->worked ? 0 : REMEDY_SECCOMP | REMEDY_CONTAINER | REMEDY_NONBLOCKING,
	             "ptrace(2), SEIZE and INTERRUPT, of the same process", "threads %s%s%s",
	             stop->worked ? "can be stopped for a moment, which certifies stacks that are read from outside"
	                          : "cannot be stopped, so more of a busy program will be [in motion]: ",
	             stop->worked ? "" : trial_words(stop), fatal ? "; so would be the recorder" : "");
}

/* A process of another user that can be read, else one that cannot. 0 = none is seen. */
static pid_t find_other(struct trial *t, uint32_t *uid)
{
	struct process_facts p;
	pid_t found = 0;
	int tried = 0;
	DIR *folder = opendir("/proc");
	for (struct dirent *e; folder && !t->worked && tried < TRIED_OTHERS && (e = readdir(folder));) {
		pid_t pid = (pid_t)strtol(e->d_name, NULL, 10);
		if (pid <= 0 || process_is_kernel_thread(pid) || process_facts_read(pid, &p) < 0)
			continue;
		uint32_t its = p.uid;
		process_facts_done(&p);
		if (its == getuid())
			continue;
		tried++;
		trial_memory(pid, 0, t);
		if (!t->worked && t->error_number == ESRCH)
			continue;
		found = pid;
		*uid = its;
	}
	if (folder)
		closedir(folder);
	return found;
}

static void examine_others(struct machine *m, struct findings *f)
{
	struct trial t = {0};
	uint32_t uid = 0;
	pid_t pid = m->own.child.killed_by ? 0 : find_other(&t, &uid);
	bool concluded =
	    (m->effective >> CAP_SYS_PTRACE & 1) && m->first_user_namespace && m->yama < 3 && m->own.orphan.worked;
	m->may_attach_others = pid ? t.worked : concluded;
	uint32_t remedies = m->may_attach_others ? 0 : m->yama >= 3 ? REMEDY_REBOOT : machine_rights(m, false);
	if (pid)
		findings_add(f, "other_users", t.worked ? FINDING_OK : FINDING_WARNING, remedies, "process_vm_readv(2)",
		             "processes of other users %s%s (tried: process %d of user %u)",
		             t.worked ? "can be attached" : "cannot be attached: ", t.worked ? "" : trial_words(&t),
		             (int)pid, uid);
	else
		findings_add(
		    f, "other_users", concluded ? FINDING_OK : FINDING_WARNING, remedies, "",
		    "processes of other users %s be attached: we have %sCAP_SYS_PTRACE (none was seen to try it)",
		    concluded ? "can" : "cannot", m->effective >> CAP_SYS_PTRACE & 1 ? "" : "no ");
}

static void examine_priority(struct findings *f)
{
	priority_want(PRIORITY_TICK, true);
	bool can = priority_is_had();
	priority_want(PRIORITY_TICK, false);
	findings_add(
	    f, "priority", can ? FINDING_OK : FINDING_WARNING, 0, "sched_setattr(2)",
	    can ? "we may have a real-time priority: samples from outside come at random moments on a busy machine too"
	        : "we may not have a real-time priority: from outside, where no CPU is free, calls that ask for "
	          "the thread's CPU time have several times their share of the samples");
	if (!can)
		findings_advise(f, "CAP_SYS_NICE gives it (root has it; setcap cap_sys_nice+ep, --cap-add SYS_NICE); "
		                   "a CPU that is free, or the kernel's engine, does without");
}

static void examine_output(struct findings *f)
{
	bool can = access(".", W_OK) == 0;
	findings_add(f, "output", can ? FINDING_OK : FINDING_WARNING, can ? 0 : REMEDY_OUTPUT,
	             "access(2) of the current folder", "a recording %s be written to the current folder%s%s",
	             can ? "can" : "cannot", can ? "" : ": ", can ? "" : strerror(errno));
}

void machine_examine(struct machine *m, struct findings *f, bool alone, pid_t pid)
{
	*m = (struct machine){.yama = access_yama()};
	f->group = "machine";
	read_own_status(m);
	trial_own(&m->own);
	trial_kernel(pid ? process_n_threads(pid) : 1, &m->kernel);
	machine_examine_container(m, f);
	examine_user_namespace(m, f);
	examine_rights(m, f);
	examine_yama(m, f);
	examine_seccomp(m, f);
	examine_modules(m, f);
	examine_hidepid(m, f);
	examine_own(m, f, alone);
	examine_others(m, f);
	machine_examine_kernel(m, f);
	examine_priority(f);
	examine_output(f);
}
