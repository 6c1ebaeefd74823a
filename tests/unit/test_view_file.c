/* view_file: a view appears whole or not at all, whatever stands in its place. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pyspy-record/view_file.h"

static char folder[64];

static int enter(void **state)
{
	(void)state;
	strcpy(folder, "/tmp/pyspy-view-XXXXXX");
	return mkdtemp(folder) && chdir(folder) == 0 ? 0 : -1;
}

static int leave(void **state)
{
	char command[96];
	(void)state;
	snprintf(command, sizeof command, "rm -rf %s", folder);
	return chdir("/") == 0 && system(command) == 0 ? 0 : -1;
}

static void put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static void holds(const char *path, const char *text)
{
	char got[64] = "";
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	got[fread(got, 1, sizeof got - 1, f)] = 0;
	fclose(f);
	assert_string_equal(got, text);
}

static unsigned files(void)
{
	unsigned n = 0;
	DIR *d = opendir(".");
	for (const struct dirent *e; (e = readdir(d));)
		n += strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0;
	closedir(d);
	return n;
}

static void write_view(struct view_file *v, const char *text)
{
	uint64_t bytes;
	assert_int_equal(view_file_begin(v), 0);
	assert_int_equal(write(v->fd, text, strlen(text)), strlen(text));
	assert_int_equal(view_file_end(v, &bytes), 0);
	assert_int_equal(bytes, v->is_stream ? 0 : strlen(text));
}

static void test_whole(void **state)
{
	struct view_file v;
	struct stat st;
	(void)state;
	mode_t mask = umask(027);
	assert_int_equal(view_file_check(&v, "a.svg"), 0);
	assert_false(v.is_stream || v.has_old);
	assert_int_equal(files(), 0); /* looking touches nothing */
	assert_int_equal(view_file_begin(&v), 0);
	assert_int_equal(access("a.svg", F_OK), -1);
	view_file_drop(&v);
	assert_int_equal(files(), 0);
	write_view(&v, "new");
	umask(mask);
	holds("a.svg", "new");
	assert_int_equal(stat("a.svg", &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	assert_int_equal(files(), 1);

	/* what was there stays until the new one is whole */
	assert_int_equal(view_file_check(&v, "./a.svg"), 0);
	assert_true(v.has_old);
	assert_int_equal(view_file_begin(&v), 0);
	assert_int_equal(write(v.fd, "ha", 2), 2);
	view_file_drop(&v);
	holds("a.svg", "new");
	assert_int_equal(view_file_check(&v, "./a.svg"), 0);
	write_view(&v, "newer");
	holds("a.svg", "newer");
	assert_int_equal(files(), 1);
	view_file_drop(&v); /* nothing left to drop */
	holds("a.svg", "newer");
}

static void test_places(void **state)
{
	struct view_file v;
	char name[300];
	(void)state;
	assert_int_equal(mkdir("d", 0755), 0);
	put("d/real", "old");
	assert_int_equal(symlink("d/real", "link"), 0);
	assert_int_equal(view_file_check(&v, "link"), 0);
	write_view(&v, "through");
	holds("d/real", "through");
	assert_int_equal(readlink("link", name, sizeof name), 6);

	assert_int_equal(view_file_check(&v, "d"), EISDIR);
	assert_int_equal(view_file_check(&v, "link/x"), ENOTDIR);
	memset(name, 'n', sizeof name);
	name[299] = 0;
	assert_int_equal(view_file_check(&v, name), ENAMETOOLONG);
	name[255] = 0; /* the longest that there can be: so the temporary one has a name of its own */
	assert_int_equal(view_file_check(&v, name), 0);
	write_view(&v, "long");
	holds(name, "long");
	assert_int_equal(view_file_check(&v, "gone/x"), 0); /* whoever makes the recording beside it will tell */
	assert_int_equal(view_file_begin(&v), ENOENT);
	view_file_drop(&v);
}

static void test_streams(void **state)
{
	struct view_file v;
	uint64_t bytes;
	char text[8] = "", name[32];
	int ends[2];
	(void)state;
	assert_int_equal(pipe(ends), 0);
	snprintf(name, sizeof name, "/dev/fd/%d", ends[1]);
	assert_int_equal(view_file_check(&v, name), 0);
	assert_true(v.is_stream && v.fd != ends[1]);
	write_view(&v, "abc");
	assert_int_equal(read(ends[0], text, sizeof text), 3);
	assert_string_equal(text, "abc");
	close(ends[0]);
	close(ends[1]);
	assert_int_equal(view_file_check(&v, name), EBADF);
	assert_int_equal(view_file_check(&v, "/dev/null"), 0);
	assert_true(v.is_stream);
	assert_int_equal(view_file_end(&v, &bytes), 0);

	/* a descriptor of a regular file goes on where it is */
	int fd = open("log", O_WRONLY | O_CREAT | O_APPEND, 0600);
	assert_int_equal(write(fd, "before ", 7), 7);
	snprintf(name, sizeof name, "/proc/self/fd/%d", fd);
	assert_int_equal(view_file_check(&v, name), 0);
	write_view(&v, "after");
	close(fd);
	holds("log", "before after");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_whole, enter, leave),
	    cmocka_unit_test_setup_teardown(test_places, enter, leave),
	    cmocka_unit_test_setup_teardown(test_streams, enter, leave),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
