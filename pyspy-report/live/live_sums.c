#include "pyspy-report/live/live_sums.h"

#include <string.h>

#include "libcommon/err.h"

static uint64_t missed_ns(const struct live_sums *s)
{
	uint64_t ns = 0;

	for (size_t i = 0; i < s->profile.recordings.n; i++)
		ns += s->profile.recordings.v[i].not_sampled_ns;
	return ns;
}

/* Slots that lie wholly before the window. */
static void drop_old(struct live_sums *s)
{
	uint64_t ns = 0;
	size_t i = s->slots.n;

	while (i > 0 && (ns < s->window_ns || i == s->slots.n))
		ns += s->slots.v[--i].ns;
	for (size_t k = 0; k < i; k++)
		vec_free(&s->slots.v[k].rows);
	if (i)
		memmove(s->slots.v, s->slots.v + i, (s->slots.n - i) * sizeof *s->slots.v);
	s->slots.n -= i;
}

/* The block that was read last is counted by now. */
static int end_block(struct live_sums *s)
{
	struct live_slot slot = {0};
	uint64_t missed = missed_ns(s), gone = missed - s->missed_ns;

	if (!s->has_block)
		return 0;
	s->has_block = false;
	s->missed_ns = missed;
	slot.ns = s->block_ns > gone ? s->block_ns - gone : 0;
	s->since_ns += slot.ns;
	TRY(tally_flush(&s->block));
	size_t n = s->block.rows.n;
	if (!vec_room(&slot.rows, n) || !vec_push(&s->slots, slot)) {
		vec_free(&slot.rows);
		return ERR_NO_MEMORY;
	}
	struct live_slot *to = &s->slots.v[s->slots.n - 1];
	for (size_t i = 0; i < n; i++) {
		to->rows.v[to->rows.n++] = s->block.rows.v[i];
		TRY(tally_add(&s->waiting, &s->block.rows.v[i]));
	}
	tally_clear(&s->block);
	drop_old(s);
	return tally_flush(&s->waiting);
}

static int on_block(void *ctx, struct epoch *e, struct runs *r, const struct rec_block *b)
{
	struct live_sums *s = ctx;

	TRY(end_block(s));
	s->has_block = true;
	s->block_ns = b->end_ns > b->begin_ns ? b->end_ns - b->begin_ns : 0;
	s->end_ns = b->end_ns;
	return 0;
}

static int on_epoch_end(void *ctx, struct epoch *e)
{
	struct live_sums *s = ctx;

	TRY(end_block(s));
	for (size_t i = 0; i < s->slots.n; i++) {
		struct live_slot *slot = &s->slots.v[i];

		for (size_t k = 0; k < slot->rows.n && !slot->is_resolved; k++)
			TRY(epoch_resolve(e, slot->rows.v[k].stack, &slot->rows.v[k].flags, &slot->rows.v[k].stack));
		slot->is_resolved = true;
	}
	for (size_t i = 0; i < s->waiting.rows.n; i++) {
		struct tally_row row = s->waiting.rows.v[i];

		TRY(epoch_resolve(e, row.stack, &row.flags, &row.stack));
		TRY(tally_add(&s->since, &row));
	}
	tally_clear(&s->waiting);
	return tally_flush(&s->since);
}

int live_sums_init(struct live_sums *s, const char *input, uint64_t window_ns)
{
	memset(s, 0, sizeof *s);
	s->window_ns = window_ns;
	s->tap = (struct load_tap){.block = on_block, .epoch_end = on_epoch_end, .rows = &s->block, .ctx = s};
	TRY(profile_init(&s->profile));
	s->profile.uncounted = true; /* it is counted here */
	s->load = load_new(&s->profile, input, &(struct load_options){.tap = &s->tap});
	return s->load ? 0 : ERR_NO_MEMORY;
}

void live_sums_done(struct live_sums *s)
{
	load_free(s->load);
	for (size_t i = 0; i < s->slots.n; i++)
		vec_free(&s->slots.v[i].rows);
	vec_free(&s->slots);
	tally_done(&s->block);
	tally_done(&s->waiting);
	tally_done(&s->since);
	profile_done(&s->profile);
}

int live_sums_feed(struct live_sums *s, const void *bytes, size_t n)
{
	int rc = load_feed(s->load, bytes, n);

	return rc ? rc : end_block(s);
}

int live_sums_finish(struct live_sums *s)
{
	int rc = load_finish(s->load);

	return rc ? rc : end_block(s);
}

int live_sums_reset(struct live_sums *s)
{
	TRY(end_block(s));
	tally_clear(&s->waiting);
	tally_clear(&s->since);
	s->since_ns = 0;
	s->reset_ns = s->end_ns;
	return 0;
}

uint64_t live_sums_bytes(const struct live_sums *s)
{
	return load_whole(s->load);
}

/* Rows whose stacks are of the epoch that is being read. */
static int visit_waiting(struct epoch *e, const struct tally_row *rows, size_t n, live_visit *visit, void *ctx)
{
	for (size_t i = 0; i < n; i++) {
		struct tally_row row = rows[i];

		TRY(epoch_resolve(e, row.stack, &row.flags, &row.stack));
		TRY(visit(ctx, &row));
	}
	return 0;
}

int live_sums_visit(struct live_sums *s, enum live_part part, live_visit *visit, void *ctx)
{
	struct epoch *e = load_peek(s->load);

	if (part == LIVE_SINCE) {
		for (size_t i = 0; i < s->since.rows.n; i++)
			TRY(visit(ctx, &s->since.rows.v[i]));
		return visit_waiting(e, s->waiting.rows.v, s->waiting.rows.n, visit, ctx);
	}
	for (size_t i = 0; i < s->slots.n; i++) {
		const struct live_slot *slot = &s->slots.v[i];

		if (!slot->is_resolved)
			TRY(visit_waiting(e, slot->rows.v, slot->rows.n, visit, ctx));
		for (size_t k = 0; k < slot->rows.n && slot->is_resolved; k++)
			TRY(visit(ctx, &slot->rows.v[k]));
	}
	return 0;
}

uint64_t live_sums_ns(const struct live_sums *s, enum live_part part)
{
	uint64_t ns = 0;

	if (part == LIVE_SINCE)
		return s->since_ns;
	for (size_t i = 0; i < s->slots.n; i++)
		ns += s->slots.v[i].ns;
	return ns;
}
