#include "format/cursor.h"

uint64_t cursor_u64(struct cursor *c)
{
	uint64_t v = 0;

	if (c->is_bad || !decode_varint(&c->p, c->end, &v)) {
		c->is_bad = true;
		return 0;
	}
	return v;
}

uint32_t cursor_max(struct cursor *c, uint32_t max)
{
	uint64_t v = cursor_u64(c);

	if (v > max) {
		c->is_bad = true;
		return 0;
	}
	return (uint32_t)v;
}

uint32_t cursor_u32(struct cursor *c)
{
	return cursor_max(c, UINT32_MAX);
}

uint32_t cursor_id(struct cursor *c)
{
	return cursor_max(c, WIRE_IDS_MAX);
}

uint32_t cursor_own_id(struct cursor *c)
{
	uint32_t id = cursor_id(c);

	if (id == 0)
		c->is_bad = true;
	return id;
}

int64_t cursor_zigzag(struct cursor *c)
{
	int64_t v = 0;

	if (c->is_bad || !decode_zigzag(&c->p, c->end, &v)) {
		c->is_bad = true;
		return 0;
	}
	return v;
}

const uint8_t *cursor_bytes(struct cursor *c, uint64_t n)
{
	const uint8_t *p = c->p;

	if (c->is_bad || n > (uint64_t)(c->end - c->p)) {
		c->is_bad = true;
		return NULL;
	}
	c->p += n;
	return p;
}

uint32_t cursor_count(struct cursor *c, uint32_t each)
{
	uint64_t n = cursor_u64(c);

	if (n > (uint64_t)(c->end - c->p) / each) {
		c->is_bad = true;
		return 0;
	}
	return (uint32_t)n;
}
