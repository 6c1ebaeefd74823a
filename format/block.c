#include "format/block.h"

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "format/encode.h"
#include "libcommon/crc32c.h"
#include "libcommon/err.h"

enum {
	PREFIX = 8,        /* magic and size of a skippable frame */
	SYNC = 8,          /* bytes of a sync word, behind the prefix */
	CHECKSUM_FLAG = 4, /* in the byte behind a zstd frame's magic */
	FRAME_HEADER_MIN = 5,
};
#define ZSTD_MAGIC UINT32_C(0xFD2FB528)

struct block_sealer {
	ZSTD_CCtx *context;
};

void encode_file_header(struct buf *b, const struct rec_file *f)
{
	size_t start = b->len;

	if (!buf_reserve(b, WIRE_FILE_HEADER_SIZE))
		return;
	buf_u32(b, WIRE_FILE_MAGIC);
	buf_u32(b, WIRE_FILE_HEADER_SIZE - PREFIX);
	buf_str(b, WIRE_FILE_SYNC);
	buf_u16(b, f->major);
	buf_u16(b, f->minor);
	buf_u32(b, f->flags);
	buf_put(b, f->uuid, sizeof f->uuid);
	buf_u64(b, (uint64_t)f->realtime_ns);
	buf_u64(b, f->boottime_ns);
	buf_u32(b, 0);
	buf_u32(b, crc32c(0, b->data + start, WIRE_FILE_HEADER_SIZE - 4));
}

struct block_sealer *block_sealer_new(int level)
{
	struct block_sealer *s = malloc(sizeof *s);

	if (!s)
		return NULL;
	s->context = ZSTD_createCCtx();
	if (!s->context || ZSTD_isError(ZSTD_CCtx_setParameter(s->context, ZSTD_c_compressionLevel, level)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(s->context, ZSTD_c_checksumFlag, 1))) {
		block_sealer_free(s);
		return NULL;
	}
	return s;
}

void block_sealer_free(struct block_sealer *s)
{
	if (!s)
		return;
	ZSTD_freeCCtx(s->context);
	free(s);
}

/* The room for it was reserved. */
static void put_header(struct buf *b, const struct rec_block *h, size_t n_content, const uint8_t *frame, size_t n_frame)
{
	size_t start = b->len;

	buf_u32(b, WIRE_BLOCK_MAGIC);
	buf_u32(b, WIRE_BLOCK_HEADER_SIZE - PREFIX);
	buf_str(b, WIRE_BLOCK_SYNC);
	buf_u32(b, h->flags);
	buf_u32(b, h->sequence);
	buf_u32(b, h->epoch);
	buf_u32(b, (uint32_t)n_frame);
	buf_u32(b, (uint32_t)n_content);
	buf_u32(b, crc32c(0, frame, n_frame));
	buf_u64(b, h->begin_ns);
	buf_u64(b, h->end_ns);
	buf_u64(b, (uint64_t)h->anchor_ns);
	buf_u64(b, h->samples_before);
	buf_u64(b, h->n_samples);
	buf_u32(b, h->n_ticks);
	buf_put(b, h->uuid8, sizeof h->uuid8);
	buf_u64(b, 0);
	buf_u32(b, crc32c(0, b->data + start, WIRE_BLOCK_HEADER_SIZE - 4));
}

int block_seal(struct block_sealer *s, const struct rec_block *h, const void *content, size_t n, struct buf *out)
{
	unsigned char *frame;
	size_t bound = ZSTD_compressBound(n), n_frame;

	if (out->err)
		return out->err;
	if (n > WIRE_CONTENT_MAX)
		return ERR_FULL;
	frame = buf_reserve(out, WIRE_BLOCK_HEADER_SIZE + bound);
	if (!frame) {
		int rc = out->err;

		out->err = 0;
		return rc;
	}
	frame += WIRE_BLOCK_HEADER_SIZE;
	n_frame = ZSTD_compress2(s->context, frame, bound, content, n);
	if (ZSTD_isError(n_frame))
		return ERR_NO_MEMORY;
	put_header(out, h, n, frame, n_frame);
	out->len += n_frame;
	return 0;
}

static uint16_t le16(const uint8_t *p)
{
	return (uint16_t)(p[0] | p[1] << 8);
}

static uint32_t le32(const uint8_t *p)
{
	return (uint32_t)le16(p) | (uint32_t)le16(p + 2) << 16;
}

static uint64_t le64(const uint8_t *p)
{
	return (uint64_t)le32(p) | (uint64_t)le32(p + 4) << 32;
}

static bool has_valid_crc(const uint8_t *p, size_t size)
{
	return crc32c(0, p, size - 4) == le32(p + size - 4);
}

static bool is_sane_block(const uint8_t *p)
{
	struct block_header h;

	block_read_header(p, &h);
	return h.frame_bytes <= WIRE_FRAME_MAX && h.content_bytes <= WIRE_CONTENT_MAX &&
	       h.block.begin_ns <= h.block.end_ns;
}

/* p begins with a header's magic. One without its sync word is no frame of somebody else, but a header that was cut:
 * its size would lead anywhere. */
static enum block_kind header_kind(const uint8_t *p, size_t n, bool is_file)
{
	size_t size = is_file ? WIRE_FILE_HEADER_SIZE : WIRE_BLOCK_HEADER_SIZE,
	       n_sync = n - PREFIX < SYNC ? n - PREFIX : SYNC;

	if (le32(p + 4) != size - PREFIX || memcmp(p + PREFIX, is_file ? WIRE_FILE_SYNC : WIRE_BLOCK_SYNC, n_sync) != 0)
		return BLOCK_KIND_NONE;
	if (n < size)
		return BLOCK_KIND_SHORT;
	if (!has_valid_crc(p, size))
		return is_file ? BLOCK_KIND_BAD_FILE : BLOCK_KIND_NONE;
	if (is_file)
		return le16(p + 16) ? BLOCK_KIND_FILE : BLOCK_KIND_BAD_FILE;
	return is_sane_block(p) ? BLOCK_KIND_BLOCK : BLOCK_KIND_NONE;
}

enum block_kind block_kind(const uint8_t *p, size_t n, uint64_t *skip)
{
	static const uint8_t TAIL[3] = {0x2A, 0x4D, 0x18};

	if (n == 0)
		return BLOCK_KIND_SHORT;
	if ((p[0] & 0xF0) != 0x50 || memcmp(p + 1, TAIL, n - 1 < 3 ? n - 1 : 3) != 0)
		return BLOCK_KIND_NONE;
	if (n < PREFIX)
		return BLOCK_KIND_SHORT;
	if (le32(p) == WIRE_FILE_MAGIC || le32(p) == WIRE_BLOCK_MAGIC)
		return header_kind(p, n, le32(p) == WIRE_FILE_MAGIC);
	*skip = PREFIX + (uint64_t)le32(p + 4);
	return BLOCK_KIND_FOREIGN;
}

void block_read_file(const uint8_t *p, struct rec_file *f)
{
	*f = (struct rec_file){
	    .major = le16(p + 16),
	    .minor = le16(p + 18),
	    .flags = le32(p + 20),
	    .realtime_ns = (int64_t)le64(p + 40),
	    .boottime_ns = le64(p + 48),
	};
	memcpy(f->uuid, p + 24, sizeof f->uuid);
}

void block_read_header(const uint8_t *p, struct block_header *h)
{
	*h = (struct block_header){
	    .block =
	        {
	            .flags = le32(p + 16),
	            .sequence = le32(p + 20),
	            .epoch = le32(p + 24),
	            .begin_ns = le64(p + 40),
	            .end_ns = le64(p + 48),
	            .anchor_ns = (int64_t)le64(p + 56),
	            .samples_before = le64(p + 64),
	            .n_samples = le64(p + 72),
	            .n_ticks = le32(p + 80),
	        },
	    .frame_bytes = le32(p + 28),
	    .content_bytes = le32(p + 32),
	    .frame_crc = le32(p + 36),
	};
	memcpy(h->block.uuid8, p + 84, sizeof h->block.uuid8);
}

const char *block_open(const struct block_header *h, const uint8_t *p, void *dctx, uint8_t *out)
{
	size_t n;

	if (h->frame_bytes < FRAME_HEADER_MIN || le32(p) != ZSTD_MAGIC || !(p[4] & CHECKSUM_FLAG))
		return "the content is no zstd frame with a checksum";
	if (ZSTD_getFrameContentSize(p, h->frame_bytes) != h->content_bytes ||
	    ZSTD_findFrameCompressedSize(p, h->frame_bytes) != h->frame_bytes)
		return "the content frame has another size than its header says";
	n = ZSTD_decompressDCtx(dctx, out, h->content_bytes, p, h->frame_bytes);
	if (ZSTD_isError(n) || n != h->content_bytes)
		return "the content cannot be decompressed";
	return NULL;
}
