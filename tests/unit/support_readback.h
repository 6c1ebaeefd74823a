/* support_readback: what a writer wrote, read back with the decoder into plain tables.
 *
 * Use:    the stacks that a test may write are numbered: `readback_universe`. Function "f17" of /app.py begins at line
 * 170, and its only location is line 173. readback() checks on the way all that must hold for any recording: ids
 * defined before use and once, blocks that follow each other, header counts.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#include "format/decode.h"
#include "libcommon/vec.h"

enum { UNIVERSE = 300, LOCATIONS = 40, THREADS = 4000, IDS = 70000 };

struct sample {
	uint64_t time_ns;
	uint32_t tid, flags;
	int stack;        /* in the universe; 0 = no frame */
	uint64_t mean_ns; /* of the gap that ended with its tick */
};
typedef VEC(struct sample) samples_t;

/* Parent (an earlier one) and location number, each pair once. */
struct readback_stack {
	int parent, location;
};
extern struct readback_stack readback_universe[UNIVERSE];
/* Its number; -1 = there is none. */
int readback_find(int parent, int location);

struct decoded {
	samples_t samples;
	int strings_seen;
	char *strings[IDS];
	int functions[IDS], locations[IDS], stacks[IDS]; /* ids -> numbers of the universe; 0 = not defined */
	bool certified[UNIVERSE];
	uint32_t tids[IDS], pids[IDS];
	uint64_t cpu_ns[THREADS];
	uint64_t n_samples, lost[8], counters[WIRE_COUNTER_LIMIT];
	uint32_t epochs, blocks, files, threads, thread_ends, processes, process_ends, recordings, ends, doubts;
	uint32_t n_cmdline, n_sys_path, interpreters;
	char cmdline0[64], name[64], note[64], option[64];
	struct rec_end end;
	struct rec_block block;
	uint64_t end_ns;
	uint64_t mean_gap_ns, open_mean_ns; /* of the recording; of the gap behind the last tick */
	uint32_t cpu_ppm;
	void (*on_epoch_end)(struct decoded *d, uint32_t epoch);
};

/* on_epoch_end may be NULL. Fails the test at any damage. */
struct decoded *readback(const char *file_name, void (*on_epoch_end)(struct decoded *, uint32_t epoch));
void readback_free(struct decoded *d);
