/* What test_layout and test_layout_offsets share: the promises of layout.h about what is read, in words of their own.
 */
#pragma once
#include "pyspy-record/python/layout.h"

/* Sizes of a target's structs; 0 = not known. */
struct support_sizes {
	uint64_t runtime, interp, tstate, frame, code, type, heap_type, list, tuple, dict, integer, bytes, unicode;
};
/* Is all that is read of a struct inside of it, and inside of the room that readers keep for it? NULL, or what is not.
 */
const char *support_layout_wild(const struct layout *l, const struct support_sizes *s);
/* The first uint32_t of the two that differs, from `since` and `build` on; SIZE_MAX = none does. */
size_t support_layout_difference(const struct layout *a, const struct layout *b);
