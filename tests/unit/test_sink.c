/* sink: whole pieces or nothing. */
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
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/emit/sink.h"

static char folder[64], path[128];

static int make_folder(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/pyspy-sink-XXXXXX");
	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/x.pyspy", folder);
	return 0;
}

static int remove_folder(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static void write_file(const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static const char *file_text(void)
{
	static char text[4096];
	FILE *f = fopen(path, "r");
	if (!f)
		return NULL;
	text[fread(text, 1, sizeof text - 1, f)] = '\0';
	fclose(f);
	return text;
}

static void test_new_file(void **state)
{
	(void)state;
	struct sink s;
	struct stat st;
	umask(0);
	assert_int_equal(sink_open(&s, path, true), 0);
	assert_true(s.is_new && s.is_regular && !s.started);
	assert_int_equal(fcntl(s.fd, F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
	assert_int_equal(sink_write(&s, "abc", 3), 0);
	assert_int_equal(sink_write(&s, "def", 3), 0);
	assert_int_equal(s.bytes, 6);
	assert_int_equal(sink_close(&s), 0);
	assert_string_equal(file_text(), "abcdef");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
}

static void test_new_file_without_bytes_goes(void **state)
{
	(void)state;
	struct sink s;
	for (int exclusive = 0; exclusive < 2; exclusive++) {
		assert_int_equal(sink_open(&s, path, exclusive), 0);
		assert_int_equal(access(path, F_OK), 0);
		assert_int_equal(sink_close(&s), 0);
		assert_int_equal(access(path, F_OK), -1);
	}
	/* somebody else's file under our name stays */
	assert_int_equal(sink_open(&s, path, false), 0);
	unlink(path);
	write_file("other");
	assert_int_equal(sink_close(&s), 0);
	assert_string_equal(file_text(), "other");
}

static void test_existing_file(void **state)
{
	(void)state;
	struct sink s;
	write_file("old contents, long");
	assert_int_equal(sink_open(&s, path, true), ERR_IO);
	assert_int_equal(s.error_number, EEXIST);
	assert_int_equal(sink_close(&s), 0);
	assert_int_equal(sink_open(&s, path, false), 0);
	assert_int_equal(sink_close(&s), 0);
	assert_string_equal(file_text(), "old contents, long"); /* untouched until the first bytes */
	assert_int_equal(sink_open(&s, path, false), 0);
	assert_int_equal(sink_write(&s, "new", 3), 0);
	assert_int_equal(sink_close(&s), 0);
	assert_string_equal(file_text(), "new");
}

static void test_no_symlink_for_generated_names(void **state)
{
	(void)state;
	struct sink s;
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_int_equal(sink_open(&s, path, true), ERR_IO);
	assert_int_equal(sink_open(&s, path, false), 0);
	assert_false(s.is_regular);
	assert_int_equal(sink_write(&s, "x", 1), 0);
	assert_int_equal(sink_close(&s), 0);
}

static void test_bad_places(void **state)
{
	(void)state;
	struct sink s;
	assert_int_equal(sink_open(&s, folder, false), ERR_IO);
	assert_int_equal(s.error_number, EISDIR);
	assert_int_equal(sink_open(&s, "/nonexistent/x", false), ERR_IO);
	assert_int_equal(s.error_number, ENOENT);
	static char name[8192];
	memset(name, 'x', sizeof name - 1);
	assert_int_equal(sink_open(&s, name, false), ERR_IO);
	assert_int_equal(s.error_number, ENAMETOOLONG);
}

static void test_full_device(void **state)
{
	(void)state;
	struct sink s;
	assert_int_equal(sink_open(&s, "/dev/full", false), 0);
	assert_int_equal(sink_write(&s, "x", 1), ERR_IO);
	assert_int_equal(s.error_number, ENOSPC);
	assert_int_equal(s.bytes, 0);
	assert_int_equal(sink_close(&s), 0);
}

/* A piece that does not fit leaves what was there before. */
static void test_cut_back(void **state)
{
	(void)state;
	struct sink s;
	struct rlimit before, small = {1000, RLIM_INFINITY};
	static char piece[600];
	memset(piece, 'p', sizeof piece);
	getrlimit(RLIMIT_FSIZE, &before);
	small.rlim_max = before.rlim_max;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(sink_open(&s, path, true), 0);
	setrlimit(RLIMIT_FSIZE, &small);
	int first = sink_write(&s, piece, sizeof piece), second = sink_write(&s, piece, sizeof piece);
	setrlimit(RLIMIT_FSIZE, &before);
	assert_int_equal(first, 0);
	assert_int_equal(second, ERR_IO);
	assert_int_equal(s.error_number, EFBIG);
	assert_int_equal(s.bytes, 600);
	assert_int_equal(strlen(file_text()), 600);
	assert_int_equal(sink_write(&s, "end", 3), 0); /* where the piece would have been */
	assert_int_equal(sink_close(&s), 0);
	assert_int_equal(strlen(file_text()), 603);
}

static void test_pipe(void **state)
{
	(void)state;
	struct sink s;
	int ends[2];
	char got[8];
	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe(ends), 0);
	snprintf(got, sizeof got, "%d", ends[1]);
	char name[64];
	snprintf(name, sizeof name, "/proc/self/fd/%d", ends[1]);
	assert_int_equal(sink_open(&s, name, false), 0);
	close(ends[1]);
	assert_false(s.is_regular);
	assert_int_equal(fcntl(s.fd, F_SETFL, O_NONBLOCK), 0); /* as a shared pipe may be */
	assert_int_equal(sink_write(&s, "abc", 3), 0);
	assert_int_equal(read(ends[0], got, sizeof got), 3);
	close(ends[0]);
	assert_int_equal(sink_write(&s, "abc", 3), ERR_IO);
	assert_int_equal(s.error_number, EPIPE);
	assert_int_equal(s.bytes, 3);
	assert_int_equal(sink_close(&s), 0);
}

static void test_standard_output_appends(void **state)
{
	(void)state;
	struct sink s;
	write_file("before,");
	fflush(stdout);
	int saved = dup(STDOUT_FILENO), fd = open(path, O_WRONLY | O_APPEND);
	dup2(fd, STDOUT_FILENO);
	int opened = sink_open(&s, "-", false), wrote = sink_write(&s, "after", 5), closed = sink_close(&s);
	int is_open = fcntl(STDOUT_FILENO, F_GETFD);
	dup2(saved, STDOUT_FILENO);
	close(fd);
	close(saved);
	assert_int_equal(opened | wrote | closed, 0);
	assert_true(is_open >= 0); /* it is not ours to close */
	assert_string_equal(file_text(), "before,after");
}

static void test_sudo_owner(void **state)
{
	(void)state;
	struct sink s;
	struct stat st;
	if (geteuid() != 0)
		skip();
	setenv("SUDO_UID", "4321", 1);
	setenv("SUDO_GID", "1234", 1);
	int opened = sink_open(&s, path, false);
	unsetenv("SUDO_UID");
	unsetenv("SUDO_GID");
	assert_int_equal(opened, 0);
	assert_int_equal(fstat(s.fd, &st), 0);
	assert_int_equal(st.st_uid, 4321);
	assert_int_equal(st.st_gid, 1234);
	assert_int_equal(sink_close(&s), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, make_folder, remove_folder)
int main(void)
{
	const struct CMUnitTest tests[] = {
	    TEST(test_new_file),
	    TEST(test_new_file_without_bytes_goes),
	    TEST(test_existing_file),
	    TEST(test_bad_places),
	    TEST(test_no_symlink_for_generated_names),
	    TEST(test_full_device),
	    TEST(test_cut_back),
	    TEST(test_pipe),
	    TEST(test_standard_output_appends),
	    TEST(test_sudo_owner),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
