/* spawn: the program gets what it would have without us, and its end is ours. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/target/spawn.h"

static struct spawn run(char *const *argv)
{
	struct spawn s = {0};
	int error_number = 0;
	assert_int_equal(spawn_start(&s, argv, &error_number), 0);
	assert_true(s.pid > 0);
	return s;
}

static struct spawn run_sh(const char *script)
{
	char *argv[] = {"sh", "-c", (char *)script, NULL};
	return run(argv);
}

static void test_status(void **state)
{
	(void)state;
	static const int codes[] = {0, 1, 2, 125, 126, 127, 128, 255};
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
		char script[32];
		snprintf(script, sizeof script, "exit %d", codes[i]);
		struct spawn s = run_sh(script);
		spawn_wait(&s);
		assert_true(s.ended && WIFEXITED(s.wait_status));
		assert_int_equal(WEXITSTATUS(s.wait_status), codes[i]);
		assert_true(spawn_poll(&s)); /* again and again */
		spawn_signal(&s, SIGKILL);   /* reaches nobody */
	}
	struct spawn s = run_sh("kill -SEGV $$");
	spawn_wait(&s);
	assert_true(WIFSIGNALED(s.wait_status) && WTERMSIG(s.wait_status) == SIGSEGV);
}

static void test_cannot(void **state)
{
	(void)state;
	static const struct {
		char *program;
		int error_number;
	} bad[] = {{"/nonexistent/program", ENOENT},
	           {"no-such-program-in-path", ENOENT},
	           {"/etc/passwd", EACCES},
	           {"/", EACCES}};
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		struct spawn s = {0};
		int error_number = 0;
		char *argv[] = {bad[i].program, NULL};
		assert_int_equal(spawn_start(&s, argv, &error_number), ERR_SYSTEM);
		assert_int_equal(error_number, bad[i].error_number);
		assert_int_equal(s.pid, 0);
		assert_int_equal(waitpid(-1, NULL, WNOHANG), -1); /* nothing is left behind */
		assert_int_equal(errno, ECHILD);
		assert_false(spawn_poll(&s));
		spawn_wait(&s);
	}
}

static void test_poll(void **state)
{
	(void)state;
	struct spawn s = run_sh("exec sleep 60");
	assert_false(spawn_poll(&s));
	spawn_signal(&s, SIGTERM);
	spawn_wait(&s);
	assert_true(WIFSIGNALED(s.wait_status) && WTERMSIG(s.wait_status) == SIGTERM);
}

/* Stops of a traced program belong to whoever traces it. */
static void test_poll_leaves_stops_alone(void **state)
{
	(void)state;
	int status;
	char *argv[] = {"sleep", "60", NULL};
	struct spawn s = run(argv);
	if (ptrace(PTRACE_SEIZE, s.pid, 0, 0) < 0) {
		spawn_signal(&s, SIGKILL);
		spawn_wait(&s);
		skip();
	}
	assert_int_equal(ptrace(PTRACE_INTERRUPT, s.pid, 0, 0), 0);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)s.pid, &info, WSTOPPED | WNOWAIT), 0); /* it is stopped now */
	for (int i = 0; i < 3; i++)
		assert_false(spawn_poll(&s));
	assert_int_equal(waitpid(s.pid, &status, __WALL | WNOHANG), s.pid);
	assert_true(WIFSTOPPED(status));
	assert_int_equal(ptrace(PTRACE_DETACH, s.pid, 0, 0), 0);
	spawn_signal(&s, SIGKILL);
	spawn_wait(&s);
	assert_true(WIFSIGNALED(s.wait_status));
}

static char status_name[64];

static unsigned long long signal_set(const char *key)
{
	/* what sh sees of itself would be changed by sh: ask the kernel about cat */
	char script[128], line[256];
	snprintf(script, sizeof script, "%s:", key);
	FILE *f = fopen(status_name, "r");
	unsigned long long v = ~0ULL;
	while (f && fgets(line, sizeof line, f))
		if (!strncmp(line, script, strlen(script)))
			v = strtoull(line + strlen(script), NULL, 16);
	if (f)
		fclose(f);
	return v;
}

static void on_signal(int signal)
{
	(void)signal;
}

static void run_cat_status(struct spawn *s)
{
	char *argv[] = {"cat", "/proc/self/status", NULL};
	int error_number, saved = dup(STDOUT_FILENO);
	strcpy(status_name, "/tmp/pyspy-spawn-XXXXXX");
	int fd = mkstemp(status_name);
	dup2(fd, STDOUT_FILENO);
	close(fd);
	int rc = spawn_start(s, argv, &error_number);
	dup2(saved, STDOUT_FILENO);
	close(saved);
	assert_int_equal(rc, 0);
	spawn_wait(s);
}

static bool has(unsigned long long set, int signal)
{
	return set >> (signal - 1) & 1;
}

static void test_signals_as_they_were(void **state)
{
	(void)state;
	struct spawn s;
	sigset_t some, before;
	/* as a shell may start us: nohup, and a blocked signal */
	signal(SIGHUP, SIG_IGN);
	signal(SIGINT, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	signal(SIGCHLD, SIG_IGN); /* nobody would get a status any more */
	sigemptyset(&some);
	sigaddset(&some, SIGUSR2);
	sigprocmask(SIG_SETMASK, &some, &before);
	spawn_init(&s);
	/* what a recorder does after that */
	signal(SIGINT, on_signal);
	signal(SIGTERM, on_signal);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
	sigaddset(&some, SIGUSR1);
	sigprocmask(SIG_SETMASK, &some, NULL);
	run_cat_status(&s);
	sigprocmask(SIG_SETMASK, &before, NULL);
	assert_true(s.ended && WIFEXITED(s.wait_status) && WEXITSTATUS(s.wait_status) == 0);
	unsigned long long ignored = signal_set("SigIgn"), blocked = signal_set("SigBlk");
	unlink(status_name);
	assert_true(has(ignored, SIGHUP) && has(ignored, SIGCHLD));
	assert_false(has(ignored, SIGINT) || has(ignored, SIGPIPE) || has(ignored, SIGTERM) || has(ignored, SIGXFSZ));
	assert_true(has(blocked, SIGUSR2));
	assert_false(has(blocked, SIGUSR1));
	for (int i = 1; i < 32; i++)
		signal(i, SIG_DFL);
}

/* Read all that comes out of fd, and close it. */
static void read_all(int fd, char *text, size_t size)
{
	size_t n = 0;
	for (ssize_t got; (got = read(fd, text + n, size - 1 - n)) > 0;)
		n += (size_t)got;
	text[n] = '\0';
	close(fd);
}

static struct spawn run_between(int in, int out, char *const *argv)
{
	int saved_in = fcntl(0, F_DUPFD_CLOEXEC, 3), saved_out = fcntl(1, F_DUPFD_CLOEXEC, 3);
	dup2(in, 0);
	dup2(out, 1);
	close(in);
	close(out);
	struct spawn s = run(argv);
	dup2(saved_in, 0);
	dup2(saved_out, 1);
	close(saved_in);
	close(saved_out);
	return s;
}

static void test_streams(void **state)
{
	(void)state;
	int out[2], in[2];
	char text[64], *argv[] = {"cat", NULL};
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	assert_int_equal(pipe2(in, O_CLOEXEC), 0);
	struct spawn s = run_between(in[0], out[1], argv);
	assert_int_equal(write(in[1], "hello", 5), 5);
	close(in[1]);
	read_all(out[0], text, sizeof text);
	spawn_wait(&s);
	assert_string_equal(text, "hello");
}

/* No open file of ours is open in the program. */
static void test_files(void **state)
{
	(void)state;
	int out[2], n_open = 0;
	char text[1024], *argv[] = {"ls", "/proc/self/fd", NULL};
	for (int fd = 0; fd < 1024; fd++) {
		int flags = fcntl(fd, F_GETFD);
		n_open += flags >= 0 && !(flags & FD_CLOEXEC); /* the test's own inheritance */
	}
	assert_int_equal(pipe2(out, O_CLOEXEC), 0);
	struct spawn s = run_between(open("/dev/null", O_RDONLY | O_CLOEXEC), out[1], argv);
	read_all(out[0], text, sizeof text);
	spawn_wait(&s);
	for (char *at = text; (at = strchr(at, '\n')); at++)
		n_open--;
	if (n_open != -1) /* ls opens the folder that it reads */
		fail_msg("the program has open: %s", text);
}

/* Our stdout carries the recording: the program's goes to stderr. */
static void test_stdout_to_stderr(void **state)
{
	(void)state;
	int err[2];
	char text[16] = "";
	assert_int_equal(pipe2(err, O_CLOEXEC), 0);
	int saved = dup(2), error_number;
	struct spawn s = {.stdout_to_stderr = true};
	char *argv[] = {"echo", "words", NULL};
	dup2(err[1], 2);
	int rc = spawn_start(&s, argv, &error_number);
	dup2(saved, 2);
	close(saved);
	close(err[1]);
	assert_int_equal(rc, 0);
	spawn_wait(&s);
	assert_int_equal(read(err[0], text, sizeof text - 1), 6);
	assert_string_equal(text, "words\n");
	close(err[0]);
}

/* In a child: it leaves as its own program did. */
static int leave_like(const char *script)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		struct spawn s = run_sh(script);
		sigset_t all;
		sigfillset(&all);
		sigprocmask(SIG_BLOCK, &all, NULL);
		signal(SIGTERM, SIG_IGN);
		spawn_wait(&s);
		spawn_exit_like(&s);
	}
	waitpid(pid, &status, 0);
	return status;
}

static void test_exit_like(void **state)
{
	(void)state;
	assert_int_equal(leave_like("exit 0"), 0);
	assert_int_equal(WEXITSTATUS(leave_like("exit 7")), 7);
	assert_int_equal(WEXITSTATUS(leave_like("exit 255")), 255);
	static const int signals[] = {SIGTERM, SIGKILL, SIGSEGV, SIGHUP, SIGINT, SIGABRT};
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++) {
		char script[32];
		snprintf(script, sizeof script, "ulimit -c 0; kill -%d $$", signals[i]);
		int status = leave_like(script);
		assert_true(WIFSIGNALED(status));
		assert_int_equal(WTERMSIG(status), signals[i]);
		assert_false(WCOREDUMP(status));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_status),
	    cmocka_unit_test(test_cannot),
	    cmocka_unit_test(test_poll),
	    cmocka_unit_test(test_poll_leaves_stops_alone),
	    cmocka_unit_test(test_signals_as_they_were),
	    cmocka_unit_test(test_streams),
	    cmocka_unit_test(test_files),
	    cmocka_unit_test(test_stdout_to_stderr),
	    cmocka_unit_test(test_exit_like),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
