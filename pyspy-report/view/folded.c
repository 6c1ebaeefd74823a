#include "pyspy-report/view/folded.h"

#include <inttypes.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "pyspy-report/view/frame_text.h"

int folded_write(FILE *out, const struct tree *t, const struct naming *n)
{
	VEC(size_t) ends = {0}; /* by depth: length of the line up to there */
	struct frame_text texts;
	struct buf line;
	int rc = 0;

	frame_text_init(&texts, n, escape_folded);
	buf_init(&line, 0);
	if (!vec_room(&ends, (size_t)t->max_depth + 1))
		rc = ERR_NO_MEMORY;
	for (uint32_t i = tree_next(t, 0); i && !rc && !ferror(out); i = tree_next(t, i)) {
		const struct tree_node *k = &t->nodes.v[i];
		size_t len;
		const char *s = frame_text_get(&texts, k->frame, &len);

		line.len = k->depth > 1 ? ends.v[k->depth - 1] : 0;
		if (line.len)
			buf_u8(&line, ';');
		buf_put(&line, s, len);
		ends.v[k->depth] = line.len;
		rc = texts.all.err ? texts.all.err : line.err;
		if (rc || !k->self_n)
			continue;
		fwrite(line.data, 1, line.len, out);
		fprintf(out, " %" PRIu64 "\n", k->self_n);
	}
	frame_text_done(&texts);
	buf_done(&line);
	vec_free(&ends);
	return rc;
}
