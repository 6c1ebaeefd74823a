#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/exchange/foreign.h"

enum { COUNTS_TICKS_A_BLOCK = 1 << 17 };
/* More samples of one thread than this are no ticks any more: they would take longer to read than to be recorded. */
#define COUNTS_TICKS_MAX (UINT64_C(1) << 28)

/* The rows of one thread, and how far they are laid. */
struct counts_thread {
	size_t row, end;
	uint64_t left; /* of the row */
};

struct counts {
	struct foreign *f;
	VEC(struct counts_thread) threads;
	VEC(uint64_t) times;
};

static int by_thread(const void *a, const void *b)
{
	const struct foreign_row *x = a, *y = b;

	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	return (x->n_before > y->n_before) - (x->n_before < y->n_before);
}

/* Samples of the thread that has most; UINT64_MAX: beyond all bounds. */
static uint64_t longest(struct foreign *f)
{
	uint64_t most = 0, n = 0;

	for (size_t i = 0; i < f->rows.n; i++) {
		n = i && f->rows.v[i].thread == f->rows.v[i - 1].thread ? n : 0;
		if (__builtin_add_overflow(n, f->rows.v[i].n, &n))
			return UINT64_MAX;
		most = n > most ? n : most;
	}
	return most;
}

static int as_events(struct foreign *f)
{
	uint64_t at = f->facts.start_ns;

	foreign_without(f, "room for so many samples (each stack is one, with the time of all)");
	for (size_t i = 0; i < f->rows.n; i++) {
		const struct foreign_row *r = &f->rows.v[i];
		uint64_t ns;

		if (i && r->thread != f->rows.v[i - 1].thread)
			at = f->facts.start_ns;
		if (__builtin_mul_overflow(r->n, f->facts.gap_ns, &ns))
			ns = FOREIGN_MAX_NS;
		TRY(foreign_event(f, r->thread, r->stack, r->flags, at, ns));
		at = at > FOREIGN_MAX_NS - (ns < FOREIGN_MAX_NS ? ns : FOREIGN_MAX_NS) ? FOREIGN_MAX_NS : at + ns;
	}
	return 0;
}

static int by_tick(const void *a, const void *b)
{
	const struct rec_entry *x = a, *y = b;

	if (x->tick != y->tick)
		return x->tick < y->tick ? -1 : 1;
	return (x->thread > y->thread) - (x->thread < y->thread);
}

/* What of the thread lies in the next n ticks. *samples: how many of them it has. */
static int lay(struct foreign *f, struct counts_thread *t, uint32_t n, uint64_t *samples)
{
	uint32_t tick = 0;

	while (tick < n && t->row < t->end) {
		const struct foreign_row *r = &f->rows.v[t->row];
		uint64_t part = t->left < n - tick ? t->left : n - tick;

		if (!vec_push(&f->entries, ((struct rec_entry){.tick = tick,
		                                               .thread = r->thread,
		                                               .stack = r->stack,
		                                               .has_stack = true,
		                                               .flags = r->flags | WIRE_FLAG_NO_CPU})))
			return ERR_NO_MEMORY;
		tick += (uint32_t)part;
		*samples += part;
		t->left -= part;
		if (!t->left && ++t->row < t->end)
			t->left = f->rows.v[t->row].n;
	}
	if (tick < n && tick > 0 &&
	    !vec_push(&f->entries, ((struct rec_entry){.tick = tick,
	                                               .thread = f->rows.v[t->end - 1].thread,
	                                               .has_stack = true,
	                                               .flags = WIRE_FLAG_ABSENT | WIRE_FLAG_NO_CPU})))
		return ERR_NO_MEMORY;
	return 0;
}

static int put_block(struct counts *c, uint32_t n)
{
	struct foreign *f = c->f;
	uint64_t samples = 0, gap = f->facts.gap_ns;

	if (!f->has_epoch || f->in_epoch >= COUNTS_TICKS_A_BLOCK * 8)
		TRY(foreign_begin_epoch(f));
	f->entries.n = c->times.n = 0;
	for (size_t i = 0; i < c->threads.n; i++)
		TRY(lay(f, &c->threads.v[i], n, &samples));
	qsort(f->entries.v, f->entries.n, sizeof *f->entries.v, by_tick);
	if (!vec_room(&c->times, n))
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < n; i++)
		c->times.v[c->times.n++] = f->begin_ns + i * gap + gap / 2;
	encode_ticks(scribe_begin(f->to, SCRIBE_SAMPLES), &(struct rec_ticks){.unit_ns = gap,
	                                                                      .cpu_unit_ns = 1,
	                                                                      .times_ns = c->times.v,
	                                                                      .n_ticks = n,
	                                                                      .entries = f->entries.v,
	                                                                      .n_entries = (uint32_t)f->entries.n});
	TRY(scribe_end(f->to, SCRIBE_SAMPLES, samples, n));
	f->n_samples += samples;
	f->in_epoch += n;
	f->end_ns = f->begin_ns + n * gap;
	TRY(scribe_block(f->to, &(struct rec_block){.begin_ns = f->begin_ns,
	                                            .end_ns = f->end_ns,
	                                            .anchor_ns = f->facts.realtime_ns - (int64_t)f->facts.start_ns}));
	f->begin_ns = f->end_ns;
	return 0;
}

static int put_all(struct counts *c, uint64_t n)
{
	struct foreign *f = c->f;

	for (size_t i = 0; i < f->rows.n; i++) {
		if (!i || f->rows.v[i].thread != f->rows.v[i - 1].thread)
			if (!vec_push(&c->threads, ((struct counts_thread){.row = i, .left = f->rows.v[i].n})))
				return ERR_NO_MEMORY;
		c->threads.v[c->threads.n - 1].end = i + 1;
	}
	while (n > 0) {
		uint32_t now = n < COUNTS_TICKS_A_BLOCK ? (uint32_t)n : COUNTS_TICKS_A_BLOCK;
		size_t kept = 0;

		TRY(put_block(c, now));
		n -= now;
		for (size_t i = 0; i < c->threads.n; i++) /* those that go on */
			if (c->threads.v[i].row < c->threads.v[i].end)
				c->threads.v[kept++] = c->threads.v[i];
		c->threads.n = kept;
	}
	return 0;
}

int foreign_put_counts(struct foreign *f)
{
	struct counts c = {.f = f};
	uint64_t n;

	for (size_t i = 0; i < f->rows.n; i++)
		f->rows.v[i].n_before = (uint32_t)i;
	qsort(f->rows.v, f->rows.n, sizeof *f->rows.v, by_thread);
	n = longest(f);
	if (n > COUNTS_TICKS_MAX)
		return as_events(f);
	int rc = put_all(&c, n);
	vec_free(&c.threads);
	vec_free(&c.times);
	return rc;
}
