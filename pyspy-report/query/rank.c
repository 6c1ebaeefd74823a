#include "pyspy-report/query/rank.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/map.h"

enum { RANK_NONE = UINT32_MAX };

struct rank_compare_by {
	const struct rank *r;
	const struct naming *n;
};

/* What a frame counts for: its key, and the string that names it (0: the frame's own name does). False: for nothing. */
static bool rank_key(const struct naming *n, enum rank_by by, uint32_t frame, uint64_t key[2], uint32_t *text)
{
	const struct naming_frame *f = &n->frames.v[frame];
	bool is_row = f->kind == NAMING_PROCESS || f->kind == NAMING_THREAD;

	*text = 0;
	key[0] = frame;
	key[1] = 0;
	switch (by) {
	case RANK_FRAME:
		return true;
	case RANK_THREAD:
		return f->kind == NAMING_THREAD;
	case RANK_MODULE:
		*text = f->file;
		if (f->kind == NAMING_PYTHON) {
			uint32_t function = profile_location_of(n->profile, f->location).function;
			uint32_t module = profile_function_of(n->profile, function).module;
			*text = module ? module : f->file;
		}
		break;
	case RANK_FILE:
	case RANK_LINE:
		*text = f->file;
		break;
	}
	/* without a file or module: by name, which may equal the name of a file */
	key[0] = *text ? *text : f->name;
	key[1] = (by == RANK_LINE && *text ? (uint64_t)f->line << 8 : 0) | (*text ? 1 : 2);
	return !is_row;
}

static int rank_groups(struct rank *r, const struct naming *n, uint32_t *group)
{
	struct map keys;
	int rc = 0;

	map_init(&keys, 0);
	for (uint32_t i = 0; i < n->frames.n && !rc; i++) {
		uint64_t key[2];
		uint32_t text, *slot;
		bool is_new;

		group[i] = RANK_NONE;
		if (!rank_key(n, r->options.by, i, key, &text))
			continue;
		slot = map_put(&keys, key[0], key[1], &is_new);
		if (!slot || (is_new && !vec_push(&r->rows, ((struct rank_row){.frame = i, .text = text})))) {
			rc = ERR_NO_MEMORY;
			break;
		}
		if (is_new)
			*slot = (uint32_t)r->rows.n - 1;
		group[i] = *slot;
	}
	map_done(&keys);
	return rc;
}

static int rank_text_compare(const struct naming *n, const struct rank_row *x, const struct rank_row *y)
{
	size_t a, b;
	const char *s = profile_text(n->profile, x->text ? x->text : n->frames.v[x->frame].name, &a);
	const char *t = profile_text(n->profile, y->text ? y->text : n->frames.v[y->frame].name, &b);
	int c = memcmp(s, t, a < b ? a : b);

	return c ? c : (a > b) - (a < b);
}

static int rank_compare(const void *a, const void *b, void *ctx)
{
	const struct rank_row *x = a, *y = b;
	const struct rank_compare_by *by = ctx;
	uint64_t self[2] = {rank_self(by->r, x), rank_self(by->r, y)};
	uint64_t total[2] = {rank_total(by->r, x), rank_total(by->r, y)};
	bool is_self = by->r->options.order == RANK_SELF;
	const uint64_t *first = is_self ? self : total, *second = is_self ? total : self;

	if (first[0] != first[1])
		return first[0] > first[1] ? -1 : 1;
	if (second[0] != second[1])
		return second[0] > second[1] ? -1 : 1;
	if (by->r->options.by != RANK_FRAME && by->r->options.by != RANK_THREAD) {
		int c = rank_text_compare(by->n, x, y);
		if (c)
			return c;
	}
	return naming_compare(by->n, x->frame, y->frame);
}

static void rank_enter(struct rank *r, const struct tree_node *k, uint32_t group, uint32_t *open)
{
	if (group == RANK_NONE)
		return;
	struct rank_row *row = &r->rows.v[group];

	row->self_n += k->self_n;
	row->self_ns += k->self_ns;
	if (open[group]++ == 0) {
		row->total_n += k->total_n;
		row->total_ns += k->total_ns;
	}
}

/* Walk the tree; `open` says how often a group is on the way from the root to here. */
static void rank_walk(struct rank *r, const struct tree *t, const uint32_t *group, uint32_t *open)
{
	uint32_t node = t->nodes.v[0].child;

	while (node) {
		const struct tree_node *k = &t->nodes.v[node];

		rank_enter(r, k, group[k->frame], open);
		if (k->child) {
			node = k->child;
			continue;
		}
		/* leave this node and its ancestors until one has a sibling */
		for (;;) {
			uint32_t g = group[t->nodes.v[node].frame];

			if (g != RANK_NONE)
				open[g]--;
			if (t->nodes.v[node].sibling) {
				node = t->nodes.v[node].sibling;
				break;
			}
			node = t->nodes.v[node].parent;
			if (!node)
				break;
		}
	}
}

int rank_build(struct rank *r, const struct tree *t, const struct naming *n, const struct rank_options *o)
{
	uint32_t *group = calloc(n->frames.n + 1, sizeof *group), *open = NULL;
	size_t used = 0;
	int rc = group ? 0 : ERR_NO_MEMORY;

	memset(r, 0, sizeof *r);
	r->options = *o;
	r->by_time = t->by_time;
	r->measure = t->measure;
	if (!rc)
		rc = rank_groups(r, n, group);
	if (!rc && !(open = calloc(r->rows.n + 1, sizeof *open)))
		rc = ERR_NO_MEMORY;
	if (!rc)
		rank_walk(r, t, group, open);
	free(open);
	free(group);
	TRY(rc);
	for (size_t i = 0; i < r->rows.n; i++)
		if (r->rows.v[i].total_n)
			r->rows.v[used++] = r->rows.v[i];
	r->rows.n = used;
	if (used)
		qsort_r(r->rows.v, used, sizeof *r->rows.v, rank_compare, &(struct rank_compare_by){r, n});
	return 0;
}

void rank_done(struct rank *r)
{
	vec_free(&r->rows);
}

void rank_text(const struct rank *r, const struct naming *n, const struct rank_row *row, struct buf *out)
{
	size_t len;
	const char *s;

	if (r->options.by == RANK_FRAME || r->options.by == RANK_THREAD) {
		naming_text(n, row->frame, out);
		return;
	}
	s = row->text ? profile_text(n->profile, row->text, &len) : naming_name(n, row->frame, &len);
	buf_put(out, s, len);
	if (r->options.by == RANK_LINE && row->text && n->frames.v[row->frame].line)
		buf_printf(out, ":%u", n->frames.v[row->frame].line);
}
