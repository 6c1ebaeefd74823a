/* What of an index has to be read: chunks that lie in the time that is asked for, or sums of them. */
#include "pyspy-report/index/index_load_parts.h"

#include "libcommon/err.h"

/* The time that is asked for, by the chunk's first anchor and by its last. */
static void index_span(const struct load *l, const struct facts_chunk *c, uint64_t from[2], uint64_t until[2])
{
	const struct ends *ends = l->options.ends;

	for (unsigned i = 0; i < 2; i++) {
		struct span_of of = {.begin_ns = c->started_ns,
		                     .end_ns = ends && l->at < ends->v.n ? ends->v.v[l->at] : 0,
		                     .anchor_ns = i ? c->most_anchor_ns : c->least_anchor_ns};

		span_resolve(&l->options.span, &of, &from[i], &until[i]);
	}
}

bool index_is_outside(const struct load *l, const struct facts_chunk *c)
{
	uint64_t from[2], until[2];

	index_span(l, c, from, until);
	uint64_t first = from[0] < from[1] ? from[0] : from[1], last = until[0] > until[1] ? until[0] : until[1];
	bool has_samples = c->first_ns <= c->last_ns && c->last_ns >= first && c->first_ns < last;
	uint64_t begin = c->begin_ns > first ? c->begin_ns : first, end = c->end_ns < last ? c->end_ns : last;

	return !has_samples && begin >= end && !span_is_open(&l->options.span);
}

/* All of it is. */
static bool index_is_inside(const struct load *l, const struct facts_chunk *c)
{
	uint64_t from[2], until[2];

	index_span(l, c, from, until);
	uint64_t first = from[0] > from[1] ? from[0] : from[1], last = until[0] < until[1] ? until[0] : until[1];
	bool has_samples = c->first_ns <= c->last_ns;

	return c->begin_ns >= first && c->end_ns <= last &&
	       (!has_samples || (c->first_ns >= first && c->last_ns < last));
}

bool index_sums_are_sound(const struct facts_recording *r)
{
	for (size_t i = 0; i < r->sums.n; i++) {
		const struct facts_sum *s = &r->sums.v[i], *before = i ? s - 1 : NULL;

		if (!s->n || s->first >= r->chunks.n || s->n > r->chunks.n - s->first ||
		    r->chunks.v[s->first].epoch != r->chunks.v[s->first + s->n - 1].epoch)
			return false;
		if (before && (s->first < before->first || (s->first == before->first && s->n >= before->n)))
			return false;
	}
	return true;
}

static bool index_sum_is_inside(const struct load *l, const struct facts_recording *r, const struct facts_sum *s)
{
	for (uint32_t i = 0; i < s->n; i++)
		if (!index_is_inside(l, &r->chunks.v[s->first + i]))
			return false;
	return true;
}

const struct facts_sum *index_sum_from(const struct load *l, const struct facts_recording *r, size_t first, size_t *at)
{
	while (*at < r->sums.n && r->sums.v[*at].first < first)
		++*at;
	for (; *at < r->sums.n && r->sums.v[*at].first == first; ++*at)
		if (index_sum_is_inside(l, r, &r->sums.v[*at]))
			return &r->sums.v[*at];
	return NULL;
}

int index_count_sum(struct index *x, struct load *l, const struct facts_recording *r, const struct facts_sum *sum)
{
	const void *bytes;
	size_t n;

	TRY(index_get(x, x->get_sum, sum->id, &bytes, &n));
	int rc = facts_read_sum(&l->epoch, sum->id, &x->map, &x->pack, bytes, n);
	sqlite3_reset(x->get_sum);
	for (uint32_t i = 0; i < sum->n; i++) {
		const struct facts_chunk *c = &r->chunks.v[sum->first + i];

		load_span(
		    l,
		    &(struct rec_block){.begin_ns = c->begin_ns, .end_ns = c->end_ns, .anchor_ns = c->least_anchor_ns},
		    c->started_ns);
	}
	return rc;
}
