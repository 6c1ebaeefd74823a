/* live_child: the pyspy-record that runs beside this program and writes to a pipe. */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

struct live_child {
	pid_t pid;       /* 0: none, or it was waited for */
	int fd;          /* its recording */
	char output[64]; /* file with what it, and a program that it started, wrote; "" = none (any more) */
	bool has_ended;
	int status; /* of waitpid */
};

/* Start `pyspy-record -o - --flush T ARGS...` from beside this program, or from PATH. It is in a process group of its
 * own: Ctrl-C is ours. Standard input is passed on unless it is the terminal. 0, or ERR_SYSTEM: *what failed, errno.
 */
int live_child_start(struct live_child *c, char *const *args, size_t n_args, const char **what);
/* For signal handlers: ask it to end. */
void live_child_signal(const struct live_child *c, int signal);
/* Has it ended? Waits at most so long. */
bool live_child_wait(struct live_child *c, int ms);
/* Its exit status as the shell would say it. */
int live_child_status(const struct live_child *c);
/* Say what the recorder said that matters, and where the program's output is (`is_program`); remove the file when there
 * is nothing in it. True: it complained. */
bool live_child_tell(struct live_child *c, bool is_program);
