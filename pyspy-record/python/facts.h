/* facts: what an interpreter says of itself: sys.prefix, sys.base_prefix, sys.path. */
#pragma once
#include <stdbool.h>

#include "pyspy-record/memory/reader.h"
#include "pyspy-record/python/layout.h"
#include "pyspy-record/python/object_trail.h"

enum { FACTS_PATHS_MAX = 256 };
struct facts {
	char *prefix, *base_prefix; /* "" when not known (yet) */
	char *path[FACTS_PATHS_MAX];
	uint32_t n_path;
	bool is_debug; /* sys.gettotalrefcount is there: builds with Py_DEBUG have it */
};
/* Always leaves *f valid; what cannot be read stays empty. While `trail` (NULL = none) holds, it would be the same
 * again.
 */
void facts_read(struct reader *r, const struct layout *l, raddr_t interp, struct facts *f, struct object_trail *trail);
void facts_done(struct facts *f);
