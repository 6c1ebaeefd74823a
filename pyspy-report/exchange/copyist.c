#include "pyspy-report/exchange/copyist.h"

#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/exchange/copyist_parts.h"

void copyist_free(struct copyist *c)
{
	if (!c)
		return;
	if (c->stream)
		stream_free(c->stream);
	intern_done(&c->raw);
	intern_done(&c->hosts);
	map_done(&c->texts);
	map_done(&c->doubts);
	map_done(&c->last);
	map_done(&c->seen);
	buf_done(&c->text);
	vec_free(&c->strings);
	vec_free(&c->functions);
	vec_free(&c->locations);
	vec_free(&c->modules);
	vec_free(&c->stacks);
	vec_free(&c->path);
	vec_free(&c->times);
	vec_free(&c->entries);
	vec_free(&c->closings);
	vec_free(&c->gaps);
	vec_free(&c->events);
	vec_free(&c->counters);
	vec_free(&c->batches);
	vec_free(&c->ids);
	vec_free(&c->notes);
	free(c);
}

struct copyist *copyist_new(struct scribe *to, const struct copyist_hooks *hooks)
{
	struct copyist *c = calloc(1, sizeof *c);

	if (!c)
		return NULL;
	c->to = to;
	if (hooks)
		c->hooks = *hooks;
	c->totals.first_ns = INT64_MAX;
	c->totals.last_ns = INT64_MIN;
	buf_init(&c->text, 0);
	map_init(&c->texts, 0);
	map_init(&c->doubts, WIRE_IDS_MAX);
	map_init(&c->last, 0);
	map_init(&c->seen, 1 << 20);
	if (intern_init(&c->raw, 1 << 30) || intern_init(&c->hosts, 1 << 24)) {
		copyist_free(c);
		return NULL;
	}
	return c;
}

static int put_lost(struct copyist *c, const struct rec_block *b)
{
	if (!c->lost)
		return 0;
	encode_lost(scribe_begin(c->to, SCRIBE_SAMPLES),
	            &(struct rec_lost){
	                .begin_ns = b->begin_ns, .end_ns = b->end_ns, .cause = WIRE_LOST_DAMAGE, .count = c->lost});
	c->totals.lost += c->lost;
	c->lost = 0;
	return scribe_end(c->to, SCRIBE_SAMPLES, 0, 0);
}

/* Was this block here before, in another input? Test recordings share a UUID: what the header says must be the same,
 * too. */
static bool is_repeat(struct copyist *c, const struct rec_block *b)
{
	uint64_t what = map_hash(map_hash(c->uuid[0] ^ c->file.boottime_ns, c->uuid[1]),
	                         map_hash((uint64_t)b->sequence << 32 | b->n_ticks, b->n_samples)),
	         when = map_hash(map_hash(b->begin_ns, b->end_ns), (uint64_t)b->anchor_ns);
	bool is_new = true;

	map_put(&c->seen, c->uuid[0], c->uuid[1], &is_new);
	is_new = true;
	map_put(&c->seen, what, when, &is_new); /* without room, nothing is a repetition */
	return !is_new;
}

static void begin_ids(struct copyist *c)
{
	c->strings.n = c->functions.n = c->locations.n = c->modules.n = c->stacks.n = 0;
	intern_clear(&c->raw);
	map_clear(&c->texts);
}

static int begin_epoch(struct copyist *c)
{
	bool is_fresh;

	c->totals.epochs++;
	c->has_epoch = true;
	TRY(scribe_epoch(c->to, &is_fresh));
	if (is_fresh) {
		c->generation++;
		map_clear(&c->texts);
	}
	return 0;
}

/* What was lost behind the last good block of a recording. */
static int put_tail(struct copyist *c)
{
	struct rec_block b = {.begin_ns = c->last_end_ns, .end_ns = c->last_end_ns, .anchor_ns = c->anchor_ns};

	if (!c->lost || !c->to->has_file)
		return 0;
	if (!c->has_epoch)
		TRY(begin_epoch(c));
	TRY(put_lost(c, &b));
	return scribe_block(c->to, &b);
}

static int on_file(void *ctx, const struct rec_file *f)
{
	struct copyist *c = ctx;

	TRY(put_tail(c));
	c->file = *f;
	if (c->hooks.uuid)
		c->hooks.uuid(c->hooks.ctx, c->file.uuid);
	memcpy(c->uuid, f->uuid, sizeof c->uuid);
	c->has_anchor = c->has_epoch = false;
	c->last_end_ns = f->boottime_ns;
	c->anchor_ns = (int64_t)((uint64_t)f->realtime_ns - f->boottime_ns);
	c->totals.recordings++;
	return scribe_file(c->to, &c->file, map_get(&c->seen, c->uuid[0], c->uuid[1]) != NULL);
}

static int on_epoch(void *ctx, uint32_t number, bool complete)
{
	struct copyist *c = ctx;

	begin_ids(c);
	return begin_epoch(c);
}

static int on_epoch_goes_on(void *ctx, uint32_t number, bool complete)
{
	return begin_epoch(ctx);
}

static int on_block(void *ctx, const struct rec_block *b)
{
	struct copyist *c = ctx;

	c->is_repeat = is_repeat(c, b);
	c->is_damaged = false;
	c->has_ticks = false;
	c->n_samples = 0;
	c->times.n = c->entries.n = c->closings.n = c->gaps.n = c->events.n = c->batches.n = c->counters.n = 0;
	if (c->doubts.n)
		map_clear(&c->doubts);
	return 0;
}

static int on_damage(void *ctx, const struct decode_damage *d)
{
	struct copyist *c = ctx;

	c->lost += d->samples;
	c->is_damaged |= d->problem == DECODE_BAD_RECORD;
	return c->damage ? c->damage(c->damage_ctx, d) : 0;
}

static void look_at_clock(struct copyist *c, const struct rec_block *b)
{
	int64_t step = c->has_anchor ? (int64_t)((uint64_t)b->anchor_ns - (uint64_t)c->anchor_ns) : 0;
	int64_t begin = (int64_t)((uint64_t)b->anchor_ns + b->begin_ns),
	        end = (int64_t)((uint64_t)b->anchor_ns + b->end_ns);

	c->totals.clock_steps += step > COPYIST_CLOCK_STEP || step < -COPYIST_CLOCK_STEP;
	c->has_anchor = true;
	c->anchor_ns = b->anchor_ns;
	c->totals.first_ns = begin < c->totals.first_ns ? begin : c->totals.first_ns;
	c->totals.last_ns = end > c->totals.last_ns ? end : c->totals.last_ns;
}

/* A recording that stands in two inputs counts once. */
static int leave_out(struct copyist *c)
{
	c->totals.repeated++;
	scribe_forget(c->to, SCRIBE_SAMPLES); /* who is who may be needed by the blocks behind it */
	return 0;
}

static int on_block_end(void *ctx, const struct rec_block *b)
{
	struct copyist *c = ctx;
	struct rec_block to = *b;

	if (c->is_repeat)
		return leave_out(c);
	TRY(copyist_put_samples(c));
	if (c->is_damaged && b->n_samples > c->n_samples)
		c->lost += b->n_samples - c->n_samples;
	TRY(put_lost(c, b));
	to.flags &= WIRE_BLOCK_LAST;
	look_at_clock(c, b);
	c->totals.blocks++;
	c->totals.samples += c->n_samples;
	c->last_end_ns = b->end_ns;
	return scribe_block(c->to, &to);
}

static int on_end_of_stream(void *ctx)
{
	return put_tail(ctx);
}

static int on_ticks(void *ctx, const struct rec_ticks *t)
{
	struct copyist *c = ctx;

	if (c->has_ticks)
		return 0;
	c->has_ticks = true;
	c->tick_unit_ns = t->unit_ns;
	c->cpu_unit_ns = t->cpu_unit_ns;
	if (!vec_room(&c->times, t->n_ticks) || !vec_room(&c->entries, t->n_entries) ||
	    !vec_room(&c->closings, t->n_closings) || !vec_room(&c->gaps, t->n_gaps))
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < t->n_ticks; i++)
		c->times.v[c->times.n++] = t->times_ns[i];
	for (uint32_t i = 0; i < t->n_entries; i++)
		c->entries.v[c->entries.n++] = t->entries[i];
	for (uint32_t i = 0; i < t->n_closings; i++)
		c->closings.v[c->closings.n++] = t->closings[i];
	for (uint32_t i = 0; i < t->n_gaps; i++)
		c->gaps.v[c->gaps.n++] = t->gaps[i];
	return 0;
}

static int on_events(void *ctx, const struct rec_events *e)
{
	struct copyist *c = ctx;

	if (!vec_room(&c->events, e->n_events) ||
	    !vec_push(&c->batches,
	              ((struct rec_events){
	                  .unit_ns = e->unit_ns, .weight_unit_ns = e->weight_unit_ns, .n_events = e->n_events})))
		return ERR_NO_MEMORY;
	for (uint32_t i = 0; i < e->n_events; i++)
		c->events.v[c->events.n++] = e->events[i];
	return 0;
}

static int on_doubt(void *ctx, stack_id id)
{
	bool is_new;

	return map_put(&((struct copyist *)ctx)->doubts, id, 0, &is_new) ? 0 : ERR_NO_MEMORY;
}

int copyist_begin(struct copyist *c, int (*damage)(void *ctx, const struct decode_damage *d), void *ctx)
{
	if (c->stream)
		stream_free(c->stream);
	c->damage = damage;
	c->damage_ctx = ctx;
	c->lost = 0;
	begin_ids(c);
	struct decode_visitor v = {
	    .ctx = c,
	    .file = on_file,
	    .epoch = on_epoch,
	    .epoch_goes_on = on_epoch_goes_on,
	    .block = on_block,
	    .block_end = on_block_end,
	    .end_of_stream = on_end_of_stream,
	    .damage = on_damage,
	    .ticks = on_ticks,
	    .events = on_events,
	    .doubt = on_doubt,
	};
	copyist_add_definitions(&v);
	copyist_add_actors(&v);
	c->stream = stream_new(&v);
	return c->stream ? 0 : ERR_NO_MEMORY;
}

int copyist_feed(void *copyist, const void *bytes, size_t n)
{
	return stream_feed(((struct copyist *)copyist)->stream, bytes, n);
}

int copyist_finish(void *copyist)
{
	return stream_finish(((struct copyist *)copyist)->stream);
}

const struct copyist_totals *copyist_totals(const struct copyist *c)
{
	return &c->totals;
}

const char *copyist_host(const struct copyist *c, uint32_t i, size_t *n)
{
	return i + 1 < c->hosts.n ? intern_bytes(&c->hosts, i + 1, n) : NULL;
}
