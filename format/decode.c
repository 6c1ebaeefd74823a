#include "format/decode.h"

bool decode_varint(const uint8_t **p, const uint8_t *end, uint64_t *v)
{
	uint64_t value = 0;

	for (unsigned i = 0; i < 10 && *p + i < end; i++) {
		uint8_t byte = (*p)[i];

		/* the tenth byte holds bit 63 only */
		if (i == 9 && byte > 1)
			return false;
		value |= (uint64_t)(byte & 0x7F) << (7 * i);
		if (byte < 0x80) {
			*p += i + 1;
			*v = value;
			return true;
		}
	}
	return false;
}

bool decode_zigzag(const uint8_t **p, const uint8_t *end, int64_t *v)
{
	uint64_t u;

	if (!decode_varint(p, end, &u))
		return false;
	*v = (int64_t)(u >> 1 ^ (0 - (u & 1)));
	return true;
}
