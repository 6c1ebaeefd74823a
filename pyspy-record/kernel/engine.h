/* engine: the kernel takes the samples (design.md, way 1).
 *
 * Flow:    sample/events (whom to look at, and how) -> [engine: sample.bpf.c in the kernel] -> records ->
 * sample/events.
 * Rights:  root, or CAP_BPF and CAP_PERFMON; Linux 5.8.
 * Threads: one engine a session, used by its one thread. (completion has one of its own, for a while, before Linux
 * 5.17.) A recorder that does not drain harms nobody: the ring fills up, samples are lost and counted.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "pyspy-record/kernel/shared.h"

struct kernel;

struct kernel_options {
	double rate_hz;
	uint32_t n_threads; /* of all processes, about: sizes the maps */
	bool without_loop;  /* as on Linux before 5.17: for tests */
};

/* What takes the samples of running threads. */
enum kernel_clock {
	KERNEL_CLOCK_TICK, /* the CPU's timer tick, a random choice of them; also when the rate is above its own and
	                      clocks are not allowed: then all of them */
	KERNEL_CLOCK_OWN,  /* a cpu-clock event of each thread's own */
};

/* 0; ERR_PERMISSION, ERR_UNSUPPORTED (built without it, or the kernel is too old or lacks something), ERR_NO_MEMORY,
 * ERR_SYSTEM: `why` says it in one line, "what: why; what to do". */
int kernel_open(struct kernel **k, const struct kernel_options *o, char *why, size_t why_size);
/* What a recorder that is not root needs for it, as setcap(8) wants it: "cap_bpf,..." */
const char *kernel_capabilities(void);
void kernel_close(struct kernel *k); /* NULL: nothing */
enum kernel_clock kernel_clock(const struct kernel *k);
uint32_t kernel_tick_hz(const struct kernel *k);

/* Look at this process from now on, as `p` says (triggers and the chance of a tick are filled in here), or by other
 * rules than so far. `own_clock`: its running threads are sampled by clocks of their own, whatever the engine's way is.
 * `clock_times`: what clocks it has are that much slower than the rate (1; more: they are there to compare).
 * 0 or error.
 */
int kernel_watch(struct kernel *k, pid_t tgid, const struct kernel_process *p, bool own_clock, unsigned clock_times);
void kernel_leave(struct kernel *k, pid_t tgid);
int kernel_bind(struct kernel *k, pid_t tid, const struct kernel_binding *b);
void kernel_unbind(struct kernel *k, pid_t tid);
/* All frames of a sample that has a list of them: see lists_take. */
int kernel_frames(struct kernel *k, const struct kernel_sample *m, const struct kernel_frame *sent, size_t n_sent,
                  const struct kernel_frame **frames, size_t *n);

uint64_t kernel_period_ns(const struct kernel *k); /* between two samples of a running thread, in the mean */
/* Between two ticks of a thread's own clock, in the mean: `times` as much, or, where that is long, a part of it. Then a
 * random choice of the ticks is taken: a program whose work comes back in step with the clock is seen at all its
 * places. */
uint64_t kernel_clock_ns(const struct kernel *k, unsigned times);
/* A period of a clock whose mean is mean_ns: up to a quarter more or less. `draw`: a random number. */
static inline uint64_t kernel_clock_draw(uint64_t mean_ns, uint64_t draw)
{
	return mean_ns - mean_ns / 4 + draw % (mean_ns / 2 + 1);
}
/* Make it `stretch` (1 or more) times what was asked for, from kernel_watch on: clocks that are faster lose some of
 * their samples until kernel_clock_vary. */
void kernel_slow(struct kernel *k, double stretch);
double kernel_stretch(const struct kernel *k);

/* What the first samples can do without is loaded only now: 5 to 10 ms; before Linux 5.17 150 and more, in the
 * background unless `wait` is set: ask again. True: now it is done, and was not before. Until then running threads are
 * sampled on the tick alone, and those that nobody bound are not looked for. */
bool kernel_complete(struct kernel *k, bool wait);
/* It was: clocks can be opened, or never will be. */
bool kernel_has_clocks(const struct kernel *k);
/* A clock of its own for this thread, after kernel_complete if need be; threads that it starts inherit it where the
 * kernel can (*inherits; NULL: they shall not). period_ns 0: the period that the rate asks for. Returns a file
 * descriptor for kernel_clock_vary and close(2), or an error: ERR_GONE, ERR_FULL (no more events), ERR_PERMISSION,
 * ERR_SYSTEM. */
int kernel_clock_open(struct kernel *k, pid_t tid, uint64_t period_ns, bool *inherits);
/* Another period: kernel_clock_draw of kernel_clock_ns. */
void kernel_clock_vary(struct kernel *k, int fd, unsigned times, uint64_t draw);

typedef int kernel_visit(void *ctx, const struct kernel_record *r, size_t n);
/* What the kernel has sent since the last time, in order; r points into the ring. Stops, with what it returned, when
 * visit returns anything but 0. */
int kernel_drain(struct kernel *k, kernel_visit *visit, void *ctx);
/* Sleep until `until_ns` (CLOCK_MONOTONIC, to the millisecond), or until a signal comes, or the ring wants to be
 * drained: then true. */
bool kernel_wait(struct kernel *k, uint64_t until_ns);
/* All tasks that are known, at one time *now_ns (CLOCK_MONOTONIC). The array is the engine's, until the next call.
 * Numbers of a task that is changing just now may be of two moments. Returns how many, or an error. */
int kernel_tasks(struct kernel *k, const struct kernel_task **tasks, uint64_t *now_ns);
/* Sums over all CPUs, since kernel_open. */
void kernel_counts(struct kernel *k, uint64_t counts[KERNEL_COUNT_END_]);
