/* shared: what the eBPF program (sample.bpf.c) and the recorder (engine.c) tell each other, in maps and in the ring.
 *
 * Times are CLOCK_MONOTONIC ns. pids and tids are those of the recorder's pid namespace. Addresses are the target's.
 */
#pragma once
#include <linux/types.h>

enum {
	KERNEL_GILS_MAX = 8,
	KERNEL_STATES_MAX = 8,   /* thread states of one OS thread (sub-interpreters) that are known */
	KERNEL_TSTATE_MAX = 512, /* bytes copied of a thread state at most */
	KERNEL_TSTATE_WORDS = 12,
	KERNEL_FRAME_MAX = 104, /* bytes copied of a frame that lies outside of the data stack */
	KERNEL_OBJECTS = 8000,  /* frame objects (up to 3.10) that are followed */
	KERNEL_MARKS = 1 << 16,
	KERNEL_LENGTHS = 8,
	KERNEL_PHASES = 64, /* parts of a tick's period that are told apart */
	KERNEL_PHASES_MANY = 2048,
	KERNEL_DATA = 1 << 18, /* bytes of pieces in a sample: at this mark no more are added ... */
	KERNEL_COPY = 1 << 15, /* ... and this is the most that one addition takes */
	KERNEL_CHAIN = 80,     /* frames followed before the program calls itself again; */
	KERNEL_ROW = 256,      /* frame objects; */
	KERNEL_FEW = 8,        /* both, in the first moments on kernels before 5.17 */
	KERNEL_LISTED = 2600,  /* frames of a list at most: the program follows no more of them */
	KERNEL_LAST = 256,     /* frames of a thread's last list that are kept */
};

/* Map `config`, entry 0. The marks keep switches between other programs cheap: where there is none, the task or the
 * process is none of ours; where there is one, it may be. */
struct kernel_config {
	__u64 ns_dev, ns_ino;         /* the recorder's pid namespace when it is not the first one; 0 = it is */
	__u64 tick_ns;                /* period of the CPUs' tick */
	__u32 task_state, task_stack; /* offsets in a task_struct, for kernels that do not tell; 0 = not known */
	__u32 n_added;                /* entries that were ever made in `tasks`, counted once they are there */
	__u8 processes[KERNEL_MARKS]; /* by tgid: how many processes are looked at with this mark */
	__u8 tasks[KERNEL_MARKS];     /* by address: is there an entry in `tasks` with this mark, or was there one? */
};
static inline __u32 kernel_mark_of_process(__u32 tgid)
{
	return tgid & (KERNEL_MARKS - 1);
}

/* Map `phases`, entry 0, of each CPU: how many of its timer's interrupts came in each part of the tick's period, and
 * the most in one part; lately, and the time before that, of as many. */
struct kernel_phases {
	__u32 now[KERNEL_PHASES], before[KERNEL_PHASES];
	__u32 most_now, most; /* most: in both */
};

enum kernel_trigger {
	KERNEL_ON_TICK = 1,
	KERNEL_ON_CLOCK = 2,
	KERNEL_ON_SWITCH = 4,
	KERNEL_ON_TICK_FOR_SOME = 8, /* only for threads without a clock: not known yet, or their binding wants it */
};

/* Map `processes`, by tgid: how to read the thread states of one process. Offsets in bytes. */
struct kernel_process {
	__u32 triggers;        /* which of them are heard (bits of kernel_trigger) */
	__u32 tick_chance;     /* a tick is taken when a random 32-bit number is not above this */
	__u64 clock_period_ns; /* of a clock that is faster only some are taken, as many as of one with this period */
	__u64 switch_gap_ns;   /* a thread's stack is taken at one in so many ns of its switches, in the mean */
	__u32 root_is_cframe;  /* the innermost frame: in the cframe that the thread state points to; else in itself */
	/* Where frames are listed, only the words at tstate_words are sent of a thread state: multiples of 8,
	 * ascending. */
	__u32 tstate_words[KERNEL_TSTATE_WORDS], n_tstate_words;
	/* datastack_chunk 0: there is none. pthread_tid not 0: the word at native_thread_id is the pthread_t, and the
	 * tid stands so many bytes behind where it points to */
	__u32 tstate_size, frame_root, datastack_chunk, datastack_top, native_thread_id, pthread_tid, state_word,
	    state_mask;
	__u32 cframe_size, cframe_current_frame, cframe_previous;
	__u32 frame_size, frame_first, frame_previous,
	    frame_owner;  /* frame_size: of the part that is read, from frame_first on */
	__u32 frames_max; /* that lie outside of the data stack */
	/* Up to 3.10 all of them are objects; of each only these words are sent (struct kernel_object). Offsets count
	 * from frame_first. */
	__u32 frames_are_objects, frame_code, frame_globals, frame_instr;
	/* Of a thread with one state frames are sent one by one (struct kernel_frame), and only those that are not as
	 * they were in its last sample. frame_copy: offset of the index of its copy of the code; 0 = there is none.
	 * Frames of the owners from owner_cstack on run no code: their other words are anything. */
	__u32 frames_are_listed, frame_copy, owner_cstack;
	/* A frame is the outermost of one call of the evaluator when the byte at entry_at is entry_least or more.
	 * entry_is_flag: 1 = that is no owner, but a byte of its own (3.11) */
	__u32 entry_at, entry_least, entry_is_flag;
	__u32 gil_last_holder;              /* followed by `locked` */
	__u32 interp_gc, interp_generation; /* in an interpreter; 0 = there is none */
	__u32 n_gils;
	__u32 is_eager;    /* each sample wakes the recorder */
	__u64 gil_current; /* address of the word that names the running thread state (up to 3.11); 0 = none */
	__u64 gc;          /* address of the word that tells of the collector where there is one for all; 0 = none */
	struct {
		__u64 gil, interp;
	} gils[KERNEL_GILS_MAX]; /* where an unknown thread's state is looked for */
};

/* Maps `more_tp` and `more_perf`: the programs that a sample goes through after that of its moment. */
enum kernel_more { KERNEL_MORE_BEGIN, KERNEL_MORE_FOLLOW, KERNEL_MORE_FIND, KERNEL_MORE_END_ };

/* Map `bindings`, by tid: the thread states of an OS thread, the first of which names it. */
struct kernel_binding {
	__u32 n, last; /* last: the one that was seen running last */
	__u32 wants_tick;
	__u32 slot, round,
	    unused;   /* entry in `lasts`, and whose turn there it is; slot 0 = none. kernel_bind fills it in */
	__u64 ns_tid; /* as the target's own pid namespace counts; or, as what the thread state has, the pthread_t */
	struct {
		__u64 tstate, interp, gil;
	} states[KERNEL_STATES_MAX];
};

/* Map `tasks`, by the address of the kernel's struct task_struct (a number to us). */
struct kernel_task {
	__u32 tid, tgid; /* 0: made by a fork, not seen running yet */
	__u64 first_ns;  /* seen first */
	__u64 cpu_ns;    /* on a CPU since then, the run that goes on not counted */
	__u64 ready_ns;  /* off its CPU since then although it could run, the time that goes on not counted */
	__u64 slept_ns[KERNEL_LENGTHS]; /* off its CPU for other reasons, by how long it was; those that are over */
	__u64 in_ns;                    /* the run that goes on began; 0 = off its CPU ... */
	__u64 out_ns;                   /* ... since then */
	__u64 switches;                 /* times that it left its CPU */
	__u64 gap_ns;                   /* between these, a running mean */
	__u32 off_state;                /* enum kernel_off: why it left */
	__u32 off_chance;               /* its stack was sent then, as one in off_chance/256 sleeps; 0 = was not sent */
	__u32 is_unknown;               /* no thread state of it is known; told */
	__u32 is_dead;
};
/* Lengths of sleeps that are told apart: below 1/4 ms, 1/2 ms, 1 ms ... 16 ms, and above. Those of one length share its
 * time: the longest may be twice the shortest, and where few are sampled the shorter ones get too much. */
static inline __attribute__((always_inline)) __u32 kernel_is_at_least(__u64 ns, __u64 least)
{
	__u64 below = ns - least; /* its highest bit; no branch, which would double the paths that the verifier walks */
#if defined(__bpf__)
	__asm__ volatile("" : "+r"(below));
#endif
	return 1 - (__u32)(below >> 63);
}
static inline __attribute__((always_inline)) __u32 kernel_length(__u64 ns)
{
	return kernel_is_at_least(ns, 250000) + kernel_is_at_least(ns, 500000) + kernel_is_at_least(ns, 1000000) +
	       kernel_is_at_least(ns, 2000000) + kernel_is_at_least(ns, 4000000) + kernel_is_at_least(ns, 8000000) +
	       kernel_is_at_least(ns, 16000000);
}
enum kernel_off { KERNEL_OFF_SLEEPS, KERNEL_OFF_RUNNABLE, KERNEL_OFF_DISK, KERNEL_OFF_STOPPED };

/* Counts of map `counts` (per CPU). */
enum kernel_count {
	KERNEL_COUNT_OVERRUN,     /* the ring was full */
	KERNEL_COUNT_UNREADABLE,  /* memory that was not there: paged out, or gone */
	KERNEL_COUNT_CUT,         /* deeper than fits */
	KERNEL_COUNT_STALE,       /* the thread state was another thread's */
	KERNEL_COUNT_UNKNOWN,     /* no thread state was known */
	KERNEL_COUNT_NO_ROOM,     /* the map `tasks` was full */
	KERNEL_COUNT_OTHER_TICKS, /* interrupts of the CPU's timer that were not its tick */
	KERNEL_COUNT_END_,
};

/* --- the ring: each record begins with these */
enum kernel_record_kind {
	KERNEL_SAMPLE,
	KERNEL_WOKE,    /* a sleep is over whose stack was sent, or that was long */
	KERNEL_EXITED,  /* a thread ended */
	KERNEL_UNKNOWN, /* a thread runs whose thread state is not known */
};
struct kernel_record {
	__u32 kind, trigger; /* trigger: of a sample, one of kernel_trigger */
	__u32 tid, tgid;
	__u64 time_ns;
	__u64 cpu_ns;                /* of the thread, since it was seen first, until now */
	__u64 switches;              /* of the thread; tells sleeps apart */
	__u64 ready_ns;              /* as in kernel_task */
	__u64 slept_ns;              /* WOKE: how long; EXITED: time since it was seen first */
	__u32 off_state, off_chance; /* as in kernel_task; SAMPLE on switch, and WOKE */
};

enum kernel_cut {
	KERNEL_CUT_FULL = 1,   /* did not fit */
	KERNEL_CUT_ABSENT = 2, /* memory could not be read */
};
struct kernel_sample {
	struct kernel_record head;
	__u64 tstate, interp, gil; /* of its states, the one that runs or ran last */
	__u64 gil_last_holder;     /* and what follows it in memory: */
	__u32 gil_locked, gil_rest;
	__u64 gil_current; /* 3.11 */
	__u32 gc, generation;
	__u32 cut;     /* bits of kernel_cut */
	__u32 n_bytes; /* of the pieces that follow */
	/* SWITCH, where the kernel can tell (5.18): the system call that it sleeps in, -1 = none or not known */
	__s64 syscall;
	__u64 syscall_arg;
	/* Where frames are listed: those sent are followed by the outermost `same` ones of the sample before this one
	 * (serial - 1) in this round of the slot; serials begin at 1. */
	__u32 slot, round, serial, same;
	__u64 next; /* where the chain goes on; 0 = it was followed to its end */
};
/* A piece of kind TSTATE begins what belongs to one thread state; the first state that is bound is the first. Before
 * FRAMES it has only those words of it that are asked for (tstate_words). */
enum kernel_piece_kind {
	KERNEL_PIECE_TSTATE,
	KERNEL_PIECE_CHUNK,
	KERNEL_PIECE_EXTRA,
	KERNEL_PIECE_OBJECTS, /* of kernel_object, innermost first */
	KERNEL_PIECE_FRAMES,  /* of kernel_frame, innermost first */
};
struct kernel_object {
	__u64 at, code, globals;
	__u32 instr, unused;
};
/* An interpreter frame, wherever it lies. */
struct kernel_frame {
	__u64 at; /* a multiple of 8, and its owner in the bits below; with entry_is_flag, the flag in the highest */
	__u64 code, globals;
	__u64 instr; /* below KERNEL_INSTR_BITS, and the index of the copy of the code above */
};
enum { KERNEL_OWNER_BITS = 3, KERNEL_INSTR_BITS = 48 };
/* Map `lasts`, by slot: what was sent last of one thread. Slot 0 is nobody's. */
struct kernel_last {
	__u32 round, serial, n, unused;
	struct kernel_frame frames[KERNEL_LAST]; /* innermost first */
};
struct kernel_piece {
	__u64 at;
	__u32 len, kind; /* len bytes follow, and fill up to a multiple of 8 */
};
