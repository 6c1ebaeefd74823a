/* events: samples that the kernel took -> events of the recording, with weights that add up.
 *
 * Flow:    kernel/engine (records, tasks) -> [events] -> python/walk, resolve, trie -> writer.
 * How:     each sample becomes an event. Only at a flush the weights are known: the kernel keeps exact time on the CPU
 * of each thread, so the events on its CPU since the last flush share that in equal parts, and those off its CPU share
 * the rest of the wall time, each by how long its sleep was (times the chance that it was sampled with). So the weights
 * of a thread add up to wall time. Time without any event is kept for the next flush. A long sleep that goes on when
 * the ring is drained is looked at from outside, once (way "standing still"): its thread's count of switches, before
 * and after the read, proves that it stood. Memory:  the events of one flush; a record of 200 bytes a thread.
 */
#pragma once
#include "libcommon/map.h"
#include "libcommon/vec.h"
#include "pyspy-record/emit/writer.h"
#include "pyspy-record/kernel/engine.h"
#include "pyspy-record/sample/lockstep.h"

struct target;
struct sample_thread;

enum {
	EVENTS_MAX = 1 << 18,
	/* To set a period interrupts the thread's CPU, and we wait for it; and it loses the one that runs. So it is not
	 * done before so many samples, and so much of the thread's time; oftener for clocks that the tick is compared
	 * with (events_clock.c), whose samples are evidence. */
	EVENTS_VARY_EACH = 10,
	EVENTS_VARY_NS = 100 * 1000 * 1000,
};

/* Times that are told apart, exactly. */
enum events_class {
	EVENTS_ON,    /* on the CPU */
	EVENTS_READY, /* off it, but it could run */
	EVENTS_OFF,
	EVENTS_CLASSES
};

/* The sleep of a thread that goes on, or its last one. */
struct events_sleep {
	bool goes_on, is_known; /* known: `node` is its stack */
	bool is_seen;           /* it went on while the ring was drained: it counts as it is, not by its chance */
	bool is_proving;        /* read from outside; that it stood still is to be proved yet */
	uint64_t switches;      /* which one; 0 = the kernel's program did not see it begin */
	uint64_t told_ns;       /* until when events tell of it; CLOCK_MONOTONIC */
	uint32_t chance;        /* one in chance/256 */
	uint32_t node, trie_epoch, flags;
	thread_id id;
};

/* What a thread was seen doing last. */
struct events_last {
	uint32_t node, trie_epoch, flags;
	thread_id id; /* 0 = nothing yet */
};

/* What became of the thread's last list of frames, and what that depended on beside them. The same list again, with all
 * of this as it was, is the same stack. */
struct events_known {
	uint32_t slot, round, serial, is_cut; /* serial 0: nothing is known */
	struct events_basis {
		uint64_t tstate, interp, next, generation_before, generation_after;
		uint32_t cut, codes_epoch, trie_epoch, has_generation;
	} basis;
	uint32_t node, n; /* n: frames of the list */
};

/* One OS thread. */
struct events_thread {
	pid_t tid;
	struct sample_thread *thread; /* NULL: it has no thread state (any more) */
	struct kernel_task task;      /* as of the last snapshot; tid 0 = never seen */
	bool has_ended;
	bool is_brief; /* of a flush: it came and went since the last one */
	uint64_t end_ns, end_cpu_ns, end_ready_ns;
	uint64_t told_ns; /* wall time is told up to here; CLOCK_MONOTONIC; 0 = came after us, not told yet */
	uint64_t cpu_told_ns, ready_told_ns; /* of task.cpu_ns, ready_ns */
	int64_t cpu_base_ns;            /* by schedstat, beyond what the kernel's program has added up (task.cpu_ns) */
	uint64_t base_switches;         /* of the sleep in which that was found; 0 = not known for certain */
	int64_t base_told_ns;           /* cpu_base_ns as of the last flush */
	double early_ns;                /* of this flush: ends of sleeps that the kernel accounts as runs already */
	uint64_t cpu_start_ns;          /* schedstat's CPU time when we came */
	int64_t due_ns[EVENTS_CLASSES]; /* to be told: of this flush and what is left from before */
	/* Off the CPU, by the length of sleeps: a few samples of many short sleeps and some long ones would else give
	 * the time of the long ones to the short ones whenever none of them was met. */
	uint64_t slept_told_ns[KERNEL_LENGTHS]; /* of task.slept_ns */
	int64_t slept_due_ns[KERNEL_LENGTHS];   /* of sleeps that were not seen going on */
	double slept_raw[KERNEL_LENGTHS];
	struct events_last last_slept[KERNEL_LENGTHS];
	int64_t held_ns;                          /* part of due_ns of which no sleep of its length was sampled yet */
	double raw[EVENTS_CLASSES];               /* sums of the raw weights of this flush's events */
	double sleeps;                            /* that they stand for; */
	double early_step, early_next, early_raw; /* of early_ns: of which of them there are events, and their weight */
	struct events_sleep sleep;
	struct events_known known;
	uint32_t last_node, last_trie_epoch, last_flags; /* of the last event */
	thread_id last_id;
	int clock_fd;             /* of its own clock, -1 = none */
	bool has_clock;           /* one was asked for */
	uint64_t n_clock;         /* samples by it */
	uint64_t period_ns;       /* its mean */
	uint64_t varied_n;        /* as of n_clock: since then */
	uint64_t vary_at;         /* when it has made so many, it gets another period */
	uint32_t vary_looks;      /* times that it was put off since */
	uint64_t compared_cpu_ns; /* of task.cpu_ns: up to here ticks were expected */
	bool lacks_clock;         /* it could not be had: sampled on the CPU's tick */
	bool bound_tick;
	bool was_bound;   /* and not unbound since: the kernel's program may have dropped it */
	uint32_t bound_n; /* as the kernel's program knows it */
	struct {
		uint64_t tstate, interp, gil;
	} bound[KERNEL_STATES_MAX];
};

struct events_event {
	uint64_t time_ns; /* CLOCK_MONOTONIC */
	double raw;       /* raw weight: off the CPU how long, times the chance; on it the period */
	uint32_t thread;  /* index in events.threads */
	thread_id id;
	double sleeps;  /* as many does it stand for; 0 where length is 0 */
	uint8_t length; /* of the sleep, kernel_length + 1; 0 = it was seen going on, or is none */
	uint32_t node;  /* in the target's trie; not known when the stack was torn */
	stack_id stack;
	uint32_t flags;
};

/* Threads that came and went between two flushes. Most of them end before any sample: the samples of the others share
 * the time of all, else the shorter a thread lives the less it would count. */
struct events_brief {
	int64_t due_ns[EVENTS_CLASSES];
	double raw[EVENTS_CLASSES];
	struct events_event last; /* id 0 = none yet */
	uint32_t last_trie_epoch;
};

struct events_counts {
	uint64_t tick, clock, at_switch, still, lost, cut, no_clock;
};

struct events {
	struct kernel *kernel; /* NULL: this process is sampled from outside */
	struct kernel_process rules;
	uint64_t begin_ns; /* CLOCK_MONOTONIC */
	struct map by_tid; /* tid -> index + 1 in threads */
	VEC(struct events_thread) threads;
	struct events_brief brief;
	VEC(struct events_event) list;       /* since the last flush */
	VEC(struct rec_event) out;           /* scratch of a flush */
	VEC(struct sample_thread *) to_read; /* scratch of a look */
	uint64_t stamp;                      /* counts drains and looks */
	struct lockstep lockstep;            /* is the tick a good moment for this program? */
	uint32_t n_clocks;
	uint64_t switches_told, paced_ns; /* samples at switches, and when they were looked at last: see events_pace */
	double worth, worth_before;       /* the engine's period, and what it was before worth_ns */
	uint64_t worth_ns;
	bool own_clock;     /* running threads have clocks of their own */
	bool census_made;   /* in this drain, for a thread that was not known */
	uint64_t news;      /* things seen for the first time: drain sooner */
	uint64_t code_news; /* of these, samples with code objects seen for the first time, or gone already */
	struct events_counts counts;
};

/* Hand the process to the kernel, from now on. 0 or an error; then it is sampled from outside. */
int events_begin(struct target *t, struct writer *w, struct kernel *k);
/* Sample it from outside from now on. */
void events_give_up(struct target *t, struct writer *w, uint64_t now_ns);
/* Let go of it; what is not flushed is lost. Nothing when it is not the kernel's. */
void events_done(struct target *t);
/* Is this process the kernel's? */
static inline bool events_is_on(const struct events *e)
{
	return e->kernel != NULL;
}
/* After a census: who is there now. */
void events_bind(struct target *t);
/* Before the records of a drain, after target_words. */
void events_before_drain(struct target *t);
/* From now on each sample wakes the recorder, or none does. */
void events_eager(struct target *t, bool is_eager);
/* A record of this process. 0. */
int events_record(struct target *t, struct writer *w, const struct kernel_record *r, size_t n);
/* A task of the snapshot. `draw`: a random number. */
void events_task(struct target *t, const struct kernel_task *task, uint64_t draw);
/* After a drain and a snapshot (now_ns): look at those that sleep for long and are not known. True: take a second
 * snapshot and call events_look_proved. */
bool events_look(struct target *t, struct writer *w, uint64_t now_ns);
void events_look_proved(struct target *t, struct writer *w);
/* After a drain: are stacks taken at switches as often as they should be, and not oftener? */
void events_pace(struct target *t, uint64_t now_ns);
/* The engine's period is another one now (kernel_slow). */
void events_rate(struct target *t);
/* After a drain: is the tick to be trusted? */
void events_judge(struct target *t);
/* Weights and events of all since the last flush, into the writer. now_ns: of a snapshot, CLOCK_MONOTONIC. is_last: of
 * this process; whatever time there is left is told. */
void events_flush(struct target *t, struct writer *w, uint64_t now_ns, bool is_last);

/* Between the parts of events: */
int events_watch(struct target *t); /* tell the kernel's program of the process, as it is now */
/* Tell the kernel's program of a thread that has thread states, if it is not as told before. */
void events_bind_thread(struct target *t, struct events_thread *et);
/* A clock that samples the thread, or one that the tick is compared with. To be bound afterwards: without a clock it
 * wants the tick. */
void events_open_clock(struct events *e, struct events_thread *et);
/* Clocks are so many times slower than the rate: those that the tick is compared with, once it is trusted. */
unsigned events_clock_times(const struct events *e);
/* What this sample on a CPU counts for, beside others of the thread: the period that it was taken with. */
double events_worth(const struct events *e, const struct events_thread *et, const struct kernel_record *r);
/* The tick beside the clock. True: this sample was taken for that only. */
bool events_compare(struct target *t, struct events_thread *et, const struct kernel_sample *m, uint32_t node);
struct events_thread *events_find(struct events *e, pid_t tid);
void events_thread_done(struct events_thread *et);
static inline enum events_class events_class(uint32_t flags)
{
	uint32_t state = flags & WIRE_FLAG_STATE;
	return state == WIRE_STATE_ON_CPU ? EVENTS_ON : state == WIRE_STATE_RUNNABLE ? EVENTS_READY : EVENTS_OFF;
}
/* An event of this thread, in the list. False: no room. */
bool events_add(struct target *t, struct events_thread *et, const struct events_event *v);
/* An event of the sleep that goes on, for the time up to until_ns. */
void events_tell_sleep(struct target *t, struct writer *w, struct events_thread *et, uint64_t until_ns);
/* It is over; so long it was in all. */
void events_sleep_over(struct events_thread *et, uint64_t slept_ns);
/* One that went on when we came, and of which only a later record tells that it is over. */
static inline bool events_is_first_sleep(const struct events_sleep *s)
{
	return s->goes_on && s->is_known && s->switches == 0;
}
uint32_t events_off_flags(uint32_t off_state); /* enum wire_state of enum kernel_off */
