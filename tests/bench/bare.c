/* Nothing but reading: process_vm_readv of BYTES, back to back, without a sleep. No sampler that reads from outside can
 * look more often. The page is one that the target keeps in memory, so each read copies it.
 * With HZ: one read at random moments (exponential gaps), slept for; those that have passed are skipped. No sampler
 * that sleeps, and gives up what is late, can look more often.
 * usage: bare PID SECONDS BYTES [HZ]
 * prints "ready", and after SECONDS or SIGINT: READS-A-SECOND READS */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <time.h>

enum { READS_BETWEEN_LOOKS = 64 }; /* at the clock */

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static double seconds(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The end of the main thread's stack: always there, always touched. */
static unsigned long somewhere(int pid, size_t bytes)
{
	char path[64], line[512];
	unsigned long found = 0, low, high;
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f)) {
		int name = 0;
		if (sscanf(line, "%lx-%lx %*s %*s %*s %*s %n", &low, &high, &name) == 2 && name &&
		    !__builtin_strncmp(line + name, "[stack]", 7) && high - low >= bytes)
			found = high - bytes;
	}
	if (f)
		fclose(f);
	return found;
}

/* The first of the moments that has not passed. */
static double next_moment(double last, double hz)
{
	double now = seconds();
	do
		last += -log(drand48() + 1e-12) / hz;
	while (last <= now);
	return last;
}

static void sleep_until(double when)
{
	struct timespec t = {(time_t)when, (long)((when - (double)(time_t)when) * 1e9)};
	clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

int main(int argc, char **argv)
{
	if (argc != 4 && argc != 5) {
		fprintf(stderr, "usage: bare PID SECONDS BYTES [HZ]\n");
		return 2;
	}
	int pid = (int)strtol(argv[1], NULL, 10);
	double duration = strtod(argv[2], NULL);
	size_t bytes = strtoul(argv[3], NULL, 0);
	double hz = argc > 4 ? strtod(argv[4], NULL) : 0;
	int at_once = hz > 0 ? 1 : READS_BETWEEN_LOOKS;
	char *buf = malloc(bytes);
	unsigned long address = somewhere(pid, bytes);
	if (!buf || !address) {
		fprintf(stderr, "bare: process %d cannot be read\n", pid);
		free(buf);
		return 1;
	}
	struct sigaction action = {.sa_handler = interrupt};
	sigaction(SIGINT, &action, NULL);
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); /* as the recorder has it */
	puts("ready");
	fflush(stdout);
	long reads = 0, failed = 0;
	double begin = seconds(), now = begin, next = begin;
	while (now < begin + duration && !interrupted) {
		if (hz > 0)
			sleep_until(next = next_moment(next, hz));
		for (int i = 0; i < at_once; i++) {
			struct iovec to = {buf, bytes}, from = {(void *)address, bytes};
			failed += process_vm_readv(pid, &to, 1, &from, 1, 0) != (ssize_t)bytes;
		}
		reads += at_once;
		now = seconds();
	}
	printf("%.0f %ld\n", (double)reads / (now - begin), reads);
	free(buf);
	return failed > reads / 100;
}
