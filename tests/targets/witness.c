/* witness: a thread of the target that looks, at random moments, which function the main thread is in. It shares no
 * code, no clock and no trigger with the recorder, and it disturbs nobody: it reads three words. Asked to, it also says
 * whether the main thread was on a CPU: when its CPU clock moved around the look. Awake, it waits for its moments in a
 * loop: who unmaps memory waits for each CPU that runs a thread of the program, so a witness that wakes for its looks
 * makes such calls longer from then on, and how long it has been awake before it looks depends on what else happens
 * when a thread wakes (a recorder's programs in the kernel, say).
 *
 * leaves.py builds it as a shared library and calls it by ctypes, without the GIL.
 */
#define _GNU_SOURCE
#include <math.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>

/* Where the main thread's innermost frame is told, and what a frame's code object is. */
struct place {
	volatile uint64_t *root; /* holds the frame's address, or that of the word that holds it (is_indirect) */
	int is_indirect;
	unsigned current_frame; /* offset of that word */
	unsigned code;          /* offset of the code object in a frame */
};

static uint64_t look(const struct place *p)
{
	uint64_t at = *p->root;
	if (p->is_indirect && at)
		at = *(volatile uint64_t *)(at + p->current_frame);
	return at ? *(volatile uint64_t *)(at + p->code) : 0;
}

/* CPU time of a thread, to the ns also while it runs; see clock_getcpuclockid(3) for the clock's number. */
static uint64_t cpu_ns(int tid)
{
	struct timespec t = {0};
	clock_gettime((clockid_t)(~(unsigned)tid << 3 | 6), &t);
	return (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
}

static void wait_for(double seconds, bool awake)
{
	struct timespec gap = {.tv_sec = (time_t)seconds}, begin, now;
	gap.tv_nsec = (long)((seconds - (double)gap.tv_sec) * 1e9);
	if (!awake) {
		clock_nanosleep(CLOCK_MONOTONIC, 0, &gap, NULL);
		return;
	}
	clock_gettime(CLOCK_MONOTONIC, &begin);
	do
		clock_gettime(CLOCK_MONOTONIC, &now);
	while ((double)(now.tv_sec - begin.tv_sec) + (double)(now.tv_nsec - begin.tv_nsec) * 1e-9 < seconds);
}

/* Look for `seconds`, each mean_us in the mean (exponential gaps). counts[i]: how often at codes[i]; counts[n]:
 * elsewhere; then as many of the looks at which thread tid was on a CPU (tid 0: none). awake: see above. Returns the
 * number of looks. */
long witness(uint64_t root, int is_indirect, unsigned current_frame, unsigned code, const uint64_t *codes, int n,
             double seconds, double mean_us, int tid, int awake, long *counts)
{
	struct place p = {(volatile uint64_t *)root, is_indirect, current_frame, code};
	struct timespec now;
	unsigned short state[3];
	long looks = 0;
	prctl(PR_SET_TIMERSLACK, 1, 0, 0, 0);
	clock_gettime(CLOCK_MONOTONIC, &now);
	memcpy(state, &now.tv_nsec, sizeof state);
	double end = (double)now.tv_sec + (double)now.tv_nsec * 1e-9 + seconds;
	memset(counts, 0, 2 * (size_t)(n + 1) * sizeof *counts);
	do {
		wait_for(-log(1 - erand48(state)) * mean_us * 1e-6, awake);
		uint64_t before = tid ? cpu_ns(tid) : 0, at = look(&p);
		int i = 0, on = tid && cpu_ns(tid) != before;
		while (i < n && codes[i] != at)
			i++;
		counts[i]++;
		counts[n + 1 + i] += on;
		looks++;
		clock_gettime(CLOCK_MONOTONIC, &now);
	} while ((double)now.tv_sec + (double)now.tv_nsec * 1e-9 < end);
	return looks;
}
