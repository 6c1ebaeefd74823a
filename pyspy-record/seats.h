/* seats: the processes of a session: each is taken when its interpreter is found, and left when it ends or becomes
 * another program.
 */
#pragma once
#include "pyspy-record/drain.h"
#include "pyspy-record/sample/target.h"
#include "pyspy-record/target/spawn.h"

/* One process of the session. */
struct seat {
	struct target target;
	bool open;      /* an interpreter is being looked at */
	bool reopening; /* the process executed another program: wait for its interpreter */
	pid_t pid;      /* 0 once it has ended */
	uint32_t exec_number;
	uint64_t census_next_ns, names_next_ns, reopen_until_ns; /* CLOCK_MONOTONIC */
};

struct seats_totals {
	struct target_counts counts;
	struct events_counts events;
	uint64_t reads, repairs, codes, nodes;
	size_t n_threads;      /* now */
	uint64_t threads_seen; /* ever */
};

/* Who may be stopped. One that goes to sleep just as its stop is sent has a system call interrupted, which 3.5 and
 * later try again and older ones tell the program of (EINTR). EACH: --blocking, all of them, for every sample. */
enum seats_stop { SEATS_STOP_NONE, SEATS_STOP_WHO_RETRY, SEATS_STOP_ALL, SEATS_STOP_EACH };

struct seats {
	struct seat *v;
	size_t n;
	struct spawn *spawn; /* the started program among them, or NULL */
	struct writer *w;
	struct drain *drain; /* of what the kernel samples; its kernel is NULL when all is sampled from outside */
	struct hold *hold;   /* the session's */
	enum seats_stop stop;
	struct stops stops;
	uint64_t least_share;     /* looking who is there takes at most 1 / this of the time; 0 = the usual part */
	uint64_t wait_ns;         /* how long a process that executed another program may take until Python appears */
	struct seats_totals past; /* of targets that were closed */
};

/* Samples taken while the thread's CPU was held (hold.h), of the processes that are open. */
uint64_t seats_held(const struct seats *s);
/* Begin to sample seat->target, just opened. */
void seats_take(struct seats *s, struct seat *seat);
/* Is there a process that ticks are needed for? */
bool seats_want_ticks(const struct seats *s);
/* Is the process of this seat still there, and still the program that we know? */
void seats_check(struct seats *s, struct seat *seat, uint64_t now);
/* A tick: a sample of every thread of every process that the kernel does not sample. `now`: CLOCK_MONOTONIC. */
void seats_pass(struct seats *s, uint64_t now);
/* Who is there, what are they called: where due, within a share of the time. */
void seats_look_around(struct seats *s);
/* Has the started program ended meanwhile? */
void seats_poll(struct seats *s);
/* Is there a sample that waits for a certificate? */
bool seats_want_stop(const struct seats *s);
/* The CPU of a thread that wants a certificate and runs; -1 = none. */
int seats_cpu_to_hold(const struct seats *s, uint64_t draw);
/* Stop one thread that wants a certificate; returns the ns that it stood. `draw`: a random number. */
uint64_t seats_stop(struct seats *s, uint64_t draw);
/* Let go of threads that would not stop in time; true while there are any. */
bool seats_settle(struct seats *s);
/* Before and after the writer's flush. */
void seats_before_flush(struct seats *s, uint64_t boot_ns, bool is_last);
void seats_after_flush(struct seats *s);
/* Tables have grown: a flush is due. */
bool seats_are_large(const struct seats *s);
bool seats_all_ended(const struct seats *s);
struct seats_totals seats_totals(const struct seats *s);
void seats_close(struct seats *s);
