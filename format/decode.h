/* decode: bytes of a recording -> records, trusting nothing.
 *
 * Flow:    bytes from anywhere -> [stream: framing, resync, checksums, zstd] -> [records] -> visitor.
 * No I/O:  the caller feeds bytes. One stream per recording read; not re-entrant.
 * Memory:  bounded: one block (WIRE_CONTENT_MAX + WIRE_FRAME_MAX) and what decoding one record needs. Nothing of what
 * the bytes claim is allocated before it is checked against what is there. Trust:   ids are checked to be in range (<=
 * WIRE_IDS_MAX) and TICKS/EVENTS indexes to be valid; whether an id is *defined* is the visitor's to know (its
 * dictionaries): undefined ones are shown as lost.
 */
#pragma once
#include "format/records.h"

/* What was wrong, where. */
enum decode_problem {
	DECODE_TRUNCATED,  /* the bytes end inside a block or header */
	DECODE_GARBAGE,    /* bytes that belong to no valid frame were passed over */
	DECODE_BAD_HEADER, /* the file header's checksum is wrong (or it is missing): read on without it */
	DECODE_BAD_BLOCK,  /* a block's content does not fit its checksum or size */
	DECODE_BAD_RECORD, /* a record of a block is not as FORMAT.md says; the rest of the block is skipped */
	DECODE_MISSING,    /* blocks are missing: `count` blocks, `samples` samples */
	DECODE_NOT_CLOSED, /* the recording has no last block */
};
struct decode_damage {
	enum decode_problem problem;
	uint64_t offset; /* in the input */
	uint64_t bytes;  /* how many were skipped; DECODE_BAD_RECORD: of the block's content */
	/* DECODE_MISSING, DECODE_BAD_BLOCK, and DECODE_TRUNCATED inside a block: how many were lost; else 0. What a
	 * DECODE_BAD_RECORD cost shows in n_samples of its block. */
	uint64_t blocks, samples;
	const char *what; /* short English, static */
};

/* Callbacks, any may be NULL. Return 0 to go on; any other value ends decoding and is passed out of stream_feed /
 * stream_finish. Pointers are valid until the callback returns. */
struct decode_visitor {
	void *ctx;
	/* A file header: a (further) recording begins. When the header is missing (DECODE_BAD_HEADER was told), made up
	 * from the first block: 8 bytes of the UUID, times of the block's begin. */
	int (*file)(void *ctx, const struct rec_file *f);
	int (*epoch)(void *ctx, uint32_t epoch,
	             bool complete); /* a new epoch begins: forget all ids. complete = its first block is here */
	/* The same of an epoch that goes on (WIRE_BLOCK_GOES_ON): strings, functions, locations, stacks, their
	 * certificates and modules stay, all other ids are forgotten. NULL: `epoch` is called, although ids of before
	 * will be used. */
	int (*epoch_goes_on)(void *ctx, uint32_t epoch, bool complete);
	int (*block)(void *ctx, const struct rec_block *b);     /* before the block's records; after `epoch` */
	int (*block_end)(void *ctx, const struct rec_block *b); /* after the block's records, also damaged ones */
	int (*end_of_stream)(void *ctx);                        /* from stream_finish: the last epoch is over */
	int (*damage)(void *ctx, const struct decode_damage *d);
	int (*string)(void *ctx, str_id id, const char *s, size_t n);
	int (*function)(void *ctx, function_id id, const struct rec_function *f);
	/* line = first line + delta needs the function: the stream keeps first lines of the epoch itself. An undefined
	 * function gives has_line = false. */
	int (*location)(void *ctx, location_id id, const struct rec_location *l);
	int (*stack)(void *ctx, stack_id id, const struct rec_stack *s); /* parent < id, always */
	int (*certify)(void *ctx, stack_id id);
	int (*doubt)(void *ctx, stack_id id);
	int (*recording)(
	    void *ctx, const struct rec_recording *r); /* called at the end of its block: its strings are known then */
	int (*process)(void *ctx, const struct rec_process *p);
	int (*process_end)(void *ctx, const struct rec_process_end *p);
	int (*module)(void *ctx, const struct rec_module *m);
	int (*thread)(void *ctx, const struct rec_thread *t);
	int (*thread_end)(void *ctx, thread_id id, uint64_t time_ns);
	int (*interpreter)(void *ctx, const struct rec_interpreter *i);
	int (*host)(void *ctx, const struct rec_host *h);
	int (*ticks)(void *ctx, const struct rec_ticks *t);
	int (*events)(void *ctx, const struct rec_events *e);
	int (*lost)(void *ctx, const struct rec_lost *l);
	int (*counter)(void *ctx, const struct rec_counter *c);
	int (*end)(void *ctx, const struct rec_end *e);
};

struct stream;
/* The visitor is copied. NULL without memory. */
struct stream *stream_new(const struct decode_visitor *v);
void stream_free(struct stream *s);
/* Take n more bytes. 0; ERR_VERSION (a newer major version: nothing after it is read); ERR_NO_MEMORY; or what a
 * callback returned. Damage is no error: it goes to the `damage` callback. */
int stream_feed(struct stream *s, const void *p, size_t n);
/* The input is over. Also ERR_FORMAT: no valid header of any kind was ever seen (not a recording; also for no bytes).
 */
int stream_finish(struct stream *s);
/* Bytes of the input up to the end of the last whole header or block: what a copy of a growing recording may have. */
uint64_t stream_whole(const struct stream *s);

/* Bounded reading of the primitive types, for tests and tools: advance *p; false at a short or overlong value. */
bool decode_varint(const uint8_t **p, const uint8_t *end, uint64_t *v);
bool decode_zigzag(const uint8_t **p, const uint8_t *end, int64_t *v);
