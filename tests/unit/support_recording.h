/* support_recording: build a recording in memory, for unit tests.
 *
 * Use:    support_recording_open, then for each block: define things, put records into r.content with encode_*, set
 * what r.block should say, support_recording_seal; the bytes are in r.out. support_recording_close frees. Definitions
 * collected in a block stand in front of its other records. Or:     support_recording_small for a finished one. Errors:
 * none; without memory the test dies.
 */
#pragma once
#include "format/encode.h"
#include "libcommon/intern.h"

enum { SUPPORT_BLOCKS = 64 };
#define SUPPORT_BOOT_NS UINT64_C(1000000000000)      /* start of the recording: 1000 s after boot */
#define SUPPORT_REAL_NS INT64_C(1763795624000000000) /* 2025-11-22T07:13:44Z */
#define SUPPORT_S       UINT64_C(1000000000)
#define SUPPORT_MS      UINT64_C(1000000)

struct support_recording {
	struct buf out;     /* the file so far */
	struct buf head;    /* RECORDING, which stands first in its block */
	struct buf content; /* records of the open block, without the batches */
	struct encode_batch strings, functions, locations, stacks;
	struct intern names;                         /* strings of the epoch */
	uint32_t n_functions, n_locations, n_stacks; /* last ids of the epoch */
	uint32_t first_lines[256];                   /* by function */
	uint64_t mean_gap_ns;                        /* 10 ms; set before support_recording_head */
	const char *engine,
	    *engine_why;  /* notes pyspy.engine and .why; NULL = none; set before support_recording_head */
	uint32_t cpu_ppm; /* CPU bound; the same */
	struct rec_file file;
	struct rec_block block; /* header of the open block; ends are made to follow each other */
	struct block_sealer *sealer;
	size_t starts[SUPPORT_BLOCKS + 1]; /* offset of each block in out; [n_blocks] = end */
	uint32_t n_blocks;
};

/* Writes the file header; the UUID is 16 times `uuid`. The first block starts epoch 0 and covers a second. */
void support_recording_open(struct support_recording *r, uint8_t uuid);
/* Right behind it: the file says that it is of version 1.`minor`. */
void support_recording_version(struct support_recording *r, uint16_t minor);
void support_recording_close(struct support_recording *r);
/* The open block shall begin a new epoch: ids start afresh. */
void support_recording_epoch(struct support_recording *r);
/* Write the open block with these counts; a next one is open then, covering the second after it. */
void support_recording_seal(struct support_recording *r, uint64_t n_samples, uint32_t n_ticks, bool is_last);

str_id support_recording_string(struct support_recording *r, const char *s);
str_id support_recording_bytes(struct support_recording *r, const char *s, size_t n);
function_id support_recording_function(struct support_recording *r, const char *module, const char *qualname,
                                       const char *file, uint32_t first_line);
location_id support_recording_line(struct support_recording *r, function_id f, int32_t line);
location_id support_recording_location(struct support_recording *r, const struct rec_location *l);
stack_id support_recording_stack(struct support_recording *r, stack_id parent, location_id l, bool is_certified);
/* The RECORDING record: host, schedule, `engine`. */
void support_recording_head(struct support_recording *r, uint32_t engine);
/* A Python 3.13 process `pid`, its name that of the script, and its main thread (same id). */
void support_recording_process(struct support_recording *r, process_id id, uint32_t pid, const char *script);

/* A TICKS record with n ticks, mean_gap_ns apart, the first half of that behind the block's begin. Returns the number
 * of samples in it. */
uint64_t support_recording_ticks(struct support_recording *r, uint32_t n, const struct rec_entry *entries,
                                 uint32_t n_entries, const struct rec_closing *closings, uint32_t n_closings);

/* Two epochs, four blocks, one process with two threads, ticks and counters; closed. `starts` (may be NULL, room for
 * 5): where the blocks begin, and the end. */
void support_recording_small(struct buf *out, size_t *starts);
