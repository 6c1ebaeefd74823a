#include "tests/unit/support_mutate.h"

#include <zstd.h>

#include "tests/unit/support_test.h"

static uint64_t seed = 0x5EED;

uint32_t support_noise(uint32_t below)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return below ? (uint32_t)((seed >> 16) % below) : 0;
}

void support_mutate(struct buf *b)
{
	static const uint8_t LIKELY[] = {0, 1, 2, 0x7F, 0x80, 0xFF, 0x50, 0x51};

	for (uint32_t n = 1 + support_noise(4); n > 0 && b->len > 0; n--) {
		size_t at = support_noise((uint32_t)b->len), length = 1 + support_noise(16);

		length = length < b->len - at ? length : b->len - at;
		switch (support_noise(6)) {
		case 0:
			b->data[at] ^= (uint8_t)(1 << support_noise(8));
			break;
		case 1:
			b->data[at] = LIKELY[support_noise(N_OF(LIKELY))];
			break;
		case 2: /* a varint that grows */
			memset(b->data + at, 0xFF, length);
			break;
		case 3: /* bytes go */
			memmove(b->data + at, b->data + at + length, b->len - at - length);
			b->len -= length;
			break;
		case 4: { /* bytes of elsewhere come */
			size_t from = support_noise((uint32_t)(b->len - length + 1));

			assert_non_null(buf_reserve(b, length));
			memmove(b->data + at + length, b->data + at, b->len - at);
			b->len += length;
			memmove(b->data + at, b->data + from, length);
			break;
		}
		default:
			b->len = support_noise(8) ? b->len : at;
		}
	}
}

bool support_mutate_content(const struct buf *file, struct block_sealer *sealer, struct buf *out)
{
	struct buf content;
	struct block_header h;
	uint64_t skip;
	size_t at = WIRE_FILE_HEADER_SIZE, n, end = 0;
	uint32_t which = support_noise(4);
	bool is_whole;

	for (; file->len - at >= WIRE_BLOCK_HEADER_SIZE; at = end) {
		if (block_kind(file->data + at, file->len - at, &skip) != BLOCK_KIND_BLOCK)
			return false;
		block_read_header(file->data + at, &h);
		end = at + WIRE_BLOCK_HEADER_SIZE + h.frame_bytes;
		if (end > file->len || which-- == 0)
			break;
	}
	if (end == 0 || end > file->len || at == end)
		return false;
	buf_init(&content, 0);
	assert_non_null(buf_reserve(&content, h.content_bytes + 1));
	n = ZSTD_decompress(content.data, h.content_bytes, file->data + at + WIRE_BLOCK_HEADER_SIZE, h.frame_bytes);
	is_whole = !ZSTD_isError(n);
	if (is_whole) {
		content.len = n;
		support_mutate(&content);
		buf_reset(out);
		buf_put(out, file->data, at);
		assert_int_equal(block_seal(sealer, &h.block, content.data, content.len, out), 0);
		buf_put(out, file->data + end, file->len - end);
	}
	buf_done(&content);
	return is_whole;
}
