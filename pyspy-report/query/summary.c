#include "pyspy-report/query/summary.h"

#include <string.h>

#include "libcommon/err.h"

static enum summary_taken summary_taken(uint32_t flags)
{
	uint32_t state = flags & WIRE_FLAG_STATE;
	bool runs = state == WIRE_STATE_ON_CPU || state == WIRE_STATE_ACTIVE;

	switch ((flags & WIRE_FLAG_WAY) >> WIRE_FLAG_WAY_SHIFT) {
	case WIRE_WAY_STILL:
		return runs && !(flags & TALLY_EVENT) ? SUMMARY_HELD : SUMMARY_STILL;
	case WIRE_WAY_KERNEL:
		return runs ? SUMMARY_KERNEL : SUMMARY_SWITCH;
	case WIRE_WAY_STOPPED:
		return SUMMARY_STOPPED;
	default:
		return SUMMARY_OUTSIDE;
	}
}

/* Of an event the weight is either CPU time or time off the CPU; of a tick's samples the state tells. */
static bool summary_is_off(uint32_t flags)
{
	uint32_t state = flags & WIRE_FLAG_STATE;

	return state != WIRE_STATE_ON_CPU && state != WIRE_STATE_ACTIVE &&
	       (state != WIRE_STATE_UNKNOWN || (flags & TALLY_EVENT && flags & WIRE_FLAG_WAY)); /* FORMAT.md 4.4 */
}

/* `n`: samples or nanoseconds of the row. */
static void summary_sum(struct summary_count *c, const struct tally_row *r, uint64_t n)
{
	c->n += n;
	c->idle += filter_is_idle(r->flags) ? n : 0;
	c->gil += r->flags & WIRE_FLAG_GIL ? n : 0;
	c->gil_wait += r->flags & WIRE_FLAG_GIL_WAIT ? n : 0;
	c->gc += r->flags & WIRE_FLAG_GC ? n : 0;
	c->in_motion += r->flags & TALLY_IN_MOTION ? n : 0;
	c->lost += r->flags & TALLY_LOST ? n : 0;
	c->unproved += r->flags & WIRE_FLAG_UNPROVED ? n : 0;
	c->cut += r->flags & WIRE_FLAG_CUT ? n : 0;
	c->events += r->flags & TALLY_EVENT ? n : 0;
	c->state[r->flags & WIRE_FLAG_STATE] += n;
	c->way[(r->flags & WIRE_FLAG_WAY) >> WIRE_FLAG_WAY_SHIFT] += n;
	c->taken[summary_taken(r->flags)] += n;
	c->wall_ns += r->wall_ns;
	c->cpu_ns += r->cpu_ns;
	c->off_ns += summary_is_off(r->flags) ? r->wall_ns : 0;
}

static void summary_add(struct summary_part *p, const struct filter *f, const struct tally_row *r)
{
	summary_sum(&p->samples, r, r->n);
	summary_sum(&p->ns, r, filter_row_ns(f, r));
}

/* A thread with samples; `seen`: processes, each counted once. */
static void summary_count_thread(uint32_t *n_threads, uint32_t *n_processes, bool *seen, uint32_t process)
{
	++*n_threads;
	*n_processes += !seen[process];
	seen[process] = true;
}

static void summary_rows(struct summary *s, const struct profile *p, const struct filter *f, bool only_kept, bool *kept)
{
	struct filter with_idle = *f;

	with_idle.idle = true;
	for (size_t i = 0; i < p->tally.rows.n; i++) {
		const struct tally_row *r = &p->tally.rows.v[i];
		bool keeps = filter_keeps(f, r->thread, r->stack, r->flags);

		if (keeps || !only_kept) {
			summary_add(&s->all, f, r);
			summary_add(&s->threads.v[r->thread], f, r);
		}
		if (keeps) {
			summary_add(&s->kept, f, r);
			kept[r->thread] |= r->n > 0;
		} else if (filter_keeps(&with_idle, r->thread, r->stack, r->flags)) {
			summary_add(&s->idle, f, r);
		}
	}
}

static int summary_make(struct summary *s, const struct profile *p, const struct filter *f, bool only_kept)
{
	bool *seen = calloc(p->processes.n, 2 * sizeof *seen), *kept = calloc(p->threads.n, sizeof *kept);
	int rc = 0;

	memset(s, 0, sizeof *s);
	s->by_time = filter_by_time(f, p);
	s->measure = f->measure;
	s->outside_n = p->outside_n;
	s->outside_ns = f->measure == FILTER_BY_CPU ? p->outside_cpu_ns : p->outside_ns;
	if (!seen || !kept || !vec_room(&s->threads, p->threads.n)) {
		rc = ERR_NO_MEMORY;
	} else {
		s->threads.n = p->threads.n;
		memset(s->threads.v, 0, s->threads.n * sizeof *s->threads.v);
		summary_rows(s, p, f, only_kept, kept);
	}
	for (size_t i = 0; i < s->threads.n && !rc; i++) {
		uint32_t process = p->threads.v[i].process;

		if (s->threads.v[i].samples.n)
			summary_count_thread(&s->n_threads, &s->n_processes, seen, process);
		if (kept[i])
			summary_count_thread(&s->n_kept_threads, &s->n_kept_processes, seen + p->processes.n, process);
	}
	free(seen);
	free(kept);
	return rc;
}

int summary_build(struct summary *s, const struct profile *p, const struct filter *f)
{
	return summary_make(s, p, f, false);
}

int summary_build_kept(struct summary *s, const struct profile *p, const struct filter *f)
{
	return summary_make(s, p, f, true);
}

void summary_done(struct summary *s)
{
	vec_free(&s->threads);
}

const struct summary_count *summary_shares(const struct summary *s, const struct summary_part *part)
{
	return s->by_time ? &part->ns : &part->samples;
}

uint64_t summary_lost(const struct profile *p, enum wire_lost cause)
{
	uint64_t n = 0;

	for (size_t i = 0; i < p->recordings.n; i++)
		n += p->recordings.v[i].lost[cause];
	return n;
}

uint64_t summary_counter(const struct profile *p, enum wire_counter counter)
{
	uint64_t n = 0;

	for (size_t i = 0; i < p->recordings.n; i++)
		n += p->recordings.v[i].counters[counter];
	return n;
}
