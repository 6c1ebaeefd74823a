/* support_dump: everything that a decoder tells, as lines of text, to compare. */
#pragma once
#include "format/decode.h"
#include "libcommon/buf.h"

struct support_dump {
	struct buf text; /* a line for each callback but damage */
	struct buf damage;
	uint64_t n_damages;
	uint64_t lost_samples; /* sum of damage.samples */
	uint64_t n_blocks;     /* told by block_end */
	uint64_t n_samples;    /* of those blocks, as their headers say */
	uint64_t n_bad_records;
	int rc; /* of stream_feed, else of stream_finish */
};

struct decode_visitor support_dump_visitor(struct support_dump *d);
/* Decode n bytes, fed in pieces of `piece` bytes (0 = all at once). support_dump_done frees. */
void support_dump_bytes(struct support_dump *d, const void *p, size_t n, size_t piece);
/* Decode a recording of one closed block with this content. */
void support_dump_content(struct support_dump *d, const void *content, size_t n);
void support_dump_done(struct support_dump *d);
