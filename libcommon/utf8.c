#include "libcommon/utf8.h"

#define BAD UINT32_C(0xFFFFFFFF)

static bool is_continuation(unsigned char c)
{
	return (c & 0xC0) == 0x80;
}

/* Length by the first byte (0 = cannot be one), its data bits, and the smallest code point of that length. */
static size_t head(unsigned char c, uint32_t *bits, uint32_t *least)
{
	if (c >= 0xC2 && c <= 0xDF) {
		*bits = c & 0x1F;
		*least = 0x80;
		return 2;
	}
	if (c >= 0xE0 && c <= 0xEF) {
		*bits = c & 0x0F;
		*least = 0x800;
		return 3;
	}
	if (c >= 0xF0 && c <= 0xF4) {
		*bits = c & 0x07;
		*least = 0x10000;
		return 4;
	}
	return 0;
}

size_t utf8_next(const char *p, size_t n, uint32_t *cp)
{
	const unsigned char *u = (const unsigned char *)p;
	uint32_t c = 0, least = 0;
	size_t len;

	if (u[0] < 0x80) {
		*cp = u[0];
		return 1;
	}
	*cp = BAD;
	len = head(u[0], &c, &least);
	if (len == 0 || len > n)
		return 1;
	for (size_t i = 1; i < len; i++) {
		if (!is_continuation(u[i]))
			return 1;
		c = c << 6 | (u[i] & 0x3F);
	}
	if (c < least || c > 0x10FFFF)
		return 1;
	*cp = c;
	return len;
}

size_t utf8_put(char *out, uint32_t cp)
{
	if (cp < 0x80) {
		out[0] = (char)cp;
		return 1;
	}
	if (cp < 0x800) {
		out[0] = (char)(0xC0 | cp >> 6);
		out[1] = (char)(0x80 | (cp & 0x3F));
		return 2;
	}
	if (cp < 0x10000) {
		out[0] = (char)(0xE0 | cp >> 12);
		out[1] = (char)(0x80 | (cp >> 6 & 0x3F));
		out[2] = (char)(0x80 | (cp & 0x3F));
		return 3;
	}
	if (cp > 0x10FFFF)
		return utf8_put(out, 0xFFFD);
	out[0] = (char)(0xF0 | cp >> 18);
	out[1] = (char)(0x80 | (cp >> 12 & 0x3F));
	out[2] = (char)(0x80 | (cp >> 6 & 0x3F));
	out[3] = (char)(0x80 | (cp & 0x3F));
	return 4;
}

size_t utf8_columns(const char *s, size_t n)
{
	size_t columns = 0;
	uint32_t cp;

	for (size_t i = 0; i < n;) {
		i += utf8_next(s + i, n - i, &cp);
		columns += cp == BAD ? 1 : (size_t)utf8_width(cp);
	}
	return columns;
}

static bool is_bidi_control(uint32_t cp)
{
	return cp == 0x61C || cp == 0x200E || cp == 0x200F || (cp >= 0x202A && cp <= 0x202E) ||
	       (cp >= 0x2066 && cp <= 0x2069);
}

static bool is_noncharacter(uint32_t cp)
{
	return (cp >= 0xFDD0 && cp <= 0xFDEF) || (cp & 0xFFFE) == 0xFFFE;
}

bool utf8_is_unsafe(uint32_t cp)
{
	if (cp < 0x80)
		return cp < 0x20 || cp == 0x7F;
	if (cp < 0xA0 || cp > 0x10FFFF)
		return true;
	return is_bidi_control(cp) || cp == 0x2028 || cp == 0x2029 || cp == 0xFEFF || (cp >= 0xD800 && cp <= 0xDFFF) ||
	       is_noncharacter(cp);
}
