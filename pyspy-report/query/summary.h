/* summary: samples, and the time that they stand for, by what is known of them: in all, of the view, and by thread. */
#pragma once
#include "pyspy-report/profile/profile.h"
#include "pyspy-report/query/filter.h"

/* How a sample was taken: FORMAT.md's ways, told apart as far as the state allows. */
enum summary_taken {
	SUMMARY_OUTSIDE, /* read from outside while it ran */
	SUMMARY_STILL,   /* standing still: it slept */
	SUMMARY_HELD,    /* standing still: its CPU was held (ticks) */
	SUMMARY_KERNEL,  /* by the kernel, on a CPU */
	SUMMARY_SWITCH,  /* by the kernel, off its CPU: the stack with which it left it */
	SUMMARY_STOPPED, /* stopped for it */
	SUMMARY_TAKEN_
};

/* Samples, or nanoseconds. */
struct summary_count {
	uint64_t n; /* all of them; nanoseconds of CPU time with FILTER_BY_CPU */
	uint64_t idle, gil, gil_wait, gc;
	uint64_t in_motion, lost, unproved, cut, events;
	uint64_t state[8], way[4]; /* enum wire_state, wire_way */
	uint64_t taken[SUMMARY_TAKEN_];
	/* in either case ns: of time, on a CPU as far as that is known, and known to be off it */
	uint64_t wall_ns, cpu_ns, off_ns;
};

struct summary_part {
	struct summary_count samples, ns;
};

struct summary {
	struct summary_part all, kept;  /* kept: those that pass the filter; what --time leaves out is in neither */
	struct summary_part idle;       /* left out because they are idle, and for nothing else */
	uint64_t outside_n, outside_ns; /* what --time leaves out; ns as all.ns.n counts them */
	uint32_t n_kept_threads, n_kept_processes;
	VEC(struct summary_part) threads; /* by thread, all of it */
	uint32_t n_threads, n_processes;  /* that have samples */
	bool by_time;                     /* shares are of time (filter_by_time) */
	enum filter_measure measure;
};

int summary_build(struct summary *s, const struct profile *p, const struct filter *f); /* 0 or ERR_NO_MEMORY */
/* The same, as if there was nothing but what the filter keeps: `all` and `threads` are of that. */
int summary_build_kept(struct summary *s, const struct profile *p, const struct filter *f);
void summary_done(struct summary *s);
/* What shares of this part are shares of: its time or its samples. */
const struct summary_count *summary_shares(const struct summary *s, const struct summary_part *part);
/* Sums over all recordings of the input. */
uint64_t summary_lost(const struct profile *p, enum wire_lost cause);
uint64_t summary_counter(const struct profile *p, enum wire_counter counter);
