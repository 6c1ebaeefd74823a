/* runs: the TICKS and EVENTS of a block -> who was seen where, how often, for how long (FORMAT.md 4.3, 4.4).
 *
 * Flow:    decoded records -> [runs] -> epoch tally, and a list of runs for those who need their order (replay).
 * Records are kept until the block ends, because DOUBT and RECORDING may stand behind them.
 */
#pragma once
#include "pyspy-report/profile/epoch.h"

/* A thread's unchanged stack over ticks begin .. end-1 of its block. */
struct run {
	uint32_t thread; /* global */
	uint32_t stack;  /* of the epoch */
	uint32_t flags;
	uint32_t begin, end;
	uint32_t id; /* the thread's, of the epoch: tells unknown threads apart */
};

/* Time before a tick that no tick stands for: a gap that was too long (FORMAT.md 4.3). */
struct run_missed {
	uint32_t tick;
	uint64_t ns; /* of this gap and of all before it in the block */
};

struct runs {
	/* of the current block */
	VEC(uint64_t) ticks_ns;
	VEC(struct rec_entry) entries;
	VEC(struct rec_closing) closings;
	VEC(struct rec_event) events;
	VEC(struct rec_gap) gaps;      /* mean gaps; none: the recording's */
	VEC(uint64_t) before_ns;       /* with gaps: sum of the mean gaps of the ticks before each, and of all */
	struct map doubts;             /* stack ids */
	uint64_t sampled_ns;           /* that the ticks stand for; after runs_finish */
	VEC(struct run_missed) missed; /* only with keep */
	bool has_ticks;
	uint32_t stamp; /* number of blocks seen: tells a thread's entries of this block from older ones */

	uint64_t from_ns, until_ns; /* only what is in here counts (profile/span.h); set before runs_finish */
	uint32_t from, until;       /* of the current block: the ticks in there */
	bool replays;         /* the recording is read again: the list alone is wanted, nothing is counted twice */
	bool is_known;        /* from an index: threads have the CPU time that is told of them already */
	struct tally *rows;   /* NULL, or: what is counted is added here too */
	struct tally *coded;  /* NULL, or: the same with its stack's code (epoch_code) */
	struct tally *parts;  /* NULL, or: what is counted is added here too, without its stack */
	bool keep;            /* wanted: the list below, filled by runs_finish */
	VEC(struct run) list; /* of the current block, in order of their end */
};

void runs_init(struct runs *r);
void runs_done(struct runs *r);
void runs_begin_block(struct runs *r);
int runs_ticks(struct runs *r, const struct rec_ticks *t); /* 0 or ERR_NO_MEMORY, as all that follow */
int runs_events(struct runs *r, const struct rec_events *e);
int runs_doubt(struct runs *r, uint32_t stack);
/* The block is over: count it in the epoch's tally and in `to`, the recording's totals. */
int runs_finish(struct runs *r, struct epoch *e, const struct rec_block *b, struct profile_recording *to);
/* Time that the ticks before `tick` stand for: differences of it add up to the whole without rounding errors. */
uint64_t runs_time_before(const struct runs *r, uint32_t tick);
