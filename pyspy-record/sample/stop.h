/* stop: threads that are stopped for a moment, and what became of it.
 *
 * Three users: stops that certify (target_stop), --blocking, which stops each running thread for its sample
 * (blocking.c), and snapshots, which stop who holds the GIL (snapshot.c). A thread is attached for the one stop only: a
 * thread that stays traced would wait for us at each of its signals. If the recorder dies, the kernel lets the thread
 * go. If the recorder itself is stopped (SIGSTOP) while a thread stands, a timer of ours sends us SIGCONT: the kernel
 * delivers it to a stopped process too.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "format/wire.h"

struct target;
struct sample_thread;
struct writer;

enum { STOPS_PENDING_MAX = 64 };

/* A thread that did not come to rest in time: it is let go as soon as it does. */
struct stops_pending {
	pid_t pid, tid;
	uint64_t looked_ns; /* CLOCK_MONOTONIC: it ran still, or did not stand yet */
};

/* The session's. */
struct stops {
	uint64_t n, total_ns, longest_ns;    /* from a moment just before it came to rest until it was let go */
	uint64_t lengths[WIRE_STOP_LENGTHS]; /* how many: buckets of format/lengths.h */
	uint64_t in_syscall, given_up;       /* came to rest in a system call; not in time */
	struct stops_pending pending[STOPS_PENDING_MAX];
	size_t n_pending;
	uint64_t back_ns; /* threads that ran waited so long for a CPU after their stops: see stops_ways_back */
	bool is_open;     /* between stops_begin and stops_end */
	bool is_waiting;  /* within stops_one */
	pid_t ended_pid;  /* waiting for a stop brought the end of this process instead, 0 = of none ... */
	int ended_status; /* ... with this wait status */
};

/* Around one or more stops: no signal of the terminal stops us, the timer runs. False: there is no timer; no stops. */
bool stops_begin(struct stops *s);
void stops_end(struct stops *s);
/* Between stops_begin and stops_end: stop the thread, read and walk it, let it go. True: it stood; *rc says what
 * reading or walking said, and the frames in t->walk are certain. False: it would not stand within wait_ns (then it is
 * let go when it does), has ended (then a census is due), or may not be stopped (*rc: ERR_PERMISSION). */
bool stops_one(struct stops *s, struct target *t, struct sample_thread *th, uint64_t wait_ns, int *rc);
/* The same with something else done while it stands: *rc is what `doing` returned. Within it another one may be stopped
 * in addition. */
typedef int stops_doing(void *ctx, struct target *t, struct sample_thread *th);
bool stops_while(struct stops *s, struct target *t, struct sample_thread *th, uint64_t wait_ns, stops_doing *doing,
                 void *ctx, int *rc);
/* Was it asked to stop, and has not been let go yet? stops_one goes on waiting for it then. */
bool stops_is_pending(const struct stops *s, pid_t tid);
/* May one more thread be asked to stop? */
bool stops_has_room(const struct stops *s);
/* Whoever comes to rest while we sleep shall not stand until others let us have a CPU: until the next stops_settle we
 * run before all ordinary programs, where we may. */
void stops_before_sleep(struct stops *s);
/* Let go of threads that have come to rest by now; true while there are any that have not. */
bool stops_settle(struct stops *s);
/* What threads waited for a CPU after their stops, since the last call: where others want that CPU, the stop is the
 * smaller part of what it costs them. */
uint64_t stops_ways_back(struct stops *s);
/* What became of them: the counters of the recording. */
void stops_tell(const struct stops *s, struct writer *w);
