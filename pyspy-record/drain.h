/* drain: what the kernel has sampled comes over, for all processes of a session.
 *
 * Flow:    kernel/engine -> [drain] -> sample/events of each seat.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "pyspy-record/kernel/engine.h"

struct seats;

struct drain {
	struct kernel *kernel; /* NULL: nothing is the kernel's */
	struct seats *seats;
	uint64_t next_ns; /* CLOCK_MONOTONIC */
	uint64_t gap_ns;  /* until the next one: shorter while there is news ... */
	double stretch;   /* ... and so many times what is usual; 1 or more */
	uint64_t news;    /* as of the last one */
	/* Code objects that were not met before may be gone soon (modules that are imported): their names are read at
	 * once, after each sample, for as long as there are new ones and the time for that lasts. */
	bool is_eager;
	uint64_t code_news, code_news_ns; /* when there was some */
	uint64_t eager_for_ns;            /* after that */
	uint64_t begin_ns, early_ns;      /* CPU time spent on it since then */
	uint64_t at_ns;                   /* of the last snapshot */
	uint64_t n, random;
	uint64_t overrun; /* samples lost because the ring was full, as of drain_count */
};

/* `mean_gap_ns`: between two samples, as asked for. */
void drain_init(struct drain *d, struct kernel *k, struct seats *s, uint64_t mean_gap_ns, uint64_t now_ns);
/* Take what is there, look at those that sleep, see who has come or gone. */
void drain_take(struct drain *d);
/* The first drain that brings a sample begins this, if it was not done before, and one of the next may end it (`wait`:
 * it is through): the kernel gets the rest of its programs, and threads get clocks. */
void drain_complete(struct drain *d, bool wait);
/* Sleep until `wake_ns`, or until it is time to drain. */
void drain_wait(struct drain *d, uint64_t wake_ns);
/* Sample, and drain, so many times more seldom than was asked for. */
void drain_slow(struct drain *d, double stretch);
/* Only what is in the ring: before a process is left. */
void drain_ring(struct drain *d);
/* Ask the kernel for what was lost. Where it has no room for all threads, their processes are sampled from outside from
 * then on. */
void drain_count(struct drain *d);
