#include "pyspy-record/attach.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/path.h"

enum { POLL_FIRST_NS = 1000 * 1000, POLL_LAST_NS = 20 * 1000 * 1000, UNSUPPORTED_AFTER_NS = 500 * 1000 * 1000 };
/* how long a shell that was attached to may take to become Python */
#define LAUNCHER_NS (UINT64_C(3) * 1000 * 1000 * 1000)

/* The program's name as the kernel has it, for people. */
static void program_name(pid_t pid, char *out, size_t size)
{
	struct process_facts p;
	struct buf text;
	buf_init(&text, 0);
	if (process_facts_read(pid, &p) == 0) {
		escape_text(&text, p.comm, strlen(p.comm));
		process_facts_done(&p);
	}
	snprintf(out, size, "%s", text.len ? buf_cstr(&text) : "?");
	buf_done(&text);
}

static void explain(int rc, pid_t pid, const struct target *t, const struct spawn *spawn, uint64_t waited_ns,
                    char *message, size_t size)
{
	char name[128], hint[512], wait[HUMAN_SIZE];
	program_name(pid, name, sizeof name);
	switch (rc) {
	case ERR_GONE:
		if (spawn)
			snprintf(message, size,
			         "cannot record the program: it ended before a Python interpreter appeared in it");
		else
			snprintf(message, size,
			         "cannot record process %d: there is no such process; ps -e lists those that are",
			         (int)pid);
		break;
	case ERR_NOT_PYTHON:
	case ERR_AGAIN:
		if (spawn || rc == ERR_AGAIN)
			snprintf(message, size,
			         "cannot record process %d (%s): no Python interpreter came up in it within %s; --wait "
			         "gives it longer",
			         (int)pid, name, human_duration(wait, waited_ns));
		else
			snprintf(message, size,
			         "cannot record process %d (%s): it is not Python; give the pid of the Python process "
			         "itself",
			         (int)pid, name);
		break;
	case ERR_UNSUPPORTED:
		snprintf(message, size,
		         "cannot record process %d (%s): CPython %s is not supported; 2.3 to 2.7 and 3.3 to 3.15 are",
		         (int)pid, name, t->interpreter.version);
		break;
	case ERR_PERMISSION:
		process_permission_hint(pid, hint, sizeof hint);
		snprintf(message, size, "cannot read process %d (%s): permission denied: %s", (int)pid, name, hint);
		break;
	case ERR_LAYOUT:
		snprintf(message, size,
		         "cannot record process %d (%s): the structures of its CPython %s are not where they should "
		         "be; please report it",
		         (int)pid, name, t->interpreter.version);
		break;
	default:
		snprintf(message, size, "cannot record process %d (%s): %s", (int)pid, name, err_words(rc));
	}
}

/* Is it a program that starts others in its own place: a shell (pyenv's shims are shell scripts), env and the like? */
static bool is_launcher(pid_t pid)
{
	static const char *const names[] = {"sh",      "bash", "dash",    "zsh",     "ksh",  "ash",
	                                    "busybox", "env",  "uv",      "uvx",     "nice", "nohup",
	                                    "timeout", "perl", "setpriv", "taskset", "sudo"};
	char link[64], exe[4096];
	snprintf(link, sizeof link, "/proc/%d/exe", (int)pid);
	ssize_t n = readlink(link, exe, sizeof exe - 1);
	if (n <= 0)
		return false;
	exe[n] = 0;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (strcmp(path_base(exe), names[i]) == 0)
			return true;
	return false;
}

/* May a later look tell another story? */
static bool may_change(int rc, pid_t pid, const struct spawn *spawn, uint64_t waited_ns)
{
	if (rc == ERR_AGAIN || rc == ERR_MEMORY_READ || rc == ERR_TORN || rc == ERR_LAYOUT)
		return true;
	if (rc == ERR_UNSUPPORTED)
		return spawn && waited_ns < UNSUPPORTED_AFTER_NS; /* a script of an old Python may start a newer one */
	if (!spawn && rc == ERR_NOT_PYTHON)
		return waited_ns < LAUNCHER_NS && is_launcher(pid);
	return spawn &&
	       (rc == ERR_NOT_PYTHON || rc == ERR_PERMISSION); /* setuid programs on the way to Python, for a moment */
}

int attach_open(struct target *t, pid_t pid, struct spawn *spawn, uint64_t wait_ns,
                const struct session_signals *signals, char *message, size_t size)
{
	uint64_t begin = clock_mono_ns(), now, gap = POLL_FIRST_NS;
	int rc;
	message[0] = 0;
	for (;;) {
		if (spawn && spawn_poll(spawn))
			rc = ERR_GONE;
		else
			rc = target_open(t, pid);
		if (rc == 0)
			return 0;
		now = clock_mono_ns();
		if (!may_change(rc, pid, spawn, now - begin) || now - begin >= wait_ns)
			break;
		if (signals->stop_signal)
			return ERR_AGAIN;
		clock_sleep_until(now + gap);
		if (gap < POLL_LAST_NS)
			gap += gap / 2;
	}
	explain(rc, pid, t, spawn, now - begin, message, size);
	return rc;
}
