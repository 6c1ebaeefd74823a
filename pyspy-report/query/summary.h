/* summary: samples counted by what is known of them, in all, of the view, and by thread. */
#pragma once
#include "pyspy-report/profile/profile.h"
#include "pyspy-report/query/filter.h"

struct summary_count {
	uint64_t n, idle, gil, gil_wait, gc;
	uint64_t in_motion, lost, unproved, cut, events;
	uint64_t state[8], way[4]; /* enum wire_state, wire_way */
	uint64_t wall_ns, cpu_ns;
};

struct summary {
	struct summary_count all, kept;    /* kept: those that pass the filter */
	VEC(struct summary_count) threads; /* by thread, all of it */
	uint32_t n_threads, n_processes;   /* that have samples */
};

int summary_build(struct summary *s, const struct profile *p, const struct filter *f); /* 0 or ERR_NO_MEMORY */
void summary_done(struct summary *s);
/* Sums over all recordings of the input. */
uint64_t summary_lost(const struct profile *p, enum wire_lost cause);
uint64_t summary_counter(const struct profile *p, enum wire_counter counter);
