#include "pyspy-report/query/line_shares.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/map.h"

static int by_file_and_line(const void *a, const void *b, void *ctx)
{
	const struct rank_row *x = a, *y = b;
	const struct naming *n = ctx;
	uint32_t k = n->frames.v[x->frame].line, m = n->frames.v[y->frame].line;

	if (x->text != y->text)
		return x->text < y->text ? -1 : 1;
	return (k > m) - (k < m);
}

struct line_function_of {
	uint32_t file;
	struct line_function f;
};

static int by_file_and_first_line(const void *a, const void *b)
{
	const struct line_function_of *x = a, *y = b;

	if (x->file != y->file)
		return x->file < y->file ? -1 : 1;
	if (x->f.first_line != y->f.first_line)
		return x->f.first_line < y->f.first_line ? -1 : 1;
	return (x->f.name > y->f.name) - (x->f.name < y->f.name);
}

/* Files in the order of their rank; `place`: file's string -> index + 1. */
static int take_files(struct line_shares *l, struct map *place)
{
	for (size_t i = 0; i < l->files_rank.rows.n; i++) {
		const struct rank_row *r = &l->files_rank.rows.v[i];
		uint32_t *slot;
		bool is_new;

		if (!r->text) {
			if (!vec_push(&l->others, *r))
				return ERR_NO_MEMORY;
			continue;
		}
		if (!vec_push(&l->files, ((struct line_file){.row = *r})))
			return ERR_NO_MEMORY;
		slot = map_put(place, r->text, 0, &is_new);
		if (!slot)
			return ERR_NO_MEMORY;
		*slot = (uint32_t)l->files.n;
	}
	return 0;
}

static int take_lines(struct line_shares *l, const struct naming *n, const struct map *place)
{
	for (size_t i = 0; i < l->lines_rank.rows.n; i++)
		if (l->lines_rank.rows.v[i].text && !vec_push(&l->lines, l->lines_rank.rows.v[i]))
			return ERR_NO_MEMORY;
	if (l->lines.n)
		qsort_r(l->lines.v, l->lines.n, sizeof *l->lines.v, by_file_and_line, (void *)n);
	for (size_t i = 0; i < l->lines.n; i++) {
		uint32_t *slot = map_get(place, l->lines.v[i].text, 0), line = n->frames.v[l->lines.v[i].frame].line;
		struct line_file *f = slot ? &l->files.v[*slot - 1] : NULL;

		if (!f)
			continue;
		f->first = f->n ? f->first : i;
		f->n++;
		f->last_line = line > f->last_line ? line : f->last_line;
	}
	return 0;
}

static int take_functions(struct line_shares *l, const struct naming *n, const struct map *place)
{
	VEC(struct line_function_of) list = {0};
	int rc = 0;

	for (uint32_t i = 0; i < n->frames.n && !rc; i++) {
		const struct naming_frame *frame = &n->frames.v[i];

		if (frame->kind != NAMING_PYTHON || !map_get(place, frame->file, 0))
			continue;
		uint32_t function = profile_location_of(n->profile, frame->location).function;
		struct profile_function f = profile_function_of(n->profile, function);
		if (!vec_push(&list, ((struct line_function_of){frame->file, {f.first_line, f.qualname}})))
			rc = ERR_NO_MEMORY;
	}
	if (list.n)
		qsort(list.v, list.n, sizeof *list.v, by_file_and_first_line);
	for (size_t i = 0; i < list.n && !rc; i++) {
		struct line_file *file = &l->files.v[*map_get(place, list.v[i].file, 0) - 1];

		if (i && by_file_and_first_line(&list.v[i - 1], &list.v[i]) == 0)
			continue;
		file->function = file->n_functions ? file->function : l->functions.n;
		file->n_functions++;
		if (!vec_push(&l->functions, list.v[i].f))
			rc = ERR_NO_MEMORY;
	}
	vec_free(&list);
	return rc;
}

int line_shares_build(struct line_shares *l, const struct tree *t, const struct naming *n, enum rank_order order)
{
	struct map place;
	int rc;

	memset(l, 0, sizeof *l);
	map_init(&place, 0);
	rc = rank_build(&l->files_rank, t, n, &(struct rank_options){RANK_FILE, order});
	if (!rc)
		rc = rank_build(&l->lines_rank, t, n, &(struct rank_options){RANK_LINE, order});
	if (!rc)
		rc = take_files(l, &place);
	if (!rc)
		rc = take_lines(l, n, &place);
	if (!rc)
		rc = take_functions(l, n, &place);
	map_done(&place);
	return rc;
}

void line_shares_done(struct line_shares *l)
{
	rank_done(&l->files_rank);
	rank_done(&l->lines_rank);
	vec_free(&l->files);
	vec_free(&l->lines);
	vec_free(&l->functions);
	vec_free(&l->others);
}
