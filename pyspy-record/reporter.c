#include "pyspy-record/reporter.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/emit/owner.h"

#ifndef CLOSE_RANGE_CLOEXEC
#define CLOSE_RANGE_CLOEXEC (1U << 2)
#endif

/* What was opened by us has O_CLOEXEC; what we were started with need not. */
static void close_others(void)
{
#ifdef SYS_close_range
	if (syscall(SYS_close_range, 3U, ~0U, CLOSE_RANGE_CLOEXEC) == 0)
		return;
#endif
	DIR *d = opendir("/proc/self/fd");
	for (const struct dirent *e; d && (e = readdir(d));)
		if (atoi(e->d_name) > 2)
			fcntl(atoi(e->d_name), F_SETFD, FD_CLOEXEC);
}

/* To be who asked, and no more; 0 or -1. After this there is no way back. */
static int drop_rights(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct none[2] = {{0}};
	uid_t uid;
	gid_t gid;

	prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0);
	if (owner_behind_sudo(&uid, &gid)) {
		if (setgroups(1, &gid) < 0 || setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
			return -1;
	} else {
		uid = getuid();
		gid = getgid();
		if (setresgid(gid, gid, gid) < 0 || setresuid(uid, uid, uid) < 0)
			return -1;
	}
	if (geteuid() != uid || getegid() != gid)
		return -1;
	/* root keeps its rights: it may need them to come at the program */
	if (uid != 0 && syscall(SYS_capset, &header, none) < 0)
		return -1;
	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
}

/* In the child, with all signals blocked. Ctrl-C is the recorder's to decide about. */
static void set_signals(void)
{
	struct sigaction usual = {.sa_handler = SIG_DFL}, ignore = {.sa_handler = SIG_IGN};
	sigset_t none;

	sigaction(SIGINT, &ignore, NULL);
	sigaction(SIGHUP, &ignore, NULL);
	sigaction(SIGXFSZ, &ignore, NULL); /* writing says EFBIG instead */
	sigaction(SIGTERM, &usual, NULL);
	sigaction(SIGCHLD, &usual, NULL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

/* A descriptor above the standard ones, so that none of the three is overwritten before it is copied. */
static int above(int fd)
{
	return fd > 2 ? fd : fcntl(fd, F_DUPFD, 3);
}

static int become_reporter(const struct spawn *s, char *const *argv)
{
	const struct reporter *r = s->enter_arg;
	int in = above(r->in), out = above(r->out), err = above(r->err);

	if (in < 0 || out < 0 || err < 0 || dup2(in, 0) < 0 || dup2(out, 1) < 0 || dup2(err, 2) < 0)
		return errno;
	close_others();
	if (drop_rights() < 0)
		return errno ? errno : EPERM;
	prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
	set_signals();
	execv(r->path, argv);
	int error_number = errno;
	/* a folder on the way may be closed to who we are now */
	if (error_number == EACCES)
		syscall(SYS_execveat, r->program, "", argv, environ, AT_EMPTY_PATH);
	return error_number;
}

/* Beside our own executable, wherever that was started from; never one of PATH. */
static int find(struct reporter *r)
{
	static const char name[] = "pyspy-report";
	ssize_t n = readlink("/proc/self/exe", r->path, sizeof r->path - sizeof name);
	int error_number = n < 0 ? errno : ENAMETOOLONG;
	r->path[n > 0 ? n : 0] = 0;
	char *slash = strrchr(r->path, '/');
	strcpy(slash ? slash + 1 : r->path, name);
	if (!slash || n == (ssize_t)(sizeof r->path - sizeof name))
		return error_number;
	r->program = open(r->path, O_PATH | O_CLOEXEC);
	return r->program < 0 ? errno : 0;
}

int reporter_start(struct reporter *r, const char *verb, const char *option, int in, int out, int err)
{
	char *argv[] = {"pyspy-report", (char *)verb, option ? (char *)option : "-", option ? "-" : NULL, NULL};
	int error_number = find(r);

	if (error_number)
		return error_number;
	r->verb = verb;
	r->option = option;
	r->in = in;
	r->out = out;
	r->err = err;
	r->spawn.enter = become_reporter;
	r->spawn.enter_arg = r;
	int rc = spawn_start(&r->spawn, argv, &error_number);
	close(r->program);
	return rc < 0 ? error_number : 0;
}

bool reporter_wait(struct reporter *r, char *how, unsigned size)
{
	spawn_wait(&r->spawn);
	int status = r->spawn.wait_status;
	if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
		return true;
	if (WIFSIGNALED(status))
		snprintf(how, size, "pyspy-report was killed by signal %d (%s)", WTERMSIG(status),
		         strsignal(WTERMSIG(status)));
	else
		snprintf(how, size, "pyspy-report failed with exit status %d", WEXITSTATUS(status));
	return false;
}
