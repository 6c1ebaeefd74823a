#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "libcommon/path.h"
#include "tests/unit/support_test.h"

static void test_base(void **state)
{
	assert_string_equal(path_base("/usr/bin/python3"), "python3");
	assert_string_equal(path_base("a"), "a");
	assert_string_equal(path_base("a/"), "");
	assert_string_equal(path_base(""), "");
}

static void check_name(const char *program, const char *want)
{
	char out[128], expected[128];

	path_default_name(out, sizeof out, program, INT64_C(1795331624000000000));
	snprintf(expected, sizeof expected, "%s-20261122T071344Z.pyspy", want);
	assert_string_equal(out, expected);
}

static void test_default_name(void **state)
{
	char out[128], long_name[200];

	check_name("app", "app");
	check_name("app.py", "app.py");
	check_name("/srv/my app.py", "my_app.py");
	check_name("a:b*c", "a_b_c");
	check_name("", "python");
	check_name("...", "python");
	check_name("-rf", "rf");
	check_name("../x", "x");
	check_name(".hidden", "hidden");
	check_name("\xE6\x97\xA5\xE6\x9C\xAC", "python");
	check_name("\n\033", "python");
	check_name("x!", "x");
	memset(long_name, 'y', sizeof long_name);
	long_name[sizeof long_name - 1] = 0;
	path_default_name(out, sizeof out, long_name, 0);
	assert_int_equal(strspn(out, "y"), 60);
	assert_string_equal(out + 60, "-19700101T000000Z.pyspy");
	path_default_name(out, sizeof out, "a", -1);
	assert_string_equal(out, "a-19691231T235959Z.pyspy");
	path_default_name(out, sizeof out, "a", INT64_MIN);
	path_default_name(out, sizeof out, "a", INT64_MAX);
	path_default_name(out, 5, "abcdef", 0);
	assert_string_equal(out, "abcd");
}

static void touch(const char *dir, const char *name, long seconds)
{
	char path[256];
	struct timespec times[2] = {{.tv_sec = seconds}, {.tv_sec = seconds}};
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	futimens(fd, times);
	close(fd);
}

static void test_newest(void **state)
{
	static const char *const NAMES[] = {"a.pyspy", "b.pyspy", "c.pyspy", "z.txt", ".pyspy", ".h.pyspy"};
	char dir[] = "/tmp/pyspy-test-XXXXXX", out[256], want[256], path[256];

	assert_non_null(mkdtemp(dir));
	assert_int_equal(path_newest(dir, out, sizeof out), ERR_GONE);
	touch(dir, "z.txt", 9000);
	touch(dir, ".pyspy", 9000);
	touch(dir, ".h.pyspy", 9000);
	assert_int_equal(path_newest(dir, out, sizeof out), ERR_GONE);
	touch(dir, "a.pyspy", 1000);
	touch(dir, "c.pyspy", 2000);
	touch(dir, "b.pyspy", 2000);
	snprintf(path, sizeof path, "%s/d.pyspy", dir);
	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(path_newest(dir, out, sizeof out), 0);
	snprintf(want, sizeof want, "%s/c.pyspy", dir);
	assert_string_equal(out, want);
	assert_int_equal(path_newest(dir, out, 5), ERR_FULL);
	assert_int_equal(chdir(dir), 0);
	assert_int_equal(path_newest(".", out, sizeof out), 0);
	assert_string_equal(out, "c.pyspy");
	for (unsigned i = 0; i < N_OF(NAMES); i++)
		unlink(NAMES[i]);
	rmdir("d.pyspy");
	rmdir(dir);
	assert_int_equal(path_newest(dir, out, sizeof out), ERR_SYSTEM);
	assert_int_equal(errno, ENOENT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_base),
	    cmocka_unit_test(test_default_name),
	    cmocka_unit_test(test_newest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
