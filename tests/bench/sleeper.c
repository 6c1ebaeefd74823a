/* The least that looking from time to time can cost: a loop that only sleeps, random gaps of mean 1/HZ (exponential),
 * or, with "fixed", as many equal ones.
 * usage: sleeper HZ SECONDS [fixed]
 * prints "ready", and after SECONDS or SIGINT: CPU-MICROSECONDS-PER-SLEEP SLEEPS */
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <time.h>

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	(void)number;
	interrupted = 1;
}

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: sleeper HZ SECONDS [fixed]\n");
		return 2;
	}
	double hz = strtod(argv[1], NULL), duration = strtod(argv[2], NULL);
	struct sigaction action = {.sa_handler = interrupt};
	sigaction(SIGINT, &action, NULL);
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); /* as the recorder has it */
	puts("ready");
	fflush(stdout);
	double next = seconds(CLOCK_MONOTONIC), end = next + duration, before = seconds(CLOCK_PROCESS_CPUTIME_ID);
	long n = 0;
	while (next < end && !interrupted) {
		next += (argc > 3 ? 1 : -log(drand48() + 1e-12)) / hz;
		struct timespec t = {(time_t)next, (long)((next - (double)(time_t)next) * 1e9)};
		if (next > seconds(CLOCK_MONOTONIC)) /* what is late is skipped */
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		n++;
	}
	printf("%.3f %ld\n", (seconds(CLOCK_PROCESS_CPUTIME_ID) - before) / (double)(n ? n : 1) * 1e6, n);
	return 0;
}
