/* support_profile: a recording of support_views or support_recording, loaded; and trees of it. Without memory the test
 * dies. */
#pragma once
#include "libcommon/buf.h"
#include "pyspy-report/query/tree.h"

struct support_profile {
	struct profile profile;
	struct filter filter; /* everything */
	struct naming naming;
	struct tree tree;
};

/* support_views' recording `view`, with a tree by these names. */
void support_profile_view(struct support_profile *s, const char *view, const struct naming_options *o);
/* The same of the bytes of a recording. */
void support_profile_bytes(struct support_profile *s, const struct buf *b, const struct naming_options *o);
void support_profile_done(struct support_profile *s);
/* The frame of this name (the first); the test fails when there is none. */
uint32_t support_profile_frame(const struct support_profile *s, const char *name);
