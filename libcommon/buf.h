/* buf: a growable byte buffer with a sticky error.
 *
 * `data` is NULL only while `cap` is 0; `len` <= `cap`. Every put either appends all of its bytes or sets `err`
 * (ERR_NO_MEMORY, or ERR_FULL past `limit`) and appends nothing from then on: check once, at the end.
 */
#pragma once
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct buf {
	unsigned char *data;
	size_t len, cap;
	size_t limit; /* most bytes; 0 = no limit */
	int err;      /* 0, or the first error */
};

void buf_init(struct buf *b, size_t limit);
void buf_done(struct buf *b);
/* Forget contents and error, keep the memory. */
void buf_reset(struct buf *b);
/* Room for n more bytes; returns where they go (not yet counted in len) or NULL with err set. */
unsigned char *buf_reserve(struct buf *b, size_t n);
void buf_put(struct buf *b, const void *p, size_t n);
void buf_u8(struct buf *b, uint8_t v);
void buf_u16(struct buf *b, uint16_t v); /* little-endian, as all that follow */
void buf_u32(struct buf *b, uint32_t v);
void buf_u64(struct buf *b, uint64_t v);
void buf_str(struct buf *b, const char *s); /* without the final NUL */
void buf_printf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
/* NUL-terminate without counting the NUL; "" when empty or failed. Valid until the next put. */
const char *buf_cstr(struct buf *b);
