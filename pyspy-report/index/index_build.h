/* index_build: recordings -> an index.
 *
 * Flow:    files -> profile/load, with a tap -> chunks, dictionaries -> SQLite.
 * Memory:  the dictionaries, one chunk, and a tally of at most INDEX_TALLY_MAX rows; not what is long. Stacks that wait
 * for the end of their epoch wait in a temporary file.
 * The file at `path` is whole only when 0 came back: whoever calls makes it appear.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INDEX_TALLY_MAX = 1 << 19 };

/* When a chunk is full (entries, events, ticks); how many rows a tally may have however few the samples are, and else
 * the share of them that it may be; the share of the entries and events of chunks that their sum may be, and how many
 * times as many chunks the next longer sum is of. Tests make them small. */
extern struct index_build_limits {
	uint32_t chunk, tally, share, sum_share, group;
} index_build_limits;

struct index_built {
	int error_number;
	const char *failed;               /* the input that could not be read; NULL: the index could not be written */
	bool is_empty;                    /* of it: there was nothing in it */
	uint64_t n_samples, n_recordings; /* that are in it now */
	uint64_t n_damage;                /* places of all inputs */
};

/* Told while an input is read. */
struct index_progress {
	void (*begin)(const char *name, uint64_t all);
	void (*bytes)(uint64_t bytes);
	void (*end)(void);
};

/* `goes_on`: what is at `path` is an index already, and stays in it. 0;
 * ERR_SYSTEM, ERR_FORMAT, ERR_VERSION, ERR_DAMAGED (of the old one), ERR_FULL, ERR_NO_MEMORY, ERR_IO (temporary file).
 */
int index_build(const char *path, bool goes_on, const char *const *inputs, size_t n_inputs,
                const struct index_progress *progress, struct index_built *r);
