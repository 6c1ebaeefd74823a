/* palette: the colour of a frame: hue by where the code comes from, shade by its name. Never random: the same name has
 * the same colour in every picture. Black text on each has a contrast of more than 7:1. */
#pragma once
#include <stddef.h>

#include "pyspy-report/query/naming.h"

enum { PALETTE_SIZE = 8 }; /* "#rrggbb" */
const char *palette_color(char *out, enum naming_origin origin, const char *name, size_t len);
/* What the legend says: "own code". */
const char *palette_label(enum naming_origin origin);
