/* lockstep: does a program run in step with the CPU's tick?
 *
 * The tick is a good moment to sample as long as it has nothing to do with what the program does. A program that wakes
 * up at the tick, or whose own timer (ITIMER_PROF) goes off at it, is always seen at the same place. So the tick is
 * weighed against clocks of the threads' own: at first both run, and only the clocks' samples count; when both tell the
 * same, the tick takes over and the clocks go on, slowly; when they do not, the clocks take over for good. What is
 * compared was seen at one rate of the clocks: else a program that does other things later would look different.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "libcommon/vec.h"

enum lockstep_verdict {
	LOCKSTEP_UNKNOWN, /* clocks count, ticks are compared with them */
	LOCKSTEP_NO,      /* ticks count, and slow clocks */
	LOCKSTEP_YES,     /* clocks only */
};

struct lockstep_count {
	uint32_t tick, clock;
	uint64_t sample; /* which counted it last */
};
struct lockstep_table {
	VEC(struct lockstep_count) codes; /* by the id of a code object */
};

struct lockstep {
	enum lockstep_verdict verdict;
	struct lockstep_table innermost, callers; /* a helper may be innermost in all that a program does */
	uint32_t n_tick, n_clock;
	uint64_t samples;
	double expected; /* ticks that should have been taken in the CPU time of the threads that are compared */
};

void lockstep_done(struct lockstep *l);
/* Code ids mean something else from now on: begin to count anew. */
void lockstep_forget(struct lockstep *l);
/* A sample of a thread that both look at, by its innermost code object ... */
void lockstep_count(struct lockstep *l, uint32_t code, bool by_clock);
/* ... and then by those further out; one that comes again counts once. */
void lockstep_count_caller(struct lockstep *l, uint32_t code, bool by_clock);
/* Weigh what was counted. True: the verdict is another one than before. */
bool lockstep_weigh(struct lockstep *l);
