/* target: one process that is sampled: its interpreters, its threads, and what is remembered of them from tick to tick.
 *
 * Flow:    python/, target/ -> [target: census, pass, stop] -> writer.
 * Threads: all of it belongs to the session's one thread.
 */
#pragma once
#include "pyspy-record/emit/writer.h"
#include "pyspy-record/python/codes.h"
#include "pyspy-record/python/interpreter.h"
#include "pyspy-record/python/object_trail.h"
#include "pyspy-record/python/walk.h"
#include "pyspy-record/sample/events.h"
#include "pyspy-record/sample/hold.h"
#include "pyspy-record/sample/stop.h"
#include "pyspy-record/sample/trie.h"
#include "pyspy-record/target/process.h"
#include "pyspy-record/target/taskstate.h"

enum {
	TARGET_INTERPRETERS_MAX = 128, /* the words of all must fit into one batch, with some threads */
	TARGET_INTERPRETERS_SEEN = 4096,
	TARGET_STATES_MAX = 256, /* of one thread */
	TARGET_CALLERS_MAX = 20000,
	TARGET_THREADS_MAX = 32768,
	TARGET_LIVELY_TICKS = 64,
	TARGET_HOLD_SAMPLES = 16
};

/* A frame of the path that a thread was last seen on, outermost first. */
struct path_step {
	raddr_t code_at, instr_at, globals_at;
	uint32_t copy; /* walk_frame.tlbc_index */
	code_id code;
	node_id node;         /* up to and with this frame; that of the caller when the frame was not complete */
	raddr_t at, previous; /* of the frame, as met last */
	uint8_t owner;        /* walk_frame.owner */
};

/* How much of a thread must be looked at in this tick. */
enum thread_look {
	LOOK_SAME, /* it sleeps as it did at the last tick */
	LOOK_READ,
	LOOK_GONE,
};

/* One thread state of a thread: what it is in one interpreter. Most threads have one. */
struct sample_state {
	raddr_t tstate;
	uint64_t id;        /* of all that the interpreter ever had; 0 = it does not number them (up to 3.6) */
	uint32_t interp;    /* index in target.interps */
	uint64_t census;    /* of the last census that saw it */
	uint64_t found_ns;  /* CLOCK_MONOTONIC of the first */
	bool is_empty;      /* it had no frame then (of the last census) */
	bool is_gone;       /* its memory could not be read; until the next census */
	size_t first_piece; /* of a batch that is being read */
	struct walk_thread walk;
};

/* Where a sample found the thread: in its innermost frame's thread state. */
struct sample_top {
	raddr_t tstate;
	uint32_t interp;
	const unsigned char *image; /* the state's bytes, as of the sample */
	bool is_joined;             /* the stack has frames of other interpreters too */
};

/* One OS thread. */
struct sample_thread {
	VEC(struct sample_state *) states; /* at least one; the outermost interpreter's first */
	struct sample_top top;             /* of the last walk */
	uint32_t interp_number;            /* of the interpreter that it is told of with: where it was met first */
	pid_t tid, ns_tid;
	uint64_t pthread, start_ns;
	thread_id id;
	VEC(char) name;
	uint32_t thread_flags;
	bool has_name; /* the name is Python's */
	unsigned name_looks;
	uint64_t name_look; /* that named it last */

	struct taskstate task;
	struct taskstate_run run; /* of this tick */
	struct taskstate_run
	    stop_run; /* when it was stopped last, until the way back from there is known; count 0 = it is */
	enum thread_look look;
	bool blocked; /* stood still when looked at in this tick: it waits in the kernel */
	bool held;    /* the same: it waits for the CPU that we hold */
	bool stopped; /* it stood because we stopped it when it was read */
	struct taskstate_block block;
	int cpu; /* that it was put on last, while run.count == cpu_count: known_cpu in pass.c */
	uint64_t cpu_count;
	VEC(struct path_step) path;
	uint64_t path_generation, path_copies;
	size_t path_proved; /* steps whose objects are not younger than a sample at path_proved_ns (resolve.c) */
	uint64_t path_proved_by, path_proved_ns;
	uint32_t codes_epoch, trie_epoch;

	bool asleep; /* certain stack, valid while run.count == sleep_count */
	uint64_t sleep_count;
	uint32_t sleep_flags; /* state and waiting for the GIL */

	unsigned lively;  /* it ran so few ticks ago that it may again: ticks left */
	unsigned skipped; /* ticks in a row in which it cannot have run, and was not looked at (waiters.c) */
	bool is_checked;  /* looked at all the same: its stack must be what it was */

	bool is_shown; /* the writer has an entry of it that holds */
	node_id node;  /* as last shown */
	bool is_torn;
	uint32_t flags, shown_epoch;
	uint64_t cpu_told_ns;   /* CPU time told to the writer so far */
	bool wants_certificate; /* its last sample was not certified, or brought news */
	bool beside;            /* it waits for the CPU that we run on */
	uint8_t wants_hold;     /* for so many samples more: where one was new, others are soon */
};

/* Who had a GIL, from one tick to the next (waiters.c). */
struct gil_history {
	raddr_t gil; /* 0: not looked at in this tick */
	raddr_t holder, was_holder;
	uint64_t switches;
	bool tells;   /* nobody but these two has had it in between */
	bool is_free; /* and nobody has it now */
};

struct sample_interp {
	raddr_t at, gil;
	uint64_t number;
	bool own_gil;
	/* read with each group of threads */
	struct {
		uint64_t threads_head;
		struct {
			uint64_t last_holder;
			uint32_t locked;
		} gil;
		uint32_t gc, generation_before, generation_after;
		uint32_t gil_enabled; /* free-threaded builds, from outside only */
	} words;
	struct gil_history history;
	uint64_t threads_head; /* as of the census */
	/* of the copies of code (copies.h): seen last, and at which time and in which pass it was seen first */
	struct {
		uint64_t generation, since_ns, since_pass;
	} copies;
	uint32_t highest_version; /* of the code objects read */
};

/* Words that were read together with what lies between them (spans.c). */
enum { WORDS_ROW = 4, WORDS_COPIES = 64, WORDS_BYTES = 8192, WORDS_STRUCT = 1 << 19 };
struct words_copy {
	void *to;
	size_t from, n; /* from: in words.bytes */
};
struct words {
	unsigned char bytes[WORDS_BYTES];
	size_t n_bytes;
	struct words_copy copies[WORDS_COPIES];
	size_t n_copies;
};

/* A thread state as a census finds it. */
struct seen_state {
	raddr_t tstate, root; /* root: the word at frame_root */
	uint64_t id;
	raddr_t place; /* on the C stack of the thread that runs in it; 0 = nowhere, or not known */
	uint64_t pthread;
	pid_t ns_tid;
	uint32_t interp;
	bool is_taken;
};

/* A thread state that another thread may enter than the one that it names (up to 3.12: see states.c). */
struct watched_state {
	raddr_t tstate, root; /* root: read with each group of threads */
	uint64_t pthread;     /* of the thread that it was given to */
	bool was_empty;
};

/* Up to 3.9: where on a thread's C stack the call stands that runs a frame object. */
struct frame_place {
	raddr_t frame, place;
	uint64_t pthread;
};

/* The parts of a stack: frames of one thread state that lie together on the C stack. */
struct join_part {
	uint64_t place; /* where the evaluator was entered; the lower the further in */
	size_t from, n; /* in join.frames */
};
struct join_state {
	struct sample_top top;
	size_t part, end; /* in join.parts: not used yet */
	bool is_cut;
};
struct join {
	VEC(struct walk_frame) frames;
	VEC(struct join_part) parts;
	VEC(struct join_state) states;
	raddr_t running;
};

struct target_counts {
	uint64_t samples, uncertified, reads_failed, torn, limit, unstopped, unproved, held;
};

struct target {
	struct process_facts facts;
	struct reader reader;
	struct interpreter interpreter;
	struct walk walk;
	struct codes codes;
	struct trie trie;
	uint64_t codes_before, nodes_before; /* that were forgotten (target_forget) */
	size_t enough_bytes;                 /* for these two */
	struct sample_interp interps[TARGET_INTERPRETERS_MAX];
	size_t n_interps;
	struct {
		uint64_t interpreters_head, gil_current;
	} words;
	uint64_t interpreters_head;
	VEC(struct sample_thread *) threads;
	uint64_t threads_seen;              /* ever */
	VEC(struct sample_thread *) active; /* scratch of a pass */
	size_t n_waiting;                   /* threads that wait for a GIL, as of the last pass */
	bool waiters_untrusted;             /* one ran that could not */
	size_t n_idle;                      /* those that sleep for something else, and have not run for long */
	uint64_t used_ns;                   /* CPU time of the process as this pass began; 0 = not asked for */
	uint64_t rest_ns; /* of that, in the last pass, what its threads were not known to have used */
	bool knows_rest;
	unsigned rest_misses, rest_pause; /* it told nothing so many times in a row; passes without asking */
	bool gil_stays;                   /* since the last pass nobody got a GIL */
	bool is_idle;                     /* nor has any that slept run, but perhaps who had the GIL last */
	VEC(struct seen_state) seen;      /* scratch of a census */
	VEC(struct watched_state) watched;
	VEC(struct frame_place) places;
	struct join join;            /* scratch */
	uint64_t interps_changed_ns; /* CLOCK_MONOTONIC; 0 = not since the first census */
	size_t interps_unseen;       /* interpreters that there is no room for */
	struct reader_batch batch;
	struct words word_spans; /* scratch of a read */
	VEC(code_id) to_check;   /* scratch: code objects to be looked at again */
	uint64_t check_mark;     /* tells those already in it */
	process_id id;
	uint32_t exec_number;
	uint64_t census; /* counts them */
	bool census_due;
	bool census_partial;    /* the last one left something open: the next one looks at all */
	uint64_t census_all_ns; /* CLOCK_MONOTONIC of the last one that looked at all */
	bool names_due;
	struct object_trail names_trail, facts_trail; /* of the names, the facts last told */
	uint64_t name_look;                           /* counts the looks at names */
	raddr_t facts_interp;                         /* of this interpreter */
	bool has_ended;
	struct stops *stops; /* the session's */
	bool may_stop;       /* its threads, to certify their stacks */
	bool stops_each;     /* --blocking: each running thread is stopped for its sample (blocking.c) */
	bool is_traced;      /* by another one, so that it cannot be stopped: that was said */
	bool is_delayed;     /* the last read waited for something: what it brought is of several moments, and later */
	struct hold *hold;   /* the session's; NULL = nothing is held */
	size_t n_held;       /* threads that wait for the CPU that we hold, in this tick */
	unsigned failures;   /* passes in a row that could not read anything */
	uint64_t facts_hash; /* of the facts last told to the writer */
	uint64_t sampled_ns; /* the sample at hand was taken then, by the kernel; 0 = is being taken */
	struct target_counts counts;
	struct events events; /* of what the kernel samples */
};

/* Look for an interpreter in process `pid`. As interpreter_find; on 0 the target is ready for target_census. On error
 * nothing is kept but t->interpreter.version (for ERR_UNSUPPORTED). */
int target_open(struct target *t, pid_t pid);
/* The same of the process in a core file, for a snapshot; the core stays the caller's, and open. */
int target_open_core(struct target *t, struct corefile *core);
void target_close(struct target *t);
/* "python3 app.py (pid 4711, CPython 3.13.1)", escaped for a terminal. */
void target_describe(const struct target *t, char *out, size_t size);

/* Tell the writer of the process (again when something changed: sys.path is made while the program starts). */
int target_tell_process(struct target *t, struct writer *w, bool started, uint64_t now_ns);
/* Interpreters and threads anew: new threads are opened and told, ended ones closed. 0; ERR_GONE: the process has
 * ended; ERR_AGAIN: what was read does not fit (yet). */
int target_census(struct target *t, struct writer *w, uint64_t now_ns);
/* Names from `threading`, where they are still to be had. */
void target_names(struct target *t, struct writer *w);

/* One tick: a sample of every thread into the writer's open tick. 0; ERR_GONE; other errors: nothing could be read this
 * time. */
int target_pass(struct target *t, struct writer *w);
/* Only what a tick reads beside the stacks: is the process there, has anybody come or gone? As target_pass. */
int target_words(struct target *t);
/* Before a flush: CPU times. */
void target_before_flush(struct target *t, struct writer *w);
/* Code objects and stacks take more memory than they should: a block is due, and then target_trim. */
bool target_is_large(const struct target *t);
/* Between blocks: let go of them then, unless they are the same ones as the last time. True: it did. */
bool target_trim(struct target *t);
/* Code objects and stacks, all of them. Not while a sample is dealt with. */
void target_forget(struct target *t);

/* A thread whose last sample was not certified; NULL = none. `draw` picks among them. */
struct sample_thread *target_wants_stop(struct target *t, uint64_t draw);
/* The CPU of a thread that runs and wants certificates still, or did lately; -1 = none. */
int target_cpu_to_hold(struct target *t, uint64_t draw);
/* Stop this thread for a moment, certify its stack. Gives up when it sleeps (then its stack is certified as it stands).
 */
void target_stop(struct target *t, struct writer *w, struct sample_thread *th);

/* Between the parts of sample/: */
/* The only CPU that we run on; -1 = several, or nobody wants to know. */
static inline int target_held_cpu(const struct target *t)
{
	return t->hold && !t->stops_each ? t->hold->cpu : -1;
}
static inline uint32_t target_interp(const struct sample_thread *th)
{
	return th->states.v[0]->interp;
}
/* Were all code objects of the frames just walked met before? */
bool target_knows_codes(const struct target *t);
/* The frames of all states of th that were just read, as one stack: t->walk.frames, is_cut; th->top. As walk_frames. */
int target_walk(struct target *t, struct sample_thread *th);
/* Is the stack just walked certainly not another thread's? (roots.c) Once for each look at a thread that runs. Of one
 * that stood still it is its own; then target_note_own. */
bool target_is_own(const struct target *t, struct sample_thread *th);
void target_note_own(struct sample_thread *th);
/* Of a thread that ran meanwhile: does its innermost frame end where its data stack does
 * (stack_end.c)? The frame's end, of a thread that stood still. */
bool target_ends_fit(const struct target *t, const struct sample_thread *th);
void target_note_end(struct target *t, const struct sample_thread *th);
/* The same, state by state: begin (running: the state that runs, 0 = not known); add after each walk (rc: what the walk
 * said; its frames are in t->walk); end. */
void target_join_begin(struct target *t, raddr_t running);
int target_join_add(struct target *t, const struct sample_thread *th, const struct sample_top *top, int rc);
int target_join_end(struct target *t, struct sample_thread *th);
/* Has the thread state no frame? `root`: its word at frame_root. */
bool target_is_empty(const struct target *t, raddr_t tstate, raddr_t root);
/* A word of a thread state that leads to the C stack of the thread that runs in it; 0 = there is none. */
raddr_t target_place(const struct target *t, raddr_t tstate, const unsigned char *image);
/* The pthread of the thread on whose C stack `place` lies; 0 = none that is known. */
uint64_t target_stack_owner(const struct target *t, raddr_t place);
/* Up to 3.9: the place on a C stack where this frame object is run, and the pthread of the thread; 0 = not found. */
raddr_t target_frame_place(struct target *t, raddr_t frame, uint64_t *pthread);
/* Have states come to life, or gone to another thread, as the words read last tell? */
bool target_states_moved(const struct target *t);
/* The tid, as its own pid namespace counts, of the thread whose state `image` is; 0 = not known, or none yet. */
pid_t target_ns_tid(struct target *t, const unsigned char *image);
/* Where an interpreter's word is that tells that the collector runs; 0 = not known. */
static inline raddr_t target_gc(const struct target *t, const struct sample_interp *in)
{
	return t->interpreter.layout.interp.gc_collecting ? in->at + t->interpreter.layout.interp.gc_collecting
	                                                  : t->interpreter.gc;
}
/* Where an interpreter's word about its code objects is (enum layout_generation; its low 4 bytes); 0 = there is none.
 */
static inline raddr_t target_generation(const struct target *t, const struct sample_interp *in)
{
	const struct layout *l = &t->interpreter.layout;
	return l->generation_kind == LAYOUT_GENERATION_MADE        ? in->at + l->interp.next_version
	       : l->generation_kind == LAYOUT_GENERATION_DESTROYED ? in->at + l->interp.code_generation
	                                                           : 0;
}
/* The interpreters, newest first as they stand in the list; the last one is the main one. Where there are too many, the
 * newest and the main one are kept. t->interps keeps its order for those that stay. */
int target_census_interpreters(struct target *t, struct writer *w);
void target_close_threads(struct target *t);
/* Tell the writer of a thread, again when something about it has changed. */
void target_tell_thread(struct target *t, struct writer *w, struct sample_thread *th);
/* Read these threads (and the words of the interpreters) in as few calls as possible. 0, ERR_GONE,
 * or the error of reading. Threads that are gone get LOOK_GONE. */
int target_read(struct target *t, struct sample_thread **threads, size_t n);
/* The words of the interpreters into the batch, in front of the stacks and behind them; and, once it was read, to where
 * they belong. */
void spans_plan(struct target *t);
void spans_plan_after(struct target *t);
void spans_take(struct target *t);
/* As many of them as fit into one call: how many were dealt with, or an error. */
int target_read_some(struct target *t, struct sample_thread **threads, size_t n);
/* What the thread does now: th->run, look, blocked, held. */
void target_look(struct target *t, struct sample_thread *th);
/* It stood still when it was looked at: did it until now? */
bool target_still_stands(struct sample_thread *th);
/* The frames just walked (rc: what the walk said) are the thread's sample in this tick. False: they are not, --blocking
 * wants a certain one and it did not stand still. */
bool target_take(struct target *t, struct writer *w, struct sample_thread *th, int rc);
/* It has no sample in this tick; the caller counts why. */
void target_take_absent(struct target *t, struct writer *w, struct sample_thread *th);
/* --blocking: a sample of each thread in t->active, one after the other; those that run are stopped for it. */
void target_take_each(struct target *t, struct writer *w);
/* State and waiting for the GIL of a thread that stands still (th->block). */
uint32_t target_sleep_flags(const struct target *t, struct sample_thread *th);
/* Before the threads are looked at: the words of the GILs, the process's CPU time. */
void waiters_weigh(struct target *t);
/* Those that did not sleep have been looked at: has any of the others run? */
void waiters_settle(struct target *t);
/* It waits for a GIL that it did not get since the last tick, or nobody has run who slept: what was known of it is true
 * now. */
bool waiters_skip(const struct target *t, struct sample_thread *th);
/* All have been looked at. */
void waiters_keep(struct target *t);
/* A stack that was looked at all the same, and certain: is it the one that it must be? */
void waiters_check(struct target *t, const struct sample_thread *th, node_id node);
void waiters_count(struct target *t);
/* The stack of a sample that no stack could be made of. */
stack_id target_torn_stack(struct writer *w);
/* No stack could be made of what was just read of th: the frames that were there all the same, and what stands for the
 * rest. 0: ERR_FULL. *is_known: there are such frames. */
node_id target_known_part(struct target *t, struct sample_thread *th, bool *is_known);
/* The frames just walked of th -> its node. 0; ERR_TORN; ERR_FULL. *unproved: a code object was met that may have been
 * another one when the sample was taken; to be ignored when the thread stood still until now. */
int target_resolve(struct target *t, struct sample_thread *th, node_id *node, bool *unproved);
/* One frame by itself, of a coroutine that no thread runs: its code object, looked at again if t->check_mark has
 * changed since, and its instruction. As target_resolve. */
int target_resolve_frame(struct target *t, uint32_t interp, const struct walk_frame *f, code_id *id, uint32_t *instr);
/* A thread that is seen in a sample but not (any more) in the process: `image` is its state's bytes. NULL: no memory.
 */
struct sample_thread *target_add_ghost(struct target *t, struct writer *w, const unsigned char *image, raddr_t tstate,
                                       uint32_t interp, pid_t tid);
/* Is the word that we take for the generation of this interpreter's code objects one? Else it is not used any more. */
void target_weigh_generation(struct target *t, uint32_t interp);
/* Take th's stack as certain if it stands still: read, resolve, prove. 1: it did; 0: it did not. *node. */
int target_take_still(struct target *t, struct writer *w, struct sample_thread *th, node_id *node);
