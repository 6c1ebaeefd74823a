/* spawn: start a program, hand it its signals, learn how it ended.
 *
 * The program gets the recorder's own stdin, stdout, stderr, environment, and the signal mask and dispositions that the
 * recorder was started with. It is not killed when the recorder dies.
 */
#pragma once
#include <signal.h>
#include <stdbool.h>
#include <sys/types.h>

/* The signals that a recorder treats in its own way, and whose dispositions the program gets back. */
#define SPAWN_SIGNALS                                                                                                  \
	{                                                                                                              \
		SIGINT, SIGTERM, SIGHUP, SIGPIPE, SIGXFSZ, SIGCHLD                                                     \
	}
enum { SPAWN_N_SIGNALS = 6 };

struct spawn {
	pid_t pid;
	bool ended;
	int wait_status; /* as from waitpid, once ended */

	bool stdout_to_stderr; /* to be set before spawn_start: our stdout carries something else */
	/* Instead of exec, in the child, with all signals blocked; returns errno. NULL: exec, with the signals of our
	 * start. */
	int (*enter)(const struct spawn *s, char *const *argv);
	const void *enter_arg;
	bool has_original;
	sigset_t mask; /* of the recorder's own start */
	struct sigaction actions[SPAWN_N_SIGNALS];
};
/* Empty, and remembers mask and dispositions as they are now: call it before any is changed. */
void spawn_init(struct spawn *s);
/* Start argv[0] (searched in PATH) with argv. Returns after exec succeeded.
 * 0; ERR_SYSTEM with *error_number = errno of exec (ENOENT, EACCES, ENOEXEC ...) or fork.
 * `s` is zero, or from spawn_init. SIGCHLD gets its default action: else the kernel would throw the status away. */
int spawn_start(struct spawn *s, char *const *argv, int *error_number);
/* Has it ended? Never blocks. Takes no ptrace stop away from whoever waits for one. */
bool spawn_poll(struct spawn *s);
/* Wait for its end (restarts after signals; SIGTERM/SIGHUP that arrive meanwhile are passed on by the handlers' owner).
 */
void spawn_wait(struct spawn *s);
/* Send it a signal, if it has not ended. Async-signal-safe. */
void spawn_signal(const struct spawn *s, int signal);
/* Leave as the program did: exit with its status, or die of the same signal (no core file, signal re-raised with
 * default action). Does not return. */
void spawn_exit_like(const struct spawn *s) __attribute__((noreturn));
