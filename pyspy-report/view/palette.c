#include "pyspy-report/view/palette.h"

#include <stdio.h>
#include <string.h>

static const struct {
	unsigned char base[3], spread[3]; /* colour, and how far the name may move it */
	const char *label;
} palette[NAMING_ORIGINS] = {
    [NAMING_OWN] = {{255, 150, 80}, {0, 60, 50}, "own code"},
    [NAMING_SITE] = {{225, 205, 70}, {30, 40, 70}, "site-packages"},
    [NAMING_STDLIB] = {{120, 190, 225}, {50, 40, 30}, "standard library"},
    [NAMING_IS_NATIVE] = {{190, 160, 230}, {40, 40, 25}, "native"},
    [NAMING_MADE] = {{190, 190, 190}, {25, 25, 25}, "[in motion] etc."},
    [NAMING_ROW] = {{170, 215, 170}, {30, 25, 30}, "process or thread"},
};

const char *palette_label(enum naming_origin origin)
{
	return palette[origin].label;
}

unsigned char palette_shade(const char *name, size_t len)
{
	uint32_t hash = 2166136261u; /* FNV-1a */

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619u;
	hash ^= hash >> 15;
	return (unsigned char)hash;
}

void palette_parts(enum naming_origin origin, unsigned char base[3], unsigned char spread[3])
{
	memcpy(base, palette[origin].base, 3);
	memcpy(spread, palette[origin].spread, 3);
}

const char *palette_color(char *out, enum naming_origin origin, const char *name, size_t len)
{
	unsigned rgb[3], shade = palette_shade(name, len);

	for (int i = 0; i < 3; i++) /* one shade for all three: hues stay apart */
		rgb[i] = palette[origin].base[i] + palette[origin].spread[i] * shade / 255;
	snprintf(out, PALETTE_SIZE, "#%02x%02x%02x", rgb[0] & 255, rgb[1] & 255, rgb[2] & 255);
	return out;
}
