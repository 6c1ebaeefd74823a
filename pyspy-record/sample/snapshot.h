/* snapshot: all threads of a process at one moment.
 *
 * Flow:    target -> [snapshot] -> show/.
 * How:     a thread that stands still (it sleeps, or waits for a CPU that we are on) has a certain stack. Who holds a
 * GIL is stopped meanwhile, and so nobody can change what another thread of that interpreter has on its stack; a thread
 * that runs without anybody holding the GIL is stopped too. Nobody else is. Then all is read at once, names included.
 * When the GIL has moved between the look and the stop, again.
 * In a core file (target_open_core) all of that is true already; who waits for what is told by the threads' registers.
 * Without stops (--nonblocking; 2.x, 3.3 and 3.4, whose interrupted calls fail) what runs is looked at a few times, and
 * is not certain.
 */
#pragma once
#include "pyspy-record/sample/target.h"

struct snapshot_frame {
	code_id code; /* in target.codes */
	struct walk_frame frame;
	struct linetable_place place;
};

struct snapshot_thread {
	struct sample_thread *thread; /* the target's */
	char state;                   /* letter of /proc/PID/task/TID/stat; 0 = not known */
	uint32_t flags;               /* WIRE_FLAG_GIL, GIL_WAIT, GC */
	bool is_certain;              /* this was its stack, at the moment of the snapshot */
	bool is_cut;                  /* outermost frames are missing */
	bool has_crashed;             /* in a core: it got the signal that ended the process */
	bool is_torn;                 /* no stack could be made of what was read */
	size_t first, n;              /* in snapshot.frames, innermost first */
	bool ran_in_visit;            /* once */
};

struct snapshot {
	uint64_t realtime_ns;
	VEC(struct snapshot_thread) threads; /* the main thread first, then by tid */
	VEC(struct snapshot_frame) frames;
	unsigned tries;
	bool may_stop;
	bool is_moved; /* somebody ran while the visit looked */
};

/* What is done with each snapshot that is good, while the threads still stand: look at what frames refer to, and end by
 * until_ns (CLOCK_MONOTONIC; 0: nobody stands). NULL = nothing. True: what it saw must be of one moment; where a thread
 * ran meanwhile all is looked at again, a few times, and is_moved tells that it was of no use. */
typedef bool snapshot_visit(void *ctx, struct target *t, struct snapshot *s, uint64_t until_ns);
/* Once, when it is known who is there, and nobody stands. NULL = nothing. */
typedef void snapshot_prepare(void *ctx, struct target *t);
struct snapshot_looks {
	snapshot_prepare *prepare;
	snapshot_visit *visit;
	void *ctx;
};

/* t is open, and was not looked at yet; stops->n etc. count. 0; ERR_GONE: it has ended; ERR_AGAIN: its threads could
 * not be made out; ERR_MEMORY_READ; ERR_NO_MEMORY. snapshot_done in any case; threads point into t. */
int snapshot_take(struct target *t, struct stops *stops, bool may_stop, const struct snapshot_looks *looks,
                  struct snapshot *s);
void snapshot_done(struct snapshot *s);
/* Add a frame to s->frames that is on no thread's stack. interp: index in t->interps. As target_resolve. */
int snapshot_add_frame(struct target *t, struct snapshot *s, uint32_t interp, const struct walk_frame *f);
