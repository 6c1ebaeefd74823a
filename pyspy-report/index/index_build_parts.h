/* build_parts: what the files of index_build share. Nobody else's. */
#pragma once
#include "libcommon/spool.h"
#include "pyspy-report/index/chunk.h"
#include "pyspy-report/index/index_build.h"
#include "pyspy-report/index/index_db.h"
#include "pyspy-report/index/index_load.h"
#include "pyspy-report/index/index_rows.h"
#include "pyspy-report/profile/load.h"

/* A thread of the epoch, as it was last seen. */
struct seen {
	uint64_t chunk; /* that it was named in */
	uint64_t block; /* running number of the block of its last entry */
	uint32_t thread;
	bool has_entry;
	uint32_t stack, flags; /* of its last entry, as the stream had them */
	/* of its last entry as the chunk has it */
	uint64_t entry_chunk;
	uint32_t chunk_stack, chunk_flags;
	bool waited;
};

struct waiting {
	uint64_t chunk, at; /* in the spool */
	size_t n;
};

/* All that is counted of the chunks since it began, as long as that is short: rows with codes (profile/epoch.h). */
struct sums {
	struct tally tally;
	uint32_t n_chunks;
	uint64_t n; /* entries and events of them */
	bool is_many;
};
struct waiting_sum {
	struct facts_sum sum;
	uint64_t at; /* in the spool */
	size_t n;
};
enum { BUILD_SUMS = 3 };

struct build {
	struct profile profile;
	struct index old;
	sqlite3 *db;
	sqlite3_stmt *add_block, *add_stacks, *add_activity, *add_pack, *add_sum;
	struct pack pack;
	struct buf bytes;
	struct load_tap tap;
	struct tally parts;
	struct chunk chunk;
	struct facts_chunk at; /* of the chunk */
	uint64_t n_chunks, n_blocks;
	uint32_t recording; /* whose samples are being read; UINT32_MAX: none */
	uint32_t epoch;
	bool is_new_epoch;
	VEC(struct seen) seen;
	VEC(struct chunk_stack) stacks;
	VEC(struct waiting) waiting;
	struct tally coded;           /* of the open chunk */
	struct sums sums[BUILD_SUMS]; /* of one chunk, of index_build_limits.group of them, ... */
	VEC(struct waiting_sum) waiting_sums;
	uint64_t n_sums;
	struct spool spool;
	VEC(struct facts_input) inputs;         /* new ones */
	VEC(struct facts_recording) recordings; /* by number, all; of old ones nothing but the chunks' number */
	struct index_rows_done done;
	uint32_t crc;
	struct load *load;
	int error_number;
};

/* Run a prepared insertion with what is bound to it; one of b->bytes as a pack. 0, or as index_db_error. */
int build_step(struct build *b, sqlite3_stmt *s);
int build_add_pack(struct build *b, enum facts_kind kind, uint32_t number);

/* What the spool said, with its error number kept. */
int build_spooled(struct build *b, int rc);

/* The samples as they are read: each block into the open chunk, which is written when it is full or its epoch ends. */
int build_end_recording(struct build *b);
int build_reach_recording(struct build *b, size_t n);
int build_on_block(void *ctx, struct epoch *e, struct runs *r, const struct rec_block *block);
int build_on_epoch_end(void *ctx, struct epoch *e);

/* Sums of chunks. A chunk of `n` entries and events is complete, its rows are in b->coded, the recording has `n_chunks`
 * of them now; the epoch is over. */
int build_sums_chunk(struct build *b, uint32_t n_chunks, uint64_t n);
int build_sums_epoch(struct build *b, struct epoch *e);
void build_sums_done(struct build *b);
