#include "pyspy-report/live/live_child.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/log.h"
#include "libcommon/vec.h"

/* The first picture shall be there within half a second. */
#define FLUSH "--flush=200ms"
enum { PIPE_BYTES = 1 << 20, SAID_MAX = 256 << 10, SAID_LINES = 20 };
static const char recorder[] = "pyspy-record";

static int open_output(struct live_child *c)
{
	const char *folder = getenv("TMPDIR");

	if (!folder || !*folder || strlen(folder) > 30)
		folder = "/tmp";
	snprintf(c->output, sizeof c->output, "%s/pyspy-top-XXXXXX", folder);
	int fd = mkostemp(c->output, O_CLOEXEC | O_APPEND);
	if (fd < 0)
		c->output[0] = 0;
	return fd;
}

/* In the child. */
static void run(int out, int err, char **words)
{
	char path[4096];
	ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof recorder);
	int in = isatty(STDIN_FILENO) ? open("/dev/null", O_RDONLY | O_CLOEXEC) : -1;
	sigset_t none;

	setpgid(0, 0);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	if (in >= 0)
		dup2(in, STDIN_FILENO);
	dup2(out, STDOUT_FILENO);
	dup2(err, STDERR_FILENO);
	path[n > 0 ? n : 0] = 0;
	char *slash = strrchr(path, '/');
	if (slash) {
		memcpy(slash + 1, recorder, sizeof recorder);
		execv(path, words);
	}
	execvp(recorder, words);
	dprintf(STDERR_FILENO, "pyspy-record: cannot run: %s; it belongs beside pyspy-report, or into PATH\n",
	        strerror(errno));
	_exit(127);
}

int live_child_start(struct live_child *c, char *const *args, size_t n_args, const char **what)
{
	VEC(char *) words = {0};
	int pipes[2] = {-1, -1}, output;
	bool ok = vec_push(&words, (char *)recorder) && vec_push(&words, "-o") && vec_push(&words, "-") &&
	          vec_push(&words, FLUSH);

	memset(c, 0, sizeof *c);
	c->fd = -1;
	for (size_t i = 0; i < n_args && ok; i++)
		ok = vec_push(&words, args[i]);
	ok = ok && vec_push(&words, NULL);
	*what = "make a pipe";
	if (!ok || pipe2(pipes, O_CLOEXEC) < 0)
		goto failed;
	fcntl(pipes[0], F_SETPIPE_SZ, PIPE_BYTES); /* room for a moment in which we are stopped */
	*what = "make a file for the program's output in TMPDIR";
	output = open_output(c);
	if (output < 0)
		goto failed;
	*what = "start pyspy-record";
	c->pid = fork();
	if (c->pid == 0)
		run(pipes[1], output, words.v);
	close(output);
	if (c->pid < 0)
		goto failed;
	setpgid(c->pid, c->pid);
	close(pipes[1]);
	c->fd = pipes[0];
	vec_free(&words);
	return 0;
failed:;
	int error_number = errno;
	if (pipes[0] >= 0) {
		close(pipes[0]);
		close(pipes[1]);
	}
	if (c->output[0])
		unlink(c->output);
	c->pid = 0;
	vec_free(&words);
	errno = error_number;
	return ERR_SYSTEM;
}

void live_child_signal(const struct live_child *c, int signal)
{
	if (c->pid > 0 && !c->has_ended)
		kill(c->pid, signal);
}

bool live_child_wait(struct live_child *c, int ms)
{
	for (;;) {
		if (!c->pid || c->has_ended)
			return true;
		pid_t got = waitpid(c->pid, &c->status, WNOHANG);
		if (got == c->pid || (got < 0 && errno == ECHILD))
			return c->has_ended = true;
		if (ms <= 0)
			return false;
		poll(NULL, 0, ms < 10 ? ms : 10);
		ms -= 10;
	}
}

int live_child_status(const struct live_child *c)
{
	return WIFEXITED(c->status) ? WEXITSTATUS(c->status) : WIFSIGNALED(c->status) ? 128 + WTERMSIG(c->status) : 1;
}

/* The recorder's own lines, but those that tell of the recording, which we do. */
static bool matters(const char *line)
{
	static const char *const ours[] = {"recording ", "recorded ", "wrote ", "attached ", "note: "};

	if (strncmp(line, recorder, sizeof recorder - 1) != 0 || strncmp(line + sizeof recorder - 1, ": ", 2) != 0)
		return false;
	line += sizeof recorder + 1;
	if (strstr(line, " samples of "))
		return false;
	for (size_t i = 0; i < sizeof ours / sizeof *ours; i++)
		if (strncmp(line, ours[i], strlen(ours[i])) == 0)
			return false;
	return true;
}

bool live_child_tell(struct live_child *c, bool is_program)
{
	static char said[SAID_MAX + 1];
	bool complained = false, has_output = false;
	struct stat st;
	int fd = c->output[0] ? open(c->output, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && st.st_size > SAID_MAX)
		has_output = true;
	ssize_t n = read(fd, said, SAID_MAX);
	close(fd);
	said[n > 0 ? n : 0] = 0;
	char *rest = said, *line;
	for (int lines = 0; (line = strsep(&rest, "\n"));) {
		bool is_ours = strncmp(line, recorder, sizeof recorder - 1) == 0;

		has_output |= *line && !is_ours;
		if (!matters(line) || lines++ >= SAID_LINES)
			continue;
		struct buf b;
		buf_init(&b, 0);
		escape_text(&b, line, strlen(line));
		fprintf(stderr, "%s\n", buf_cstr(&b));
		buf_done(&b);
		complained = true;
	}
	if (has_output && is_program)
		log_info("the program's output is in %s", c->output);
	else
		unlink(c->output);
	c->output[0] = 0;
	return complained;
}
