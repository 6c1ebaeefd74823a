#include "pyspy-record/python/walk_chain.h"

#include "libcommon/err.h"

/* 3.11 and 3.12 hang a new cframe into the thread state before its current_frame is set (Python/ceval.c, start of
 * _PyEval_EvalFrameDefault): even a thread that stands still may show what an earlier call left there. So the innermost
 * evaluator call must begin where the one before it is. */
static int find_start(struct walk_chain *c, const unsigned char *tstate, raddr_t *frame)
{
	const struct layout *l = c->layout;
	raddr_t root = *frame = walk_u64(tstate, l->tstate.frame_root);
	if (l->frame_root == LAYOUT_ROOT_TSTATE || !root)
		return 0;
	const unsigned char *p = walk_is_address(root) ? c->outside(c, root, l->cframe.size) : NULL;
	if (!p)
		return ERR_TORN;
	*frame = walk_u64(p, l->cframe.current_frame);
	raddr_t before = walk_u64(p, l->cframe.previous);
	/* The thread state's own cframe: nothing was called yet. Where that was freed, by a thread that ends, malloc
	 * has put the size of the block there. */
	if (!before || (!*frame && before < WALK_FIRST_ADDRESS))
		return 0;
	p = walk_is_address(before) ? c->outside(c, before, l->cframe.size) : NULL;
	if (!p)
		return ERR_TORN;
	before = walk_u64(p, l->cframe.current_frame);
	if (c->from_caller)
		*frame = before;
	else
		c->before = before;
	return *frame ? 0 : ERR_TORN;
}

static bool ends_call(const struct layout *l, const unsigned char *frame)
{
	return l->frame.is_entry ? frame[l->frame.is_entry] != 0 : frame[l->frame.owner] >= l->frame.owner_cstack;
}

/* The innermost call goes on at `at`: is that still in accord with the call before it? */
static int check_call(struct walk_chain *c, raddr_t at, const unsigned char *frame)
{
	if (at == c->before)
		return ERR_TORN;
	if (!ends_call(c->layout, frame))
		return 0;
	if (walk_u64(frame, c->layout->frame.previous) != c->before)
		return ERR_TORN;
	c->before = WALK_CHAIN_CHECKED;
	return 0;
}

/* May a chain end here? Where the first call of the evaluator does. A generator that is not running has no caller:
 * reached, it is left over. */
static bool is_outermost(const struct layout *l, const unsigned char *frame)
{
	uint8_t owner = frame[l->frame.owner];
	return ends_call(l, frame) && (owner == 0 || owner >= l->frame.owner_cstack);
}

size_t walk_frame_bytes(const struct layout *l)
{
	const uint32_t words[] = {l->frame.previous, l->frame.code, l->frame.globals, l->frame.instr};
	size_t n = l->frame.owner + 1;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++) {
		size_t bytes = words[i] == l->frame.instr && l->frame.instr_unit ? 4 : 8;
		if (words[i] + bytes > n)
			n = words[i] + bytes;
	}
	if (l->frame.tlbc_index + 4 > n)
		n = l->frame.tlbc_index + 4;
	return l->frame.is_entry + 1 > n ? l->frame.is_entry + 1 : n;
}

static void begin(struct walk_chain *c)
{
	c->frame_bytes = walk_frame_bytes(c->layout);
	c->before = WALK_CHAIN_CHECKED;
	c->is_lacking = c->is_tired = false;
	c->entered = 0;
	c->base = c->high = 0;
	c->data = NULL;
	c->room = 0;
	c->low = UINT64_MAX;
	for (size_t i = 0; i < c->n_chunks; i++) {
		const struct walk_piece *p = &c->chunks[i];
		if (p->at < c->low)
			c->low = p->at;
		if (p->at + p->len > c->high)
			c->high = p->at + p->len;
	}
}

/* Go down into chunk i, to `at` in it. NULL: its image does not hold a whole frame there. */
static const unsigned char *enter(struct walk_chain *c, size_t i, raddr_t at)
{
	const struct walk_piece *p = &c->chunks[i];
	size_t offset = (size_t)(at - p->at);
	if (offset < WALK_CHUNK_DATA || p->len < c->frame_bytes || offset > p->len - c->frame_bytes)
		return NULL;
	c->entered = i + 1;
	c->base = p->at + WALK_CHUNK_DATA;
	c->data = p->bytes + WALK_CHUNK_DATA;
	c->room = offset - WALK_CHUNK_DATA;
	return p->bytes + offset;
}

/* The first chunk whose image `at` lies in; n_chunks = none. */
static size_t chunk_of(const struct walk_chain *c, raddr_t at)
{
	size_t i = at >= c->low && at < c->high ? 0 : c->n_chunks;
	while (i < c->n_chunks && at - c->chunks[i].at >= c->chunks[i].len)
		i++;
	return i;
}

/* A frame that lies not further down in the chunk that the walk is in. Callers lie below what they called: whoever
 * points back into a chunk is torn, and may be a circle. A frame that its thread owns (`owner` 0) but that lies on no
 * chunk of this thread is another thread's: a generator's memory was given to that thread between two reads, and led
 * there. ERR_TORN; 0, *frame: NULL = not to be had. */
static int find_elsewhere(struct walk_chain *c, raddr_t at, const unsigned char **frame)
{
	if (!walk_is_address(at))
		return ERR_TORN;
	size_t i = chunk_of(c, at);
	if (i < c->entered)
		return ERR_TORN;
	*frame = i < c->n_chunks ? enter(c, i, at) : NULL;
	if (*frame)
		return 0;
	*frame = c->outside(c, at, c->frame_bytes);
	return *frame && (*frame)[c->layout->frame.owner] == 0 ? ERR_TORN : 0;
}

/* Up to where a chunk is in use, as far as that is known. */
static raddr_t end_of_use(const struct walk_chain *c, const unsigned char *tstate, size_t i)
{
	const struct walk_piece *p = &c->chunks[i];
	uint64_t size = walk_u64(p->bytes, WALK_CHUNK_SIZE), words = walk_u64(p->bytes, WALK_CHUNK_TOP);
	uint64_t used = WALK_CHUNK_DATA + words * 8;
	if (i == 0) /* its `top` is brought up to date when the next one is begun */
		used = walk_u64(tstate, c->layout->tstate.datastack_top) - p->at;
	return words > WALK_CHUNK_MAX || size > WALK_CHUNK_MAX || used > size ? p->at : p->at + used;
}

/* Is a frame missing only because it was not copied? Where the chunks that we have are not in use there is none, nor is
 * a caller further up. */
static bool may_be_missing(const struct walk_chain *c, const unsigned char *tstate, raddr_t at)
{
	for (size_t i = 0; i < c->n_chunks; i++) {
		const struct walk_piece *p = &c->chunks[i];
		uint64_t size = walk_u64(p->bytes, WALK_CHUNK_SIZE), offset = at - p->at;
		if (offset < p->len || (offset < size && size <= WALK_CHUNK_MAX))
			return i >= c->entered && offset >= WALK_CHUNK_DATA &&
			       at + c->frame_bytes <= end_of_use(c, tstate, i);
	}
	return true;
}

/* Was this frame's place on the data stack passed? */
static bool is_passed(const struct walk_chain *c, raddr_t at)
{
	size_t i = chunk_of(c, at);
	return i < c->entered && (i + 1 < c->entered || at >= c->base + c->room);
}

/* The walk ends before its chain does. What is kept must not contradict what was to be checked yet. */
static int cut(const struct walk_chain *c, struct walk *w)
{
	if (c->before != WALK_CHAIN_CHECKED && is_passed(c, c->before))
		return ERR_TORN;
	w->is_cut = true;
	return 0;
}

/* A frame is not to be had. */
static int miss(struct walk_chain *c, const unsigned char *tstate, raddr_t at, struct walk *w)
{
	if (c->is_tired && w->frames.n)
		return cut(c, w);
	if (!c->may_lack || !may_be_missing(c, tstate, at))
		return ERR_TORN;
	c->is_lacking = w->frames.n == 0;
	return c->is_lacking ? ERR_TORN : cut(c, w);
}

/* 3.11, 3.12: a generator that yields loses its caller before the cframe loses it, by a few instructions. Only at one
 * instant can that be told from one that an earlier call left there, and only in the outermost call of the evaluator.
 */
static bool is_leaving_generator(const struct walk_chain *c, const unsigned char *frame)
{
	return c->may_lack && c->before == 0 && frame[c->layout->frame.owner] == 1;
}

/* Up to 3.10: frame objects, each where its own memory is. */
static int follow_frame_objects(struct walk_chain *c, const unsigned char *tstate, struct walk *w)
{
	const struct layout *l = c->layout;
	raddr_t at = walk_u64(tstate, l->tstate.frame_root), mark = 0, outermost = 0;
	while (at) {
		const unsigned char *p =
		    walk_is_address(at) ? c->outside(c, at + l->frame.first, c->frame_bytes) : NULL;
		if (!walk_is_address(at) || at == mark)
			return ERR_TORN;
		if (!p)
			return miss(c, tstate, at, w);
		if (w->frames.n == WALK_FRAMES_MAX)
			return cut(c, w);
		if ((w->frames.n & (w->frames.n - 1)) ==
		    0) /* a circle comes to its mark again before twice its length */
			mark = at;
		struct walk_frame f =
		    walk_frame_of_object(l, at, walk_u64(p, l->frame.code), walk_u64(p, l->frame.globals),
		                         (int32_t)walk_u32(p, l->frame.instr));
		if (!vec_push(&w->frames, f))
			return ERR_NO_MEMORY;
		outermost = at;
		at = w->frames.v[w->frames.n - 1].previous = walk_u64(p, l->frame.previous);
	}
	w->outermost = outermost;
	if (w->wants_entries && outermost && !vec_push(&w->entries, ((struct walk_entry){outermost, w->frames.n})))
		return ERR_NO_MEMORY;
	return 0;
}

int walk_chain_follow(struct walk_chain *c, const unsigned char *tstate, struct walk *w)
{
	const struct layout *l = c->layout;
	raddr_t at;
	size_t not_own = 0;
	w->frames.n = w->entries.n = 0;
	w->is_cut = false;
	w->outermost = 0;
	begin(c);
	if (l->frame_root == LAYOUT_ROOT_FRAME)
		return follow_frame_objects(c, tstate, w);
	TRY(find_start(c, tstate, &at));
	w->innermost = at;
	while (at) {
		const unsigned char *p;
		size_t offset = (size_t)(at - c->base);
		if (offset < c->room && offset % 8 == 0) {
			c->room = offset;
			p = c->data + offset;
		} else {
			TRY(find_elsewhere(c, at, &p));
			if (!p)
				return miss(c, tstate, at, w);
		}
		raddr_t here = at;
		uint8_t owner = p[l->frame.owner];
		if (owner != 0 && ++not_own > WALK_FRAMES_MAX / 2)
			return ERR_TORN;
		if (c->before != WALK_CHAIN_CHECKED)
			TRY(check_call(c, at, p));
		at = walk_u64(p, l->frame.previous);
		if (!at && !is_outermost(l, p)) {
			if (!is_leaving_generator(c, p))
				return ERR_TORN;
			w->is_cut = true;
		}
		if (owner > l->frame.owner_last)
			return ERR_TORN;
		if (owner >= l->frame.owner_cstack) {
			if (w->wants_entries && !vec_push(&w->entries, ((struct walk_entry){here, w->frames.n})))
				return ERR_NO_MEMORY;
			continue;
		}
		if (w->frames.n == WALK_FRAMES_MAX)
			return cut(c, w);
		struct walk_frame f = {walk_u64(p, l->frame.code) & ~(raddr_t)l->frame.tag_mask,
		                       walk_u64(p, l->frame.instr),
		                       walk_u64(p, l->frame.globals),
		                       owner,
		                       l->frame.tlbc_index ? walk_u32(p, l->frame.tlbc_index) : 0,
		                       here,
		                       at};
		if (!vec_push(&w->frames, f))
			return ERR_NO_MEMORY;
	}
	return 0;
}
