/* Walking a stack that the kernel copied: all of it is of one instant, and some of it may be missing. */
#include "libcommon/err.h"
#include "pyspy-record/python/walk_chain.h"

struct copied {
	struct walk_chain chain;
	const struct walk_copy *copy;
	size_t extra; /* where the next one outside probably is */
};

static bool holds(const struct walk_piece *p, raddr_t at, size_t n)
{
	return at - p->at < p->len && p->len - (at - p->at) >= n;
}

/* They stand in the order of the walk: looking forward only, all of a walk's look-ups together pass each piece once.
 * What lies further back is no missing piece, but a circle. */
static const unsigned char *outside(struct walk_chain *c, raddr_t at, size_t n)
{
	struct copied *copied = (struct copied *)c;
	const struct walk_copy *copy = copied->copy;
	for (size_t i = copied->extra; i < copy->n_extras; i++) {
		if (!holds(&copy->extras[i], at, n))
			continue;
		copied->extra = i;
		return copy->extras[i].bytes + (at - copy->extras[i].at);
	}
	for (size_t i = 0; i < copied->extra; i++)
		if (holds(&copy->extras[i], at, 1))
			c->may_lack = false;
	return NULL;
}

/* The chunks are the chain that the thread state speaks of: how many of them can be looked at. */
static int count_chunks(const struct walk_copy *c, raddr_t first, size_t *n)
{
	raddr_t next = first;
	for (*n = 0; *n < c->n_chunks; ++*n) {
		const struct walk_piece *p = &c->chunks[*n];
		if (p->at != next || !walk_is_address(p->at) || p->len > WALK_CHUNK_MAX)
			return ERR_TORN;
		if (p->len < WALK_CHUNK_DATA)
			return 0;
		next = walk_u64(p->bytes, WALK_CHUNK_PREVIOUS);
	}
	return 0;
}

/* Up to 3.10: who copied them followed the chain. */
static int walk_objects(struct walk *w, const struct walk_copy *c, raddr_t root)
{
	raddr_t mark = 0;
	if ((c->n_objects ? c->objects[0].at : 0) != root)
		return ERR_TORN;
	for (size_t i = 0; i < c->n_objects; i++) {
		const struct walk_object *o = &c->objects[i];
		if (!walk_is_address(o->at) || o->at == mark)
			return ERR_TORN;
		if ((i & (i - 1)) == 0) /* a circle comes to its mark again before twice its length */
			mark = o->at;
		if (w->frames.n < WALK_FRAMES_MAX &&
		    !vec_push(&w->frames,
		              walk_frame_of_object(w->layout, o->at, o->code, o->globals, (int32_t)o->lasti)))
			return ERR_NO_MEMORY;
	}
	w->is_cut = c->is_cut || c->n_objects > WALK_FRAMES_MAX;
	return 0;
}

/* 3.11 and later, frame by frame: whoever listed them followed the chain, and saw to it that callers lie below on the
 * data stack, that what lies outside of it is no frame of the thread's own, and, in 3.11 and 3.12, that the innermost
 * call leads to the one before it. */
static int walk_list(struct walk *w, const struct walk_copy *c, raddr_t root)
{
	const struct layout *l = w->layout;
	const raddr_t low_mask = 7, flag = l->frame.is_entry ? 4 : 0, owner_mask = low_mask & ~flag;
	const raddr_t instr_mask = (UINT64_C(1) << 48) - 1;
	raddr_t mark = 0;
	if (!vec_room(&w->frames, c->n_listed))
		return ERR_NO_MEMORY;
	if (l->frame_root == LAYOUT_ROOT_TSTATE &&
	    (c->n_listed ? c->listed[c->n_listed - 1].at & ~low_mask : c->next) != root)
		return ERR_TORN;
	for (size_t i = 0; i < c->n_listed; i++) {
		const struct walk_listed *f = &c->listed[c->n_listed - 1 - i];
		raddr_t at = f->at & ~low_mask;
		uint8_t owner = f->at & owner_mask;
		if (!walk_is_address(at) || at == mark || owner > l->frame.owner_last)
			return ERR_TORN;
		if ((i & (i - 1)) == 0) /* a circle comes to its mark again before twice its length */
			mark = at;
		if (owner < l->frame.owner_cstack)
			w->frames.v[w->frames.n++] = (struct walk_frame){.code = f->code & ~(raddr_t)l->frame.tag_mask,
			                                                 .instr = f->instr & instr_mask,
			                                                 .globals = f->globals,
			                                                 .owner = owner,
			                                                 .tlbc_index = (uint32_t)(f->instr >> 48),
			                                                 .at = at};
	}
	if (c->next) {
		w->is_cut = c->is_cut && w->frames.n;
		return w->is_cut ? 0 : ERR_TORN;
	}
	if (!c->n_listed)
		return c->is_cut ? ERR_TORN : 0;
	raddr_t owner = c->listed[0].at & owner_mask;
	bool is_outermost = flag ? owner == 0 && c->listed[0].at & flag : owner >= l->frame.owner_cstack;
	/* see is_leaving_generator in walk_chain.c */
	w->is_cut = !is_outermost && owner == 1 && l->frame_root == LAYOUT_ROOT_CFRAME;
	return is_outermost || w->is_cut ? 0 : ERR_TORN;
}

int walk_copied(struct walk *w, const struct walk_copy *c)
{
	const struct layout *l = w->layout;
	size_t n_chunks;
	w->frames.n = 0;
	w->is_cut = false;
	if (c->tstate_len < l->tstate.frame_root + 8 || c->tstate_len < l->tstate.datastack_chunk + 8 ||
	    c->tstate_len < l->tstate.datastack_top + 8)
		return ERR_TORN;
	if (l->frame_root == LAYOUT_ROOT_FRAME)
		return walk_objects(w, c, walk_u64(c->tstate, l->tstate.frame_root));
	if (c->is_list)
		return walk_list(w, c, walk_u64(c->tstate, l->tstate.frame_root));
	TRY(count_chunks(c, walk_u64(c->tstate, l->tstate.datastack_chunk), &n_chunks));
	struct copied copied = {
	    .chain = {.layout = l, .chunks = c->chunks, .n_chunks = n_chunks, .outside = outside, .may_lack = true},
	    .copy = c};
	int rc = walk_chain_follow(&copied.chain, c->tstate, w);
	if (rc != ERR_TORN || copied.chain.before == WALK_CHAIN_CHECKED || copied.chain.is_lacking)
		return rc;
	/* 3.11, 3.12: all of it is one instant, so what does not fit is the innermost cframe, which is hung in before
	 * its current frame is set. What called it stands. */
	copied.extra = 0;
	copied.chain.may_lack = copied.chain.from_caller = true;
	return walk_chain_follow(&copied.chain, c->tstate, w);
}
