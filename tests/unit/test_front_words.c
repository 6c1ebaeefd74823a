/* front_words: py-spy's options in pyspy-record's words, and nothing lost on the way. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "libcommon/log.h"
#include "pyspy-record/front/front_commands.h"
#include "pyspy-record/front/front_words.h"

static char got[4096];

/* Our words, joined by '|'; for an error what was said. */
static int translate(bool is_dump, char *const *words, bool *is_program)
{
	char *argv[64] = {is_dump ? "dump" : "record"};
	struct front_words w;
	int argc = 1, ends[2], saved = dup(2);

	while (words[argc - 1]) {
		argv[argc] = words[argc - 1];
		argc++;
	}
	assert_int_equal(pipe(ends), 0);
	dup2(ends[1], 2);
	int rc = is_dump ? front_words_dump(&w, argc, argv) : front_words_record(&w, argc, argv, is_program);
	fflush(stderr);
	dup2(saved, 2);
	close(saved);
	close(ends[1]);
	ssize_t n = read(ends[0], got, sizeof got - 1);
	close(ends[0]);
	got[n > 0 ? n : 0] = 0;
	if (rc == 0) {
		assert_string_equal(got, "");
		assert_true(w.v.n > 2 && !w.v.v[w.v.n - 1]);
		assert_string_equal(w.v.v[0], "pyspy-record");
		for (size_t i = 1; i + 1 < w.v.n; i++)
			snprintf(got + strlen(got), sizeof got - strlen(got), "%s%s", i > 1 ? "|" : "", w.v.v[i]);
	}
	front_words_done(&w);
	return rc;
}

static void becomes(const char *want, char *const *words)
{
	bool is_program;
	assert_int_equal(translate(false, words, &is_program), 0);
	assert_string_equal(got, want);
	assert_int_equal(is_program, strstr(want, "|--") != NULL && strstr(want, "|--|") != NULL);
}
#define BECOMES(want, ...) becomes(want, (char *[]){__VA_ARGS__, NULL})

static void refuses(const char *what, char *const *words)
{
	bool is_program;
	assert_int_equal(translate(false, words, &is_program), ERR_USAGE);
	if (!strstr(got, what) || strncmp(got, "pyspy: ", 7) != 0 || strchr(got, '\n') != got + strlen(got) - 1)
		fail_msg("\"%s\", not \"%s\"", got, what);
}
#define REFUSES(what, ...) refuses(what, (char *[]){__VA_ARGS__, NULL})

static void test_record(void **state)
{
	(void)state;
	BECOMES("record|--pid=12345|--format=flamegraph|--no-keep|--output=profile.svg", "-o", "profile.svg", "--pid",
	        "12345");
	BECOMES("record|--format=flamegraph|--no-keep|--output=profile.svg|--|python|myprogram.py", "-o", "profile.svg",
	        "--", "python", "myprogram.py");
	/* py-spy's format is that of -f, whatever the file is called */
	BECOMES("record|--pid=1|--format=flamegraph|--no-keep|--output=x.json", "-o", "x.json", "-p1");
	BECOMES("record|--pid=1|--format=speedscope|--no-keep|--output=x.svg", "-fspeedscope", "-ox.svg", "-p", "1");
	/* all spellings, and all options */
	BECOMES("record|--duration=10|--rate=50|--pid=1|--format=raw|--no-keep|--output=x", "-d=10", "-r=50", "-p=1",
	        "-f=raw", "-o=x");
	BECOMES("record|--duration==|--pid=1|--format=raw|--no-keep|--output==x", "-d", "=", "--pid=1", "--format=raw",
	        "--output==x");
	BECOMES(
	    "record|--function|--gil|--idle|--threads|--nolineno|--full-filenames|--nonblocking|--pid=0x10|--format="
	    "flamegraph|--no-keep|--output=-",
	    "-Fgit", "--nolineno", "--full-filenames", "--nonblocking", "--hideprogress", "--capture", "-p", "0x10",
	    "-o", "-");
	BECOMES("record|--pid=1|--pid=2|--blocking|--engine=outside|--max-cpu=1|--quiet|--format=pprof|--output=x",
	        "-p1", "-p2", "--blocking", "--engine", "outside", "--max-cpu=1", "-q", "--keep", "-f", "pprof", "-o",
	        "x");
	BECOMES("record|--pid=1|--output=x.pyspy", "-p1", "-o", "x.pyspy");
	BECOMES("record|--pid=1|--format=raw|--no-keep|--output=x.pyspy", "-p1", "-fraw", "-o", "x.pyspy");
	/* the program's words are its own */
	BECOMES("record|--format=flamegraph|--no-keep|--output=x|--|prog|-o|--|--pid||%s", "-o", "x", "prog", "-o",
	        "--", "--pid", "", "%s");
	BECOMES("record|--format=flamegraph|--no-keep|--output=x|--|--pid", "-o", "x", "--", "--pid");
	REFUSES("nothing to record", "-o", "x");
	REFUSES("nothing to record", "--");
	REFUSES("not there yet", "-s", "-p1");
	REFUSES("not there yet", "-Fn", "-p1");
	REFUSES("-f svg", "-f", "svg", "-p1");
	REFUSES("-f \\x1b", "-f", "\x1b", "-p1");
	REFUSES("--pid needs a value", "--pid");
	REFUSES("--frob", "--frob", "-p1");
	bool is_program;
	assert_int_equal(translate(false, (char *[]){"-p1", "-h", "--frob", NULL}, &is_program), 1);
}

/* py-spy's pattern; hostile names stay in this folder, and are neither hidden nor options. */
static void test_names(void **state)
{
	bool is_program;
	static const struct {
		const char *word, *begin, *end;
	} rows[] = {
	    {"/usr/bin/python3.11", "--output=python3.11-20", ".svg"},
	    {"python", "--output=python-20", ".svg"},
	    {"/bin/-rf $(x)", "--output=_rf___x_-20", ".svg"},
	    {"/", "--output=python-20", ".svg"},
	    {".hidden", "--output=_hidden-20", ".svg"},
	    {"\xff\n", "--output=__-20", ".svg"},
	};
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		assert_int_equal(translate(false, (char *[]){"--", (char *)rows[i].word, NULL}, &is_program), 0);
		assert_non_null(strstr(got, rows[i].begin));
		assert_non_null(strstr(got, rows[i].end));
	}
	assert_int_equal(translate(false, (char *[]){"-p", "0x10", "-f", "pprof", NULL}, &is_program), 0);
	assert_non_null(strstr(got, "--output=16-20"));
	assert_non_null(strstr(got, ".pb.gz"));
}

static void test_dump(void **state)
{
	bool is_program;
	(void)state;
	assert_int_equal(
	    translate(true, (char *[]){"-p=12", "-ljsn", "-l", "--nonblocking", "--full-filenames", NULL}, &is_program),
	    0);
	assert_string_equal(
	    got, "dump|--pid=12|--locals|--json|--subprocesses|--native|--locals|--nonblocking|--full-filenames");
	assert_int_equal(translate(true, (char *[]){"-c", "core", NULL}, &is_program), 0);
	assert_string_equal(got, "dump|--core=core");
	assert_int_equal(translate(true, (char *[]){"-h", NULL}, &is_program), 1);
	assert_int_equal(translate(true, (char *[]){"-p1", "prog", NULL}, &is_program), ERR_USAGE);
	assert_int_equal(translate(true, (char *[]){"-j", NULL}, &is_program), ERR_USAGE);
}

static void test_commands(void **state)
{
	(void)state;
	assert_string_equal(front_command_named("r")->name, "record");
	assert_string_equal(front_command_named("record")->name, "record");
	assert_null(front_command_named("recorder"));
	assert_null(front_command_named(""));
	assert_null(front_command_named("x"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_record),
	    cmocka_unit_test(test_names),
	    cmocka_unit_test(test_dump),
	    cmocka_unit_test(test_commands),
	};
	log_init("pyspy", false);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
