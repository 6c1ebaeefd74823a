/* three: three ways to look where the main thread is, in turns of chance, within one process (short.py).
 *
 * 0  from another CPU: read the word (tests/targets/witness.c)
 * 1  interrupted from there: a signal, which the kernel delivers by an interrupt of the main thread's CPU; its handler
 * reads the same word 2  interrupted by a timer of the main thread's own CPU, as by the kernel engine; the same handler
 *
 * None looks while the main thread is off its CPU: 0 and 1 see that by its CPU clock, 2 by being late.
 */
#include <math.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { CODES_MAX = 16, TIMER_US = 300, LATE_NS = 25000 };

static struct {
	volatile uint64_t *root; /* holds the address of the innermost frame */
	unsigned code;           /* offset of the code object in it */
	uint64_t codes[CODES_MAX];
	int n;
	volatile long counts[3][CODES_MAX + 1];
	timer_t timer;
	uint64_t due_ns;
	unsigned short random[3];
	volatile int is_over;
} it;

static uint64_t clock_ns(clockid_t clock)
{
	struct timespec t = {0};
	clock_gettime(clock, &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void count(int way)
{
	uint64_t at = *it.root, code = at ? *(volatile uint64_t *)(at + it.code) : 0;
	int i = 0;
	while (i < it.n && it.codes[i] != code)
		i++;
	it.counts[way][i]++;
}

static uint64_t gap_ns(unsigned short *state, double mean_us)
{
	double ns = -log(1 - erand48(state)) * mean_us * 1e3;
	return ns > 9e8 ? 900000000 : (uint64_t)ns + 1;
}

static void arm(void)
{
	it.due_ns = clock_ns(CLOCK_MONOTONIC) + 30000 + gap_ns(it.random, TIMER_US);
	struct itimerspec next = {.it_value = {(time_t)(it.due_ns / 1000000000), (long)(it.due_ns % 1000000000)}};
	timer_settime(it.timer, TIMER_ABSTIME, &next, NULL);
}

static void on_kick(int signal)
{
	(void)signal;
	count(1);
}

static void on_timer(int signal)
{
	(void)signal;
	if (clock_ns(CLOCK_MONOTONIC) - it.due_ns < LATE_NS)
		count(2);
	if (!it.is_over)
		arm();
}

/* By the main thread. */
void three_begin(uint64_t root, unsigned code, const uint64_t *codes, int n)
{
	it.root = (volatile uint64_t *)root;
	it.code = code;
	it.n = n < CODES_MAX ? n : CODES_MAX;
	memcpy(it.codes, codes, (size_t)it.n * sizeof *codes);
	struct sigaction kick = {.sa_handler = on_kick, .sa_flags = SA_RESTART},
	                 timer = {.sa_handler = on_timer, .sa_flags = SA_RESTART};
	sigaddset(&kick.sa_mask, SIGUSR2);
	sigaddset(&timer.sa_mask, SIGUSR1);
	sigaction(SIGUSR1, &kick, NULL);
	sigaction(SIGUSR2, &timer, NULL);
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR2};
	event.sigev_notify_thread_id = (pid_t)syscall(SYS_gettid);
	timer_create(CLOCK_MONOTONIC, &event, &it.timer);
	arm();
}

/* By another thread, on another CPU: tid is the main thread's. counts: 3 rows of n + 1. */
void three_look(int tid, double seconds, double mean_us, long *counts)
{
	unsigned short state[3] = {7, 8, 9};
	clockid_t cpu = (clockid_t)(~(unsigned)tid << 3 | 6);
	uint64_t end = clock_ns(CLOCK_MONOTONIC) + (uint64_t)(seconds * 1e9);
	state[0] = it.random[0] = (unsigned short)end;
	memset((void *)it.counts, 0, sizeof it.counts);
	while (clock_ns(CLOCK_MONOTONIC) < end) {
		struct timespec gap = {0, (long)gap_ns(state, mean_us)};
		clock_nanosleep(CLOCK_MONOTONIC, 0, &gap, NULL);
		uint64_t before = clock_ns(cpu);
		if (clock_ns(cpu) == before)
			continue;
		if (erand48(state) < 0.5)
			count(0);
		else
			syscall(SYS_tgkill, getpid(), tid, SIGUSR1);
	}
	for (int way = 0; way < 3; way++)
		for (int i = 0; i <= it.n; i++)
			counts[way * (it.n + 1) + i] = it.counts[way][i];
}
