#include "pyspy-record/doctor/trial.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-record/kernel/cpuclock.h"
#include "pyspy-record/kernel/engine.h"

enum { CHILD_NS = 1000 * 1000, STOP_STEPS = 2000, READ_BYTES = 16 };
#define CHILD_MOST_NS (10 * CLOCK_NS_PER_S)

typedef void trial_run(const void *arg, void *out);

/* Run in a child that may die of it; *out (size bytes, as they are now at the child's start) is what it left there.
 * False: there was no child. */
static bool in_child(trial_run *run, const void *arg, void *out, size_t size, int *killed_by)
{
	*killed_by = 0;
	void *shared = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED)
		return false;
	memcpy(shared, out, size);
	pid_t pid = fork();
	if (pid == 0) {
		struct rlimit none = {0, 0};
		int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
		setrlimit(RLIMIT_CORE, &none);
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (null >= 0)
			dup2(null, STDERR_FILENO); /* a verifier's log, a sanitizer's words */
		run(arg, shared);
		_exit(0);
	}
	int status = 0;
	uint64_t until = clock_mono_ns() + CHILD_MOST_NS;
	pid_t got = pid < 0 ? -1 : 0;
	while (pid > 0 && (got = waitpid(pid, &status, WNOHANG)) == 0 && clock_mono_ns() < until)
		clock_sleep_until(clock_mono_ns() + CHILD_NS);
	if (got == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	if (got >= 0 && WIFSIGNALED(status))
		*killed_by = WTERMSIG(status);
	memcpy(out, shared, size);
	munmap(shared, size);
	return pid > 0;
}

static void note(struct trial *t, bool worked)
{
	t->worked = worked;
	t->error_number = worked ? 0 : errno;
}

/* A trial that was begun and has not come to its end is the one that killed. */
static void blame(struct trial *t, int killed_by)
{
	if (t->was_made && !t->worked && !t->error_number)
		t->killed_by = killed_by;
}

/* An address that nobody has: EFAULT comes after the right was looked at. */
static void read_process(pid_t pid, uint64_t address, struct trial *t)
{
	char bytes[READ_BYTES];
	struct iovec local = {bytes, sizeof bytes}, remote = {(void *)(uintptr_t)(address ? address : 1), sizeof bytes};
	t->was_made = true;
	ssize_t got = process_vm_readv(pid, &local, 1, &remote, 1, 0);
	note(t, got == (ssize_t)sizeof bytes || (got < 0 && errno == EFAULT));
}

struct memory_arg {
	pid_t pid;
	uint64_t address;
};

static void run_memory(const void *arg, void *out)
{
	const struct memory_arg *a = arg;
	read_process(a->pid, a->address, out);
}

void trial_memory(pid_t pid, uint64_t address, struct trial *t)
{
	struct memory_arg arg = {pid, address};
	int killed_by;
	*t = (struct trial){0};
	in_child(run_memory, &arg, t, sizeof *t, &killed_by);
	blame(t, killed_by);
}

/* One that does nothing until its pipe is closed. */
static void be_looked_at(int pipe_read)
{
	char c;
	alarm(20);
	prctl(PR_SET_PDEATHSIG, 0);
	prctl(PR_SET_DUMPABLE, 1); /* the recorder's file may have capabilities */
	while (read(pipe_read, &c, 1) < 0 && errno == EINTR)
		;
	_exit(0);
}

static void stop_process(pid_t pid, struct trial *t)
{
	int status = 0;
	t->was_made = true;
	if (ptrace(PTRACE_SEIZE, pid, 0, 0) < 0 || ptrace(PTRACE_INTERRUPT, pid, 0, 0) < 0) {
		note(t, false);
		return;
	}
	for (int i = 0; i < STOP_STEPS && waitpid(pid, &status, __WALL | WNOHANG) == 0; i++)
		clock_sleep_until(clock_mono_ns() + CHILD_NS);
	errno = ETIMEDOUT;
	note(t, WIFSTOPPED(status));
	ptrace(PTRACE_DETACH, pid, 0, 0);
}

/* We -> a child -> a grandchild; the child ends, and the grandchild is nobody's descendant. */
static void run_own(const void *arg, void *out)
{
	static const uint64_t here = 1;
	struct trial_own *t = out;
	int to[2], from[2], life[2];
	pid_t pid = 0;
	char c;
	(void)arg;
	if (pipe2(to, O_CLOEXEC) < 0 || pipe2(from, O_CLOEXEC) < 0 || pipe2(life, O_CLOEXEC) < 0)
		return;
	pid_t child = fork();
	if (child == 0) {
		close(life[1]);
		pid = fork();
		if (pid == 0) {
			close(to[1]);
			be_looked_at(life[0]);
		}
		close(to[1]);
		bool told = write(from[1], &pid, sizeof pid) == (ssize_t)sizeof pid;
		while (told && read(to[0], &c, 1) < 0 && errno == EINTR)
			;
		_exit(0);
	}
	close(to[0]);
	if (child > 0 && read(from[0], &pid, sizeof pid) == (ssize_t)sizeof pid && pid > 0) {
		read_process(pid, (uint64_t)(uintptr_t)&here & ~UINT64_C(15), &t->child);
		close(to[1]);
		waitpid(child, NULL, 0);
		read_process(pid, (uint64_t)(uintptr_t)&here & ~UINT64_C(15), &t->orphan);
		stop_process(pid, &t->stop);
	}
}

void trial_own(struct trial_own *t)
{
	int killed_by;
	*t = (struct trial_own){0};
	in_child(run_own, NULL, t, sizeof *t, &killed_by);
	blame(&t->child, killed_by);
	blame(&t->orphan, killed_by);
	blame(&t->stop, killed_by);
}

static void run_kernel(const void *arg, void *out)
{
	struct trial_kernel *t = out;
	struct kernel *k;
	struct kernel_options o = {.rate_hz = 100, .n_threads = *(const unsigned *)arg};
	t->open.was_made = true;
	int rc = kernel_open(&k, &o, t->why, sizeof t->why);
	t->open.worked = rc == 0;
	if (rc < 0) {
		t->open.error_number = rc == ERR_PERMISSION ? EPERM : ENOTSUP;
		if (!*t->why)
			snprintf(t->why, sizeof t->why, "%s", err_words(rc));
		return;
	}
	t->tick_hz = kernel_tick_hz(k);
	t->has_clocks = cpuclock_may_be();
	kernel_close(k);
}

void trial_kernel(unsigned n_threads, struct trial_kernel *t)
{
	int killed_by;
	*t = (struct trial_kernel){0};
	in_child(run_kernel, &n_threads, t, sizeof *t, &killed_by);
	blame(&t->open, killed_by);
	if (t->open.killed_by)
		snprintf(t->why, sizeof t->why, "%s", trial_words(&t->open));
}

const char *trial_words(const struct trial *t)
{
	static char words[160];
	if (t->killed_by)
		snprintf(words, sizeof words, "whoever asks is ended by signal %d (%s), as seccomp filters do",
		         t->killed_by, strsignal(t->killed_by));
	else if (!t->was_made)
		snprintf(words, sizeof words, "it could not be tried: no process could be started");
	else
		snprintf(words, sizeof words, "%s (errno %d)", strerror(t->error_number), t->error_number);
	return words;
}
