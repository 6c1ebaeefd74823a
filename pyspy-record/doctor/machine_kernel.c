/* What the kernel's engine needs. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "pyspy-record/doctor/machine_parts.h"
#include "pyspy-record/target/procfile.h"

static const char btf[] = "/sys/kernel/btf/vmlinux";

static bool setting(const char *file, char *text, size_t size)
{
	bool known = procfile_read(file, text, size) > 0;
	text[strcspn(text, "\n")] = '\0';
	return known;
}

static void examine_version(struct findings *f)
{
	struct utsname u;
	int major = 0, minor = 0;
	if (uname(&u) < 0)
		return;
	sscanf(u.release, "%d.%d", &major, &minor);
	bool is_new = major > 5 || (major == 5 && minor >= 8);
	findings_add(f, "kernel", is_new ? FINDING_OK : FINDING_WARNING, 0, "uname(2)", "Linux %s on %s%s", u.release,
	             u.machine, is_new ? "" : ": older than 5.8, so without the kernel's engine");
}

static void examine_settings(const struct machine *m, struct findings *f)
{
	char text[256];
	struct stat st;
	int value;
	if (setting("/proc/sys/kernel/unprivileged_bpf_disabled", text, sizeof text))
		findings_add(f, "bpf", FINDING_OK, 0, "/proc/sys/kernel/unprivileged_bpf_disabled",
		             "unprivileged_bpf_disabled is %s; the engine's programs want CAP_BPF whatever it is",
		             text);
	else
		findings_add(f, "bpf", FINDING_OK, 0, "/proc/sys/kernel/unprivileged_bpf_disabled",
		             "unprivileged_bpf_disabled is not there");
	bool has_btf = stat(btf, &st) == 0;
	findings_add(f, "btf", FINDING_OK, 0, btf, "the kernel %s",
	             has_btf ? "describes its structures (BTF)"
	                     : "has no BTF; needed before 5.18 only, to tell sleep from waiting");
	if (setting("/proc/sys/kernel/perf_event_paranoid", text, sizeof text)) {
		value = atoi(text);
		bool lacks = m->kernel.open.worked && !m->kernel.has_clocks;
		findings_add(f, "perf", lacks ? FINDING_WARNING : FINDING_OK, lacks ? REMEDY_PARANOID | REMEDY_SUDO : 0,
		             "/proc/sys/kernel/perf_event_paranoid, perf_event_open(2)", "perf_event_paranoid is %d%s",
		             value, lacks ? ": no perf events for us, so no more samples than the timer ticks" : "");
	}
	if (setting("/sys/kernel/security/lockdown", text, sizeof text)) {
		bool locked = strstr(text, "[confidentiality]") != NULL;
		findings_add(f, "lockdown", locked ? FINDING_WARNING : FINDING_OK, 0, "/sys/kernel/security/lockdown",
		             "kernel lockdown: %s%s", text, locked ? ": eBPF programs may not read memory" : "");
	}
}

void machine_examine_kernel(const struct machine *m, struct findings *f)
{
	const struct trial_kernel *k = &m->kernel;
	examine_version(f);
	examine_settings(m, f);
	if (k->open.worked) {
		findings_add(f, "kernel_engine", FINDING_OK, 0, "bpf(2): loaded, attached and taken away again",
		             "the kernel's engine works (timer tick: %u Hz%s)", k->tick_hz,
		             k->has_clocks ? ", perf events" : "");
		return;
	}
	/* "what: why; what to do" */
	const char *cut = strstr(k->why, "; it wants");
	bool killed = k->open.killed_by != 0;
	findings_add(f, "kernel_engine", killed ? FINDING_PROBLEM : FINDING_WARNING,
	             killed                          ? REMEDY_OUTSIDE | REMEDY_SECCOMP
	             : k->open.error_number == EPERM ? machine_rights(m, true)
	                                             : 0,
	             "bpf(2): tried", "the kernel's engine does not work, samples are taken from outside: %.*s",
	             (int)(cut ? cut - k->why : (long)strlen(k->why)), k->why);
}
