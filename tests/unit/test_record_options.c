/* record_options: every option, and what makes no sense. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/log.h"
#include "pyspy-record/record_options.h"

static struct record_options o;
static char said[4096];

/* Parse a command line given as words; what is printed on stderr goes to `said`. */
static int parse(char *const *words)
{
	static char *argv[256];
	argv[0] = "pyspy-record";
	int argc = 1, saved = dup(2), saved_out = dup(1), pipe_ends[2];
	for (; words[argc - 1]; argc++)
		argv[argc] = words[argc - 1];
	argv[argc] = NULL;
	record_options_done(&o);
	assert_int_equal(pipe(pipe_ends), 0);
	dup2(pipe_ends[1], 2);
	fflush(stdout);
	int null = open("/dev/null", O_WRONLY);
	dup2(null, 1);
	int rc = record_options_parse(&o, argc, argv);
	fflush(stdout);
	fflush(stderr);
	dup2(saved, 2);
	dup2(saved_out, 1);
	close(saved);
	close(saved_out);
	close(null);
	close(pipe_ends[1]);
	ssize_t n = read(pipe_ends[0], said, sizeof said - 1);
	said[n > 0 ? n : 0] = '\0';
	close(pipe_ends[0]);
	return rc;
}
#define PARSE(...) parse((char *[]){__VA_ARGS__, NULL})

/* Usage: one line that says what is wrong. */
static void refuse(int rc, const char *words)
{
	if (rc != ERR_USAGE || !strstr(said, words) || strncmp(said, "pyspy-record: ", 14) ||
	    strchr(said, '\n') != said + strlen(said) - 1)
		fail_msg("%d \"%s\", not \"%s\"", rc, said, words);
}

static void test_defaults(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-p", "4711"), 0);
	assert_string_equal(said, "");
	assert_int_equal(o.n_pids, 1);
	assert_int_equal(o.pids[0], 4711);
	assert_null(o.program);
	assert_null(o.output);
	assert_true(o.rate_hz == 100 && o.duration_ns == 0 && o.stop_ppm == 2000);
	assert_int_equal(o.cpu_ppm, 0);
	assert_true(o.flush_ns == CLOCK_NS_PER_S && o.wait_ns == 10 * CLOCK_NS_PER_S);
	assert_false(o.quiet || o.nonblocking || o.blocking);
	assert_int_equal(o.view_defaults, 0);
}

static void test_all(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-p0x1267", "--pid=12", "-p", "12", "-o", "x.pyspy", "-r", "1k", "-d", "1.5", "-q",
	                       "--nonblocking", "--max-stop", "0.05%", "--max-cpu", "2.5%", "-gitF", "--nolineno",
	                       "--full-filenames", "--note", "a=b=c", "--note", "k=", "--flush", "500ms", "--wait",
	                       "2m"),
	                 0);
	assert_int_equal(o.n_pids, 2);
	assert_int_equal(o.pids[0], 0x1267);
	assert_int_equal(o.pids[1], 12);
	assert_string_equal(o.output, "x.pyspy");
	assert_true(o.rate_hz == 1000 && o.duration_ns == 1500000000 && o.stop_ppm == 500);
	assert_int_equal(o.cpu_ppm, 25000);
	assert_true(o.quiet && o.nonblocking);
	assert_int_equal(o.view_defaults, 63);
	assert_int_equal(o.n_notes, 2);
	assert_string_equal(o.notes[0].key, "a");
	assert_string_equal(o.notes[0].value, "b=c");
	assert_string_equal(o.notes[1].value, "");
	assert_true(o.flush_ns == 500000000 && o.wait_ns == 120 * CLOCK_NS_PER_S);
	assert_int_equal(PARSE("-p", "1", "-d", "unlimited"), 0);
	assert_int_equal(o.duration_ns, 0);
	assert_int_equal(PARSE("-p", "1", "-o", "-"), 0);
	assert_string_equal(o.output, "-");
	assert_int_equal(PARSE("-h"), 1);
	assert_int_equal(PARSE("--version"), 1);
}

/* A stop for every sample: from outside only, and what contradicts it is refused in whatever order it comes. */
static void test_blocking(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-p", "1", "--blocking"), 0);
	assert_true(o.blocking && o.engine == RECORD_ENGINE_OUTSIDE);
	assert_int_equal(PARSE("-p", "1", "--engine", "auto", "--blocking"), 0);
	assert_true(o.blocking && o.engine == RECORD_ENGINE_OUTSIDE);
	assert_int_equal(PARSE("-p", "1", "--blocking", "--engine", "outside"), 0);
	refuse(PARSE("-p", "1", "--blocking", "--nonblocking"), "--blocking and --nonblocking");
	refuse(PARSE("-p", "1", "--nonblocking", "--blocking"), "--blocking and --nonblocking");
	refuse(PARSE("-p", "1", "--blocking", "--engine", "kernel"), "--blocking and --engine kernel");
	refuse(PARSE("-p", "1", "--engine=kernel", "--blocking"), "--blocking and --engine kernel");
	refuse(PARSE("-p", "1", "--blocking", "--max-stop", "5"), "--blocking and --max-stop");
	refuse(PARSE("-p", "1", "--max-stop=0.2", "--blocking"), "--blocking and --max-stop");
}

static void test_program(void **state)
{
	(void)state;
	assert_int_equal(PARSE("-d", "2m", "python3", "-p", "x", "--help"), 0);
	assert_string_equal(o.program[0], "python3");
	assert_string_equal(o.program[1], "-p");
	assert_string_equal(o.program[3], "--help");
	assert_null(o.program[4]);
	assert_int_equal(o.n_pids, 0);
	assert_int_equal(PARSE("--", "-odd", "--", "x"), 0);
	assert_string_equal(o.program[0], "-odd");
	assert_string_equal(o.program[1], "--");
	assert_int_equal(PARSE("-q", "--", "record"), 0);
	assert_string_equal(o.program[0], "record");
}

static void test_senseless(void **state)
{
	(void)state;
	static const char *rates[] = {"0", "-1", "nan", "inf", "", "fast", "1e9", "0.001", "100001", "10 0"};
	for (size_t i = 0; i < sizeof rates / sizeof *rates; i++)
		refuse(PARSE("-p", "1", "-r", (char *)rates[i]), "-r ");
	static const char *times[] = {"0", "-1", "nan", "", "soon", "1x", "1e400", "0.0001"};
	for (size_t i = 0; i < sizeof times / sizeof *times; i++)
		refuse(PARSE("-p", "1", "-d", (char *)times[i]), "-d ");
	static const char *pids[] = {"0", "-1", "", "abc", "12x", "99999999999", "0x", "1.5"};
	for (size_t i = 0; i < sizeof pids / sizeof *pids; i++)
		refuse(PARSE("-p", (char *)pids[i]), "-p ");
	char own[16];
	snprintf(own, sizeof own, "%d", (int)getpid());
	refuse(PARSE("-p", own), "itself");
	static const char *parts[] = {"-1", "101", "", "%", "x", "nan"};
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		refuse(PARSE("-p", "1", "--max-stop", (char *)parts[i]), "--max-stop");
	for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
		refuse(PARSE("-p", "1", "--max-cpu", (char *)parts[i]), "--max-cpu");
	refuse(PARSE("-p", "1", "--max-cpu", "0"), "0.01 to 100");
	refuse(PARSE("-p", "1", "--max-cpu=0.009%"), "0.01 to 100");
	refuse(PARSE("-p", "1", "--flush", "10ms"), "100ms to 60s");
	refuse(PARSE("-p", "1", "--flush", "61"), "100ms to 60s");
	refuse(PARSE("-p", "1", "--wait", "2h"), "--wait");
	refuse(PARSE("-p", "1", "--note", "=x"), "KEY=VALUE");
	refuse(PARSE("-p", "1", "--note", "x"), "KEY=VALUE");
	refuse(PARSE("-p", "1", "-o", ""), "-o");
}

static void test_usage(void **state)
{
	(void)state;
	refuse(PARSE("-q"), "nothing to record");
	refuse(PARSE("--"), "nothing to record");
	refuse(PARSE("-p", "1", "python3"), "one or the other");
	refuse(PARSE("--", ""), "empty name");
	refuse(PARSE("--frobnicate"), "--frobnicate");
	refuse(PARSE("-p"), "-p");
	refuse(PARSE("-X", "-p", "1"), "-X");
	/* what the terminal would obey is shown, not sent */
	refuse(PARSE("-p", "1", "-r", "\x1b[31m\n"), "\\x1b[31m");
	refuse(PARSE("--\x1b[2J"), "\\x1b[2J");
}

static void test_later(void **state)
{
	(void)state;
	refuse(PARSE("-s", "-p", "1"), "not there yet");
	refuse(PARSE("--native", "-p", "1"), "not there yet");
}

/* A view by its file's name, or by -f whatever the file is called. */
static void test_views(void **state)
{
	(void)state;
	static const struct {
		const char *file, *verb;
	} names[] = {
	    {"x.svg", "flamegraph"},
	    {"x.SVG", "flamegraph"},
	    {"x.HTML", "flamegraph"},
	    {"x.htm", "flamegraph"},
	    {"a/x.speedscope.json", "speedscope"},
	    {"x.json", "speedscope"},
	    {"x.folded", "raw"},
	    {"x.txt", "raw"},
	    {"x.trace.json", "chrometrace"},
	    {"x.pb.gz", "pprof"},
	    {"x.pprof", "pprof"},
	    {"x.firefox.json", "firefox"},
	    {".svg", "flamegraph"},
	    {"svg", NULL},
	    {"x.pyspy", NULL},
	    {"-", NULL},
	    {"x.svg.pyspy", NULL},
	    {"x.svgz", NULL},
	    {"x.gz", NULL},
	    {"x.svg/y", NULL},
	};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		assert_int_equal(PARSE("-p", "1", "-o", (char *)names[i].file), 0);
		assert_true(!o.view == !names[i].verb);
		if (o.view)
			assert_string_equal(o.view->verb, names[i].verb);
		assert_string_equal(o.output, names[i].file);
		assert_int_equal(PARSE("-p", "1", "-f", "raw", "-o", (char *)names[i].file), 0);
		assert_string_equal(o.view->verb, "raw");
		assert_int_equal(PARSE("-p", "1", "-o", (char *)names[i].file, "--format=pprof"), 0);
		assert_string_equal(o.view->verb, "pprof");
	}
	assert_int_equal(PARSE("-f", "flamegraph", "--no-keep", "-p", "1"), 0);
	assert_true(o.no_keep && !o.output);
	static const char *streams[] = {"-", "/dev/stdout", "/dev/fd/1", "/proc/self/fd/1"};
	for (size_t i = 0; i < sizeof streams / sizeof *streams; i++) {
		assert_int_equal(PARSE("-f", "raw", "-p", "1", "-o", (char *)streams[i]), 0);
		assert_string_equal(o.output, "-");
	}
	refuse(PARSE("-o", "x.csv", "-p", "1"), "pyspy-report top");
	refuse(PARSE("-f", "htm", "-p", "1"), "-f htm");
	assert_string_equal(view_format_named("html")->option, "--format=html");
	refuse(PARSE("-f", "", "-p", "1"), "-f ");
	refuse(PARSE("-f", "Raw", "-p", "1"), "-f Raw");
	refuse(PARSE("--no-keep", "-p", "1"), "--no-keep");
	refuse(PARSE("--no-keep", "-o", "x.pyspy", "-p", "1"), "--no-keep");
	refuse(PARSE("-o", "\x1b[2J.csv", "-p", "1"), "\\x1b[2J");
	assert_int_equal(view_format_stem("a.svg/b.trace.json"), 7);
	assert_int_equal(view_format_stem("a.svg/b"), 7);
	assert_int_equal(view_format_stem(".svg"), 0);
	assert_int_equal(view_format_stem("x.Pb.Gz"), 1);
}

static void test_many(void **state)
{
	(void)state;
	char text[140][16], *words[300];
	int n = 0;
	for (int i = 0; i < 65; i++) {
		snprintf(text[i], sizeof *text, "-p%d", i + 1000000);
		words[n++] = text[i];
	}
	words[n] = NULL;
	refuse(parse(words), "too many processes");
	words[n - 1] = NULL;
	assert_int_equal(parse(words), 0);
	assert_int_equal(o.n_pids, 64);

	words[0] = "-p1";
	for (n = 1; n <= 65; n++)
		words[n] = "--note=a=b";
	words[n] = NULL;
	refuse(parse(words), "too many notes");
	words[n - 1] = NULL;
	assert_int_equal(parse(words), 0);
	assert_int_equal(o.n_notes, 64);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_defaults), cmocka_unit_test(test_all),       cmocka_unit_test(test_blocking),
	    cmocka_unit_test(test_program),  cmocka_unit_test(test_senseless), cmocka_unit_test(test_usage),
	    cmocka_unit_test(test_later),    cmocka_unit_test(test_views),     cmocka_unit_test(test_many),
	};
	log_init("pyspy-record", false);
	int rc = cmocka_run_group_tests(tests, NULL, NULL);
	record_options_done(&o);
	return rc;
}
