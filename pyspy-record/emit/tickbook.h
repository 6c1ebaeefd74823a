/* tickbook: the ticks of the open block, and what every thread did at them.
 *
 * Flow:    writer -> [tickbook] -> a TICKS record (FORMAT.md 4.3).
 * An entry holds until the thread's next one, over blocks too: the first tick of a block repeats, for each thread that
 * is present, what held before. A new epoch starts with nobody present. Memory:  grows with the block's entries and is
 * kept. A tick that finds no room is taken back whole, and so are those after it until the block is over: counted,
 * never half told.
 */
#pragma once
#include "format/encode.h"
#include "libcommon/vec.h"

struct tickbook_thread {
	bool is_present; /* has a sample at each tick from its last entry on */
	bool in_epoch;   /* has had an entry in this epoch */
	stack_id stack;  /* what holds */
	uint32_t flags;
	uint32_t first, last; /* its entries in the open block; valid when entries.v[first].thread says so */
	uint64_t cpu_ns;      /* used, not told yet */
	uint64_t closing_ns;  /* to be told with the closing of the open block */
};

struct tickbook {
	uint64_t unit_ns, cpu_unit_ns;
	VEC(uint64_t) times;
	VEC(struct rec_entry) entries;
	VEC(struct rec_closing) closings;      /* while encoding */
	VEC(struct rec_gap) gaps;              /* mean gaps, where they are not the recording's */
	uint64_t usual_gap_ns, gap_ns;         /* the recording's mean gap, and that of the gap that is open */
	VEC(struct tickbook_thread) threads;   /* by id */
	size_t tick_entries;                   /* entries before the open tick */
	uint64_t n_present, samples, not_kept; /* samples of closed ticks; those without room */
	bool in_tick, is_dropping;
};

void tickbook_init(struct tickbook *t, uint64_t unit_ns, uint64_t mean_gap_ns);
void tickbook_done(struct tickbook *t);
/* Make a place for a thread; false without memory. */
bool tickbook_room(struct tickbook *t, thread_id id);
/* A tick begins at time_ns (a multiple of the unit, not before the last one). */
void tickbook_tick(struct tickbook *t, uint64_t time_ns);
/* The gap that is open now, and those after it, have this mean. */
void tickbook_gap(struct tickbook *t, uint64_t mean_ns);
/* As writer_entry. Before the block's first tick it only says what holds. */
void tickbook_entry(struct tickbook *t, thread_id id, stack_id stack, uint32_t flags, uint64_t cpu_ns);
void tickbook_closing(struct tickbook *t, thread_id id, uint64_t cpu_ns);
/* A thread ended; its id may come again as another thread in a later epoch. */
void tickbook_forget(struct tickbook *t, thread_id id);
/* The last tick is over: no entries any more until the next one. */
void tickbook_close(struct tickbook *t);
/* Of the open block, the open tick included. */
uint64_t tickbook_samples(const struct tickbook *t);
/* No less than what the record will take. */
size_t tickbook_bytes(const struct tickbook *t);
/* After tickbook_close: append the record, if there are ticks, and begin a new block. */
void tickbook_encode(struct tickbook *t, struct buf *out);
void tickbook_new_epoch(struct tickbook *t);
