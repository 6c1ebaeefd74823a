/* scribe: records -> the bytes of recordings, with one dictionary for all of them.
 *
 * Flow:    copyist (merge, anonymize), import_* -> [scribe] -> FILE. What is put is kept until scribe_block.
 * Ids:     strings, functions, locations, stacks and modules are interned: equal things have one id, over epochs and
 *          recordings (WIRE_BLOCK_GOES_ON), until the tables are as large as SCRIBE_MAX_*; then an epoch stands alone
 * and ids begin anew. Ids of processes and threads are the caller's, of one epoch. Memory:  the dictionaries, one
 * block. Errors: 0, ERR_FULL (2^24 ids, 1 GB of names, a record that no block holds), ERR_NO_MEMORY. What the file
 * could not take is the file's to know (report_output).
 */
#pragma once
#include <stdio.h>

#include "format/encode.h"
#include "libcommon/intern.h"
#include "libcommon/map.h"
#include "libcommon/vec.h"

enum {
	SCRIBE_HOLE = WIRE_IDS_MAX,  /* a stack that is never defined: its samples are [lost] */
	SCRIBE_MAX_STACKS = 1 << 19, /* with more, the next epoch stands alone */
	SCRIBE_MAX_BYTES = 24 << 20,
};

/* The parts of a block, in the order that they are written in. */
enum scribe_part {
	SCRIBE_RECORDING,
	SCRIBE_STRINGS,
	SCRIBE_MODULES,
	SCRIBE_FUNCTIONS,
	SCRIBE_LOCATIONS,
	SCRIBE_STACKS,
	SCRIBE_ACTORS, /* processes, threads, interpreters, hosts, and their ends */
	SCRIBE_CERTIFY,
	SCRIBE_SAMPLES, /* and what was lost, counters, END */
	SCRIBE_PARTS
};

struct scribe_record {
	size_t end; /* in its part's bytes */
	uint64_t n_samples;
	uint32_t n_ticks;
};

struct scribe {
	FILE *to;
	struct block_sealer *sealer;
	struct rec_file file;
	bool has_file, has_epoch, goes_on, begins_epoch;
	bool owes_header, may_be_empty; /* the file header is not written yet */
	bool keeps_ids;                 /* the caller's: no epoch stands alone but the first one */
	uint32_t sequence, epoch;
	uint64_t samples;

	struct intern strings, modules, functions, locations;
	struct map stacks;            /* (parent, location) -> id */
	uint32_t n_stacks;            /* the next id */
	VEC(module_id) first_modules; /* by key: id of the first record */
	uint32_t n_modules;           /* the next id */
	VEC(uint8_t) certified;       /* by stack */
	VEC(stack_id) to_certify;

	struct encode_batch batches[SCRIBE_PARTS]; /* of the parts that have batches */
	struct {
		struct buf bytes;
		VEC(struct scribe_record) records;
	} parts[SCRIBE_PARTS];
	struct buf content, sealed;
};

int scribe_init(struct scribe *s, FILE *to);
void scribe_done(struct scribe *s);

/* A recording begins. may_be_empty: without a block, it is left out. */
int scribe_file(struct scribe *s, const struct rec_file *f, bool may_be_empty);
int scribe_finish(struct scribe *s); /* all is put */
/* An epoch begins; *is_fresh: all ids are forgotten. */
int scribe_epoch(struct scribe *s, bool *is_fresh);
/* Write what was put, in one block, or several where it does not fit: of `b` flags (only WIRE_BLOCK_LAST), times and
 * anchor count. */
int scribe_block(struct scribe *s, const struct rec_block *b);
/* What was put into the part shall not be written. */
void scribe_forget(struct scribe *s, enum scribe_part part);
/* Bytes that wait for scribe_block, about. */
size_t scribe_waiting(const struct scribe *s);

int scribe_string(struct scribe *s, const char *p, size_t n, str_id *id);
int scribe_function(struct scribe *s, const struct rec_function *f, function_id *id);
int scribe_location(struct scribe *s, const struct rec_location *l, location_id *id);
/* A module whose address range was defined: always a record; *id: of the first one of this path and build id. */
int scribe_module(struct scribe *s, const struct rec_module *m, module_id *id);
/* The stack that is the same for all who have it. It may be uncertified. */
int scribe_stack(struct scribe *s, stack_id parent, location_id location, bool certified, stack_id *id);
/* One that nobody else shares, so that what is certified of others does not count for it. */
int scribe_private_stack(struct scribe *s, stack_id parent, location_id location, stack_id *id);
int scribe_certify(struct scribe *s, stack_id id);

/* Put one record: encode it into scribe_begin's buf, then say what it holds. */
struct buf *scribe_begin(struct scribe *s, enum scribe_part part);
int scribe_end(struct scribe *s, enum scribe_part part, uint64_t n_samples, uint32_t n_ticks);
