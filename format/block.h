/* block: headers and content frames, both ways (FORMAT.md 1.1, 1.2). Private to format/; block_seal is in encode.h. */
#pragma once
#include "format/records.h"
#include "libcommon/buf.h"

struct block_header {
	struct rec_block block;
	uint32_t frame_bytes, content_bytes, frame_crc;
};

/* What stands at p, of which n bytes are here. Depends on the bytes alone, not on how many of them are here: more bytes
 * turn only BLOCK_KIND_SHORT into something else. */
enum block_kind {
	BLOCK_KIND_FILE,     /* a valid file header */
	BLOCK_KIND_BLOCK,    /* a valid block header */
	BLOCK_KIND_FOREIGN,  /* another skippable frame of *skip bytes */
	BLOCK_KIND_BAD_FILE, /* a file header with a wrong checksum */
	BLOCK_KIND_NONE,     /* nothing that may stand between frames */
	BLOCK_KIND_SHORT,    /* too few bytes to tell */
};
enum block_kind block_kind(const uint8_t *p, size_t n, uint64_t *skip);

/* Read a header that block_kind found valid. */
void block_read_file(const uint8_t *p, struct rec_file *f);
void block_read_header(const uint8_t *p, struct block_header *h);

/* The content of the frame at p (h->frame_bytes bytes are there, and their CRC is right) into out, which has room for
 * h->content_bytes. NULL, or what is wrong with it. */
const char *block_open(const struct block_header *h, const uint8_t *p, void *dctx, uint8_t *out);
