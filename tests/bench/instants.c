/* instants [SECONDS]: do an interrupt and another CPU agree on where a program is?
 *
 * A loop writes 1, 2, 3, 4 into one word, each time before some work of its own; so the word says where it is, as
 * `current_frame` does. Two look at it: the handler of a timer that interrupts the loop's CPU at random moments (what
 * the kernel engine does), and a thread on another CPU that reads the word at random moments (what
 * tests/targets/witness.c does). Both count only while the loop is on its CPU.
 *
 * Work is of two kinds: `chain`, in which each instruction waits for the one before, and `free`, in which none does.
 * Forms of the loop: `long`, each work takes microseconds; `short`, some nanoseconds, so that several of them are in
 * the CPU's reorder buffer at once; `fenced`, the same, and fences around each write let nothing run ahead or lag
 * behind; `stores`: part 2 is entered as a call is, its word written behind many other words (those of a frame), and
 * part 4 without that; `stores, fenced`.
 */
#include <math.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#ifndef sigev_notify_thread_id
#define sigev_notify_thread_id _sigev_un._tid
#endif

enum { PARTS = 5, GAPS = 65536, TIMER_US = 150, LOOK_US = 100 };

static volatile uint64_t where __attribute__((aligned(128)));
static volatile int is_over __attribute__((aligned(128)));
static volatile uint64_t by_timer[PARTS], by_witness[PARTS];
static timer_t timer;
static pid_t looper;
static unsigned short timer_random[3] = {1, 2, 3};

static uint64_t cpu_ns(pid_t tid)
{
	struct timespec t = {0};
	clock_gettime((clockid_t)(~(unsigned)tid << 3 | 6), &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static long random_ns(unsigned short *state, double mean_us)
{
	double ns = -log(1 - erand48(state)) * mean_us * 1e3;
	return ns > 9e8 ? 900000000 : (long)ns + 1;
}

/* Drawn in advance: a signal handler may call neither log nor erand48. */
static long timer_gaps_ns[GAPS];

static void draw_gaps(void)
{
	for (int i = 0; i < GAPS; i++)
		timer_gaps_ns[i] = 20000 + random_ns(timer_random, TIMER_US);
}

static void arm(void)
{
	static unsigned n;
	struct itimerspec next = {.it_value.tv_nsec = timer_gaps_ns[n++ % GAPS]};
	timer_settime(timer, 0, &next, NULL);
}

static void on_timer(int signal)
{
	(void)signal;
	by_timer[where]++;
	arm();
}

static void pin(int cpu)
{
	cpu_set_t set;
	CPU_ZERO(&set);
	CPU_SET((unsigned)cpu, &set);
	sched_setaffinity(0, sizeof set, &set);
}

#define CHAIN4 "imul %0, %0\n\timul %0, %0\n\timul %0, %0\n\timul %0, %0\n\t"
#define FREE8                                                                                                          \
	"xor %%ecx, %%ecx\n\tmov $1, %%edx\n\tmov $2, %%esi\n\tmov $3, %%edi\n\txor %%r8d, %%r8d\n\tmov $1, "          \
	"%%r9d\n\tmov $2, %%r10d\n\tmov $3, %%r11d\n\t"
#define CHAIN(n)                                                                                                       \
	for (long i_ = 0; i_ < (n); i_++)                                                                              \
	__asm__ volatile(CHAIN4 : "+r"(x))
#define FREE(n)                                                                                                        \
	for (long i_ = 0; i_ < (n); i_++)                                                                              \
	__asm__ volatile(FREE8 ::: "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "cc")
#define FENCE() __asm__ volatile("mfence\n\tlfence" ::: "memory")
#define LOOP(fence, n)                                                                                                 \
	while (!is_over) {                                                                                             \
		fence;                                                                                                 \
		where = 1;                                                                                             \
		fence;                                                                                                 \
		CHAIN(n);                                                                                              \
		fence;                                                                                                 \
		where = 2;                                                                                             \
		fence;                                                                                                 \
		FREE(4 * (n));                                                                                         \
		fence;                                                                                                 \
		where = 3;                                                                                             \
		fence;                                                                                                 \
		CHAIN(2 * (n));                                                                                        \
		fence;                                                                                                 \
		where = 4;                                                                                             \
		fence;                                                                                                 \
		FREE(8 * (n));                                                                                         \
		turns++;                                                                                               \
	}

#define STORES()                                                                                                       \
	for (int i_ = 0; i_ < 48; i_++)                                                                                \
	frame[i_] = x
#define LOOP_STORES(fence)                                                                                             \
	while (!is_over) {                                                                                             \
		fence;                                                                                                 \
		where = 1;                                                                                             \
		fence;                                                                                                 \
		CHAIN(2);                                                                                              \
		STORES();                                                                                              \
		fence;                                                                                                 \
		where = 2;                                                                                             \
		fence;                                                                                                 \
		CHAIN(1);                                                                                              \
		fence;                                                                                                 \
		where = 3;                                                                                             \
		fence;                                                                                                 \
		CHAIN(2);                                                                                              \
		fence;                                                                                                 \
		where = 4;                                                                                             \
		fence;                                                                                                 \
		CHAIN(1);                                                                                              \
		turns++;                                                                                               \
	}

struct form {
	const char *name;
	long n; /* 0: with stores */
	int is_fenced;
};
static volatile uint64_t frame[64] __attribute__((aligned(128)));

static void *loop(void *arg)
{
	const struct form *f = arg;
	uint64_t x = 3;
	static volatile uint64_t turns_done;
	uint64_t turns = 0;
	long n = f->n;
	looper = (pid_t)syscall(SYS_gettid);
	pin((int)sysconf(_SC_NPROCESSORS_ONLN) - 1);
	struct sigevent event = {.sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGUSR1};
	event.sigev_notify_thread_id = looper;
	if (timer_create(CLOCK_MONOTONIC, &event, &timer) < 0)
		return NULL;
	uint64_t begin = cpu_ns(looper);
	draw_gaps();
	arm();
	if (!n && f->is_fenced)
		LOOP_STORES(FENCE())
	else if (!n)
		LOOP_STORES((void)0)
	else if (f->is_fenced)
		LOOP(FENCE(), n)
	else
		LOOP((void)0, n)
	timer_delete(timer);
	turns_done = turns + x * 0;
	printf("%-16s a turn takes %.1f ns\n", f->name, (double)(cpu_ns(looper) - begin) / (double)turns_done);
	return NULL;
}

static void look(double seconds)
{
	unsigned short state[3] = {4, 5, 6};
	struct timespec begin, now;
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do {
		struct timespec gap = {0, random_ns(state, LOOK_US)};
		clock_nanosleep(CLOCK_MONOTONIC, 0, &gap, NULL);
		uint64_t before = cpu_ns(looper), at = where;
		if (cpu_ns(looper) != before)
			by_witness[at]++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) * 1e-9 < seconds);
}

static void show(const char *who, volatile uint64_t *counts)
{
	uint64_t n = 0;
	for (int i = 1; i < PARTS; i++)
		n += counts[i];
	printf("  %-28s", who);
	for (int i = 1; i < PARTS; i++) {
		double p = n ? (double)counts[i] / (double)n : 0;
		printf("  %5.1f +-%.1f", 100 * p, n ? 196 * sqrt(p * (1 - p) / (double)n) : 0);
	}
	printf(" %%  of %lu\n", (unsigned long)n);
}

int main(int argc, char **argv)
{
	double seconds = argc > 1 ? atof(argv[1]) : 5;
	static struct form forms[] = {
	    {"long", 400, 0}, {"short", 1, 0}, {"fenced", 1, 1}, {"stores", 0, 0}, {"stores, fenced", 0, 1}};
	signal(SIGUSR1, on_timer);
	printf("%-30s  %10s  %10s  %10s  %10s\n", "", "1", "2", "3", "4");
	for (size_t i = 0; i < sizeof forms / sizeof *forms; i++) {
		pthread_t thread;
		for (int k = 0; k < PARTS; k++)
			by_timer[k] = by_witness[k] = 0;
		is_over = looper = 0;
		where = 0;
		pthread_create(&thread, NULL, loop, &forms[i]);
		while (!looper || !where)
			usleep(1000);
		pin(0);
		look(seconds);
		is_over = 1;
		pthread_join(thread, NULL);
		show("interrupt on its CPU", by_timer);
		show("another CPU", by_witness);
		fflush(stdout);
	}
	return 0;
}
