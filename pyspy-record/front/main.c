/* pyspy: py-spy's own command line; the work is done by the pyspy-record and pyspy-report beside this program. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/log.h"
#include "pyspy-record/front/front_commands.h"
#include "pyspy-record/front/front_completions.h"
#include "pyspy-record/front/front_words.h"

enum { EXIT_FINE = 0, EXIT_ERROR = 1, EXIT_USAGE = 2, EXIT_RECORDER = 125 };

/* A closed standard stream would let the next file that is opened take its place. The wrong way round: using it fails,
 * as it should. */
static void guard_streams(void)
{
	for (int fd = 0; fd <= 2; fd++)
		if (fcntl(fd, F_GETFD) < 0 && errno == EBADF) {
			int got = open("/dev/null", (fd == 0 ? O_WRONLY : O_RDONLY) | O_CLOEXEC);
			if (got >= 0 && got != fd)
				close(got);
		}
}

static void print_commands(FILE *out)
{
	fputs("Examples:\n"
	      "  pyspy record -o profile.svg --pid 12345\n"
	      "  pyspy record -o profile.svg -- python myprogram.py\n\n"
	      "Usage: pyspy COMMAND [options]\n\n"
	      "Takes the command line of py-spy 0.4.3. pyspy-record and pyspy-report can do more.\n\nCommands:\n",
	      out);
	for (const struct front_command *c = front_commands; c->name; c++)
		fprintf(out, "  %-12s %s\n", c->name, c->summary);
	fputs(
	    "\n`pyspy COMMAND --help` says more. -V, --version: the version. Exit status: that of a started program; "
	    "125\n"
	    "when the recorder failed, 126 and 127 when the program could not be run or found. With --pid: 0 fine, 1\n"
	    "error. Always: 2 usage, and commands and options that are not there yet.\n",
	    out);
}

static void print_help(const struct front_command *c)
{
	printf("Examples:\n%s\nUsage: %s\n\n%s\n\nOptions:\n", c->examples, c->usage, c->summary);
	args_help(stdout, c->options);
	if (c->notes)
		printf("\n%s", c->notes);
	if (c->later)
		printf("\nNow: %s.\n", c->later);
}

static int usage(const char *before, const char *word, const char *after)
{
	struct buf b;

	buf_init(&b, 0);
	escape_text(&b, word, strlen(word));
	log_error("%s%s%s; see pyspy --help", before, buf_cstr(&b), after);
	buf_done(&b);
	return EXIT_USAGE;
}

/* pyspy-record, or pyspy-report, takes our place, with our pid, streams and signals. */
static int run_other(char **words, bool is_program)
{
	const char *name = words[0];
	const size_t room = 16; /* for either */
	char path[4096];
	struct buf b;

	ssize_t n = readlink("/proc/self/exe", path, sizeof path - room);
	int error_number = n < 0 ? errno : ENAMETOOLONG;
	path[n > 0 ? n : 0] = 0;
	char *slash = strrchr(path, '/');
	strcpy(slash ? slash + 1 : path, name);
	if (slash && n < (ssize_t)(sizeof path - room)) {
		execv(path, words);
		error_number = errno;
	}
	buf_init(&b, 0);
	escape_text(&b, path, strlen(path));
	log_error("cannot run %s: %s; pyspy, pyspy-record and pyspy-report belong into one folder", buf_cstr(&b),
	          strerror(error_number));
	buf_done(&b);
	return is_program ? EXIT_RECORDER : EXIT_ERROR;
}

/* record, dump and top */
static int command_recorder(const struct front_command *c, int argc, char **argv)
{
	struct front_words words;
	bool is_record = !strcmp(c->name, "record"), is_program = false;
	int rc = is_record                 ? front_words_record(&words, argc, argv, &is_program)
	         : !strcmp(c->name, "top") ? front_words_top(&words, argc, argv, &is_program)
	                                   : front_words_dump(&words, argc, argv);
	int status = EXIT_USAGE;

	if (rc == 0)
		status = run_other(words.v.v, is_program);
	else if (rc == 1) {
		print_help(c);
		status = EXIT_FINE;
	} else if (rc == ERR_NO_MEMORY)
		status = is_program ? EXIT_RECORDER : EXIT_ERROR;
	front_words_done(&words);
	return status;
}

static int command_completions(const char *shell)
{
	if (!shell)
		return usage("no shell named: ", front_shells, "");
	if (front_completions_write(stdout, shell) < 0)
		return usage("", shell, ": no completions for this shell; bash, elvish, fish, powershell or zsh");
	return EXIT_FINE;
}

static int command_help(const char *word)
{
	const struct front_command *c = word ? front_command_named(word) : NULL;

	if (word && !c)
		return usage("", word, ": no such command");
	if (c)
		print_help(c);
	else
		print_commands(stdout);
	return EXIT_FINE;
}

/* A command whose words are looked at here: completions, help, and those that are not there yet. */
static int command_other(const struct front_command *c, int argc, char **argv)
{
	const char *value, *word = NULL;
	struct args a;
	int id;

	args_init(&a, c->options, argc, argv, c->later != NULL);
	while ((id = args_next(&a, &value)) != ARGS_END) {
		if (id == ERR_USAGE) {
			log_error("%s; see pyspy %s --help", a.message, c->name);
			return EXIT_USAGE;
		}
		if (id == FRONT_HELP) {
			print_help(c);
			return EXIT_FINE;
		}
		if (id == ARGS_POSITIONAL && word)
			return usage("", value, ": one word too many");
		if (id == ARGS_POSITIONAL)
			word = value;
	}
	if (c->later) {
		log_error("%s: %s", c->name, c->later);
		return EXIT_USAGE;
	}
	return !strcmp(c->name, "help") ? command_help(word) : command_completions(word);
}

static int dispatch(int argc, char **argv)
{
	const char *word = argc > 1 ? argv[1] : NULL;

	if (!word) {
		log_error("no command; record is one, see pyspy --help");
		return EXIT_USAGE;
	}
	if (!strcmp(word, "-h") || !strcmp(word, "--help"))
		return command_help(NULL);
	if (!strcmp(word, "-V") || !strcmp(word, "--version")) {
		puts("pyspy " PYSPY_VERSION);
		return EXIT_FINE;
	}
	if (*word == '-')
		return usage("unknown option ", word, " before the command");
	const struct front_command *c = front_command_named(word);
	if (!c)
		return usage("", word, ": no such command (record top dump completions help)");
	if (!strcmp(c->name, "record") || !strcmp(c->name, "dump") || !strcmp(c->name, "top"))
		return command_recorder(c, argc - 1, argv + 1);
	return command_other(c, argc - 1, argv + 1);
}

int main(int argc, char **argv)
{
	guard_streams();
	log_init("pyspy", false);
	int status = dispatch(argc, argv);
	errno = 0;
	if ((fflush(stdout) || ferror(stdout)) && errno != EPIPE && status == EXIT_FINE) {
		log_error("cannot write to standard output: %s; choose another place", strerror(errno ? errno : EIO));
		return EXIT_ERROR;
	}
	return status;
}
