/* index_load: an index -> a profile, as profile/load makes it of the recordings themselves; samples again, too.
 *
 * Flow:    SQLite -> packs (facts), chunks -> [index_load] -> profile/runs -> the same tally, replay, lanes.
 * What is asked for by --time is all that is read of the samples; without it, and where nobody wants them one by one,
 * the recording's tally is.
 * Trust:   index_db opens; all numbers come out of packs with checksums and are checked (facts, chunk). Rows for people
 * are not looked at.
 * Not re-entrant: one at a time of the functions below for an index.
 */
#pragma once
#include <sqlite3.h>

#include "pyspy-report/index/chunk.h"
#include "pyspy-report/index/index_facts.h"
#include "pyspy-report/profile/load.h"

struct index {
	sqlite3 *db;
	sqlite3_stmt *get_block, *get_stacks, *get_sum;
	struct pack pack;
	struct facts_map map; /* to the profile that it was loaded into */
	VEC(struct facts_input) inputs;
	VEC(struct facts_recording) recordings;
	struct chunk chunk;
	int error_number;
};

/* Open, and read what it is of. index_close in any case. Errors of index_db_open. */
int index_open(struct index *x, const char *path, int *error_number);
void index_close(struct index *x);
/* Into `p`: dictionaries, processes, threads; then its recordings, without samples. ERR_DAMAGED, ERR_FULL,
 * ERR_NO_MEMORY, ERR_SYSTEM (x->error_number). */
int index_load_dictionaries(struct index *x, struct profile *p);
int index_load_facts(struct index *x, struct profile *p, const char *name);
/* The profile got the ids that the index has. */
bool index_is_same(const struct index *x, const struct profile *p);
/* All of it, or with o->replays the samples again: as load_file. `name`: what its only input is called now; NULL: as
 * it was. The same errors, or what a visitor returned. */
int index_load(struct index *x, struct profile *p, const char *name, const struct load_options *o);
/* When each recording ends, as profile/ends has it. */
int index_ends(const struct index *x, struct ends *ends);
/* Read chunk `id` into x->chunk; its stacks and threads are still the index's. Errors as above. */
int index_read_chunk(struct index *x, uint64_t id);
/* A block of a chunk that was read, whose parts begin at the places in `from`, into `r` and `e`; `from` moves on. Ids
 * become the profile's. */
struct index_place {
	size_t tick, entry, closing, gap, event, change, carry;
};
int index_place_block(struct index *x, struct chunk *c, const struct chunk_block *b, struct index_place *from,
                      struct runs *r, struct epoch *e);
