/* pyspy-report: shows recordings made by pyspy-record. The table of verbs is all there is here. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/buf.h"
#include "libcommon/escape.h"
#include "libcommon/log.h"
#include "pyspy-report/cmd.h"
#include "pyspy-report/report_trouble.h"

static const struct report_verb *const verbs[] = {
    &cmd_info_verb,       &cmd_top_verb,        &cmd_tree_verb,        &cmd_lines_verb,   &cmd_stacks_verb,
    &cmd_flamegraph_verb, &cmd_speedscope_verb, &cmd_chrometrace_verb, &cmd_firefox_verb, &cmd_pprof_verb,
    &cmd_raw_verb,        &cmd_script_verb,     &cmd_index_verb,       &cmd_sql_verb,     &cmd_merge_verb,
    &cmd_import_verb,     &cmd_anonymize_verb,
};
enum { N_VERBS = sizeof verbs / sizeof *verbs };

static void print_help(void)
{
	printf("Examples:\n"
	       "  pyspy-report app.pyspy                              what took the time, as a table\n"
	       "  pyspy-report flamegraph -o app.svg app.pyspy        a picture: open it in a browser\n"
	       "  pyspy-report info                                   about the newest recording of this folder\n"
	       "  pyspy-report import -o old.pyspy old.speedscope.json  another profiler's file\n"
	       "  pyspy-record -o - -- python3 app.py | pyspy-report raw - >app.folded\n\n"
	       "Usage: pyspy-report VERB [options] [FILE ...|-]\n"
	       "       pyspy-report FILE                              the same as: top FILE\n\nVerbs:\n");
	for (size_t i = 0; i < N_VERBS; i++)
		printf("  %-12s %s\n", verbs[i]->name, verbs[i]->summary);
	printf("\n`pyspy-report VERB --help` says more. Exit status: 0 fine, 1 error, 2 usage, 4 damaged input with "
	       "--strict.\n");
}

/* A closed standard stream would let the next file that is opened take its place. */
static void guard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
			int got = open("/dev/null", fd == 0 ? O_WRONLY : O_RDONLY); /* using it fails, as it should */
			if (got >= 0 && got != fd)
				close(got);
		}
}

static int unknown(const char *word)
{
	struct buf b;

	buf_init(&b, 0);
	escape_text(&b, word, strlen(word));
	buf_str(&b, ": neither a verb (");
	for (size_t i = 0; i < N_VERBS; i++)
		buf_printf(&b, "%s%s", i ? " " : "", verbs[i]->name);
	log_error("%s) nor a file; see pyspy-report --help", buf_cstr(&b));
	buf_done(&b);
	return REPORT_USAGE;
}

static bool looks_like_file(const char *word)
{
	struct stat st;
	size_t n = strlen(word);

	return strcmp(word, "-") == 0 || strchr(word, '/') || stat(word, &st) == 0 ||
	       (n > 6 && strcmp(word + n - 6, ".pyspy") == 0);
}

/* What was printed on standard output without a view: help and version. */
static int check_stdout(int status)
{
	errno = 0;
	if ((fflush(stdout) || ferror(stdout)) && errno != EPIPE && status == REPORT_OK) {
		log_error("cannot write to standard output: %s; choose another place", strerror(errno ? errno : EIO));
		return REPORT_ERROR;
	}
	return status;
}

static int dispatch(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	if (!word) {
		log_error("no verb and no file named; see pyspy-report --help");
		return REPORT_USAGE;
	}
	if (strcmp(word, "-h") == 0 || strcmp(word, "--help") == 0 || strcmp(word, "help") == 0) {
		print_help();
		return REPORT_OK;
	}
	if (strcmp(word, "-V") == 0 || strcmp(word, "--version") == 0) {
		printf("pyspy-report %s\n", report_version);
		return REPORT_OK;
	}
	for (size_t i = 0; i < N_VERBS; i++)
		if (strcmp(word, verbs[i]->name) == 0)
			return verbs[i]->run(verbs[i], argc - 1, argv + 1);
	if (word[0] == '-' && word[1]) {
		struct buf b;
		buf_init(&b, 0);
		escape_text(&b, word, strlen(word));
		log_error("unknown option %s before the verb; see pyspy-report --help", buf_cstr(&b));
		buf_done(&b);
		return REPORT_USAGE;
	}
	/* `pyspy-report FILE ...` is `top FILE ...`: the program's own name stands where the verb would */
	return looks_like_file(word) ? cmd_top_verb.run(&cmd_top_verb, argc, argv) : unknown(word);
}

int main(int argc, char **argv)
{
	guard_streams();
	signal(SIGPIPE, SIG_IGN);
	log_init("pyspy-report", false);
	return check_stdout(dispatch(argc, argv));
}
