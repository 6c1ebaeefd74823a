#include "pyspy-report/profile/replay.h"

#include <string.h>

#include "libcommon/err.h"

struct replay_at {
	struct replay *y;
	struct epoch *e;
	replay_visit *visit;
	void *ctx;
	size_t event; /* the next one to show */
};

void replay_done(struct replay *y)
{
	vec_free(&y->blocks);
	vec_free(&y->ticks_ns);
	vec_free(&y->runs);
	vec_free(&y->events);
	vec_free(&y->active);
}

static int replay_by_begin(const void *a, const void *b)
{
	const struct run *x = a, *y = b;

	if (x->begin != y->begin)
		return x->begin < y->begin ? -1 : 1;
	return (x->thread > y->thread) - (x->thread < y->thread);
}

static int replay_by_time(const void *a, const void *b)
{
	const struct replay_event *x = a, *y = b;

	if (x->time_ns != y->time_ns)
		return x->time_ns < y->time_ns ? -1 : 1;
	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	/* whatever sorts them, the same input gives the same order; not by stack: in an index it has another number */
	return (x->number > y->number) - (x->number < y->number);
}

int replay_keep(struct replay *y, const struct runs *r, const struct epoch *e)
{
	struct replay_block b = {y->ticks_ns.n, y->runs.n};

	if (!vec_push(&y->blocks, b) || !vec_room(&y->ticks_ns, r->ticks_ns.n) || !vec_room(&y->runs, r->list.n) ||
	    !vec_room(&y->events, r->events.n))
		return ERR_NO_MEMORY;
	if (r->ticks_ns.n)
		memcpy(y->ticks_ns.v + y->ticks_ns.n, r->ticks_ns.v, r->ticks_ns.n * sizeof *r->ticks_ns.v);
	y->ticks_ns.n += r->ticks_ns.n;
	if (r->list.n) {
		memcpy(y->runs.v + y->runs.n, r->list.v, r->list.n * sizeof *r->list.v);
		qsort(y->runs.v + y->runs.n, r->list.n, sizeof *r->list.v, replay_by_begin);
	}
	y->runs.n += r->list.n;
	for (size_t i = 0; i < r->events.n; i++) {
		const struct rec_event *v = &r->events.v[i];

		if (v->time_ns < r->from_ns || v->time_ns >= r->until_ns)
			continue;
		y->events.v[y->events.n] =
		    (struct replay_event){v->time_ns,
		                          v->weight_ns,
		                          v->thread < e->threads.n ? e->threads.v[v->thread].global : 0,
		                          v->stack,
		                          (v->flags & (WIRE_FLAG_ABSENT - 1)) | TALLY_EVENT |
		                              (map_get(&r->doubts, v->stack, 0) ? WIRE_FLAG_UNPROVED : 0),
		                          (uint32_t)y->events.n};
		y->events.n++;
	}
	return 0;
}

static int replay_one(struct replay_at *a, uint64_t time_ns, uint64_t weight_ns, uint32_t thread, uint32_t stack,
                      uint32_t flags)
{
	struct replay_sample s = {
	    .recording = a->e->recording, .thread = thread, .flags = flags, .time_ns = time_ns, .weight_ns = weight_ns};

	TRY(epoch_resolve(a->e, stack, &s.flags, &s.stack));
	return a->visit(a->ctx, a->e->profile, &s);
}

/* Events that are older than `until_ns`; all: those of that time too. */
static int replay_events(struct replay_at *a, uint64_t until_ns, bool all)
{
	for (; a->event < a->y->events.n; a->event++) {
		const struct replay_event *v = &a->y->events.v[a->event];

		if (v->time_ns >= until_ns && !all)
			return 0;
		int rc = replay_one(a, v->time_ns, v->weight_ns, v->thread, v->stack, v->flags);
		if (rc)
			return rc;
	}
	return 0;
}

static int replay_by_thread(const void *a, const void *b, void *runs)
{
	const struct run *all = runs;
	uint32_t i = *(const uint32_t *)a, j = *(const uint32_t *)b;

	if (all[i].thread != all[j].thread)
		return all[i].thread < all[j].thread ? -1 : 1;
	return (i > j) - (i < j);
}

/* Runs that begin at `tick` join the active ones, those that ended leave; they stay in order of their thread. */
static int replay_step(struct replay *y, size_t *next, size_t end, uint32_t tick)
{
	size_t n = 0;
	bool sorted = true;

	for (size_t i = 0; i < y->active.n; i++)
		if (y->runs.v[y->active.v[i]].end > tick)
			y->active.v[n++] = y->active.v[i];
	y->active.n = n;
	for (; *next < end && y->runs.v[*next].begin <= tick; ++*next) {
		if (!vec_push(&y->active, (uint32_t)*next))
			return ERR_NO_MEMORY;
		n = y->active.n;
		sorted &= n < 2 || y->runs.v[y->active.v[n - 2]].thread <= y->runs.v[y->active.v[n - 1]].thread;
	}
	if (!sorted)
		qsort_r(y->active.v, y->active.n, sizeof *y->active.v, replay_by_thread, y->runs.v);
	return 0;
}

static int replay_block(struct replay_at *a, const struct replay_block *b, const struct replay_block *end)
{
	struct replay *y = a->y;
	size_t run = b->runs;

	y->active.n = 0;
	for (size_t tick = 0; b->ticks + tick < end->ticks; tick++) {
		uint64_t time_ns = y->ticks_ns.v[b->ticks + tick];
		int rc = replay_events(a, time_ns, false);

		if (!rc)
			rc = replay_step(y, &run, end->runs, (uint32_t)tick);
		for (size_t i = 0; i < y->active.n && !rc; i++) {
			const struct run *r = &y->runs.v[y->active.v[i]];
			rc = replay_one(a, time_ns, 0, r->thread, r->stack, r->flags);
		}
		if (rc)
			return rc;
	}
	return 0;
}

int replay_show(struct replay *y, struct epoch *e, replay_visit *visit, void *ctx)
{
	struct replay_at a = {y, e, visit, ctx, 0};
	struct replay_block end = {y->ticks_ns.n, y->runs.n};
	int rc = 0;

	if (y->events.n)
		qsort(y->events.v, y->events.n, sizeof *y->events.v, replay_by_time);
	for (size_t i = 0; i < y->blocks.n && !rc; i++)
		rc = replay_block(&a, &y->blocks.v[i], i + 1 < y->blocks.n ? &y->blocks.v[i + 1] : &end);
	if (!rc)
		rc = replay_events(&a, UINT64_MAX, true);
	y->blocks.n = y->ticks_ns.n = y->runs.n = y->events.n = 0;
	return rc;
}
