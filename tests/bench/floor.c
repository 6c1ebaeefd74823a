/* The least that a sampling pass can cost on this machine: sleep a random gap (mean 1/HZ), read BYTES of the target's
 * memory in one call, read one kept-open schedstat. A profiler's cost is shown as a ratio to this.
 * usage: floor PID HZ SECONDS BYTES
 * prints "ready", and after SECONDS or SIGINT: CPU-MICROSECONDS-PER-PASS PASSES */
#include <fcntl.h>
#include <math.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

static volatile sig_atomic_t interrupted;

static void interrupt(int number)
{
	interrupted = 1;
}

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

static void sleep_until(double when)
{
	struct timespec t = {(time_t)when, (long)((when - (double)(time_t)when) * 1e9)};
	if (when > seconds(CLOCK_MONOTONIC))
		clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
}

/* The last private writable mapping that holds so many bytes: the stack, or arenas below it. */
static unsigned long somewhere(int pid, size_t bytes)
{
	char path[64], line[512], perm[5];
	unsigned long found = 0, low, high;
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f))
		if (sscanf(line, "%lx-%lx %4s", &low, &high, perm) == 3 && perm[0] == 'r' && perm[1] == 'w' &&
		    high - low >= bytes)
			found = high - bytes;
	if (f)
		fclose(f);
	return found;
}

int main(int argc, char **argv)
{
	if (argc != 5) {
		fprintf(stderr, "usage: floor PID HZ SECONDS BYTES\n");
		return 2;
	}
	int pid = (int)strtol(argv[1], NULL, 10);
	double hz = strtod(argv[2], NULL), duration = strtod(argv[3], NULL);
	size_t bytes = strtoul(argv[4], NULL, 0);
	char path[64], small[64], *buf = malloc(bytes);
	unsigned long address = somewhere(pid, bytes);
	snprintf(path, sizeof path, "/proc/%d/schedstat", pid);
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (!buf || fd < 0 || !address) {
		fprintf(stderr, "floor: process %d cannot be read\n", pid);
		free(buf);
		return 1;
	}
	struct sigaction action = {.sa_handler = interrupt};
	sigaction(SIGINT, &action, NULL);
	puts("ready");
	fflush(stdout);
	double next = seconds(CLOCK_MONOTONIC), end = next + duration, before = seconds(CLOCK_PROCESS_CPUTIME_ID);
	long passes = 0, failed = 0;
	while (next < end && !interrupted) {
		next += -log(drand48() + 1e-12) / hz;
		sleep_until(next);
		struct iovec to = {buf, bytes}, from = {(void *)address, bytes};
		failed += process_vm_readv(pid, &to, 1, &from, 1, 0) != (ssize_t)bytes;
		failed += pread(fd, small, sizeof small, 0) <= 0;
		passes++;
	}
	printf("%.3f %ld\n", (seconds(CLOCK_PROCESS_CPUTIME_ID) - before) / (double)passes * 1e6, passes);
	close(fd);
	free(buf);
	return failed > passes / 100;
}
