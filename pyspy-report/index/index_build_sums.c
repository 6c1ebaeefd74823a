/* Sums of stretches of chunks: what is counted of 1, 4 and 16 of them, for who asks for all of that. */
#include "pyspy-report/index/index_build_parts.h"

#include "libcommon/err.h"

static void sums_restart(struct sums *s)
{
	tally_clear(&s->tally);
	s->n_chunks = 0;
	s->n = 0;
	s->is_many = false;
}

static int sums_add(struct sums *s, const struct tally *add, uint64_t most)
{
	for (size_t i = 0; i < add->rows.n; i++)
		TRY(tally_add(&s->tally, &add->rows.v[i]));
	TRY(tally_flush(&s->tally));
	if (s->tally.rows.n > most) {
		tally_clear(&s->tally);
		s->is_many = true;
	}
	return 0;
}

/* Its rows wait for the end of the epoch. */
static int sums_keep(struct build *b, const struct sums *s, uint32_t n_chunks)
{
	struct waiting_sum w = {.sum = {.first = n_chunks - s->n_chunks, .n = s->n_chunks}, .n = s->tally.rows.n};

	/* times that were cut may have been cut elsewhere when the recording is not the first */
	if (s->is_many || w.n * index_build_limits.sum_share > s->n || b->profile.wall_ns >= PROFILE_MAX_NS - 1)
		return 0;
	TRY(build_spooled(b, spool_write(&b->spool, s->tally.rows.v, w.n * sizeof *s->tally.rows.v, &w.at)));
	return vec_push(&b->waiting_sums, w) ? 0 : ERR_NO_MEMORY;
}

int build_sums_chunk(struct build *b, uint32_t n_chunks, uint64_t n)
{
	uint32_t size = 1; /* of a full sum, in chunks */

	TRY(tally_flush(&b->coded));
	for (unsigned i = 0; i < BUILD_SUMS; i++, size *= index_build_limits.group) {
		struct sums *s = &b->sums[i];

		s->n_chunks++;
		s->n += n;
		if (!s->is_many)
			TRY(sums_add(s, &b->coded, (uint64_t)CHUNK_FULL * size / index_build_limits.sum_share));
		if (s->n_chunks < size)
			continue;
		TRY(sums_keep(b, s, n_chunks));
		sums_restart(s);
	}
	tally_clear(&b->coded);
	return 0;
}

/* By their first chunk; the longest first. */
static int sums_compare(const void *a, const void *b)
{
	const struct facts_sum *x = &((const struct waiting_sum *)a)->sum, *y = &((const struct waiting_sum *)b)->sum;

	if (x->first != y->first)
		return x->first < y->first ? -1 : 1;
	return x->n > y->n ? -1 : x->n < y->n;
}

static int sums_settle(struct build *b, struct epoch *e, struct waiting_sum *w)
{
	struct tally *t = &b->coded; /* empty between two chunks */

	if (!vec_room(&t->rows, w->n))
		return ERR_NO_MEMORY;
	TRY(build_spooled(b, spool_read(&b->spool, w->at, t->rows.v, w->n * sizeof *t->rows.v)));
	for (size_t i = 0; i < w->n; i++)
		TRY(epoch_settle_code(e, &t->rows.v[i].stack));
	w->sum.id = ++b->n_sums;
	buf_reset(&b->bytes);
	TRY(facts_write_rows(t->rows.v, w->n, w->sum.id, &b->pack, &b->bytes));
	const struct facts_recording *of = &b->recordings.v[b->recording];
	sqlite3_bind_int64(b->add_sum, 1, (int64_t)w->sum.id);
	sqlite3_bind_int64(b->add_sum, 2, (int64_t)of->chunks.v[w->sum.first].id);
	sqlite3_bind_int64(b->add_sum, 3, (int64_t)of->chunks.v[w->sum.first + w->sum.n - 1].id);
	sqlite3_bind_blob64(b->add_sum, 4, b->bytes.data, b->bytes.len, SQLITE_STATIC);
	TRY(build_step(b, b->add_sum));
	return vec_push(&b->recordings.v[b->recording].sums, w->sum) ? 0 : ERR_NO_MEMORY;
}

int build_sums_epoch(struct build *b, struct epoch *e)
{
	if (b->waiting_sums.n)
		qsort(b->waiting_sums.v, b->waiting_sums.n, sizeof *b->waiting_sums.v, sums_compare);
	for (size_t i = 0; i < b->waiting_sums.n; i++)
		TRY(sums_settle(b, e, &b->waiting_sums.v[i]));
	b->waiting_sums.n = 0;
	for (unsigned i = 0; i < BUILD_SUMS; i++)
		sums_restart(&b->sums[i]);
	return 0;
}

void build_sums_done(struct build *b)
{
	for (unsigned i = 0; i < BUILD_SUMS; i++)
		tally_done(&b->sums[i].tally);
	tally_done(&b->coded);
	vec_free(&b->waiting_sums);
}
