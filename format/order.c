#include "format/order.h"

#include <string.h>

void order_init(struct order *o, const struct decode_visitor *v)
{
	*o = (struct order){.v = v};
}

static int tell_damage(const struct order *o, const struct decode_damage *d)
{
	return o->v->damage ? o->v->damage(o->v->ctx, d) : 0;
}

int order_finish(struct order *o, uint64_t offset)
{
	struct decode_damage d = {
	    .problem = DECODE_NOT_CLOSED, .offset = offset, .what = "the recording was not closed"};

	return o->has_recording && !o->is_closed ? tell_damage(o, &d) : 0;
}

static int begin(struct order *o, const struct rec_file *f, uint64_t offset)
{
	int rc = order_finish(o, offset);

	if (rc)
		return rc;
	*o = (struct order){.v = o->v, .has_recording = true};
	memcpy(o->uuid8, f->uuid, sizeof o->uuid8);
	return o->v->file ? o->v->file(o->v->ctx, f) : 0;
}

int order_file(struct order *o, const struct rec_file *f, uint64_t offset)
{
	return begin(o, f, offset);
}

/* A recording without its file header: what the block tells stands in for it. */
static int begin_without_header(struct order *o, const struct rec_block *b, uint64_t offset)
{
	struct decode_damage d = {
	    .problem = DECODE_BAD_HEADER, .offset = offset, .what = "the recording's file header is missing"};
	struct rec_file f = {
	    .major = WIRE_MAJOR,
	    .realtime_ns = (int64_t)((uint64_t)b->anchor_ns + b->begin_ns),
	    .boottime_ns = b->begin_ns,
	};
	int rc = o->said_bad_header ? 0 : tell_damage(o, &d);

	memcpy(f.uuid, b->uuid8, sizeof b->uuid8);
	return rc ? rc : begin(o, &f, offset);
}

static int tell_missing(struct order *o, const struct rec_block *b, uint64_t offset)
{
	struct decode_damage d = {
	    .problem = DECODE_MISSING, .offset = offset, .what = "blocks are missing before this one"};

	if (b->sequence == o->next_sequence)
		return 0;
	d.blocks = b->sequence - o->next_sequence;
	d.samples = b->samples_before > o->next_samples ? b->samples_before - o->next_samples : 0;
	return tell_damage(o, &d);
}

int order_block(struct order *o, const struct rec_block *b, uint64_t offset, bool *is_repeat)
{
	int rc = 0;

	*is_repeat = false;
	if (!o->has_recording || memcmp(o->uuid8, b->uuid8, sizeof o->uuid8) != 0)
		rc = begin_without_header(o, b, offset);
	if (rc)
		return rc;
	if (b->sequence < o->next_sequence) {
		*is_repeat = true;
		return 0;
	}
	rc = tell_missing(o, b, offset);
	o->next_sequence = b->sequence + 1;
	o->next_samples = b->samples_before + b->n_samples;
	o->is_closed |= b->flags & WIRE_BLOCK_LAST;
	return rc;
}

int order_epoch(struct order *o, const struct rec_block *b, bool *is_new)
{
	bool is_first = b->flags & WIRE_BLOCK_EPOCH;

	*is_new = is_first || !o->has_epoch || b->epoch != o->epoch;
	o->has_epoch = true;
	o->epoch = b->epoch;
	if (!*is_new)
		return 0;
	if (b->flags & WIRE_BLOCK_GOES_ON && o->v->epoch_goes_on)
		return o->v->epoch_goes_on(o->v->ctx, b->epoch, is_first);
	return o->v->epoch ? o->v->epoch(o->v->ctx, b->epoch, is_first) : 0;
}
