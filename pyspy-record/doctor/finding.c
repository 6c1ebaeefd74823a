#include "pyspy-record/doctor/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "pyspy-record/kernel/engine.h"
#include "pyspy-record/target/access.h"

void findings_done(struct findings *f)
{
	for (size_t i = 0; i < f->v.n; i++) {
		free(f->v.v[i].fact);
		free(f->v.v[i].source);
		free(f->v.v[i].advice);
	}
	vec_free(&f->v);
}

void findings_add(struct findings *f, const char *id, enum finding_level level, uint32_t remedies, const char *source,
                  const char *fact, ...)
{
	struct finding one = {.group = f->group, .id = id, .level = level, .remedies = remedies};
	va_list ap;
	va_start(ap, fact);
	int n = vasprintf(&one.fact, fact, ap);
	va_end(ap);
	one.source = strdup(source);
	if (n < 0 || !one.source || !vec_push(&f->v, one)) {
		if (n >= 0)
			free(one.fact);
		free(one.source);
		f->failed = true;
	}
}

void findings_advise(struct findings *f, const char *advice, ...)
{
	va_list ap;
	if (f->failed || f->v.n == 0)
		return;
	struct finding *last = &f->v.v[f->v.n - 1];
	free(last->advice);
	va_start(ap, advice);
	if (vasprintf(&last->advice, advice, ap) < 0) {
		last->advice = NULL;
		f->failed = true;
	}
	va_end(ap);
}

const struct finding *findings_problem(const struct findings *f)
{
	for (size_t i = 0; i < f->v.n; i++)
		if (f->v.v[i].level == FINDING_PROBLEM)
			return &f->v.v[i];
	return NULL;
}

static const struct {
	const char *kind, *words;
} remedies[REMEDIES] = {
    {"sudo", "run it with sudo"},
    {"setcap", "sudo setcap " ACCESS_CAPABILITIES "+ep %s"},
    {"setcap", "sudo setcap %c+ep %s"},
    {"sysctl", "sudo sysctl kernel.yama.ptrace_scope=0"},
    {"start", "let it start the program: pyspy-record -- PROGRAM"},
    {"user", "run it as the user whose process it is"},
    {"docker", "docker run --cap-add=SYS_PTRACE ..."},
    {"compose", "services:\n  app:\n    cap_add: [SYS_PTRACE]"},
    {"kubernetes", "securityContext:\n  capabilities:\n    add: [SYS_PTRACE]"},
    {"docker", "docker run --pid=host --cap-add=SYS_PTRACE --cap-add=BPF --cap-add=PERFMON ..."},
    {"compose", "services:\n  app:\n    pid: host\n    cap_add: [SYS_PTRACE, BPF, PERFMON]"},
    {"kubernetes",
     "hostPID: true  # of the pod; this of the container:\nsecurityContext:\n  capabilities:\n    add: [SYS_PTRACE, "
     "BPF, "
     "PERFMON]"},
    {"docker", "docker run --security-opt seccomp=unconfined ... (Kubernetes: seccompProfile: {type: Unconfined})"},
    {"docker", "docker run --security-opt apparmor=unconfined ..."},
    {"host", "run pyspy-record on the host, as root, with the pid as the host has it"},
    {"reboot", "set kernel.yama.ptrace_scope to 1 or less in /etc/sysctl.d and reboot"},
    {"option", "pyspy-record --engine outside"},
    {"sysctl", "sudo sysctl kernel.perf_event_paranoid=2"},
    {"copy", "copy %s to a file system that is mounted without nosuid, and set the capabilities there"},
    {"option", "pyspy-record --nonblocking"},
    {"option", "name a place that can be written: -o FILE"},
    {"enter", "run it in the process's own namespaces: sudo nsenter -t PID -U -p -m pyspy-record ..."},
};

const char *remedy_own_file(void)
{
	static char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - 1);
	path[n > 0 ? n : 0] = '\0';
	return path;
}

const char *remedy_kind(int i)
{
	return remedies[i].kind;
}

bool remedy_is_snippet(int i)
{
	return strchr(remedies[i].words, '\n') != NULL;
}

/* %s: the recorder's file; %c: the capabilities of the kernel's engine. */
const char *remedy_words(int i)
{
	static char out[8192];
	size_t n = 0;
	for (const char *p = remedies[i].words; *p && n < sizeof out - 1; p++) {
		const char *put = *p != '%'     ? NULL
		                  : p[1] == 's' ? remedy_own_file()
		                  : p[1] == 'c' ? kernel_capabilities()
		                                : NULL;
		if (!put) {
			out[n++] = *p;
			continue;
		}
		int wrote = snprintf(out + n, sizeof out - n, "%s", put);
		n = wrote < 0 || (size_t)wrote >= sizeof out - n ? sizeof out - 1 : n + (size_t)wrote;
		p++;
	}
	out[n] = '\0';
	return out;
}
