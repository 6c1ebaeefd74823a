/* view/source_find, source_check, source_file, query/line_shares: which file is the source, and is it the one? */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-report/view/source_find.h"
#include "tests/unit/support_profile.h"
#include "tests/unit/support_recording.h"

static char dir[] = "/tmp/pyspy-source-XXXXXX";

static const char *in_dir(const char *name)
{
	static char path[4][256];
	static int next;
	char *p = path[next++ % 4];

	snprintf(p, 256, "%s/%s", dir, name);
	return p;
}

static void put(const char *name, const char *text, size_t n)
{
	const char *path = in_dir(name);
	char folder[256];
	FILE *f;

	snprintf(folder, sizeof folder, "%s", path);
	for (char *s = folder + strlen(dir) + 1; (s = strchr(s, '/')); *s++ = '/') {
		*s = 0;
		mkdir(folder, 0700);
	}
	f = fopen(path, "wb");
	assert_non_null(f);
	assert_int_equal(fwrite(text, 1, n, f), n);
	assert_int_equal(fclose(f), 0);
}

static void remove_all(void)
{
	char command[300];

	snprintf(command, sizeof command, "rm -rf '%s'/*", dir);
	assert_int_equal(system(command), 0);
}

/* A recording of one function of one file: its first line and the line that took the time. */
struct made {
	struct support_recording r;
	struct support_profile s;
	struct line_shares l;
	struct source_find found;
};

static void make(struct made *m, const char *file, const char *name, uint32_t first, int32_t line,
                 const char *const *folders)
{
	support_recording_open(&m->r, 0xD1);
	support_recording_head(&m->r, 0);
	support_recording_process(&m->r, 1, 9, "x.py");
	stack_id stack = support_recording_stack(
	    &m->r, 0, support_recording_line(&m->r, support_recording_function(&m->r, "m", name, file, first), line),
	    true);
	struct rec_entry e = {.thread = 1, .stack = stack, .has_stack = true, .flags = WIRE_STATE_ACTIVE};
	support_recording_seal(&m->r, support_recording_ticks(&m->r, 10, &e, 1, NULL, 0), 10, true);
	support_profile_bytes(&m->s, &m->r.out, &(struct naming_options){.full_filenames = true});
	assert_int_equal(line_shares_build(&m->l, &m->s.tree, &m->s.naming, RANK_SELF), 0);
	assert_int_equal(m->l.files.n, 1);
	assert_int_equal(source_find(&m->found, &m->s.profile, &m->l, &m->l.files.v[0], folders), 0);
}

static void done(struct made *m)
{
	source_find_done(&m->found);
	line_shares_done(&m->l);
	support_profile_done(&m->s);
	support_recording_close(&m->r);
}

static const char *const nowhere[] = {NULL};

static void expect_source(const char *name, uint32_t first, int32_t line, const char *source, bool is_right,
                          uint32_t n_right)
{
	struct made m;

	put("app.py", source, strlen(source));
	make(&m, in_dir("app.py"), name, first, line, nowhere);
	assert_true(m.found.is_found);
	if (source_check_is_right(&m.found.check) != is_right || m.found.check.n_right != n_right)
		fail_msg("%s at %u in [%s]", name, first, source);
	done(&m);
}

static void functions_begin_where_they_did(void **state)
{
	expect_source("f", 1, 2, "def f():\n  pass\n", true, 1);
	expect_source("C.f", 2, 2, "class C:\n  def f(self): pass\n", true, 1);
	expect_source("C", 1, 2, "class C(D):\n  x = 1\n", true, 1);
	expect_source("f", 1, 2, "async  def\tf ():\n  pass\n", true, 1);
	expect_source("f", 1, 2, "async def g():\n  pass\n", false, 0);
	expect_source("f", 1, 2, "def ff():\n  pass\n", false, 0);
	expect_source("ff", 1, 2, "def f():\n  pass\n", false, 0);
	expect_source("f", 1, 2, "x = 1\ndef f():\n  pass\n", false, 0);
	expect_source("f", 1, 1, "define f\n", false, 0);
	expect_source("f", 1, 4, "@a\n@b(1,\n   2)\ndef f():\n  pass\n", true, 1);
	expect_source("f", 1, 3, "@a\ndef g():\n  pass\n", false, 0);
	expect_source("f", 1, 1, "@a\n", false, 0);
	expect_source("f", 1, 2, "def \\\n f(): pass\n", true, 1);
	expect_source("f.<locals>.<lambda>", 1, 1, "x = lambda: 1\n", true, 1);
	expect_source("<lambda>", 1, 1, "x = 1\n", false, 0);
	expect_source("f.<locals>.<listcomp>", 1, 1, "x = 1\n", true, 0);
	expect_source("<module>", 1, 1, "x = 1\n", true, 0);
	expect_source("<module>", 1, 2, "x = 1\n", false, 0);                /* shorter than what was recorded */
	expect_source("f\xC3\xA9", 1, 2, "def f\xE9():\n  pass\n", true, 1); /* another encoding */
	expect_source("f", 9, 2, "def f():\n  pass\n", false, 0);
	expect_source("f", 1, 2,
	              "\xEF\xBB\xBF"
	              "def f():\r\n  pass\r\n",
	              true, 1);
	expect_source("", 1, 1, "\n", true, 0);
	expect_source("T", 1, 1, "type T = int\n", true, 1);
	remove_all();
}

static void words_say_why(void **state)
{
	struct made m;
	struct buf b;

	put("app.py", "x = 1\n", 6);
	make(&m, in_dir("app.py"), "C.f", 1, 5, nowhere);
	buf_init(&b, 0);
	source_check_words(&b, &m.s.profile, &m.found.check, &m.found.file, &m.l.files.v[0]);
	assert_string_equal(buf_cstr(&b), "1 of 1 functions do not begin where they did (line 1: C.f); it has 1 lines, "
	                                  "line 5 was recorded; it is newer than the recording");
	buf_done(&b);
	done(&m);
	remove_all();
}

static void expect_found(const char *recorded, const char *name, const char *const *folders, const char *where)
{
	struct made m;

	make(&m, recorded, name, 1, 1, folders);
	assert_int_equal(m.found.is_found, where != NULL);
	if (where)
		assert_string_equal(buf_cstr(&m.found.path), where);
	done(&m);
}

static void longest_tail_wins(void **state)
{
	const char *f = "def f(): pass\n", *g = "def g(): pass\n";
	const char *folders[] = {strdup(in_dir("one")), strdup(in_dir("two/")), NULL};
	size_t n = strlen(f);
	char want[300];

	put("one/c.py", f, n);
	snprintf(want, sizeof want, "%s/one/c.py", dir);
	expect_found("/nowhere/a/b/c.py", "f", folders, want);
	put("two/b/c.py", f, n);
	snprintf(want, sizeof want, "%s/two/b/c.py", dir);
	expect_found("/nowhere/a/b/c.py", "f", folders, want);
	put("one/b/c.py", f, n); /* as long: the first folder */
	snprintf(want, sizeof want, "%s/one/b/c.py", dir);
	expect_found("/nowhere/a/b/c.py", "f", folders, want);
	put("one/b/c.py", g, n); /* it is another one: the next that looks right */
	snprintf(want, sizeof want, "%s/two/b/c.py", dir);
	expect_found("/nowhere/a/b/c.py", "f", folders, want);
	/* none looks right: the first, and it is said */
	snprintf(want, sizeof want, "%s/one/b/c.py", dir);
	expect_found("/nowhere/a/b/c.py", "h", folders, want);
	expect_found("/nowhere/a/b/d.py", "f", folders, NULL);
	expect_found("<string>", "f", folders, NULL);
	put("out.py", f, n); /* no way out of the folder */
	expect_found("/nowhere/../out.py", "f", folders, NULL);
	expect_found("../out.py", "f", folders, NULL);
	free((char *)folders[0]);
	free((char *)folders[1]);
	remove_all();
}

/* A recording names what it likes: only what is a Python source is shown, and nothing is waited for. */
static void no_file_is_shown_for_its_name(void **state)
{
	const char *f = "def f(): pass\n";
	struct made m;

	put("secret", "root:x:0:0\n", 11);
	expect_found(in_dir("secret"), "<module>", nowhere, NULL);
	expect_found(in_dir("secret"), "f", nowhere, NULL);
	put("script", "#!/usr/bin/env python3\nx = 1\n", 29);
	expect_found(in_dir("script"), "<module>", nowhere, in_dir("script"));
	put("named", f, strlen(f));
	expect_found(in_dir("named"), "f", nowhere, in_dir("named"));
	put("binary.py", "def f():\0 pass\n", 15);
	expect_found(in_dir("binary.py"), "f", nowhere, NULL);
	assert_int_equal(mkfifo(in_dir("fifo.py"), 0600), 0);
	expect_found(in_dir("fifo.py"), "f", nowhere, NULL);
	assert_int_equal(symlink("/dev/zero", in_dir("zero.py")), 0);
	expect_found(in_dir("zero.py"), "f", nowhere, NULL);
	assert_int_equal(symlink("/proc/self/environ", in_dir("environ.py")), 0);
	expect_found(in_dir("environ.py"), "f", nowhere, NULL);
	mkdir(in_dir("folder.py"), 0700);
	expect_found(in_dir("folder.py"), "f", nowhere, NULL);
	put("empty.py", "", 0);
	make(&m, in_dir("empty.py"), "<module>", 1, 1, nowhere);
	assert_true(m.found.is_found && m.found.check.is_short);
	assert_int_equal(source_file_lines(&m.found.file), 0);
	done(&m);
	remove_all();
}

static void lines_end_as_in_python(void **state)
{
	static const char text[] = "a\r\nb\rc\n\nd\fe\xE2\x80\xA8x\n\x0b"
	                           "f";
	static const char *const want[] = {"a",
	                                   "b",
	                                   "c",
	                                   "",
	                                   "d\fe\xE2\x80\xA8x",
	                                   "\x0b"
	                                   "f"};
	struct source_file f;

	put("ends.py", text, sizeof text - 1);
	assert_int_equal(source_file_read(&f, in_dir("ends.py")), 0);
	assert_int_equal(source_file_lines(&f), 6);
	for (uint32_t i = 0; i < 6; i++) {
		size_t n;
		const char *s = source_file_line(&f, i + 1, &n);
		assert_int_equal(n, strlen(want[i]));
		assert_memory_equal(s, want[i], n);
	}
	assert_null(source_file_line(&f, 0, &(size_t){0}));
	assert_null(source_file_line(&f, 7, &(size_t){0}));
	source_file_done(&f);
	assert_int_equal(source_file_read(&f, in_dir("none.py")), ERR_GONE);
	source_file_done(&f);
	remove_all();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(functions_begin_where_they_did),
	    cmocka_unit_test(words_say_why),
	    cmocka_unit_test(longest_tail_wins),
	    cmocka_unit_test(no_file_is_shown_for_its_name),
	    cmocka_unit_test(lines_end_as_in_python),
	};
	int rc;

	if (!mkdtemp(dir))
		return 1;
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	rmdir(dir);
	return rc;
}
