/* palette: the colour of a frame: hue by where the code comes from, shade by its name. Never random: the same name has
 * the same colour in every picture. Black text on each has a contrast of more than 7:1. */
#pragma once
#include <stddef.h>

#include "pyspy-report/query/naming.h"

enum { PALETTE_SIZE = 8 }; /* "#rrggbb" */
const char *palette_color(char *out, enum naming_origin origin, const char *name, size_t len);
/* What the legend says: "own code". */
const char *palette_label(enum naming_origin origin);
/* The parts of it: the colour of shade 0, how far shade 255 is from it in each of red, green and blue, and the shade of
 * a name. */
void palette_parts(enum naming_origin origin, unsigned char base[3], unsigned char spread[3]);
unsigned char palette_shade(const char *name, size_t len);
