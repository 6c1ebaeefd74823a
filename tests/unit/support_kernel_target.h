/* support_kernel_target: a process whose memory the test writes, for the kernel engine to sample: a thread state, a
 * data stack and frames as no CPython lays them out.
 *
 * The memory is shared with the process and lies at the same address in it, so what the engine copies can be compared
 * byte for byte. The process does what it is told, and ends with the test.
 * Errors: none; what goes wrong fails the test.
 */
#pragma once
#include <stdatomic.h>

#include "libcommon/vec.h"
#include "pyspy-record/kernel/engine.h"

enum {
	KT_MEMORY = 8 << 20,
	KT_TSTATE = 0x100, /* places in it */
	KT_OTHER_TSTATE = 0x800,
	KT_INTERP = 0x1000,
	KT_GIL = 0x1800,
	KT_CFRAMES = 0x2000,
	KT_FRAMES = 0x8000, /* those outside of the data stack */
	KT_CHUNKS = 0x100000,
	KT_TSTATE_SIZE = 256,
	KT_FRAME_SIZE = 72,
	KT_CFRAME_SIZE = 32,
	KT_FRAMES_MAX = 8192,
	KT_OUTSIDE_MAX = 384, /* frames outside of the data stack that the rules allow for */
};
enum kt_owner { KT_THREAD, KT_GENERATOR, KT_CSTACK = 3 };
enum kt_order {
	KT_WAIT,
	KT_SPIN,
	KT_SLEEP,   /* again and again, for sleep_ns */
	KT_DROP,    /* its pages go, and come again when it touches them */
	KT_MOVE,    /* its memory is mapped elsewhere, and again where it was */
	KT_THREADS, /* start a thread that spins, join it, and so on */
	KT_CROWD,   /* the same with four at once */
	KT_YIELD,   /* spin, and let others run now and then */
	KT_LACK,    /* spin without the page at `lacking` */
	KT_VFORK,   /* wait for a process that shares its memory, which sleeps for sleep_ns */
};

struct kt_control {
	_Atomic(unsigned) order, serial, seen;
	_Atomic(uint64_t) work, rounds; /* turns of the loops: spinning; everything else */
	uint64_t sleep_ns, slept_ns;    /* slept_ns: in sum, by its own clock */
	uint64_t lacking;               /* address of a page of its memory */
	_Atomic(unsigned) thread;       /* tid of the last of KT_THREADS */
	uint64_t cpu_ns;                /* its own clock of CPU time, at the end of each turn */
};

struct kt_sample {
	struct kernel_sample *m; /* or a record of another kind: m->head only */
	size_t n;
	/* Where frames are listed: those that came with it, and all of them, outermost first (kernel_frames). */
	size_t n_sent, n_frames;
	struct kernel_frame *frames;
};

struct kernel_target {
	struct kernel *k; /* the test's */
	pid_t pid;
	unsigned char *memory;
	struct kt_control *control;
	struct kernel_process rules;
	struct kernel_binding binding;
	int clock_fd;
	VEC(struct kt_sample) records; /* of this process, since the last kt_begin */
	/* the stack that is built */
	uint64_t frames[KT_FRAMES_MAX]; /* outermost first */
	size_t n_frames;
	uint64_t chunks[512]; /* likewise */
	size_t n_chunks;
	uint64_t top, end, next_chunk, next_frame; /* of the innermost chunk; where the next ones come to lie */
};

/* An engine; NULL where there may be none, and a word why. */
struct kernel *kt_engine(const struct kernel_options *o);
/* With all of its programs; and with those of kernels before 5.17. */
struct kernel *kt_engine_complete(double rate_hz);
struct kernel *kt_engine_without_loop(double rate_hz);
/* Linux 5.17 or newer: bpf_loop. */
bool kt_has_loop(void);
/* The process waits. k: watched, its thread bound, nothing samples it but switches. */
void kt_open(struct kernel_target *t, struct kernel *k);
void kt_close(struct kernel_target *t);
/* Tell the engine of changed rules and bindings. */
void kt_tell(struct kernel_target *t);
/* A clock at the engine's rate, until kt_close. */
void kt_clock(struct kernel_target *t);
/* The process is at it when this returns; records of before are dropped. */
void kt_begin(struct kernel_target *t, enum kt_order order);
/* For so long (of its CPU time when it spins); then it waits, and what was sampled is in t->records. */
void kt_run(struct kernel_target *t, enum kt_order order, unsigned ms);
/* What was sent since, of all processes: those of t are added to t->records. */
void kt_drain(struct kernel_target *t);
/* How many records of this kind (and, of samples, this trigger; 0 = any) there are. */
size_t kt_count(const struct kernel_target *t, uint32_t kind, uint32_t trigger);

/* --- memory; `at`: an address */
uint64_t kt_at(const struct kernel_target *t, size_t place);
void kt_put(struct kernel_target *t, uint64_t at, uint64_t v);
void kt_put_u32(struct kernel_target *t, uint64_t at, uint32_t v);
uint64_t kt_get(const struct kernel_target *t, uint64_t at);

/* --- the stack, as a data stack grows */
void kt_clear(struct kernel_target *t); /* no frame; all of the memory zero but for the thread state's number */
void kt_chunk(struct kernel_target *t, size_t size);
/* A frame of so many bytes on the data stack; n of them. */
void kt_push(struct kernel_target *t, size_t bytes, unsigned n);
/* One outside of it. */
void kt_push_outside(struct kernel_target *t, enum kt_owner owner);
/* A frame's words at `at`, called by the innermost one; it is that from now on. */
void kt_put_frame(struct kernel_target *t, uint64_t at, enum kt_owner owner);
/* The innermost frame is hung into the thread state, or into the cframe at KT_CFRAMES. */
void kt_set_root(struct kernel_target *t, uint64_t frame);
