/* paths: the stacks of a view as numbers: one for each different row of frames, in a tree of their own.
 *
 * Flow:    profile (thread, stack, flags) + filter + naming -> [paths] -> query/timeline, view/.
 * A path's parent has a smaller number. Path 0 is the empty one.
 */
#pragma once
#include "pyspy-report/query/filter.h"
#include "pyspy-report/query/naming.h"

struct path {
	uint32_t parent, frame; /* of path 0: no meaning */
	uint32_t depth;         /* number of its frames */
};

struct paths {
	struct naming *naming;
	bool threads; /* the thread is the first frame */
	VEC(struct path) list;
	struct map ids;          /* (parent, frame) -> path */
	struct map memory;       /* (stack, process, cut) -> path + 1 */
	VEC(uint32_t) locations; /* room for one stack */
};

int paths_init(struct paths *p, struct naming *n, bool threads); /* 0 or ERR_NO_MEMORY */
void paths_done(struct paths *p);
/* The path of a sample. 0, ERR_FULL, ERR_NO_MEMORY. */
int paths_get(struct paths *p, uint32_t thread, uint32_t stack, uint32_t flags, uint32_t *path);
