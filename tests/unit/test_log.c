#include <fcntl.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "libcommon/log.h"
#include "tests/unit/support_test.h"

/* stderr goes to `fd` until release. */
static int catch_stderr(int fd)
{
	int keep = dup(STDERR_FILENO);

	fflush(stderr);
	dup2(fd, STDERR_FILENO);
	return keep;
}

static void release(int keep)
{
	fflush(stderr);
	dup2(keep, STDERR_FILENO);
	close(keep);
}

static void say(bool quiet)
{
	log_init("prog", quiet);
	log_progress("working");
	log_info("info %d", 1);
	log_progress("working more");
	log_error("error %s", "two");
	log_progress("again");
	log_progress("");
}

static void check_file(bool quiet, const char *want)
{
	FILE *f = tmpfile();
	char got[256] = "";
	int keep = catch_stderr(fileno(f));

	say(quiet);
	release(keep);
	rewind(f);
	got[fread(got, 1, sizeof got - 1, f)] = 0;
	fclose(f);
	assert_string_equal(got, want);
}

static void test_file(void **state)
{
	check_file(false, "prog: info 1\nprog: error two\n");
	check_file(true, "prog: error two\n");
}

/* What the terminal was sent, `want` bytes of it: the kernel hands each write on by itself, and by and by. */
static void read_shown(int fd, char *got, size_t size, size_t want)
{
	struct pollfd wait = {.fd = fd, .events = POLLIN};
	size_t n = 0;
	while (n < want && n < size - 1 && poll(&wait, 1, 5000) > 0) {
		ssize_t some = read(fd, got + n, size - 1 - n);
		if (some <= 0)
			break;
		n += (size_t)some;
	}
	got[n] = 0;
}

/* The progress line is cleared before a message, and cut to the terminal's width. */
static void test_terminal(void **state)
{
	static const char PLAIN[] = "prog: info 1\r\nprog: error two\r\n";
	static const char WANT[] = "working\r\033[Kprog: info 1\r\nworking \r\033[Kprog: error two\r\nagain\r\033[K";
	struct winsize w = {.ws_row = 24, .ws_col = 9};
	int other = posix_openpt(O_RDWR | O_NOCTTY), terminal, keep;
	char got[256] = "";

	if (other < 0 || grantpt(other) != 0 || unlockpt(other) != 0 || !ptsname(other))
		skip();
	setenv("TERM", "xterm", 1);
	terminal = open(ptsname(other), O_RDWR | O_NOCTTY);
	assert_true(terminal >= 0);
	ioctl(terminal, TIOCSWINSZ, &w);
	keep = catch_stderr(terminal);
	say(false);
	release(keep);
	read_shown(other, got, sizeof got, strlen(WANT));
	assert_string_equal(got, WANT);
	keep = catch_stderr(terminal);
	setenv("TERM", "dumb", 1);
	say(false);
	release(keep);
	read_shown(other, got, sizeof got, strlen(PLAIN));
	assert_string_equal(got, PLAIN);
	close(terminal);
	close(other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_file), cmocka_unit_test(test_terminal)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
