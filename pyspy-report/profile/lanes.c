#include "pyspy-report/profile/lanes.h"

#include <string.h>

#include "libcommon/err.h"

enum { LANES_KEPT = 1 << 16 }; /* stretches in memory */

struct lanes_at {
	struct lanes *l;
	const struct runs *r;
	const struct epoch *e;
	uint64_t begin_ns, end_ns; /* of the block */
	uint64_t gap_ns;           /* mean: a smaller hole between two rows of events is none */
	uint64_t started_ns;       /* the recording */
};

void lanes_done(struct lanes *l)
{
	vec_free(&l->kept);
	vec_free(&l->ends);
	vec_free(&l->unknown_ends);
	vec_free(&l->events);
	vec_free(&l->order);
}

static uint64_t lanes_cut(uint64_t ns)
{
	return ns < LANES_MAX_NS ? ns : LANES_MAX_NS;
}

/* Where a lane ends so far; NULL: no memory. */
static uint64_t *lanes_end(struct lanes *l, uint32_t thread, uint32_t id)
{
	if (!thread) {
		while (l->unknown_ends.n <= id)
			if (!vec_push(&l->unknown_ends, 0))
				return NULL;
		return &l->unknown_ends.v[id];
	}
	while (l->ends.n <= thread)
		if (!vec_push(&l->ends, 0))
			return NULL;
	return &l->ends.v[thread];
}

/* `is_asked`: else it only takes its place. */
static int lanes_push(struct lanes_at *a, struct lane_stretch *s, uint64_t *end, bool is_asked)
{
	struct lanes *l = a->l;

	if (is_asked && s->begin_ns < a->r->from_ns) /* what --time asks for does not begin before it */
		s->begin_ns = a->r->from_ns;
	s->begin_ns = lanes_cut(s->begin_ns > *end ? s->begin_ns : *end);
	if (s->length_ns > LANES_MAX_NS - s->begin_ns)
		s->length_ns = LANES_MAX_NS - s->begin_ns;
	*end = s->begin_ns + s->length_ns;
	if (!is_asked)
		return 0;
	if (l->kept.n >= LANES_KEPT) {
		TRY(spool_write(l->spool, l->kept.v, l->kept.n * sizeof *l->kept.v, NULL));
		l->kept.n = 0;
	}
	return vec_push(&l->kept, *s) ? 0 : ERR_NO_MEMORY;
}

/* The part of a run that has no hole in it. */
static int lanes_part(struct lanes_at *a, const struct run *run, uint32_t begin, uint32_t end, uint64_t missed_ns)
{
	uint64_t from = runs_time_before(a->r, begin), *lane = lanes_end(a->l, run->thread, run->id);
	struct lane_stretch s = {.thread = run->thread,
	                         .stack = run->stack,
	                         .id = run->thread ? 0 : run->id,
	                         .flags = run->flags,
	                         .n = end - begin,
	                         .length_ns = runs_time_before(a->r, end) - from};

	if (!lane)
		return ERR_NO_MEMORY;
	if (__builtin_add_overflow(from, missed_ns, &s.begin_ns) ||
	    __builtin_add_overflow(s.begin_ns, a->begin_ns, &s.begin_ns))
		s.begin_ns = LANES_MAX_NS;
	return lanes_push(a, &s, lane, true);
}

static int lanes_run(struct lanes_at *a, const struct run *run)
{
	const struct run_missed *m = a->r->missed.v, *last = m + a->r->missed.n;
	uint64_t missed_ns = 0;
	uint32_t begin = run->begin;

	for (; m < last && m->tick <= run->begin; m++)
		missed_ns = m->ns;
	for (; m < last && m->tick < run->end; m++) {
		TRY(lanes_part(a, run, begin, m->tick, missed_ns));
		begin = m->tick;
		missed_ns = m->ns;
	}
	return lanes_part(a, run, begin, run->end, missed_ns);
}

static int lanes_by_thread(const void *a, const void *b, void *events)
{
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;
	const struct rec_event *x = (const struct rec_event *)events + i, *y = (const struct rec_event *)events + j;

	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	/* whatever sorts them, the same input gives the same order; not by stack: in an index it has another number */
	return (i > j) - (i < j);
}

/* Where a row of one thread's events begins: their own times say where its middle is, on the whole. */
static uint64_t lanes_place(const struct lanes_at *a, const struct rec_event *v, size_t n, uint64_t lane_end)
{
	const struct profile *p = a->e->profile;
	uint32_t thread = v->thread < a->e->threads.n ? a->e->threads.v[v->thread].global : 0;
	const struct profile_thread *t = &p->threads.v[thread];
	uint64_t first = lane_end, last = a->end_ns, total = 0;
	long double early = 0, before = 0; /* by how much the row stands before the times, times the weight */

	for (size_t i = 0; i < n; i++) {
		long double w = (long double)v[i].weight_ns;

		early += w * ((long double)v[i].time_ns - w - before);
		before += w;
		if (__builtin_add_overflow(total, v[i].weight_ns, &total))
			total = UINT64_MAX;
	}
	if (thread && !lane_end)
		first = t->start_ns;
	first = first > a->started_ns ? first : a->started_ns;
	if (thread && t->has_ended && t->end_ns < last)
		last = t->end_ns;
	last = last > total ? last - total : 0;
	long double mean = before > 0 ? early / before : (long double)v->time_ns;
	uint64_t at = mean <= 0 ? 0 : mean >= (long double)LANES_MAX_NS ? LANES_MAX_NS : (uint64_t)mean;
	at = at < last ? at : last;
	return at > first && at - first >= a->gap_ns ? at : first;
}

static int lanes_row(struct lanes_at *a, const struct rec_event *v, size_t n)
{
	uint32_t thread = v->thread < a->e->threads.n ? a->e->threads.v[v->thread].global : 0;
	uint64_t *lane = lanes_end(a->l, thread, v->thread);

	if (!lane)
		return ERR_NO_MEMORY;
	uint64_t at = lanes_place(a, v, n, *lane);
	for (size_t i = 0; i < n; i++) {
		struct lane_stretch s = {.thread = thread,
		                         .stack = v[i].stack,
		                         .id = thread ? 0 : v[i].thread,
		                         .flags = (v[i].flags & (WIRE_FLAG_ABSENT - 1)) | TALLY_EVENT,
		                         .n = 1,
		                         .begin_ns = at,
		                         .length_ns = v[i].weight_ns};

		if (a->r->doubts.n && map_get(&a->r->doubts, v[i].stack, 0))
			s.flags |= WIRE_FLAG_UNPROVED;
		bool is_inside = v[i].time_ns >= a->r->from_ns && v[i].time_ns < a->r->until_ns;
		TRY(lanes_push(a, &s, lane, is_inside));
		at = *lane;
	}
	return 0;
}

static int lanes_events(struct lanes_at *a)
{
	struct lanes *l = a->l;
	size_t n = a->r->events.n;

	l->events.n = 0;
	if (!n)
		return 0;
	l->order.n = 0;
	if (!vec_room(&l->events, n) || !vec_room(&l->order, n))
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < n; i++)
		l->order.v[l->order.n++] = i;
	qsort_r(l->order.v, n, sizeof *l->order.v, lanes_by_thread, a->r->events.v);
	for (size_t i = 0; i < n; i++)
		l->events.v[l->events.n++] = a->r->events.v[l->order.v[i]];
	for (size_t i = 0, k; i < n; i = k) {
		for (k = i + 1; k < n && l->events.v[k].thread == l->events.v[i].thread;)
			k++;
		TRY(lanes_row(a, &l->events.v[i], k - i));
	}
	return 0;
}

int lanes_keep(struct lanes *l, const struct runs *r, const struct epoch *e, const struct rec_block *b)
{
	const struct profile_recording *of = &e->profile->recordings.v[e->recording];
	struct lanes_at a = {l, r, e, b->begin_ns, b->end_ns, of->mean_gap_ns, of->started_ns};

	if (l->recording != e->recording) { /* another clock, perhaps */
		l->recording = e->recording;
		l->ends.n = l->unknown_ends.n = 0;
	}
	for (size_t i = 0; i < r->list.n; i++)
		TRY(lanes_run(&a, &r->list.v[i]));
	return lanes_events(&a);
}

static int lanes_show_some(struct lanes *l, struct epoch *e, lanes_visit *visit, void *ctx)
{
	for (size_t i = 0; i < l->kept.n; i++) {
		struct lane_stretch *s = &l->kept.v[i];
		int rc;

		s->recording = e->recording;
		TRY(epoch_resolve(e, s->stack, &s->flags, &s->stack));
		rc = visit(ctx, e->profile, s);
		if (rc)
			return rc;
	}
	return 0;
}

int lanes_show(struct lanes *l, struct epoch *e, lanes_visit *visit, void *ctx)
{
	uint64_t end = l->spool->n, at = 0;
	size_t last = l->kept.n;
	int rc = 0;

	if (end) { /* the newest wait behind the older ones */
		TRY(spool_write(l->spool, l->kept.v, last * sizeof *l->kept.v, NULL));
		end = l->spool->n;
	}
	for (; at < end && !rc; at += l->kept.n * sizeof *l->kept.v) {
		uint64_t left = (end - at) / sizeof *l->kept.v;

		l->kept.n = left < LANES_KEPT ? (size_t)left : LANES_KEPT;
		rc = spool_read(l->spool, at, l->kept.v, l->kept.n * sizeof *l->kept.v);
		if (!rc)
			rc = lanes_show_some(l, e, visit, ctx);
	}
	if (!end)
		rc = lanes_show_some(l, e, visit, ctx);
	l->kept.n = 0;
	spool_clear(l->spool);
	return rc;
}
