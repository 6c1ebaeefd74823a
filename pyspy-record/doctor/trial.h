/* trial: what the kernel lets us do, by doing it, in a child: a seccomp filter may kill whoever asks.
 *
 * Nothing is done to a process that is not ours, but for reading 16 bytes of it. A process of our own, which is
 * nobody's descendant any more, is read and stopped: for it the same rules hold as for any other of this user. Blocks:
 * some ms; ten seconds at the most.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

struct trial {
	bool was_made; /* false: it could not be tried */
	bool worked;
	int error_number; /* else why not, from errno */
	int killed_by;    /* or the signal that ended who tried; 0 = none */
};

/* Read a process's memory: 16 bytes at `address` of it (0: none is known; then only the right is asked for). */
void trial_memory(pid_t pid, uint64_t address, struct trial *t);

struct trial_own {
	struct trial child;  /* reading one that is our descendant */
	struct trial orphan; /* reading one that is not */
	struct trial stop;   /* stopping this one */
};
void trial_own(struct trial_own *t);

struct trial_kernel {
	struct trial open;
	bool has_clocks; /* perf events are allowed, too */
	uint32_t tick_hz;
	char why[400]; /* "what: why; what to do" */
};
void trial_kernel(unsigned n_threads, struct trial_kernel *t);

/* "Operation not permitted (errno 1)", or which signal it was. Valid until the next call. */
const char *trial_words(const struct trial *t);
