/* pack: numbers <-> bytes of an index's BLOBs: varints in columns, each column a zstd frame with a checksum.
 *
 * Trust:   BLOBs may be from anybody. A value that is short, overlong or out of range makes the column bad; reading
 * goes on with 0, so that it is judged once, at the end. No frame is unpacked beyond PACK_MAX bytes.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libcommon/buf.h"

enum { PACK_MAX = 64 << 20, PACK_COLUMNS = 16 };

/* What is needed to pack and unpack. All zero is empty. */
struct pack {
	void *cctx, *dctx; /* of zstd */
	struct buf columns[PACK_COLUMNS];
};

void pack_done(struct pack *k);
void pack_clear(struct pack *k); /* forget what is in the columns */
/* Append the first n columns to `out`: their number, their packed sizes, their frames. 0, ERR_NO_MEMORY. */
int pack_seal(struct pack *k, unsigned n, struct buf *out);
/* The other way: exactly n columns, exactly n_bytes. 0, ERR_DAMAGED, ERR_NO_MEMORY. */
int pack_open(struct pack *k, unsigned n, const void *bytes, size_t n_bytes);

/* Reading a column. */
struct unpack {
	const uint8_t *p, *end;
	bool is_bad;
};
struct unpack unpack_column(const struct pack *k, unsigned column);
uint64_t unpack_long(struct unpack *u); /* of more than one byte */
static inline uint64_t unpack_u64(struct unpack *u)
{
	return u->p < u->end && *u->p < 0x80 ? *u->p++ : unpack_long(u);
}
/* above max is bad; max below 2^32 */
static inline uint32_t unpack_max(struct unpack *u, uint64_t max)
{
	uint64_t v = unpack_u64(u);

	if (v <= max)
		return (uint32_t)v;
	u->is_bad = true;
	return 0;
}
static inline int64_t unpack_i64(struct unpack *u)
{
	uint64_t v = unpack_u64(u);

	return (int64_t)(v >> 1 ^ (0 - (v & 1)));
}
const uint8_t *unpack_bytes(struct unpack *u, size_t n);
bool unpack_is_over(const struct unpack *u); /* all was read, and none of it was bad */
