/* facts: dictionaries, processes, threads, recordings of an index <-> its packs.
 *
 * Flow:    profile -> facts_*(writes) -> columns of a pack -> facts_*(reads) -> profile. One function does both, so
 * that they cannot disagree. Ids in a pack are those of the index; reading translates them to the profile's by `map`,
 * which grows with each dictionary that is read. A profile that had nothing in it gets the same ids.
 */
#pragma once
#include "pyspy-report/index/pack.h"
#include "pyspy-report/profile/epoch.h"

enum facts_kind {
	FACTS_STRINGS = 1,
	FACTS_MODULES,
	FACTS_FUNCTIONS,
	FACTS_LOCATIONS,
	FACTS_STACKS,
	FACTS_PROCESSES,
	FACTS_THREADS,
	FACTS_INPUT,
	FACTS_RECORDING,
	FACTS_TALLY,
	FACTS_END_,
};
enum { FACTS_ROWS = 1 << 20 }; /* of a pack at most */

/* By id of the index: id in the profile. [0] = 0. */
struct facts_ids {
	uint32_t *v; /* a VEC with a name */
	size_t n, cap;
};
struct facts_map {
	struct facts_ids strings, modules, functions, locations, stacks, processes, threads;
};
void facts_map_done(struct facts_map *m);
/* The empty ones, for which nothing is written. 0, ERR_NO_MEMORY. */
int facts_map_begin(struct facts_map *m);

/* Where a file that was indexed stands, and how to know it again. */
struct facts_input {
	char *name; /* as it was given */
	uint64_t size;
	int64_t mtime_ns;
	uint32_t ends_crc;  /* of its first and last 64 kB */
	uint32_t whole_crc; /* of all of it */
	uint64_t bytes;     /* read: profile.input_bytes */
	uint32_t first_recording, n_recordings;
	uint64_t n_damage, damaged_bytes, missing_blocks, missing_samples;
	VEC(struct profile_damage) damage; /* what: owned */
};
void facts_input_done(struct facts_input *i);

enum { FACTS_CHUNK_THREADS = 32, FACTS_MANY = FACTS_CHUNK_THREADS + 1 };

/* A chunk, without its samples: whether it has to be read. */
struct facts_chunk {
	uint64_t id;
	uint32_t epoch; /* running number of the recording's epochs */
	uint64_t begin_ns, end_ns;
	int64_t least_anchor_ns, most_anchor_ns;
	uint64_t first_ns, last_ns; /* of its ticks and events; first > last: none */
	uint64_t n_events;
	uint64_t mean_gap_ns, started_ns;                 /* of the recording, as they were known then */
	uint64_t n, wall_ns, cpu_ns;                      /* of all that is counted */
	uint32_t flags;                                   /* of all of it, or'ed */
	uint32_t n_threads, threads[FACTS_CHUNK_THREADS]; /* whose samples there are; FACTS_MANY: too many to tell */
};
/* All that is counted of some chunks of a recording, whose ticks and events are all asked for. */
struct facts_sum {
	uint64_t id;
	uint32_t first, n; /* chunks, by their place in the recording */
};
struct facts_recording {
	uint32_t input;
	struct profile_recording facts;
	VEC(struct facts_chunk) chunks;
	VEC(struct facts_sum) sums; /* by their first chunk, the longest first */
	uint64_t n_rows;            /* of its tally, when it has one */
	bool has_tally;
};
void facts_recording_done(struct facts_recording *r);

/* Entries from id `first` on, as many as fit into one pack: *n of them. The pack is sealed behind `out`. 0,
 * ERR_NO_MEMORY. */
int facts_write_dictionary(enum facts_kind kind, const struct profile *p, uint32_t first, uint32_t *n, struct pack *k,
                           struct buf *out);
/* The next pack of a dictionary. 0, ERR_DAMAGED, ERR_NO_MEMORY, ERR_FULL. */
int facts_read_dictionary(enum facts_kind kind, struct profile *p, struct facts_map *m, struct pack *k, const void *b,
                          size_t n);
int facts_write_input(struct facts_input *i, struct pack *k, struct buf *out);
int facts_read_input(struct facts_input *i, struct pack *k, const void *b, size_t n); /* zero before */
int facts_write_recording(struct facts_recording *r, struct pack *k, struct buf *out);
int facts_read_recording(struct facts_recording *r, struct pack *k, const void *b, size_t n); /* ids: of the index */
/* Ids of the index -> those of the profile. ERR_DAMAGED: one that is not there. */
int facts_map_recording(const struct facts_map *m, struct profile_recording *r);
/* Rows of a tally (at most FACTS_ROWS), or of a sum: those have codes (profile/epoch.h). `at` tells packs apart.
 * Reading adds them to the profile, or to `e`; ERR_DAMAGED, ERR_NO_MEMORY. */
int facts_write_rows(const struct tally_row *rows, size_t n_rows, uint64_t at, struct pack *k, struct buf *out);
int facts_read_tally(struct profile *p, const struct facts_map *m, struct pack *k, const void *b, size_t n);
int facts_read_sum(struct epoch *e, uint64_t id, const struct facts_map *m, struct pack *k, const void *b, size_t n);
