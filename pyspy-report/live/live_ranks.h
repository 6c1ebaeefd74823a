/* live_ranks: rows of a running recording -> how much each function (or line, or either of one thread) has, in the last
 * moments and since the start.
 *
 * Flow:    live/live_sums -> filter, naming, shape -> [live_ranks] -> live/live_model.
 * A look costs what the rows and the frames' tree cost: no stack is looked at twice.
 *
 * Percentages are of wall time per thread: 100 % is all the time of the threads that have a row, whether they worked in
 * it or not (by thread: of the one thread). So they never pass 100 %, and a thread that waits most of the time does
 * not seem busy.
 */
#pragma once
#include "pyspy-report/live/live_sums.h"
#include "pyspy-report/query/shape.h"

#define LIVE_NO_GROUP UINT32_MAX

struct live_want {
	bool by_line, by_thread, gil_only, idle, no_lines, full_filenames;
};

struct live_weight {
	uint64_t n, ns;
};

struct live_group {             /* a row of the table */
	uint32_t frame, thread; /* of the naming; thread: its frame, LIVE_NO_GROUP where threads are added up */
	uint32_t of;            /* the thread in the profile, or 0 */
	struct live_weight self[LIVE_PARTS], total[LIVE_PARTS];
};

struct live_node { /* beside the shape's node of the same number */
	uint32_t group, top, child, sibling;
	bool is_first; /* no frame further out is of its group */
	struct live_weight self[LIVE_PARTS], total[LIVE_PARTS];
};

struct live_thread {
	struct live_weight all;
	bool has_kept, is_seen;
};

/* What a part is of, in all. */
struct live_totals {
	struct live_weight all, kept, idle, gil, active, in_motion, lost;
	uint64_t whole; /* what 100 % is, in nanoseconds or samples */
	uint64_t ns;    /* how long it took */
	uint32_t n_threads, n_kept, n_busy, n_processes;
};

struct live_ranks {
	struct live_sums *sums;
	struct live_want want;
	struct naming naming;
	struct shape shape;
	struct filter filter;
	bool is_made;
	size_t made_stacks; /* stacks when the shape was made */
	bool by_time;
	VEC(struct live_node) nodes;
	size_t n_linked;
	struct map keys; /* (top, frame) -> group */
	VEC(struct live_group) groups;
	VEC(struct live_thread) threads[LIVE_PARTS];
	VEC(uint32_t) open; /* by group, while the tree is walked */
	struct live_totals totals[LIVE_PARTS];
};

/* A neighbour in the stack. */
struct live_neighbour {
	uint32_t group; /* LIVE_NO_GROUP: nobody called it */
	struct live_weight weight[LIVE_PARTS];
};
struct live_neighbours {
	VEC(struct live_neighbour) v;
};

void live_ranks_init(struct live_ranks *r, struct live_sums *s);
void live_ranks_done(struct live_ranks *r);
/* Count everything as `w` wants it. 0, ERR_FULL, ERR_NO_MEMORY. Groups keep their numbers until `w` changes or there
 * are many more stacks: then *is_new. */
int live_ranks_look(struct live_ranks *r, const struct live_want *w, bool *is_new);
/* Who called this group, or whom it called: of each stack its outermost frame of the group. Unsorted. 0,
 * ERR_NO_MEMORY. */
int live_ranks_neighbours(const struct live_ranks *r, uint32_t group, bool callers, struct live_neighbours *out);
static inline uint64_t live_weigh(const struct live_ranks *r, const struct live_weight *w)
{
	return r->by_time ? w->ns : w->n;
}
/* What 100 % is for this row. */
uint64_t live_ranks_whole(const struct live_ranks *r, const struct live_group *g, enum live_part part);
