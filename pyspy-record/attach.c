#include "pyspy-record/attach.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/human.h"
#include "libcommon/path.h"

enum {
	POLL_FIRST_NS = 1000 * 1000,
	POLL_LAST_NS = 20 * 1000 * 1000,
	POLL_SHARE = 5, /* looking takes at most this part of the time */
	UNSUPPORTED_AFTER_NS = 500 * 1000 * 1000,
	CHILDREN_DEPTH = 4,
	CHILDREN_MAX = 64, /* processes that are asked for theirs */
};
/* how long what was attached to may take to become Python, and structures to take shape */
#define LAUNCHER_NS (UINT64_C(3) * CLOCK_NS_PER_S)
#define LAYOUT_NS   (UINT64_C(2) * CLOCK_NS_PER_S)

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

/* A child, or a child's child, that is Python by its name: launchers that stay start it so. 0 = none. */
static pid_t find_python_child(pid_t pid, int depth, unsigned *asked)
{
	char path[64], text[4096], name[128];
	snprintf(path, sizeof path, "/proc/%d/task/%d/children", (int)pid, (int)pid);
	FILE *f = fopen(path, "re");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
	if (f)
		fclose(f);
	text[n] = '\0';
	for (char *at = text, *end; *asked < CHILDREN_MAX; at = end) {
		pid_t child = (pid_t)strtol(at, &end, 10);
		if (end == at || child <= 0)
			break;
		(*asked)++;
		program_name(child, name, sizeof name);
		if (strncmp(name, "python", 6) == 0)
			return child;
		pid_t found = depth > 0 ? find_python_child(child, depth - 1, asked) : 0;
		if (found)
			return found;
	}
	return 0;
}

/* "; its child ... " for the end of a sentence, or what to do otherwise. */
static void advise(pid_t pid, const char *otherwise, char *out, size_t size)
{
	unsigned asked = 0;
	char name[128];
	pid_t child = find_python_child(pid, CHILDREN_DEPTH, &asked);
	if (child)
		program_name(child, name, sizeof name);
	if (child)
		snprintf(out, size, "process %d (%s), which it started, is: use -p %d", (int)child, name, (int)child);
	else
		snprintf(out, size, "%s", otherwise);
}

static bool is_prerelease(const struct interpreter *in)
{
	return in->version_hex && (in->version_hex & 0xff) < 0xc0;
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
		advise(pid,
		       spawn || rc == ERR_AGAIN
		           ? "--wait gives it longer"
		           : "give the pid of the Python process itself, or --wait TIME if it will "
		             "become Python",
		       hint, sizeof hint);
		if (spawn || rc == ERR_AGAIN || waited_ns >= LAUNCHER_NS)
			snprintf(message, size,
			         "cannot record process %d (%s): no Python interpreter came up in it within %s; %s",
			         (int)pid, name, human_duration(wait, waited_ns), hint);
		else
			snprintf(message, size, "cannot record process %d (%s): it is not Python; %s", (int)pid, name,
			         hint);
		break;
	case ERR_UNSUPPORTED:
		if (is_prerelease(&t->interpreter))
			snprintf(message, size,
			         "cannot record process %d (%s): CPython %s is a preview, whose structures differ from "
			         "build to build; release candidates and releases are supported",
			         (int)pid, name, t->interpreter.version);
		else
			snprintf(
			    message, size,
			    "cannot record process %d (%s): CPython %s is not supported; 2.3 to 2.7 and 3.3 to 3.15 "
			    "are",
			    (int)pid, name, t->interpreter.version);
		break;
	case ERR_PERMISSION:
		process_permission_hint(pid, hint, sizeof hint);
		snprintf(message, size,
		         "cannot read process %d (%s): permission denied: %s; pyspy-record doctor -p %d tells more",
		         (int)pid, name, hint, (int)pid);
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
	static const char *const names[] = {
	    "sh",      "bash",    "rbash", "dash",    "zsh",    "ksh",     "mksh",    "ash",    "fish", "busybox",
	    "env",     "uv",      "uvx",   "rye",     "mise",   "direnv",  "nice",    "ionice", "chrt", "nohup",
	    "timeout", "stdbuf",  "time",  "perl",    "setsid", "setpriv", "taskset", "su",     "doas", "sudo",
	    "runuser", "numactl", "gosu",  "su-exec", "chroot", "unshare", "nsenter", "chpst",  "tini", "strace",
	};
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

/* A process that has just been started may be on its way to Python, whatever it is: any program can be a launcher. */
static bool is_young(pid_t pid)
{
	uint64_t ticks;
	if (process_start_ticks(pid, 0, &ticks) < 0)
		return false;
	return clock_boot_ns() < process_ticks_to_ns(ticks) + LAUNCHER_NS;
}

/* May a later look tell another story? */
static bool may_change(int rc, pid_t pid, const struct spawn *spawn, bool patient, uint64_t waited_ns)
{
	if (rc == ERR_AGAIN || rc == ERR_MEMORY_READ || rc == ERR_TORN)
		return true;
	if (rc == ERR_LAYOUT)
		return waited_ns < LAYOUT_NS;
	if (rc == ERR_UNSUPPORTED)
		return spawn && waited_ns < UNSUPPORTED_AFTER_NS; /* a script of an old Python may start a newer one */
	if (!spawn && rc == ERR_NOT_PYTHON)
		return patient || is_young(pid) || (waited_ns < LAUNCHER_NS && is_launcher(pid));
	return spawn &&
	       (rc == ERR_NOT_PYTHON || rc == ERR_PERMISSION); /* setuid programs on the way to Python, for a moment */
}

int attach_open(struct target *t, pid_t pid, struct spawn *spawn, uint64_t wait_ns, bool patient,
                const struct session_signals *signals, char *message, size_t size)
{
	uint64_t begin = clock_mono_ns(), look, now, gap = POLL_FIRST_NS;
	int rc;
	message[0] = 0;
	for (;;) {
		look = clock_mono_ns();
		if (spawn && spawn_poll(spawn))
			rc = ERR_GONE;
		else
			rc = target_open(t, pid);
		if (rc == 0)
			return 0;
		now = clock_mono_ns();
		if (!may_change(rc, pid, spawn, patient, now - begin) || now - begin >= wait_ns)
			break;
		if (signals->stop_signal)
			return ERR_AGAIN;
		uint64_t least = (now - look) * (POLL_SHARE - 1);
		clock_sleep_until(now + (gap > least ? gap : least));
		if (gap < POLL_LAST_NS)
			gap += gap / 2;
	}
	explain(rc, pid, t, spawn, now - begin, message, size);
	return rc;
}
