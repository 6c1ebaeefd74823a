/* rank: a call tree -> how much each frame (or file, module, line, thread) has itself and in total, in samples and
 * time.
 *
 * Rows are in order of time where the tree is (tree.by_time), else of samples.
 * What is several times in one stack (recursion; calls inside a file) counts once for it.
 */
#pragma once
#include "pyspy-report/query/tree.h"

enum rank_by {
	RANK_FRAME,  /* as the naming has them: by function, or by line */
	RANK_LINE,   /* (file, line), whatever the function: the naming must be by line */
	RANK_FILE,   /* as the naming shows it */
	RANK_MODULE, /* the Python module's name; of native frames the module's file */
	RANK_THREAD, /* the tree must have threads */
};
enum rank_order { RANK_SELF, RANK_TOTAL };

struct rank_options {
	enum rank_by by;
	enum rank_order order;
};

struct rank_row {
	uint32_t frame; /* one of those that it stands for; RANK_FRAME, RANK_THREAD: the one */
	uint32_t text;  /* RANK_FILE, RANK_LINE, RANK_MODULE: a string of the profile; 0 = see rank_text */
	uint64_t self_n, total_n, self_ns, total_ns;
};
struct rank {
	VEC(struct rank_row) rows;
	struct rank_options options;
	bool by_time; /* as the tree */
	enum filter_measure measure;
};

/* 0 or ERR_NO_MEMORY; rank_done in any case. */
int rank_build(struct rank *r, const struct tree *t, const struct naming *n, const struct rank_options *o);
void rank_done(struct rank *r);
/* What a row is called: "work (app.py:10)", "app/parse.py", "json.decoder", "thread 12: worker". Frames without a file
 * or module go by their name: "[in motion]". Raw bytes. */
void rank_text(const struct rank *r, const struct naming *n, const struct rank_row *row, struct buf *out);
/* Weights, as the rank weighs. */
static inline uint64_t rank_self(const struct rank *r, const struct rank_row *row)
{
	return r->by_time ? row->self_ns : row->self_n;
}
static inline uint64_t rank_total(const struct rank *r, const struct rank_row *row)
{
	return r->by_time ? row->total_ns : row->total_n;
}
