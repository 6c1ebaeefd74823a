#include "libcommon/args.h"
#include "libcommon/err.h"
#include "tests/unit/support_test.h"

enum { PID = 1, GIL, IDLE, FORMAT, HIDDEN };

static const struct arg_option TABLE[] = {
    {PID, 'p', "pid", "PID", "attach to a running process"},
    {GIL, 'g', "gil", NULL, "only threads that hold the GIL"},
    {IDLE, 'i', "idle", NULL, "first line\nsecond line"},
    {FORMAT, 0, "format", "NAME", NULL},
    {HIDDEN, 'x', NULL, NULL, "short only"},
    {0},
};

/* The words of a command line, separated by '|', as "ID=VALUE" / "ID" / "+POSITIONAL" / "!MESSAGE", joined by ' '. */
static void check(const char *line, bool stop, const char *want)
{
	char words[512], *argv[32], got[1024] = "";
	int argc = 0, rc;
	const char *value;
	struct args a;

	snprintf(words, sizeof words, "prog|%s", line);
	for (char *w = words; w; argc++) {
		argv[argc] = w;
		w = strchr(w, '|');
		if (w)
			*w++ = 0;
	}
	args_init(&a, TABLE, *line ? argc : 1, argv, stop);
	while ((rc = args_next(&a, &value)) != ARGS_END) {
		size_t n = strlen(got);

		if (n)
			got[n++] = ' ';
		if (rc == ERR_USAGE) {
			snprintf(got + n, sizeof got - n, "!%s", a.message);
			break;
		}
		if (rc == ARGS_POSITIONAL)
			snprintf(got + n, sizeof got - n, "+%s", value);
		else
			snprintf(got + n, sizeof got - n, value ? "%d=%s" : "%d", rc, value);
	}
	if (stop && rc == ARGS_END && a.index < a.argc) {
		strcat(got, *got ? " @" : "@");
		strcat(got, a.argv[a.index]);
	}
	assert_string_equal(got, want);
}

static void test_grammar(void **state)
{
	check("", false, "");
	check("-p|12", false, "1=12");
	check("-p12", false, "1=12");
	check("--pid|12", false, "1=12");
	check("--pid=12", false, "1=12");
	check("--pid=", false, "1=");
	check("--pid=a=b", false, "1=a=b");
	check("-gi", false, "2 3");
	check("-gip12|x", false, "2 3 1=12 +x");
	check("-gip|12", false, "2 3 1=12");
	check("-p|-g", false, "1=-g");
	check("a|-g|b", false, "+a 2 +b");
	check("-|-g", false, "+- 2");
	check("-g|--|-i|--|x", false, "2 +-i +-- +x");
	check("--format|svg|-x", false, "4=svg 5");
}

static void test_program(void **state)
{
	check("-g|prog.py|-i", true, "2 @prog.py");
	check("-g|--|-i", true, "2 @-i");
	check("-gp|1|--", true, "2 1=1");
	check("-", true, "@-");
}

static void test_errors(void **state)
{
	check("--foo", false, "!unknown option --foo");
	check("--pi|1", false, "!unknown option --pi");
	check("--foo=secret", false, "!unknown option --foo");
	check("-z", false, "!unknown option -z");
	check("-gz", false, "2 !unknown option -z");
	check("--gil=yes", false, "!option --gil takes no value");
	check("-p", false, "!option -p needs a value (PID)");
	check("-gp", false, "2 !option -p needs a value (PID)");
	check("--pid", false, "!option --pid needs a value (PID)");
	check("--\033[31m", false, "!unknown option --\\x1b[31m");
	check("-\xC3\xA9", false, "!unknown option -\xC3\xA9");
	check("-\xFFg", false, "!unknown option -\\xff");
}

/* A message that is cut stays valid text. */
static void test_long_message(void **state)
{
	char word[2000] = "--";
	char *argv[] = {"prog", word};
	const char *value;
	struct args a;

	for (int i = 0; i < 600; i++)
		strcat(word, "\xE6\x97\xA5");
	args_init(&a, TABLE, 2, argv, false);
	assert_int_equal(args_next(&a, &value), ERR_USAGE);
	assert_true(strlen(a.message) < sizeof a.message);
	assert_memory_equal(a.message + strlen(a.message) - 3, "\xE6\x97\xA5", 3);
}

static void test_help(void **state)
{
	static const char WANT[] = "  -p, --pid PID  attach to a running process\n"
	                           "  -g, --gil      only threads that hold the GIL\n"
	                           "  -i, --idle     first line\n"
	                           "                 second line\n"
	                           "  -x             short only\n";
	static const struct arg_option LONG[] = {
	    {1, 'a', "alpha", "A",
	     "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen"},
	    {2, 0, "a-very-long-name-for-an-option", "WITH-A-VALUE", "below"},
	    {0},
	};
	char *text, *rest;
	size_t n;
	FILE *f = open_memstream(&text, &n);

	args_help(f, TABLE);
	fclose(f);
	assert_string_equal(text, WANT);
	free(text);
	f = open_memstream(&text, &n);
	args_help(f, LONG);
	fclose(f);
	for (char *line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest))
		assert_true(strlen(line) <= 100);
	free(text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_grammar),      cmocka_unit_test(test_program), cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_long_message), cmocka_unit_test(test_help),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
