#include "pyspy-record/target/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/err.h"

static const int signals[SPAWN_N_SIGNALS] = SPAWN_SIGNALS;

void spawn_init(struct spawn *s)
{
	memset(s, 0, sizeof *s);
	sigprocmask(SIG_SETMASK, NULL, &s->mask);
	for (int i = 0; i < SPAWN_N_SIGNALS; i++)
		sigaction(signals[i], NULL, &s->actions[i]);
	s->has_original = true;
}

/* In the child: nothing but system calls until exec. */
static void __attribute__((noreturn)) become(const struct spawn *s, char *const *argv, int report)
{
	if (s->enter) {
		errno = s->enter(s, argv);
		goto failed;
	}
	/* the mask last: until then no handler of ours can run in the child */
	for (int i = 0; i < SPAWN_N_SIGNALS; i++)
		sigaction(signals[i], &s->actions[i], NULL);
	if (s->stdout_to_stderr && dup2(STDERR_FILENO, STDOUT_FILENO) < 0)
		goto failed;
	sigprocmask(SIG_SETMASK, &s->mask, NULL);
	execvp(argv[0], argv);
failed:;
	int error_number = errno;
	if (write(report, &error_number, sizeof error_number) < 0)
		_exit(126);
	_exit(127);
}

/* The pipe closes when exec succeeds; otherwise errno comes through it. */
static int exec_error(int fd)
{
	int error_number = 0;
	ssize_t n;
	while ((n = read(fd, &error_number, sizeof error_number)) < 0 && errno == EINTR)
		;
	return n == sizeof error_number ? error_number : 0;
}

static int fail(int *error_number, int code)
{
	*error_number = code;
	return ERR_SYSTEM;
}

int spawn_start(struct spawn *s, char *const *argv, int *error_number)
{
	struct sigaction usual = {.sa_handler = SIG_DFL};
	sigset_t all, before;
	int report[2];

	if (!s->has_original) {
		struct spawn asked = *s;
		spawn_init(s);
		s->stdout_to_stderr = asked.stdout_to_stderr;
		s->enter = asked.enter;
		s->enter_arg = asked.enter_arg;
	}
	if (pipe2(report, O_CLOEXEC) < 0)
		return fail(error_number, errno);
	sigaction(SIGCHLD, &usual, NULL);
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	pid_t pid = fork();
	if (pid == 0)
		become(s, argv, report[1]);
	int fork_error = errno;
	close(report[1]);
	int exec_failed = pid > 0 ? exec_error(report[0]) : 0;
	close(report[0]);
	if (pid > 0 && exec_failed)
		while (waitpid(pid, NULL, 0) < 0 && errno == EINTR)
			;
	if (pid > 0 && !exec_failed)
		s->pid = pid;
	sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid < 0)
		return fail(error_number, fork_error);
	return exec_failed ? fail(error_number, exec_failed) : 0;
}

/* It has ended, `info` says so: take its status. With signals blocked, so that no handler sends one to a pid that is
 * somebody else's by now. */
static void reap(struct spawn *s)
{
	sigset_t all, before;
	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, &before);
	while (waitpid(s->pid, &s->wait_status, 0) < 0 && errno == EINTR)
		;
	s->ended = true;
	sigprocmask(SIG_SETMASK, &before, NULL);
}

/* 1 ended, 0 not, -1 interrupted. A traced program's stops are reported to any waiter: leave them where they are. */
static int look(struct spawn *s, int flags)
{
	siginfo_t info;
	memset(&info, 0, sizeof info);
	if (waitid(P_PID, (id_t)s->pid, &info, WEXITED | WNOWAIT | flags) < 0) {
		if (errno == EINTR)
			return -1;
		s->ended = true; /* ECHILD: somebody else took the status */
		return 1;
	}
	if (info.si_pid == 0 ||
	    (info.si_code != CLD_EXITED && info.si_code != CLD_KILLED && info.si_code != CLD_DUMPED))
		return 0;
	reap(s);
	return 1;
}

bool spawn_poll(struct spawn *s)
{
	return s->ended || (s->pid > 0 && look(s, WNOHANG) == 1);
}

void spawn_wait(struct spawn *s)
{
	static const struct timespec moment = {.tv_nsec = 1000000};
	while (s->pid > 0 && !s->ended)
		if (look(s, 0) == 0) /* a stop that nobody takes */
			nanosleep(&moment, NULL);
}

void spawn_signal(const struct spawn *s, int signal)
{
	if (s->pid > 0 && !s->ended)
		kill(s->pid, signal);
}

void spawn_exit_like(const struct spawn *s)
{
	if (!WIFSIGNALED(s->wait_status))
		exit(WIFEXITED(s->wait_status) ? WEXITSTATUS(s->wait_status) : 125);

	int signal = WTERMSIG(s->wait_status);
	struct sigaction usual = {.sa_handler = SIG_DFL};
	struct rlimit none = {0, 0};
	sigset_t only;
	setrlimit(RLIMIT_CORE, &none); /* the program wrote one if there was one to write */
	sigaction(signal, &usual, NULL);
	sigemptyset(&only);
	sigaddset(&only, signal);
	raise(signal);
	sigprocmask(SIG_UNBLOCK, &only, NULL);
	_exit(128 + signal);
}
