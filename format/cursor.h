/* cursor: bounded reading of a record's payload. Private to format/. */
#pragma once
#include "format/decode.h"

/* Reading position in a payload. `is_bad` is sticky: a value that was short, overlong or out of range; the readers then
 * give 0, so that a record is read to its end and judged once. */
struct cursor {
	const uint8_t *p, *end;
	bool is_bad;
};
uint64_t cursor_u64(struct cursor *c);
uint32_t cursor_u32(struct cursor *c);               /* above 2^32-1 is bad */
uint32_t cursor_max(struct cursor *c, uint32_t max); /* above max is bad */
uint32_t cursor_id(struct cursor *c);                /* 0..WIRE_IDS_MAX */
uint32_t cursor_own_id(struct cursor *c);            /* 1..WIRE_IDS_MAX */
int64_t cursor_zigzag(struct cursor *c);
const uint8_t *cursor_bytes(struct cursor *c, uint64_t n);
/* A count of entries of at least `each` bytes: one that the rest of the payload cannot hold is bad. */
uint32_t cursor_count(struct cursor *c, uint32_t each);
