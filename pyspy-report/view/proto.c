#include "pyspy-report/view/proto.h"

#include "format/encode.h"

enum { TYPE_VARINT = 0, TYPE_LENGTH = 2 };

static void tag(struct buf *b, uint32_t field, unsigned type)
{
	encode_varint(b, (uint64_t)field << 3 | type);
}

void proto_number(struct buf *b, uint32_t field, uint64_t v)
{
	if (!v)
		return;
	tag(b, field, TYPE_VARINT);
	encode_varint(b, v);
}

static void put(struct buf *b, uint32_t field, const void *p, size_t n)
{
	tag(b, field, TYPE_LENGTH);
	encode_varint(b, n);
	buf_put(b, p, n);
}

void proto_bytes(struct buf *b, uint32_t field, const void *p, size_t n)
{
	if (n)
		put(b, field, p, n);
}

void proto_message(struct buf *b, uint32_t field, const struct buf *message)
{
	put(b, field, message->data, message->len);
	if (message->err && !b->err)
		b->err = message->err;
}
