#include "pyspy-report/profile/runs.h"

#include <string.h>

#include "libcommon/err.h"

/* What runs_finish needs at every step. */
struct runs_at {
	struct runs *r;
	struct epoch *e;
	struct profile_recording *recording;
};

void runs_init(struct runs *r)
{
	memset(r, 0, sizeof *r);
	map_init(&r->doubts, WIRE_IDS_MAX);
	r->until_ns = UINT64_MAX;
}

void runs_done(struct runs *r)
{
	vec_free(&r->ticks_ns);
	vec_free(&r->entries);
	vec_free(&r->closings);
	vec_free(&r->events);
	vec_free(&r->gaps);
	vec_free(&r->before_ns);
	vec_free(&r->list);
	vec_free(&r->missed);
	map_done(&r->doubts);
}

void runs_begin_block(struct runs *r)
{
	r->ticks_ns.n = r->entries.n = r->closings.n = r->events.n = r->list.n = r->gaps.n = 0;
	r->missed.n = 0;
	r->sampled_ns = 0;
	if (r->doubts.n)
		map_clear(&r->doubts);
	r->has_ticks = false;
	r->stamp++;
}

int runs_ticks(struct runs *r, const struct rec_ticks *t)
{
	if (r->has_ticks) /* at most one per block: the first counts */
		return 0;
	r->has_ticks = true;
	if (!vec_room(&r->ticks_ns, t->n_ticks) || !vec_room(&r->entries, t->n_entries) ||
	    !vec_room(&r->closings, t->n_closings) || !vec_room(&r->gaps, t->n_gaps))
		return ERR_NO_MEMORY;
	if (t->n_ticks)
		memcpy(r->ticks_ns.v, t->times_ns, t->n_ticks * sizeof *t->times_ns);
	if (t->n_entries)
		memcpy(r->entries.v, t->entries, t->n_entries * sizeof *t->entries);
	if (t->n_closings)
		memcpy(r->closings.v, t->closings, t->n_closings * sizeof *t->closings);
	if (t->n_gaps)
		memcpy(r->gaps.v, t->gaps, t->n_gaps * sizeof *t->gaps);
	r->gaps.n = t->n_gaps;
	r->ticks_ns.n = t->n_ticks;
	r->entries.n = t->n_entries;
	r->closings.n = t->n_closings;
	return 0;
}

int runs_events(struct runs *r, const struct rec_events *e)
{
	if (!vec_room(&r->events, e->n_events))
		return ERR_NO_MEMORY;
	if (e->n_events)
		memcpy(r->events.v + r->events.n, e->events, e->n_events * sizeof *e->events);
	r->events.n += e->n_events;
	return 0;
}

int runs_doubt(struct runs *r, uint32_t stack)
{
	bool is_new;

	return map_put(&r->doubts, stack, 0, &is_new) ? 0 : ERR_NO_MEMORY;
}

/* The part of a gap that is above 5 mean gaps. */
static uint64_t runs_excess(uint64_t begin, uint64_t end, uint64_t mean_ns)
{
	if (!mean_ns || mean_ns >= UINT64_MAX / WIRE_GAP_LIMIT)
		return 0;
	return end > begin && end - begin > mean_ns * WIRE_GAP_LIMIT ? end - begin - mean_ns * WIRE_GAP_LIMIT : 0;
}

/* The mean of the gap that ends with `tick`; ticks are asked for in order, *next is where the list goes on. */
static uint64_t runs_mean_gap(const struct runs *r, size_t tick, size_t *next, uint64_t mean_ns)
{
	while (*next < r->gaps.n && r->gaps.v[*next].tick <= tick)
		mean_ns = r->gaps.v[(*next)++].mean_ns;
	return mean_ns;
}

/* Where the rate was lowered, a tick stands for as much as its mean gap says. */
static int runs_weigh(struct runs_at *a)
{
	struct runs *r = a->r;
	uint64_t mean_ns = a->recording->mean_gap_ns, sum = 0;
	size_t next = 0;

	r->before_ns.n = 0;
	if (!r->gaps.n)
		return 0;
	if (!vec_room(&r->before_ns, r->ticks_ns.n + 1))
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < r->ticks_ns.n; i++) {
		mean_ns = runs_mean_gap(r, i, &next, mean_ns);
		r->before_ns.v[r->before_ns.n++] = sum;
		/* at most 2^24 ticks of 2^39 ns; only what RECORDING says may be any number */
		sum += mean_ns < WIRE_MEAN_GAP_MAX_NS ? mean_ns : WIRE_MEAN_GAP_MAX_NS;
	}
	r->before_ns.v[r->before_ns.n++] = sum;
	a->recording->has_rates = true;
	return 0;
}

static int runs_measure(struct runs_at *a, const struct rec_block *b)
{
	struct runs *r = a->r;
	uint64_t mean_ns = a->recording->mean_gap_ns, missed = 0, at = b->begin_ns;
	size_t next = 0;

	if (b->end_ns <= b->begin_ns || !r->ticks_ns.n)
		return 0;
	if (r->events.n && !r->entries.n) /* all threads were the kernel's: no tick looked at any */
		return 0;
	for (size_t i = 0; i < r->ticks_ns.n; i++) {
		mean_ns = runs_mean_gap(r, i, &next, mean_ns);
		uint64_t excess_ns = runs_excess(at, r->ticks_ns.v[i], mean_ns);
		missed += excess_ns;
		if (r->keep && excess_ns && !vec_push(&r->missed, ((struct run_missed){(uint32_t)i, missed})))
			return ERR_NO_MEMORY;
		at = r->ticks_ns.v[i] > at ? r->ticks_ns.v[i] : at;
	}
	missed += runs_excess(at, b->end_ns, runs_mean_gap(r, r->ticks_ns.n, &next, mean_ns));
	/* ticks outside the block's own time make no sense, but must not make time either */
	if (missed > b->end_ns - b->begin_ns)
		missed = b->end_ns - b->begin_ns;
	r->sampled_ns = b->end_ns - b->begin_ns - missed;
	a->recording->sampled_ns += r->sampled_ns;
	a->recording->not_sampled_ns += missed;
	return 0;
}

uint64_t runs_time_before(const struct runs *r, uint32_t tick)
{
	uint64_t part = tick, of = r->ticks_ns.n, product;

	if (r->before_ns.n) {
		part = r->before_ns.v[tick];
		of = r->before_ns.v[of];
	}
	if (!of) /* RECORDING says 0 */
		return 0;
	if (!__builtin_mul_overflow(r->sampled_ns, part, &product))
		return product / of;
	return (uint64_t)((unsigned __int128)r->sampled_ns * part / of);
}

/* What of `cpu_ns`, used over the thread's ticks up to `end`, was used in from .. until-1. Parts add up to the whole.
 */
static uint64_t runs_cpu_part(const struct runs_at *a, const struct epoch_thread *t, uint32_t end, uint64_t cpu_ns)
{
	uint32_t of = end - t->tick, from = a->r->from < t->tick ? t->tick : a->r->from,
	         until = a->r->until > end ? end : a->r->until;

	if (!of) /* of a run in an earlier block, told here */
		return a->r->from <= t->tick && t->tick < a->r->until ? cpu_ns : 0;
	if (from == t->tick && until == end)
		return cpu_ns;
	if (from >= until)
		return 0;
	return (uint64_t)((unsigned __int128)cpu_ns * (until - t->tick) / of) -
	       (uint64_t)((unsigned __int128)cpu_ns * (from - t->tick) / of);
}

static int runs_add(const struct runs_at *a, const struct tally_row *row)
{
	if (a->r->parts) {
		struct tally_row part = *row;

		part.stack = 0;
		TRY(tally_add(a->r->parts, &part));
	}
	if (a->r->rows)
		TRY(tally_add(a->r->rows, row));
	if (a->r->coded) {
		struct tally_row coded = *row;

		coded.stack = epoch_code(a->e, row->stack, row->flags);
		TRY(tally_add(a->r->coded, &coded));
	}
	return epoch_count(a->e, row);
}

/* The thread's stack from its entry's tick to `end`; `is_cpu`: only the CPU time that it used there. */
static int runs_count(struct runs_at *a, const struct epoch_thread *t, uint32_t end, uint64_t cpu_ns, bool is_cpu)
{
	struct runs *r = a->r;
	struct profile *p = a->e->profile;
	uint32_t begin = is_cpu ? end : t->tick, n = end - begin, flags = t->flags & (WIRE_FLAG_ABSENT - 1);

	if (t->flags & WIRE_FLAG_ABSENT) {
		*(t->flags & WIRE_FLAG_FAILED ? &a->recording->failed_ticks : &a->recording->absent_ticks) += n;
		if (!r->replays && !r->is_known)
			p->threads.v[t->global].cpu_unsampled_ns += cpu_ns;
		return 0;
	}
	uint32_t from = begin < r->from ? r->from : begin, until = end > r->until ? r->until : end;
	uint32_t inside = from < until ? until - from : 0;
	if (r->doubts.n && map_get(&r->doubts, t->stack, 0))
		flags |= WIRE_FLAG_UNPROVED;
	a->recording->n_samples += n;
	if (r->keep && inside &&
	    !vec_push(&r->list,
	              ((struct run){t->global, t->stack, flags, from, until, (uint32_t)(t - a->e->threads.v)})))
		return ERR_NO_MEMORY;
	if (r->replays)
		return 0;
	p->outside_cpu_ns += cpu_ns;
	cpu_ns = runs_cpu_part(a, t, end, cpu_ns);
	p->outside_cpu_ns -= cpu_ns;
	uint64_t all_ns = profile_take_time(p, runs_time_before(r, end) - runs_time_before(r, begin));
	uint64_t wall_ns = inside ? runs_time_before(r, until) - runs_time_before(r, from) : 0;
	wall_ns = wall_ns < all_ns ? wall_ns : all_ns;
	p->outside_n += n - inside;
	p->outside_ns += all_ns - wall_ns;
	if (!inside && !cpu_ns)
		return 0;
	return runs_add(a, &(struct tally_row){.thread = t->global,
	                                       .stack = t->stack,
	                                       .flags = flags,
	                                       .n = inside,
	                                       .wall_ns = wall_ns,
	                                       .cpu_ns = cpu_ns});
}

/* Only CPU time is new, and all of the block is asked for: nobody needs to know when it was used. (Whether the stack is
 * the same is asked of what it is in the profile: in an index its number is another one.) */
static bool runs_goes_on(const struct runs *r, const struct epoch *e, const struct epoch_thread *t,
                         const struct rec_entry *entry)
{
	uint32_t stack;

	if (t->flags != entry->flags || t->flags & WIRE_FLAG_ABSENT || r->keep || r->replays || r->from != 0 ||
	    r->until != UINT32_MAX)
		return false;
	stack = epoch_certain(e, t->stack, t->flags);
	return stack && (t->stack == entry->stack || stack == epoch_certain(e, entry->stack, entry->flags));
}

static int runs_entry(struct runs_at *a, const struct rec_entry *entry)
{
	struct epoch_thread *t = epoch_thread(a->e, entry->thread);

	if (!t)
		return ERR_NO_MEMORY;
	if (t->stamp == a->r->stamp && runs_goes_on(a->r, a->e, t, entry)) {
		t->cpu_ns += entry->cpu_ns;
		return 0;
	}
	if (t->stamp == a->r->stamp) {
		TRY(runs_count(a, t, entry->tick, t->cpu_ns + entry->cpu_ns, false));
	} else {
		if (t->has_entry && entry->cpu_ns) { /* used during the last run of an earlier block */
			t->tick = 0;
			TRY(runs_count(a, t, 0, entry->cpu_ns, false));
		} else if (entry->cpu_ns && !a->r->replays && !a->r->is_known) {
			a->e->profile->threads.v[t->global].cpu_unsampled_ns += entry->cpu_ns;
		}
		if (!vec_push(&a->e->threads_seen, entry->thread))
			return ERR_NO_MEMORY;
	}
	t->stamp = a->r->stamp;
	t->has_entry = true;
	t->stack = entry->stack;
	epoch_expect(a->e, entry->stack);
	t->flags = entry->flags;
	t->tick = entry->tick;
	t->cpu_ns = 0;
	return 0;
}

static int runs_count_ticks(struct runs_at *a)
{
	const struct runs *r = a->r;
	struct epoch *e = a->e;

	e->threads_seen.n = 0;
	for (size_t i = 0; i < r->entries.n; i++)
		TRY(runs_entry(a, &r->entries.v[i]));
	for (size_t i = 0; i < r->closings.n; i++) {
		struct epoch_thread *t = epoch_thread(e, r->closings.v[i].thread);

		if (!t)
			return ERR_NO_MEMORY;
		if (t->stamp != r->stamp) /* closing without an entry: nothing to credit it to */
			continue;
		/* its CPU time alone: the run itself ends with the record */
		TRY(runs_count(a, t, (uint32_t)r->ticks_ns.n, r->closings.v[i].cpu_ns, true));
	}
	for (size_t i = 0; i < e->threads_seen.n; i++) {
		struct epoch_thread *t = &e->threads.v[e->threads_seen.v[i]];

		TRY(runs_count(a, t, (uint32_t)r->ticks_ns.n, t->cpu_ns, false));
		t->cpu_ns = 0;
	}
	return 0;
}

static bool runs_is_cpu_time(uint32_t flags)
{
	uint32_t state = flags & WIRE_FLAG_STATE;

	return state == WIRE_STATE_ON_CPU || state == WIRE_STATE_ACTIVE;
}

static int runs_count_events(struct runs_at *a)
{
	const struct runs *r = a->r;
	struct profile *p = a->e->profile;

	for (size_t i = 0; i < r->events.n && !r->replays; i++) {
		const struct rec_event *v = &r->events.v[i];
		if (i + TALLY_WAIT < r->events.n)
			epoch_expect(a->e, r->events.v[i + TALLY_WAIT].stack);
		uint64_t ns = profile_take_time(p, v->weight_ns);

		if (v->time_ns < r->from_ns || v->time_ns >= r->until_ns) {
			p->outside_n++;
			p->outside_ns += ns;
			p->outside_cpu_ns += runs_is_cpu_time(v->flags) ? ns : 0;
			continue;
		}
		struct tally_row row = {
		    .thread = v->thread < a->e->threads.n ? a->e->threads.v[v->thread].global : 0,
		    .stack = v->stack,
		    .flags = (v->flags & (WIRE_FLAG_ABSENT - 1)) | TALLY_EVENT,
		    .n = 1,
		    .wall_ns = ns,
		    .cpu_ns = runs_is_cpu_time(v->flags) ? ns : 0,
		};

		if (r->doubts.n && map_get(&r->doubts, v->stack, 0))
			row.flags |= WIRE_FLAG_UNPROVED;
		TRY(runs_add(a, &row));
	}
	a->recording->n_events += r->events.n;
	a->recording->n_samples += r->events.n;
	return 0;
}

/* Ticks before `time_ns`; they are in order. */
static uint32_t runs_ticks_before(const struct runs *r, uint64_t time_ns)
{
	size_t low = 0, high = r->ticks_ns.n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (r->ticks_ns.v[middle] < time_ns)
			low = middle + 1;
		else
			high = middle;
	}
	return (uint32_t)low;
}

int runs_finish(struct runs *r, struct epoch *e, const struct rec_block *b, struct profile_recording *to)
{
	struct runs_at a = {.r = r, .e = e, .recording = to};

	r->from = r->from_ns ? runs_ticks_before(r, r->from_ns) : 0;
	r->until = r->until_ns < UINT64_MAX ? runs_ticks_before(r, r->until_ns) : UINT32_MAX;
	if (r->until >= r->ticks_ns.n) /* to the end of the block: as if nothing was asked for */
		r->until = UINT32_MAX;
	TRY(runs_weigh(&a));
	TRY(runs_measure(&a, b));
	a.recording->n_ticks += r->ticks_ns.n;
	TRY(runs_count_ticks(&a));
	return runs_count_events(&a);
}
