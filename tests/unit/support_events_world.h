/* support_events_world: a process that the kernel engine samples, made up: interpreter, thread states and one stack in
 * a fake target's memory, a struct target that looks at it, and a writer whose events are read back.
 *
 * The process is this one, so threads must be threads of it: a census finds those that are told of here.
 * Errors: none; what goes wrong fails the test.
 */
#pragma once
#include "pyspy-record/sample/target.h"
#include "tests/unit/support_copy.h"
#include "tests/unit/support_objects.h"

enum { WORLD_CODES = 6, WORLD_UNITS = 8, WORLD_THREADS = 64 };

struct support_world {
	struct support_stack s; /* of the first thread; the memory of all */
	struct support_objects o;
	struct support_copy copy;
	struct target t;
	struct writer *w;
	struct sink sink;
	char file_name[64];
	raddr_t interp, gil, codes[WORLD_CODES], globals; /* functions "a", "b" .. of module "app" */
	raddr_t tstates[WORLD_THREADS];
	size_t n_tstates;
};

/* An event as it was read back. */
struct support_world_event {
	uint64_t time_ns, weight_ns; /* CLOCK_MONOTONIC */
	uint32_t tid, flags;
	char stack[64]; /* "a;b;c", outermost first */
};
typedef VEC(struct support_world_event) support_world_events;

/* One of support_stack_versions, an interpreter without threads; nothing is sampled by the kernel yet. */
void support_world_begin(struct support_world *w, uint32_t version);
void support_world_end(struct support_world *w);
/* One more thread state, in front of the interpreter's list. */
raddr_t support_world_thread(struct support_world *w, pid_t tid);
/* It is taken off the list. */
void support_world_forget_thread(struct support_world *w, raddr_t tstate);
/* The thread calls function `code`, and is at its instruction `unit`. */
void support_world_push(struct support_world *w, unsigned code, unsigned unit);
/* The innermost frame, pushed by other means, is one of this function. */
void support_world_dress(struct support_world *w, unsigned code, unsigned unit);

/* What the kernel's program would send of the stack as it is now, for the thread of `head`; in a block of exactly its
 * size, to be freed. */
struct kernel_sample *support_world_sample(struct support_world *w, const struct kernel_record *head, raddr_t tstate,
                                           size_t *n);

/* A thread of e without a thread state, as if it had been looked at since begin_ns. */
struct events_thread *support_world_events_thread(struct support_world *w, pid_t tid, uint64_t begin_ns);
uint32_t support_world_flags(enum events_class class); /* of an event that is one of this class */
/* An event of such a thread, without a stack. False: no room. */
bool support_world_add(struct support_world *w, pid_t tid, enum events_class class, uint64_t time_ns, double raw);
/* One of a sleep that was sampled by chance and stands for one: kernel_length of it, -1 = it is none. */
bool support_world_add_sleep(struct support_world *w, pid_t tid, enum events_class class, uint64_t time_ns, double raw,
                             int length);
/* What a snapshot says of a thread that sleeps since out_ns. */
void support_world_set_task(struct events_thread *et, uint64_t out_ns, uint64_t cpu_ns, uint64_t ready_ns);
/* Close the file and read all of its events. */
void support_world_read(struct support_world *w, support_world_events *events);
/* Sum of the weights of this thread's events, of a class or (EVENTS_CLASSES) of all. */
uint64_t support_world_sum(const support_world_events *events, pid_t tid, enum events_class class);
/* The sums of its weights, by class. */
void support_world_expect(const support_world_events *events, pid_t tid, uint64_t on, uint64_t ready, uint64_t off);
