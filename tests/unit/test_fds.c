/* fds: limits of open files, each in a process of its own. */
#include "libcommon/fds.h"

#include <fcntl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "tests/unit/support_test.h"

enum { SPARE = 24 };

/* What `check` returns in a process of its own. */
static int in_a_child(int (*check)(void))
{
	int status;
	pid_t pid = fork();
	if (pid == 0)
		_exit(check());
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

static bool is_open(int fd)
{
	return fcntl(fd, F_GETFD) >= 0;
}

static int raises(void)
{
	struct rlimit r = {64, 200}, now;
	if (setrlimit(RLIMIT_NOFILE, &r) < 0)
		return 1;
	fds_raise();
	if (getrlimit(RLIMIT_NOFILE, &now) < 0 || now.rlim_cur != 200 || now.rlim_max != 200)
		return 2;
	fds_raise(); /* nothing is left to raise */
	return getrlimit(RLIMIT_NOFILE, &now) < 0 || now.rlim_cur != 200 || now.rlim_max != 200 ? 3 : 0;
}

/* All but the spare ones are kept, and these stay free for whoever opens a file for a moment. */
static int keeps(void)
{
	struct rlimit r = {100, 100};
	for (int i = 3; i < 1024; i++) /* whatever came with us leaves gaps in the row of numbers */
		close(i);
	int fd = dup(0), kept = fd;
	if (setrlimit(RLIMIT_NOFILE, &r) < 0 || fds_keep(fd) != fd)
		return 1;
	while ((fd = dup(0)) >= 0) {
		if (fds_keep(fd) < 0)
			break;
		if (fd != kept + 1 || !is_open(fd))
			return 2;
		kept = fd;
	}
	if (fd != kept + 1 || is_open(fd) || kept != 100 - SPARE - 1)
		return 3;
	for (int i = 0; i < SPARE; i++)
		if (dup(0) < 0)
			return 4;
	return dup(0) < 0 ? 0 : 5;
}

static int passes_on_failure(void)
{
	return fds_keep(-1) == -1 && fds_keep(-7) == -7 ? 0 : 1;
}

static void test_raise(void **state)
{
	assert_int_equal(in_a_child(raises), 0);
}
static void test_keep(void **state)
{
	assert_int_equal(in_a_child(keeps), 0);
}
static void test_failed_open(void **state)
{
	assert_int_equal(in_a_child(passes_on_failure), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_raise),
	    cmocka_unit_test(test_keep),
	    cmocka_unit_test(test_failed_open),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
