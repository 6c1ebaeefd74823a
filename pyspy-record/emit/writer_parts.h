/* writer_parts: what the files of the writer share. Nobody else's. */
#pragma once
#include "format/encode.h"
#include "libcommon/vec.h"
#include "pyspy-record/emit/dictionary.h"
#include "pyspy-record/emit/roster.h"
#include "pyspy-record/emit/tickbook.h"
#include "pyspy-record/emit/writer.h"

struct writer {
	struct sink *sink;
	struct writer_options options;
	struct block_sealer *sealer;
	struct dictionary dictionary;
	struct roster roster;
	struct tickbook ticks;
	VEC(struct rec_event) events;
	uint64_t event_unit_ns, event_weight_unit_ns;
	VEC(struct rec_lost) lost;
	uint64_t counters[WIRE_COUNTER_LIMIT], counters_sent[WIRE_COUNTER_LIMIT];
	struct buf recording; /* the RECORDING record of the epoch */
	struct buf head, tail, out;
	struct rec_file file;

	uint32_t sequence, epoch;
	bool epoch_begins;                       /* the next block starts the epoch */
	uint64_t epoch_ns;                       /* when it did */
	uint64_t definition_bytes, sample_bytes; /* of the epoch */
	size_t first_bytes;                      /* of the dictionaries after its first block */
	uint64_t begin_ns, last_ns;              /* of the open block; its last tick */
	uint64_t samples, n_ticks;               /* in the blocks before */
	int error;                               /* the sink's: nothing more is written */
};

/* Room for the LOST records of a block, so that none needs memory when it comes. False: no memory. */
bool writer_losses_room(struct writer *w);
/* What the writer itself could not take. */
void writer_count_losses(struct writer *w, uint64_t now_ns);
/* Into w->tail: LOST records, none are left; COUNTERS, those that changed. */
void writer_put_losses(struct writer *w);
void writer_put_counters(struct writer *w);
