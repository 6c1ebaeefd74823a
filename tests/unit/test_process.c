/* process and access: what the kernel says of us, of a child, of nobody; and the words for being locked out. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-record/target/access.h"
#include "pyspy-record/target/process.h"

/* A child that does nothing until it is ended. */
static pid_t start_child(void (*prepare)(void))
{
	int ready[2];
	char c;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		if (prepare)
			prepare();
		close(ready[0]);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 0);
	close(ready[0]);
	return pid;
}

static void end_child(pid_t pid)
{
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
}

static void test_self(void **state)
{
	(void)state;
	struct process_facts p;
	char exe[4096] = "", cwd[4096];
	uint64_t ticks, now = clock_boot_ns();
	assert_int_equal(process_facts_read(getpid(), &p), 0);
	assert_int_equal(p.pid, getpid());
	assert_int_equal(p.parent_pid, getppid());
	assert_int_equal(p.uid, geteuid());
	assert_true(p.ns_pid > 0);
	assert_true(p.same_pid_namespace && p.same_mount_namespace);
	assert_true(readlink("/proc/self/exe", exe, sizeof exe - 1) > 0);
	assert_string_equal(p.exe, exe);
	assert_string_equal(p.cwd, getcwd(cwd, sizeof cwd));
	assert_true(p.n_cmdline >= 1);
	assert_non_null(strstr(p.cmdline[0], "test_process"));
	assert_string_equal(p.comm, "test_process");
	/* started not long ago */
	assert_true(p.start_ns <= now && now - p.start_ns < 600 * CLOCK_NS_PER_S);
	assert_int_equal(process_start_ticks(getpid(), 0, &ticks), 0);
	assert_int_equal(ticks, p.start_ticks);
	assert_int_equal(process_start_ticks(getpid(), getpid(), &ticks), 0);
	assert_int_equal(ticks, p.start_ticks);
	assert_true(process_is_alive(getpid(), ticks));
	assert_false(process_is_alive(getpid(), ticks + 1)); /* another process with the same number */
	process_facts_done(&p);
}

static void test_nobody(void **state)
{
	(void)state;
	struct process_facts p;
	uint64_t ticks;
	pid_t none = 0x3ffff0;
	assert_int_equal(process_facts_read(none, &p), ERR_GONE);
	assert_int_equal(process_start_ticks(none, 0, &ticks), ERR_GONE);
	assert_int_equal(process_start_ticks(getpid(), none, &ticks), ERR_GONE);
	assert_false(process_is_alive(none, 1));
	assert_int_equal(process_open_file(none, "/etc/passwd", 0, 0), -1);
}

static void test_zombie(void **state)
{
	(void)state;
	struct process_facts p;
	uint64_t ticks = 0;
	pid_t pid = fork();
	if (pid == 0)
		_exit(0);
	siginfo_t info;
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	assert_int_equal(process_facts_read(pid, &p), ERR_GONE);
	process_start_ticks(pid, 0, &ticks);
	assert_false(process_is_alive(pid, ticks));
	waitpid(pid, NULL, 0);
}

/* The name is the program's to choose: parentheses and spaces must not move the fields behind it. */
static void odd_name(void)
{
	prctl(PR_SET_NAME, "a) R 1 (b");
}
static void test_odd_name(void **state)
{
	(void)state;
	struct process_facts p;
	pid_t pid = start_child(odd_name);
	assert_int_equal(process_facts_read(pid, &p), 0);
	assert_string_equal(p.comm, "a) R 1 (b");
	assert_int_equal(p.parent_pid, getpid());
	process_facts_done(&p);
	end_child(pid);
}

static void test_command_lines(void **state)
{
	(void)state;
	enum { WORDS = 3000 };
	static char *words[WORDS + 3] = {"sleep", "60"};
	struct process_facts p;
	int ready[2];
	char c;
	/* sh -c 'sleep' with thousands of words behind it: longer than one read */
	words[0] = "sh";
	words[1] = "-c";
	words[2] = "exec sleep 60";
	for (int i = 3; i < WORDS; i++)
		words[i] = i % 2 ? "" : "two words";
	words[WORDS] = NULL;
	assert_int_equal(pipe2(ready, O_CLOEXEC), 0);
	pid_t pid = fork();
	if (pid == 0) {
		words[2] = "read x"; /* waits as itself */
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		int forever[2];
		if (pipe(forever) == 0)
			dup2(forever[0], 0);
		execvp("sh", words);
		_exit(1);
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 0); /* exec closed it */
	close(ready[0]);
	assert_int_equal(process_facts_read(pid, &p), 0);
	assert_int_equal(p.n_cmdline, WORDS);
	assert_string_equal(p.cmdline[2], "read x");
	assert_string_equal(p.cmdline[WORDS - 1], "");
	assert_string_equal(p.cmdline[WORDS - 2], "two words");
	process_facts_done(&p);
	end_child(pid);
}

static void test_kernel_thread(void **state)
{
	(void)state;
	struct process_facts p;
	assert_false(process_is_kernel_thread(getpid()));
	assert_false(process_is_kernel_thread(0x3ffff0));
	if (process_facts_read(2, &p) < 0 || strcmp(p.comm, "kthreadd"))
		skip(); /* a container */
	assert_true(process_is_kernel_thread(2));
	assert_string_equal(p.exe, "");
	assert_int_equal(p.n_cmdline, 0);
	process_facts_done(&p);
}

static void test_times(void **state)
{
	(void)state;
	uint64_t hz = (uint64_t)sysconf(_SC_CLK_TCK);
	assert_int_equal(process_ticks_to_ns(0), 0);
	assert_int_equal(process_ticks_to_ns(hz), CLOCK_NS_PER_S);
	assert_int_equal(process_ticks_to_ns(hz * 1000000000 + 1), CLOCK_NS_PER_S * 1000000000 + CLOCK_NS_PER_S / hz);
}

static void test_open_file(void **state)
{
	(void)state;
	char folder[] = "/tmp/pyspy-process-XXXXXX", name[128], gone[160], c = 0;
	assert_non_null(mkdtemp(folder));
	snprintf(name, sizeof name, "%s/file", folder);
	int fd = open(name, O_RDWR | O_CREAT, 0600);
	assert_int_equal(write(fd, "old", 3), 3);
	char *at = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, fd, 0);
	close(fd);
	uint64_t begin = (uintptr_t)at, end = begin + 4096;
	fd = process_open_file(getpid(), name, begin, end);
	assert_true(fd >= 0);
	assert_int_equal(fcntl(fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	close(fd);

	/* replaced, as an upgrade does: the new one is not what is mapped */
	unlink(name);
	fd = open(name, O_RDWR | O_CREAT, 0600);
	assert_int_equal(write(fd, "new", 3), 3);
	close(fd);
	snprintf(gone, sizeof gone, "%s (deleted)", name);
	for (int i = 0; i < 2; i++) {
		fd = process_open_file(getpid(), i ? gone : name, begin, end);
		assert_true(fd >= 0 || errno == ENOENT); /* map_files needs rights */
		if (fd < 0)
			continue;
		assert_int_equal(read(fd, &c, 1), 1);
		assert_int_equal(c, 'o');
		close(fd);
	}
	munmap(at, 4096);
	unlink(name);

	/* neither waited for nor wanted */
	assert_int_equal(mkfifo(name, 0600), 0);
	assert_int_equal(process_open_file(getpid(), name, 0, 0), -1);
	assert_int_equal(process_open_file(getpid(), folder, 0, 0), -1);
	assert_int_equal(process_open_file(getpid(), "/dev/zero", 0, 0), -1);
	assert_int_equal(process_open_file(getpid(), "/no such file", 0, 0), -1);
	unlink(name);
	rmdir(folder);
}

/* The words, for machines that this one is not. */
static const char *hint(struct access_facts f)
{
	static char text[512];
	f.pid = 4711;
	access_hint(&f, text, sizeof text);
	assert_true(strchr(text, ';') || strstr(text, ", else ")); /* what stands in the way; what to do */
	assert_null(strchr(text, '\n'));
	assert_true(strlen(text) < 300);
	return text;
}
/* our user, theirs, yama's value, and what else is so */
#define FACTS(our, their, scope, ...)                                                                                  \
	((struct access_facts){.our_uid = (our), .their_uid = (their), .yama = (scope), __VA_ARGS__})

static void test_hints(void **state)
{
	(void)state;
	assert_non_null(
	    strstr(hint(FACTS(1000, 1000, 1, .is_dumpable = true)), "/proc/sys/kernel/yama/ptrace_scope is 1"));
	assert_non_null(strstr(hint(FACTS(1000, 1000, 1, .is_dumpable = true)), "kernel.yama.ptrace_scope=0"));
	assert_non_null(strstr(hint(FACTS(1000, 1000, 2, .is_dumpable = true)), "setcap"));
	assert_non_null(strstr(hint(FACTS(0, 1000, 3, .has_ptrace = true)), "reboot"));
	assert_non_null(strstr(hint(FACTS(1000, 0, -1, .is_dumpable = true)), "belongs to user 0"));
	assert_non_null(strstr(hint(FACTS(1000, 0, -1, .is_dumpable = true)), "sudo"));
	assert_non_null(strstr(hint(FACTS(1000, 1000, 1, .is_dumpable = false)), "not dumpable"));
	assert_non_null(strstr(hint(FACTS(1000, 1000, -1, .is_hidden = true)), "hidepid"));
	assert_non_null(strstr(hint(FACTS(0, 0, -1, .is_dumpable = true)), "--cap-add SYS_PTRACE"));
	assert_non_null(
	    strstr(hint(FACTS(0, 1000, -1, .has_ptrace = true, .has_seccomp = true)), "seccomp=unconfined"));
	assert_non_null(strstr(hint(FACTS(0, 1000, -1, .has_ptrace = true)), "AppArmor"));
	assert_non_null(
	    strstr(hint(FACTS(0, 1000, -1, .has_ptrace = true, .other_user_namespace = true)), "user namespace"));
	assert_non_null(strstr(hint(FACTS(1000, 1000, 0, .is_dumpable = true, .has_seccomp = true)), "SYS_PTRACE"));
	assert_non_null(strstr(hint(FACTS(1000, 1000, -1, .is_dumpable = true, .has_other_ids = true)), "saved user"));
	assert_non_null(
	    strstr(hint(FACTS(1000, 1000, -1, .is_dumpable = true, .has_more_capabilities = true)), "capabilities"));
	assert_non_null(
	    strstr(hint(FACTS(1000, 65534, -1, .is_dumpable = true, .other_user_namespace = true)), "namespace"));
	/* our own child: yama 1 is no obstacle */
	assert_null(strstr(hint(FACTS(1000, 1000, 1, .is_dumpable = true, .is_descendant = true)), "yama"));
}

static void be_protected(void)
{
	if (setgid(65534) < 0 || setuid(65534) < 0)
		_exit(1);
	prctl(PR_SET_DUMPABLE, 0);
}

/* Its folder in /proc is its own all the same. */
static void test_access_of_protected(void **state)
{
	(void)state;
	struct access_facts f;
	if (geteuid() != 0)
		skip();
	pid_t pid = start_child(be_protected);
	access_facts_read(pid, &f);
	assert_true(f.is_descendant && !f.is_dumpable && f.has_other_ids && !f.has_more_capabilities);
	assert_int_equal(f.their_uid, 65534);
	end_child(pid);
}

static void test_access_facts(void **state)
{
	(void)state;
	struct access_facts f;
	pid_t pid = start_child(NULL);
	access_facts_read(pid, &f);
	assert_true(f.is_descendant && f.is_dumpable && !f.is_hidden && !f.other_user_namespace);
	assert_int_equal(f.their_uid, geteuid());
	end_child(pid);
	char text[512];
	process_permission_hint(1, text, sizeof text);
	assert_true(strlen(text) > 20);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_self),
	    cmocka_unit_test(test_nobody),
	    cmocka_unit_test(test_zombie),
	    cmocka_unit_test(test_odd_name),
	    cmocka_unit_test(test_command_lines),
	    cmocka_unit_test(test_kernel_thread),
	    cmocka_unit_test(test_times),
	    cmocka_unit_test(test_open_file),
	    cmocka_unit_test(test_hints),
	    cmocka_unit_test(test_access_facts),
	    cmocka_unit_test(test_access_of_protected),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
