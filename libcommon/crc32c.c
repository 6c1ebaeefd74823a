#include "libcommon/crc32c.h"

#include <string.h>

#define POLYNOMIAL UINT32_C(0x82F63B78)

/* table[k][b]: what byte b does to the checksum when k more bytes follow it in the same step of eight. */
static uint32_t table[8][256];

__attribute__((constructor)) static void fill_table(void)
{
	for (uint32_t b = 0; b < 256; b++) {
		uint32_t c = b;

		for (int bit = 0; bit < 8; bit++)
			c = c >> 1 ^ (c & 1 ? POLYNOMIAL : 0);
		table[0][b] = c;
	}
	for (uint32_t b = 0; b < 256; b++) {
		for (int k = 1; k < 8; k++)
			table[k][b] = table[k - 1][b] >> 8 ^ table[0][table[k - 1][b] & 0xFF];
	}
}

static uint32_t le32(const unsigned char *p)
{
	return (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 | (uint32_t)p[3] << 24;
}

static uint32_t step_eight(uint32_t c, const unsigned char *p)
{
	uint32_t low = le32(p) ^ c, high = le32(p + 4);

	return table[7][low & 0xFF] ^ table[6][low >> 8 & 0xFF] ^ table[5][low >> 16 & 0xFF] ^ table[4][low >> 24] ^
	       table[3][high & 0xFF] ^ table[2][high >> 8 & 0xFF] ^ table[1][high >> 16 & 0xFF] ^ table[0][high >> 24];
}

uint32_t crc32c_portable(uint32_t crc, const void *p, size_t n)
{
	const unsigned char *at = p;
	uint32_t c = ~crc;

	for (; n >= 8; n -= 8, at += 8)
		c = step_eight(c, at);
	for (; n > 0; n--, at++)
		c = c >> 8 ^ table[0][(c ^ *at) & 0xFF];
	return ~c;
}

#ifdef __x86_64__
__attribute__((target("sse4.2"))) static uint32_t crc32c_sse42(uint32_t crc, const void *p, size_t n)
{
	const unsigned char *at = p;
	uint64_t c = (uint32_t)~crc, word;

	for (; n >= sizeof word; n -= sizeof word, at += sizeof word) {
		memcpy(&word, at, sizeof word);
		c = __builtin_ia32_crc32di(c, word);
	}
	for (; n > 0; n--, at++)
		c = __builtin_ia32_crc32qi((uint32_t)c, *at);
	return ~(uint32_t)c;
}

uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
	if (__builtin_cpu_supports("sse4.2"))
		return crc32c_sse42(crc, p, n);
	return crc32c_portable(crc, p, n);
}
#else
uint32_t crc32c(uint32_t crc, const void *p, size_t n)
{
	return crc32c_portable(crc, p, n);
}
#endif
