#include "pyspy-report/index/pack.h"

#include <string.h>
#include <zstd.h>

#include "format/decode.h"
#include "format/encode.h"
#include "libcommon/err.h"

enum { LEVEL = 1, CHECKSUM_FLAG = 4, FRAME_HEADER_MIN = 5 };

void pack_done(struct pack *k)
{
	ZSTD_freeCCtx(k->cctx);
	ZSTD_freeDCtx(k->dctx);
	for (unsigned i = 0; i < PACK_COLUMNS; i++)
		buf_done(&k->columns[i]);
	*k = (struct pack){0};
}

void pack_clear(struct pack *k)
{
	for (unsigned i = 0; i < PACK_COLUMNS; i++)
		buf_reset(&k->columns[i]);
}

static int pack_prepare(struct pack *k)
{
	if (k->cctx)
		return 0;
	k->cctx = ZSTD_createCCtx();
	if (!k->cctx)
		return ERR_NO_MEMORY;
	if (ZSTD_isError(ZSTD_CCtx_setParameter(k->cctx, ZSTD_c_compressionLevel, LEVEL)) ||
	    ZSTD_isError(ZSTD_CCtx_setParameter(k->cctx, ZSTD_c_checksumFlag, 1)))
		return ERR_NO_MEMORY;
	return 0;
}

int pack_seal(struct pack *k, unsigned n, struct buf *out)
{
	struct buf frames, sizes;
	int rc = pack_prepare(k);

	buf_init(&frames, 0);
	buf_init(&sizes, 0);
	encode_varint(&sizes, n);
	for (unsigned i = 0; i < n && !rc; i++) {
		size_t most = ZSTD_compressBound(k->columns[i].len);
		unsigned char *to = buf_reserve(&frames, most);
		size_t got = to ? ZSTD_compress2(k->cctx, to, most, k->columns[i].data, k->columns[i].len) : 0;

		if (!to || ZSTD_isError(got) || k->columns[i].err)
			rc = ERR_NO_MEMORY;
		else
			frames.len += got;
		encode_varint(&sizes, got);
	}
	if (!rc) {
		buf_put(out, sizes.data, sizes.len);
		buf_put(out, frames.data, frames.len);
		rc = sizes.err ? sizes.err : out->err;
	}
	buf_done(&frames);
	buf_done(&sizes);
	return rc;
}

static int pack_open_column(struct pack *k, struct buf *to, const uint8_t *frame, size_t n)
{
	unsigned long long size = ZSTD_getFrameContentSize(frame, n);

	buf_reset(to);
	if (size > PACK_MAX || n < FRAME_HEADER_MIN || !(frame[FRAME_HEADER_MIN - 1] & CHECKSUM_FLAG))
		return ERR_DAMAGED; /* also ZSTD_CONTENTSIZE_UNKNOWN and _ERROR */
	if (!buf_reserve(to, size ? (size_t)size : 1))
		return ERR_NO_MEMORY;
	to->len = (size_t)size;
	return ZSTD_decompressDCtx(k->dctx, to->data, to->len, frame, n) == size ? 0 : ERR_DAMAGED;
}

int pack_open(struct pack *k, unsigned n, const void *bytes, size_t n_bytes)
{
	struct unpack u = {bytes, (const uint8_t *)bytes + n_bytes, false};
	uint32_t sizes[PACK_COLUMNS];

	if (!k->dctx && !(k->dctx = ZSTD_createDCtx()))
		return ERR_NO_MEMORY;
	if (unpack_max(&u, PACK_COLUMNS) != n)
		return ERR_DAMAGED;
	for (unsigned i = 0; i < n; i++)
		sizes[i] = unpack_max(&u, UINT32_MAX);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *frame = unpack_bytes(&u, sizes[i]);

		if (!frame || u.is_bad)
			return ERR_DAMAGED;
		TRY(pack_open_column(k, &k->columns[i], frame, sizes[i]));
	}
	return unpack_is_over(&u) ? 0 : ERR_DAMAGED;
}

struct unpack unpack_column(const struct pack *k, unsigned column)
{
	const struct buf *b = &k->columns[column];

	return (struct unpack){b->data, b->data + b->len, false};
}

uint64_t unpack_long(struct unpack *u)
{
	uint64_t v = 0;

	if (u->is_bad || !decode_varint(&u->p, u->end, &v)) {
		u->is_bad = true;
		return 0;
	}
	return v;
}

const uint8_t *unpack_bytes(struct unpack *u, size_t n)
{
	const uint8_t *p = u->p;

	if (u->is_bad || (size_t)(u->end - u->p) < n) {
		u->is_bad = true;
		return NULL;
	}
	u->p += n;
	return p;
}

bool unpack_is_over(const struct unpack *u)
{
	return !u->is_bad && u->p == u->end;
}
