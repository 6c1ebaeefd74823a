/* maps: our own address space, and what is no process. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/target/maps.h"

static int a_variable = 1;

static void test_self(void **state)
{
	(void)state;
	struct maps m;
	assert_int_equal(maps_read(getpid(), &m), 0);
	assert_true(m.n > 5);
	for (size_t i = 0; i < m.n; i++) {
		assert_true(m.v[i].end > m.v[i].begin);
		assert_true(i == 0 || m.v[i].begin >= m.v[i - 1].end);
		assert_int_equal(strlen(m.v[i].perms), 4);
		assert_ptr_equal(maps_find(&m, m.v[i].begin), &m.v[i]);
		assert_ptr_equal(maps_find(&m, m.v[i].end - 1), &m.v[i]);
	}
	const struct maps_entry *code = maps_find(&m, (uintptr_t)test_self),
	                        *data = maps_find(&m, (uintptr_t)&a_variable);
	assert_non_null(code);
	assert_non_null(data);
	assert_int_equal(code->perms[2], 'x');
	assert_int_equal(data->perms[1], 'w');
	assert_non_null(strstr(code->path, "test_maps"));
	assert_true(code->inode > 0);
	assert_null(maps_find(&m, 0));
	assert_null(maps_find(&m, UINT64_MAX));
	maps_done(&m);
	maps_done(&m); /* harmless */
}

/* A file name may hold anything; a deleted file is told from one that is named like it. */
static void test_names(void **state)
{
	(void)state;
	char folder[] = "/tmp/pyspy maps-XXXXXX", name[128];
	struct maps m;
	assert_non_null(mkdtemp(folder));
	snprintf(name, sizeof name, "%s/a b  \xc3\xa9\n(x) 7f", folder);
	int fd = open(name, O_RDWR | O_CREAT, 0600);
	assert_true(fd >= 0 && ftruncate(fd, 8192) == 0);
	char *at = mmap(NULL, 8192, PROT_READ, MAP_PRIVATE, fd, 4096);
	close(fd);
	assert_ptr_not_equal(at, MAP_FAILED);
	assert_int_equal(maps_read(getpid(), &m), 0);
	const struct maps_entry *e = maps_find(&m, (uintptr_t)at);
	assert_non_null(e);
	assert_non_null(strstr(e->path, "/a b  \xc3\xa9\\012(x) 7f"));
	assert_false(e->deleted);
	assert_int_equal(e->offset, 4096);
	maps_done(&m);
	unlink(name);
	rmdir(folder);
	assert_int_equal(maps_read(getpid(), &m), 0);
	e = maps_find(&m, (uintptr_t)at);
	assert_true(e && e->deleted);
	assert_null(strstr(e->path, "deleted"));
	maps_done(&m);
	munmap(at, 8192);
}

static void test_many(void **state)
{
	(void)state;
	enum { PAGES = 6000 };
	struct maps m;
	char *at = mmap(NULL, PAGES * 4096, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	for (int i = 0; i < PAGES; i += 2) /* every other page a mapping of its own: the text is larger than one read */
		mprotect(at + i * 4096, 4096, PROT_NONE);
	assert_int_equal(maps_read(getpid(), &m), 0);
	assert_true(m.n > PAGES);
	for (int i = 0; i < PAGES; i++) {
		const struct maps_entry *e = maps_find(&m, (uintptr_t)at + (uintptr_t)i * 4096);
		assert_non_null(e);
		assert_string_equal(e->perms, i % 2 ? "r--p" : "---p");
	}
	maps_done(&m);
	munmap(at, PAGES * 4096);
}

static void test_gone(void **state)
{
	(void)state;
	struct maps m;
	assert_int_equal(maps_read(0x7ffffff0, &m), ERR_GONE);
	pid_t zombie = fork();
	if (zombie == 0)
		_exit(0);
	siginfo_t info;
	waitid(P_PID, (id_t)zombie, &info, WEXITED | WNOWAIT);
	assert_int_equal(maps_read(zombie, &m), ERR_GONE);
	waitpid(zombie, NULL, 0);
	assert_int_equal(maps_read(zombie, &m), ERR_GONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_self),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
