/* Nothing but reading: process_vm_readv of BYTES, back to back, without a sleep. No sampler that reads from outside can
 * look more often. The page is one that the target keeps in memory, so each read copies it.
 * usage: bare PID SECONDS BYTES
 * prints "ready", and after SECONDS or SIGINT: READS-A-SECOND READS */
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
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

int main(int argc, char **argv)
{
	if (argc != 4) {
		fprintf(stderr, "usage: bare PID SECONDS BYTES\n");
		return 2;
	}
	int pid = (int)strtol(argv[1], NULL, 10);
	double duration = strtod(argv[2], NULL);
	size_t bytes = strtoul(argv[3], NULL, 0);
	char *buf = malloc(bytes);
	unsigned long address = somewhere(pid, bytes);
	if (!buf || !address) {
		fprintf(stderr, "bare: process %d cannot be read\n", pid);
		free(buf);
		return 1;
	}
	signal(SIGINT, interrupt);
	puts("ready");
	fflush(stdout);
	long reads = 0, failed = 0;
	double begin = seconds(), now = begin;
	while (now < begin + duration && !interrupted) {
		for (int i = 0; i < READS_BETWEEN_LOOKS; i++) {
			struct iovec to = {buf, bytes}, from = {(void *)address, bytes};
			failed += process_vm_readv(pid, &to, 1, &from, 1, 0) != (ssize_t)bytes;
		}
		reads += READS_BETWEEN_LOOKS;
		now = seconds();
	}
	printf("%.0f %ld\n", (double)reads / (now - begin), reads);
	free(buf);
	return failed > reads / 100;
}
