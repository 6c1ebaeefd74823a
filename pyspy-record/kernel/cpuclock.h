/* cpuclock: an event of perf_event_open(2) that runs an eBPF program at each period of CPU time of one thread.
 *
 * The event is the kernel's software cpu-clock: a timer that runs while the thread is on a CPU. What such an interrupt
 * costs the thread, and what is inherited, stands in kernel/README.md.
 * Returns 0 or a descriptor, or: ERR_PERMISSION; ERR_GONE (the thread has ended); ERR_FULL (no more open files, after
 * their soft limit was raised to the hard one; or no more events); ERR_UNSUPPORTED; ERR_SYSTEM. errno is the kernel's.
 * The recorder's own soft limit of open files stays raised: a program that is started by us is started before.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* A clock for this thread that runs from now on: the program of program_fd (BPF_PROG_TYPE_PERF_EVENT) is called in it
 * each period_ns of its CPU time (10000 at least: the kernel makes shorter ones so long). Closed on exec.
 * inherits: NULL = for this thread only. Else threads that it starts, and threads that they start, get the same; and
 * *inherits tells whether they will, and *forks (may be NULL) whether processes that it forks get it too: Linux before
 * 5.13 knows no other way. */
int cpuclock_open(pid_t tid, uint64_t period_ns, int program_fd, bool *inherits, bool *forks);
/* False: we may have none, whatever the thread. Costs nothing; the first clock of a machine waits for all its CPUs. */
bool cpuclock_may_be(void);
/* Another period. The one that runs begins anew: whoever calls this oftener than the period gets no calls at all.
 * Interrupts the CPU that the thread runs on. Reaches this one event and none that was inherited from it. */
int cpuclock_set_period(int fd, uint64_t period_ns);
/* Ends it and all that was inherited from it. */
void cpuclock_close(int fd);
