#include "pyspy-record/doctor/process_findings.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/target/maps.h"
#include "pyspy-record/target/process.h"
#include "pyspy-record/target/procfile.h"

enum { STATUS_BYTES = 65536 };

/* The name that the kernel has of a process: bytes. */
static void name_of(pid_t pid, char *out, size_t size)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/%d/comm", (int)pid);
	if (procfile_read(path, out, size) <= 0)
		snprintf(out, size, "?");
	out[strcspn(out, "\n")] = '\0';
}

static uint64_t number(const char *status, const char *key, int index, int base)
{
	uint64_t v = 0;
	procfile_number(status, key, index, base, &v);
	return v;
}

static char state_of(const char *status)
{
	const char *at = strstr(status, "\nState:");
	return at ? at[7 + strspn(at + 7, " \t")] : '?';
}

/* --- is it there? */

static void examine_absent(struct process_findings *p, const struct machine *m, struct findings *f)
{
	if (p->access.is_hidden)
		findings_add(f, "process", FINDING_PROBLEM, machine_rights(m, false), "/proc, kill(2) with signal 0",
		             "process %d exists, but /proc does not show it to us (hidepid)", (int)p->pid);
	else
		findings_add(f, "process", FINDING_PROBLEM, 0, "/proc, kill(2) with signal 0", "there is no process %d",
		             (int)p->pid);
	if (!p->access.is_hidden)
		findings_advise(f,
		                "ps -e lists those that are; in a container they have other numbers than on its host");
}

static bool examine_presence(struct process_findings *p, struct findings *f, const char *status, pid_t asked)
{
	char name[64], parent[64], source[64];
	char state = state_of(status);
	pid_t parent_pid = (pid_t)number(status, "PPid", 0, 10);
	name_of(p->pid, name, sizeof name);
	snprintf(source, sizeof source, "/proc/%d/status: State", (int)p->pid);
	if (state == 'Z' || state == 'X') {
		name_of(parent_pid, parent, sizeof parent);
		findings_add(
		    f, "process", FINDING_PROBLEM, 0, source,
		    "process %d (%s) has ended, and is there only until its parent, process %d (%s), takes its status",
		    (int)p->pid, name, (int)parent_pid, parent);
		return false;
	}
	if (process_is_kernel_thread(p->pid)) {
		snprintf(source, sizeof source, "/proc/%d/stat: flags", (int)p->pid);
		findings_add(f, "process", FINDING_PROBLEM, 0, source,
		             "process %d (%s) is a thread of the kernel: it has no memory of its own", (int)p->pid,
		             name);
		return false;
	}
	findings_add(f, "process", FINDING_OK, 0, source, "process %d (%s) is there, state %c%s, %u threads%s",
	             (int)p->pid, name, state,
	             state == 'T'   ? " (stopped; it can be recorded, and stands still)"
	             : state == 't' ? " (stopped by who traces it)"
	                            : "",
	             process_n_threads(p->pid),
	             asked != p->pid ? "; the number given is that of one of its threads" : "");
	return true;
}

/* --- may we? */

static enum finding_level level_if(bool is_it, bool is_bad, bool is_read)
{
	return is_it ? FINDING_PROBLEM : is_bad && !is_read ? FINDING_WARNING : FINDING_OK;
}

static void examine_user(const struct process_findings *p, const struct machine *m, struct findings *f,
                         const char *status)
{
	char source[64];
	const struct access_facts *a = &p->access;
	bool other = a->our_uid != a->their_uid;
	enum access_obstacle why = access_obstacle(a);
	bool guilty = !p->memory.worked && (why == ACCESS_OTHER_USER || why == ACCESS_OTHER_IDS ||
	                                    (why == ACCESS_ROOT_WITHOUT && (other || a->has_other_ids)));
	snprintf(source, sizeof source, "/proc/%d/status: Uid Gid", (int)p->pid);
	findings_add(f, "user", level_if(guilty, other || a->has_other_ids, p->memory.worked),
	             guilty ? machine_rights(m, false) | (other ? REMEDY_SAME_USER : 0) : 0, source,
	             "it belongs to user %u (real %u, saved %u), group %u; we are user %u, group %u: %s", a->their_uid,
	             (unsigned)number(status, "Uid", 0, 10), (unsigned)number(status, "Uid", 2, 10),
	             (unsigned)number(status, "Gid", 1, 10), a->our_uid, (unsigned)getgid(),
	             other              ? "another user"
	             : a->has_other_ids ? "the same user, but not in all ids"
	                                : "the same user");
}

/* What makes a process not dumpable, as far as its file tells. */
static const char *why_protected(pid_t pid)
{
	char path[64], value[64];
	struct stat st;
	snprintf(path, sizeof path, "/proc/%d/exe", (int)pid);
	if (stat(path, &st) < 0)
		return "its file has setuid or capabilities or is not readable, or it changed its user, or called "
		       "prctl(PR_SET_DUMPABLE)";
	if (st.st_mode & (S_ISUID | S_ISGID))
		return "its file is setuid or setgid";
	if (getxattr(path, "security.capability", value, sizeof value) > 0)
		return "its file has capabilities";
	if (access(path, R_OK) < 0)
		return "its file is not readable";
	return "it changed its user, or called prctl(PR_SET_DUMPABLE)";
}

static void examine_dumpable(const struct process_findings *p, const struct machine *m, struct findings *f)
{
	char source[64];
	const struct access_facts *a = &p->access;
	enum access_obstacle why = access_obstacle(a);
	bool guilty =
	    !p->memory.worked && !a->is_dumpable && (why == ACCESS_NOT_DUMPABLE || why == ACCESS_ROOT_WITHOUT);
	snprintf(source, sizeof source, "stat(2) of /proc/%d/status: owner", (int)p->pid);
	if (!a->is_dumpable)
		findings_add(f, "dumpable", level_if(guilty, true, p->memory.worked),
		             guilty ? machine_rights(m, false) : 0, source,
		             "it is protected (not dumpable): its files in /proc belong to root; %s",
		             why_protected(p->pid));
	else
		findings_add(f, "dumpable", FINDING_OK, 0, source, "%s",
		             a->their_uid == 0 ? "whether it is protected (not dumpable) does not show, as it is root's"
		                               : "it is not protected: its files in /proc belong to its user");
}

static void examine_capabilities(const struct process_findings *p, const struct machine *m, struct findings *f,
                                 const char *status)
{
	char source[64];
	const struct access_facts *a = &p->access;
	enum access_obstacle why = access_obstacle(a);
	bool guilty = !p->memory.worked && a->has_more_capabilities &&
	              (why == ACCESS_CAPABLE || (why == ACCESS_ROOT_WITHOUT && a->their_uid == a->our_uid));
	snprintf(source, sizeof source, "/proc/%d/status: CapPrm", (int)p->pid);
	findings_add(f, "capabilities", level_if(guilty, a->has_more_capabilities, p->memory.worked),
	             guilty ? machine_rights(m, false) : 0, source, "its capabilities (%016llx) are %s",
	             (unsigned long long)number(status, "CapPrm", 0, 16),
	             a->has_more_capabilities ? "more than ours" : "no more than ours");
}

static void examine_yama(const struct process_findings *p, const struct machine *m, struct findings *f)
{
	const struct access_facts *a = &p->access;
	enum access_obstacle why = access_obstacle(a);
	bool guilty =
	    !p->memory.worked && (why == ACCESS_YAMA_NOBODY || why == ACCESS_YAMA_ADMIN || why == ACCESS_YAMA_PARENTS);
	const char *how = a->yama <= 0       ? "yama forbids nothing"
	                  : guilty           ? "yama forbids it"
	                  : a->yama >= 3     ? "yama"
	                  : a->has_ptrace    ? "yama does not matter: we have CAP_SYS_PTRACE"
	                  : a->is_descendant ? "yama lets us in: it is a descendant of ours"
	                  : p->memory.worked ? "yama lets us in: the process allows it, by prctl(PR_SET_PTRACER)"
	                                     : "yama would forbid it, too";
	findings_add(f, "yama", level_if(guilty, false, p->memory.worked),
	             !guilty        ? 0
	             : a->yama >= 3 ? REMEDY_REBOOT
	             : a->yama == 2 ? machine_rights(m, false)
	                            : REMEDY_START | REMEDY_YAMA | machine_rights(m, false),
	             ACCESS_YAMA, "%s (ptrace_scope %s%.0d)", how, a->yama < 0 ? "is not there" : "",
	             a->yama < 0 ? 0 : a->yama);
}

static void examine_tracer(struct process_findings *p, const struct machine *m, struct findings *f, const char *status)
{
	char source[64], name[64];
	p->tracer = (pid_t)number(status, "TracerPid", 0, 10);
	snprintf(source, sizeof source, "/proc/%d/status: TracerPid", (int)p->pid);
	if (!p->tracer) {
		findings_add(f, "tracer", FINDING_OK, 0, source, "nobody traces it");
		return;
	}
	name_of(p->tracer, name, sizeof name);
	findings_add(f, "tracer", m->kernel.open.worked ? FINDING_OK : FINDING_WARNING, 0, source,
	             "process %d (%s) traces it already: it can be read, but its threads cannot be stopped by us",
	             (int)p->tracer, name);
	if (!m->kernel.open.worked)
		findings_advise(f, "end %s, or take stacks that are [in motion] as they are", name);
}

static void examine_seccomp(const struct process_findings *p, struct findings *f, const char *status)
{
	char source[64];
	uint64_t mode = number(status, "Seccomp", 0, 10);
	snprintf(source, sizeof source, "/proc/%d/status: Seccomp", (int)p->pid);
	findings_add(f, "seccomp", FINDING_OK, 0, source, "%s: it is looked at from outside",
	             mode == 0   ? "no seccomp filter is on it"
	             : mode == 1 ? "seccomp's strict mode is on it, which does not matter"
	                         : "a seccomp filter is on it, which does not matter");
}

static void examine_namespace(const struct process_findings *p, struct findings *f, const char *id, const char *file,
                              const char *words, enum finding_level level, uint32_t remedies)
{
	char path[64], theirs[64], ours[64];
	snprintf(path, sizeof path, "/proc/%d/ns/%s", (int)p->pid, file);
	ssize_t n = readlink(path, theirs, sizeof theirs - 1);
	theirs[n > 0 ? n : 0] = '\0';
	if (n <= 0) {
		findings_add(f, id, level, remedies, path, "its %s namespace is not shown to us%s%s", file,
		             level == FINDING_OK ? "" : "; ", level == FINDING_OK ? "" : words);
		return;
	}
	snprintf(ours, sizeof ours, "/proc/self/ns/%s", file);
	char link[64];
	n = readlink(ours, link, sizeof link - 1);
	link[n > 0 ? n : 0] = '\0';
	bool same = !strcmp(link, theirs);
	findings_add(f, id, same ? FINDING_OK : level, same ? 0 : remedies, path, "%s, %s%s%s", theirs,
	             same ? "as ours" : "another one than ours", same ? "" : ": ", same ? "" : words);
}

static void examine_namespaces(const struct process_findings *p, struct findings *f, const char *status)
{
	char words[128];
	bool guilty = !p->memory.worked && access_obstacle(&p->access) == ACCESS_NAMESPACE;
	examine_namespace(p, f, "user_namespace", "user",
	                  guilty ? "ours is not the first one, and our rights do not count outside of it"
	                         : "we may look into it",
	                  guilty ? FINDING_PROBLEM : FINDING_OK, guilty ? REMEDY_HOST | REMEDY_ENTER : 0);
	snprintf(words, sizeof words, "there it is process %llu", (unsigned long long)number(status, "NSpid", -1, 10));
	examine_namespace(p, f, "pid_namespace", "pid", words, FINDING_OK, 0);
	examine_namespace(p, f, "mount_namespace", "mnt", "its files are opened as it sees them", FINDING_OK, 0);
}

/* --- the memory itself */

static uint64_t first_address(pid_t pid, char *what, size_t size)
{
	struct maps m;
	uint64_t at = 0;
	snprintf(what, size, "%s", "");
	if (maps_read(pid, &m) < 0)
		return 0;
	for (size_t i = 0; i < m.n && !at; i++)
		if (m.v[i].perms[0] == 'r' && m.v[i].path[0] == '/') {
			at = m.v[i].begin;
			snprintf(what, size, "%s", m.v[i].path);
		}
	maps_done(&m);
	return at;
}

static void examine_memory(const struct process_findings *p, const struct machine *m, struct findings *f,
                           uint64_t address, const char *what)
{
	const struct trial *t = &p->memory;
	enum access_obstacle why = access_obstacle(&p->access);
	bool module = why == ACCESS_MODULE || why == ACCESS_MODULE_ABOVE || why == ACCESS_ROOT_WITHOUT;
	uint32_t remedies = t->worked ? 0
	                    : t->killed_by || (module && m->seccomp)
	                        ? REMEDY_SECCOMP | REMEDY_CONTAINER | REMEDY_APPARMOR
	                    : why == ACCESS_ROOT_WITHOUT ? REMEDY_CONTAINER | REMEDY_HOST
	                    : module                     ? REMEDY_APPARMOR | REMEDY_HOST
	                                                 : 0;
	if (t->worked && address)
		findings_add(f, "memory", FINDING_OK, 0, "process_vm_readv(2), tried",
		             "its memory can be read: 16 bytes at %#llx, of %s", (unsigned long long)address, what);
	else if (t->worked)
		findings_add(f, "memory", FINDING_OK, 0, "process_vm_readv(2), tried",
		             "we have the right to read its memory (its mappings could not be read)");
	else
		findings_add(f, "memory", FINDING_PROBLEM, remedies, "process_vm_readv(2), tried",
		             "its memory cannot be read: %s%s", trial_words(t),
		             t->killed_by || module ? "; neither users nor yama forbid it" : "");
}

void process_findings_examine(struct process_findings *p, const struct machine *m, struct findings *f, pid_t pid)
{
	char path[64], what[4096];
	char *status = malloc(STATUS_BYTES);
	*p = (struct process_findings){.pid = pid};
	f->group = "process";
	if (!status) {
		f->failed = true;
		return;
	}
	snprintf(path, sizeof path, "/proc/%d/status", (int)pid);
	if (procfile_read(path, status, STATUS_BYTES) > 0)
		p->pid = (pid_t)number(status, "Tgid", 0, 10);
	if (p->pid != pid) {
		snprintf(path, sizeof path, "/proc/%d/status", (int)p->pid);
		procfile_read(path, status, STATUS_BYTES);
	}
	access_facts_read(p->pid, &p->access);
	if (!*status) {
		examine_absent(p, m, f);
	} else if (examine_presence(p, f, status, pid)) {
		uint64_t address = first_address(p->pid, what, sizeof what);
		trial_memory(p->pid, address, &p->memory);
		p->is_there = true;
		examine_user(p, m, f, status);
		examine_dumpable(p, m, f);
		examine_capabilities(p, m, f, status);
		examine_yama(p, m, f);
		examine_tracer(p, m, f, status);
		examine_seccomp(p, f, status);
		examine_namespaces(p, f, status);
		examine_memory(p, m, f, address, what);
	}
	free(status);
}

void process_findings_examine_stops(const struct process_findings *p, const struct machine *m, struct findings *f,
                                    bool retries)
{
	const char *needed = m->kernel.open.worked ? "; not needed, the kernel takes the samples" : "";
	enum finding_level bad = m->kernel.open.worked ? FINDING_OK : FINDING_WARNING;
	f->group = "process";
	if (p->tracer)
		findings_add(f, "stops", bad, 0, "TracerPid", "its threads cannot be stopped: it is traced already%s",
		             needed);
	else if (!m->own.stop.worked && m->own.stop.was_made)
		findings_add(f, "stops", bad, 0, "ptrace(2) of a process of ours",
		             "its threads cannot be stopped: %s%s", trial_words(&m->own.stop), needed);
	else if (!retries)
		findings_add(f, "stops", bad, 0, "the version",
		             "its threads are not stopped: this Python does not try interrupted system calls again%s",
		             needed);
	else
		findings_add(f, "stops", FINDING_OK, 0, "concluded; nothing was stopped",
		             "its threads can be stopped for a moment: that takes the right that reading takes, nobody "
		             "traces it, "
		             "and one of our own could be%s",
		             needed);
}
