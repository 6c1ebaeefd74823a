/* encode: records -> bytes of a block's content; headers and whole frames.
 *
 * Flow:    pyspy-record/emit (and merge, tests) -> [encode] -> bytes. No I/O.
 * Memory:  appends to the caller's buf (sticky error there); batches are written into it by begin/add/end.
 * Errors:  none of their own: check buf.err once. Values are the caller's to keep in range (FORMAT.md); strings longer
 *          than WIRE_STRING_WRITE_MAX are cut at a code point and end in U+2026.
 */
#pragma once
#include "format/records.h"
#include "libcommon/buf.h"

void encode_varint(struct buf *b, uint64_t v);
void encode_zigzag(struct buf *b, int64_t v);

/* A batch record under construction: entries are collected here, the record is written at the end. */
struct encode_batch {
	struct buf body;
	uint32_t first, n; /* id of the first entry, number of entries */
};
void encode_batch_init(struct encode_batch *t);
void encode_batch_done(struct encode_batch *t);
/* Add one entry with id `id`, which must be first + n (or any id when the batch is empty). */
void encode_add_string(struct encode_batch *t, str_id id, const char *s, size_t n);
void encode_add_function(struct encode_batch *t, function_id id, const struct rec_function *f);
/* first_line of the location's function is needed for its coding. */
void encode_add_location(struct encode_batch *t, location_id id, const struct rec_location *l, uint32_t first_line);
void encode_add_stack(struct encode_batch *t, stack_id id, const struct rec_stack *s);
/* Append the batch as a record of `type` (STRINGS FUNCTIONS LOCATIONS STACKS) if it is not empty, and empty it. */
void encode_batch_flush(struct encode_batch *t, enum wire_record type, struct buf *out);

void encode_recording(struct buf *b, const struct rec_recording *r);
void encode_certify(struct buf *b, const stack_id *ids, uint32_t n); /* nothing when n is 0 */
void encode_doubt(struct buf *b, const stack_id *ids, uint32_t n);
void encode_process(struct buf *b, const struct rec_process *p);
void encode_process_end(struct buf *b, const struct rec_process_end *p);
void encode_module(struct buf *b, const struct rec_module *m);
void encode_thread(struct buf *b, const struct rec_thread *t);
void encode_thread_end(struct buf *b, thread_id id, uint64_t time_ns);
void encode_interpreter(struct buf *b, const struct rec_interpreter *i);
void encode_host(struct buf *b, const struct rec_host *h);
void encode_ticks(struct buf *b, const struct rec_ticks *t);
void encode_events(struct buf *b, const struct rec_events *e);
void encode_lost(struct buf *b, const struct rec_lost *l);
void encode_counters(struct buf *b, const struct rec_counter *c, uint32_t n);
void encode_end(struct buf *b, const struct rec_end *e);

/* The 64 bytes of a file header. */
void encode_file_header(struct buf *b, const struct rec_file *f);

/* Compresses content into block header + zstd frame. One per writer; keeps a zstd context. */
struct block_sealer;
struct block_sealer *block_sealer_new(int level); /* NULL without memory */
void block_sealer_free(struct block_sealer *s);
/* Append the block to `out`. 0, ERR_FULL (content above WIRE_CONTENT_MAX), ERR_NO_MEMORY; then out is as before. */
int block_seal(struct block_sealer *s, const struct rec_block *h, const void *content, size_t n, struct buf *out);
