#include "pyspy-report/view/folded.h"

#include <inttypes.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "pyspy-report/view/frame_text.h"

struct folded_at {
	uint64_t unit_ns, ns, worth; /* ns, worth: of all lines so far */
};

/* The number for a line of `ns`: rounded, and what the lines so far got too much or too little is made up for here, so
 * that all lines together are the whole time, rounded. */
static uint64_t folded_worth(struct folded_at *at, uint64_t ns)
{
	uint64_t before = at->worth;

	at->ns += ns;
	at->worth = at->ns / at->unit_ns + (at->ns % at->unit_ns >= at->unit_ns - at->unit_ns / 2);
	return at->worth - before;
}

int folded_write(FILE *out, const struct tree *t, const struct naming *n, struct folded_result *r)
{
	struct folded_at at = {.unit_ns = profile_sample_worth_ns(n->profile)};
	VEC(size_t) ends = {0}; /* by depth: length of the line up to there */
	struct frame_text texts;
	struct buf line;
	int rc = 0;

	*r = (struct folded_result){.unit_ns = t->by_time ? at.unit_ns : 0};
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
		if (rc || !(t->by_time && k->self_ns ? k->self_ns : t->measure == FILTER_BY_CPU ? 0 : k->self_n))
			continue;
		uint64_t worth = t->by_time ? folded_worth(&at, k->self_ns) : k->self_n;
		if (!worth) {
			r->n_small++;
			continue;
		}
		fwrite(line.data, 1, line.len, out);
		fprintf(out, " %" PRIu64 "\n", worth);
	}
	frame_text_done(&texts);
	buf_done(&line);
	vec_free(&ends);
	return rc;
}
