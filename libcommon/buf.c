#include "libcommon/buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"

enum { FIRST_CAP = 64 };

void buf_init(struct buf *b, size_t limit)
{
	*b = (struct buf){.limit = limit};
}

void buf_done(struct buf *b)
{
	free(b->data);
	*b = (struct buf){.limit = b->limit};
}

void buf_reset(struct buf *b)
{
	b->len = 0;
	b->err = 0;
}

/* `limit` is not looked at here: buf_cstr's NUL is not content. */
static bool grow(struct buf *b, size_t n)
{
	size_t cap = b->cap ? b->cap : FIRST_CAP;
	unsigned char *p;

	if (b->data && n <= b->cap - b->len)
		return true;
	if (n > SIZE_MAX / 2 - b->len)
		return false;
	while (cap - b->len < n)
		cap *= 2;
	p = realloc(b->data, cap);
	if (!p)
		return false;
	b->data = p;
	b->cap = cap;
	return true;
}

unsigned char *buf_reserve(struct buf *b, size_t n)
{
	if (b->err)
		return NULL;
	if (b->limit && (b->len > b->limit || n > b->limit - b->len)) {
		b->err = ERR_FULL;
		return NULL;
	}
	if (!grow(b, n)) {
		b->err = ERR_NO_MEMORY;
		return NULL;
	}
	return b->data + b->len;
}

void buf_put(struct buf *b, const void *p, size_t n)
{
	unsigned char *to;

	if (n == 0)
		return;
	to = buf_reserve(b, n);
	if (!to)
		return;
	memcpy(to, p, n);
	b->len += n;
}

void buf_u8(struct buf *b, uint8_t v)
{
	buf_put(b, &v, 1);
}

static void put_le(struct buf *b, uint64_t v, unsigned n)
{
	unsigned char bytes[8];

	for (unsigned i = 0; i < n; i++)
		bytes[i] = (unsigned char)(v >> (8 * i));
	buf_put(b, bytes, n);
}

void buf_u16(struct buf *b, uint16_t v)
{
	put_le(b, v, 2);
}

void buf_u32(struct buf *b, uint32_t v)
{
	put_le(b, v, 4);
}

void buf_u64(struct buf *b, uint64_t v)
{
	put_le(b, v, 8);
}

void buf_str(struct buf *b, const char *s)
{
	buf_put(b, s, strlen(s));
}

void buf_printf(struct buf *b, const char *fmt, ...)
{
	va_list ap, again;
	int n;
	unsigned char *to;

	if (b->err)
		return;
	va_start(ap, fmt);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, fmt, ap);
	va_end(ap);
	if (n < 0)
		b->err = ERR_NO_MEMORY;
	to = n < 0 ? NULL : buf_reserve(b, (size_t)n);
	if (to && !grow(b, (size_t)n + 1)) {
		b->err = ERR_NO_MEMORY;
		to = NULL;
	}
	if (to) {
		vsnprintf((char *)b->data + b->len, (size_t)n + 1, fmt, again);
		b->len += (size_t)n;
	}
	va_end(again);
}

const char *buf_cstr(struct buf *b)
{
	if (b->err || b->len == 0)
		return "";
	if (!grow(b, 1)) {
		b->err = ERR_NO_MEMORY;
		return "";
	}
	b->data[b->len] = 0;
	return (const char *)b->data;
}
