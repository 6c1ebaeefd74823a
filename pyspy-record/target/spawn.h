/* spawn: start a program, hand it its signals, learn how it ended.
 *
 * The program gets the recorder's own stdin, stdout, stderr, environment, original signal mask and dispositions.
 */
#pragma once
#include <stdbool.h>
#include <sys/types.h>

struct spawn {
	pid_t pid;
	bool ended;
	int wait_status; /* as from waitpid, once ended */
};
/* Start argv[0] (searched in PATH) with argv. Returns after exec succeeded.
 * 0; ERR_SYSTEM with *error_number = errno of exec (ENOENT, EACCES, ENOEXEC ...) or fork. */
int spawn_start(struct spawn *s, char *const *argv, int *error_number);
/* Has it ended? Never blocks. */
bool spawn_poll(struct spawn *s);
/* Wait for its end (restarts after signals; SIGTERM/SIGHUP that arrive meanwhile are passed on by the handlers' owner).
 */
void spawn_wait(struct spawn *s);
/* Leave as the program did: exit with its status, or die of the same signal (no core file, signal re-raised with
 * default action). Does not return. */
void spawn_exit_like(const struct spawn *s) __attribute__((noreturn));
