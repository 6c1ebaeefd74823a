/* What does one system call of a sampler cost, where it is the first after a sleep and its caches are as they are then?
 * A loop that sleeps random gaps (mean 1/HZ) and makes one of the calls after each, in turn, between two looks at a
 * clock. usage: calls PID HZ SECONDS OP ... OP: schedstat, syscall, stat (reads that file of the process's main thread,
 * kept open), read:PIECES:BYTES (of the process's memory, in one call, BYTES in all), getrusage (our switches), clock
 * (the process's CPU time) prints "OP MICROSECONDS" for each, the median; and "sleep MICROSECONDS", the CPU time of a
 * pass less its call */
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { OPS_MAX = 16, PIECES_MAX = 64, TEXT = 1024, PAGE = 4096, PASSES_MAX = 1 << 16 };

struct op {
	int fd;          /* a file to read, or ... */
	size_t pieces;   /* ... pieces of memory, or ... */
	clockid_t clock; /* ... a clock, or (0) getrusage */
	struct iovec local[PIECES_MAX], remote[PIECES_MAX];
};

static double seconds(clockid_t clock)
{
	struct timespec t;
	clock_gettime(clock, &t);
	return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* The last n private pages that can be written and are there: the main thread's stack is the last of all. */
static size_t pages_of(int pid, unsigned long *at, size_t n)
{
	char path[64], line[512], perm[5], byte;
	unsigned long low, high;
	size_t found = 0;
	snprintf(path, sizeof path, "/proc/%d/maps", pid);
	FILE *f = fopen(path, "r");
	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, "%lx-%lx %4s", &low, &high, perm) != 3 || perm[0] != 'r' || perm[1] != 'w')
			continue;
		struct iovec to = {&byte, 1}, from = {(void *)(high - PAGE), 1};
		if (process_vm_readv(pid, &to, 1, &from, 1, 0) == 1)
			at[found++ % n] = high - PAGE;
	}
	if (f)
		fclose(f);
	return found < n ? found : n;
}

static int parse(struct op *op, const char *text, int pid)
{
	static char to[PIECES_MAX * PAGE];
	unsigned long at[PIECES_MAX];
	char path[64];
	size_t bytes;
	*op = (struct op){.fd = -1};
	if (strcmp(text, "getrusage") == 0)
		return 0;
	if (strcmp(text, "clock") == 0) {
		op->clock = (clockid_t)(~(unsigned)pid << 3 | 2); /* see clock_getcpuclockid(3) */
		return 0;
	}
	if (sscanf(text, "read:%zu:%zu", &op->pieces, &bytes) == 2) {
		size_t n_pages;
		if (op->pieces < 1 || op->pieces > PIECES_MAX || bytes > op->pieces * PAGE || bytes < op->pieces)
			return -1;
		n_pages = pages_of(pid, at, op->pieces);
		for (size_t i = 0; n_pages && i < op->pieces; i++) {
			op->local[i] = (struct iovec){to + i * PAGE, bytes / op->pieces};
			op->remote[i] = (struct iovec){(void *)at[i % n_pages], bytes / op->pieces};
		}
		return n_pages ? 0 : -1;
	}
	snprintf(path, sizeof path, "/proc/%d/task/%d/%s", pid, pid, text);
	op->fd = open(path, O_RDONLY | O_CLOEXEC);
	return op->fd < 0 ? -1 : 0;
}

/* 0, or -1: it failed */
static int call(struct op *op, int pid)
{
	char text[TEXT];
	struct rusage usage;
	struct timespec t;
	if (op->fd >= 0)
		return pread(op->fd, text, sizeof text, 0) > 0 ? 0 : -1;
	if (op->pieces)
		return process_vm_readv(pid, op->local, op->pieces, op->remote, op->pieces, 0) > 0 ? 0 : -1;
	return op->clock ? clock_gettime(op->clock, &t) : getrusage(RUSAGE_THREAD, &usage);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;
	return (x > y) - (x < y);
}

int main(int argc, char **argv)
{
	static struct op ops[OPS_MAX];
	static double took[OPS_MAX][PASSES_MAX];
	if (argc < 5 || argc > 4 + OPS_MAX) {
		fprintf(stderr, "usage: calls PID HZ SECONDS OP ...\n");
		return 2;
	}
	int pid = (int)strtol(argv[1], NULL, 10), n_ops = argc - 4;
	double hz = strtod(argv[2], NULL), duration = strtod(argv[3], NULL), in_calls = 0;
	for (int i = 0; i < n_ops; i++)
		if (parse(&ops[i], argv[4 + i], pid) < 0) {
			fprintf(stderr, "calls: %s of process %d: %s\n", argv[4 + i], pid, strerror(errno));
			return 1;
		}
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0); /* as the recorder has it */
	double next = seconds(CLOCK_MONOTONIC), end = next + duration, before = seconds(CLOCK_PROCESS_CPUTIME_ID);
	long passes = 0, failed = 0;
	for (; next < end && passes < (long)n_ops * PASSES_MAX; passes++) {
		next += -log(drand48() + 1e-12) / hz;
		struct timespec t = {(time_t)next, (long)((next - (double)(time_t)next) * 1e9)};
		if (next > seconds(CLOCK_MONOTONIC))
			clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);
		double begin = seconds(CLOCK_MONOTONIC);
		failed += call(&ops[passes % n_ops], pid) != 0;
		took[passes % n_ops][passes / n_ops] = seconds(CLOCK_MONOTONIC) - begin;
		in_calls += took[passes % n_ops][passes / n_ops];
	}
	double cpu = seconds(CLOCK_PROCESS_CPUTIME_ID) - before;
	for (int i = 0; i < n_ops; i++) {
		size_t n = (size_t)(passes / n_ops);
		qsort(took[i], n, sizeof took[i][0], by_value);
		printf("%s %.3f\n", argv[4 + i], took[i][n / 2] * 1e6);
	}
	printf("sleep %.3f\n", (cpu - in_calls) / (double)passes * 1e6);
	return failed > passes / 100;
}
