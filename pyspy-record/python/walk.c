#include "pyspy-record/python/walk.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"

/* struct _PyStackChunk (3.11+): previous, size in bytes, top in words, data (Include/cpython/pystate.h) */
enum { CHUNK_PREVIOUS = 0, CHUNK_SIZE = 8, CHUNK_TOP = 16, CHUNK_DATA = 24 };
enum { CHUNK_SLACK = 768, CHUNK_LEAST = 1024, CHUNK_GRAIN = 256, FRAME_LEAST = 64 };

void walk_init(struct walk *w, struct reader *r, const struct layout *l)
{
	*w = (struct walk){.reader = r, .layout = l};
}

void walk_done(struct walk *w)
{
	vec_free(&w->frames);
}

void walk_thread_done(struct walk_thread *t)
{
	free(t->top.image);
	for (size_t i = 0; i < t->cap_older; i++)
		free(t->older[i].image);
	free(t->older);
	free(t->extras);
	*t = (struct walk_thread){0};
}

void walk_begin_pass(struct walk *w)
{
	w->pass++;
}

static bool chunk_room(struct walk_chunk *c, size_t n)
{
	if (n <= c->cap)
		return true;
	if (n > WALK_CHUNK_MAX)
		return false;
	size_t cap = n + n / 2;
	unsigned char *p = realloc(c->image, cap);
	if (!p)
		return false;
	c->image = p;
	c->cap = cap;
	return true;
}

static bool is_frame_address(raddr_t a)
{
	return a >= 4096 && a < (raddr_t)1 << 47 && a % 8 == 0;
}

static size_t tstate_size(const struct walk *w)
{
	return w->layout->tstate.size < WALK_TSTATE ? w->layout->tstate.size : WALK_TSTATE;
}

static void forget_old_extras(struct walk *w, struct walk_thread *t)
{
	size_t kept = 0;
	for (size_t i = 0; i < t->n_extras; i++)
		if (t->extras[i].met_pass + WALK_EXTRA_KEPT >= w->pass)
			t->extras[kept++] = t->extras[i];
	t->n_extras = kept;
	t->hint = 0;
}

bool walk_plan(struct walk *w, struct walk_thread *t, struct reader_batch *b, size_t *first)
{
	if (w->pass % 16 == 0)
		forget_old_extras(w, t);
	if (b->n + t->n_older + t->n_extras + 2 > WALK_PLAN_MAX)
		return false;
	*first = b->n;
	for (size_t i = t->n_older; i-- > 0;) /* the outermost first, the top chunk last */
		reader_batch_add(b, t->older[i].at, t->older[i].image, t->older[i].len);
	for (size_t i = 0; i < t->n_extras; i++) {
		t->extras[i].read_pass = w->pass;
		reader_batch_add(b, t->extras[i].at, t->extras[i].image, WALK_PIECE);
	}
	reader_batch_add(b, t->tstate, t->image, tstate_size(w));
	t->top.len = 0;
	if (t->top.at && chunk_room(&t->top, t->top.want)) {
		t->top.len = t->top.want;
		reader_batch_add(b, t->top.at, t->top.image, t->top.want);
	}
	return true;
}

int walk_failed_piece(struct walk *w, struct walk_thread *t, size_t piece)
{
	if (piece < t->n_older) {
		t->n_older = 0;
		t->top.at = 0;
		return 0;
	}
	piece -= t->n_older;
	if (piece < t->n_extras) {
		t->extras[piece] = t->extras[--t->n_extras];
		return 0;
	}
	if (piece == t->n_extras)
		return ERR_GONE;
	t->top.at = 0;
	return 0;
}

static int repair(struct walk *w, raddr_t from, void *to, size_t n)
{
	w->repairs++;
	return reader_read(w->reader, from, to, n);
}

/* Read chunk `at` up to `used` bytes. */
static int read_chunk(struct walk *w, struct walk_chunk *c, raddr_t at, size_t used)
{
	c->at = 0;
	c->len = 0;
	if (!is_frame_address(at) || used < CHUNK_DATA || used > WALK_CHUNK_MAX || !chunk_room(c, used))
		return ERR_TORN;
	TRY(repair(w, at, c->image, used));
	c->at = at;
	c->len = used;
	return 0;
}

/* The chunks below the top one, anew. */
static int read_older(struct walk *w, struct walk_thread *t, raddr_t at)
{
	size_t total = 0;
	t->n_older = 0;
	while (at) {
		unsigned char head[CHUNK_DATA];
		if (t->n_older == WALK_CHUNKS_MAX || total > WALK_CHUNK_MAX || !is_frame_address(at))
			return ERR_TORN;
		TRY(repair(w, at, head, sizeof head));
		if (t->n_older == t->cap_older) {
			size_t cap = t->cap_older ? 2 * t->cap_older : 4;
			struct walk_chunk *p = realloc(t->older, cap * sizeof *p);
			if (!p)
				return ERR_NO_MEMORY;
			memset(p + t->cap_older, 0, (cap - t->cap_older) * sizeof *p);
			t->older = p;
			t->cap_older = cap;
		}
		uint64_t top = walk_u64(head, CHUNK_TOP), size = walk_u64(head, CHUNK_SIZE);
		if (size > WALK_CHUNK_MAX || top > size / 8)
			return ERR_TORN;
		total += top * 8;
		TRY(read_chunk(w, &t->older[t->n_older], at, CHUNK_DATA + top * 8));
		t->n_older++;
		at = walk_u64(head, CHUNK_PREVIOUS);
	}
	return 0;
}

/* Does the chain of headers in the images say what we think? */
static bool older_fit(const struct walk_thread *t)
{
	raddr_t next = t->top.len >= CHUNK_DATA ? walk_u64(t->top.image, CHUNK_PREVIOUS) : 0;
	for (size_t i = 0; i < t->n_older; i++) {
		const struct walk_chunk *c = &t->older[i];
		if (c->at != next || c->len != CHUNK_DATA + walk_u64(c->image, CHUNK_TOP) * 8)
			return false;
		next = walk_u64(c->image, CHUNK_PREVIOUS);
	}
	return next == 0;
}

/* Make the images hold the chunks that the thread state speaks of. */
static int settle_chunks(struct walk *w, struct walk_thread *t)
{
	raddr_t chunk = walk_u64(t->image, w->layout->tstate.datastack_chunk);
	raddr_t end = walk_u64(t->image, w->layout->tstate.datastack_top);
	if (!chunk) {
		t->top.at = 0;
		t->top.len = 0;
		t->n_older = 0;
		return 0;
	}
	if (end < chunk + CHUNK_DATA || end - chunk > WALK_CHUNK_MAX)
		return ERR_TORN;
	size_t used = (size_t)(end - chunk);
	if (t->top.at != chunk || t->top.len == 0) {
		TRY(read_chunk(w, &t->top, chunk, used));
	} else if (t->top.len < used) { /* it grew past what was planned */
		if (!chunk_room(&t->top, used))
			return ERR_TORN;
		TRY(repair(w, chunk + t->top.len, t->top.image + t->top.len, used - t->top.len));
		t->top.len = used;
	}
	uint64_t size = walk_u64(t->top.image, CHUNK_SIZE);
	size_t want = (used + CHUNK_SLACK + CHUNK_GRAIN - 1) / CHUNK_GRAIN * CHUNK_GRAIN;
	if (want < CHUNK_LEAST)
		want = CHUNK_LEAST;
	t->top.want = size >= CHUNK_DATA && want > size ? (size_t)size : want;
	if (!older_fit(t))
		return read_older(w, t, walk_u64(t->top.image, CHUNK_PREVIOUS));
	return 0;
}

static const unsigned char *in_chunk(const struct walk_chunk *c, raddr_t at, size_t n)
{
	return c->at && at >= c->at && at + n <= c->at + c->len ? c->image + (at - c->at) : NULL;
}

static struct walk_extra *find_extra(struct walk_thread *t, raddr_t at)
{
	for (size_t i = 0; i < t->n_extras; i++) {
		size_t k = t->hint + i < t->n_extras ? t->hint + i : t->hint + i - t->n_extras;
		if (t->extras[k].at == at) {
			t->hint = k + 1 < t->n_extras ? k + 1 : 0;
			return &t->extras[k];
		}
	}
	return NULL;
}

static struct walk_extra *new_extra(struct walk *w, struct walk_thread *t, raddr_t at)
{
	if (t->n_extras == WALK_EXTRAS_MAX) { /* replace the one not met for longest */
		size_t oldest = 0;
		for (size_t i = 1; i < t->n_extras; i++)
			if (t->extras[i].met_pass < t->extras[oldest].met_pass)
				oldest = i;
		t->extras[oldest].at = at;
		return &t->extras[oldest];
	}
	if (t->n_extras == t->cap_extras) {
		size_t cap = t->cap_extras ? 2 * t->cap_extras : 16;
		struct walk_extra *p = realloc(t->extras, cap * sizeof *p);
		if (!p)
			return NULL;
		t->extras = p;
		t->cap_extras = cap;
	}
	struct walk_extra *e = &t->extras[t->n_extras++];
	*e = (struct walk_extra){.at = at};
	return e;
}

/* A frame or cframe at `at`, out of the images, else by a repair. */
static const unsigned char *get(struct walk *w, struct walk_thread *t, raddr_t at, size_t n)
{
	const unsigned char *p = in_chunk(&t->top, at, n);
	if (p)
		return p;
	for (size_t i = 0; i < t->n_older; i++)
		if ((p = in_chunk(&t->older[i], at, n)))
			return p;
	struct walk_extra *e = find_extra(t, at);
	if (e && e->read_pass == w->pass) {
		e->met_pass = w->pass;
		return e->image;
	}
	if (!e && !(e = new_extra(w, t, at)))
		return NULL;
	e->met_pass = e->read_pass = w->pass;
	int rc = repair(w, at, e->image, WALK_PIECE);
	if (rc == ERR_MEMORY_READ) /* it may end where the mapping does */
		rc = repair(w, at, e->image, n);
	if (rc == 0)
		return e->image;
	e->read_pass = 0;
	e->met_pass = 0;
	return NULL;
}

/* Where a walk begins, and (3.11, 3.12) what the outermost frame of the innermost evaluator call must lead to. */
struct start {
	raddr_t frame;
	raddr_t before; /* current_frame of the cframe before; UINT64_MAX = not to be checked */
};

/* 3.11 and 3.12 hang a new cframe into the thread state before its current_frame is set (Python/ceval.c, start of
 * _PyEval_EvalFrameDefault): even a thread that stands still may show what an earlier call left there. So the innermost
 * evaluator call must begin where the one before it is. */
static int find_start(struct walk *w, struct walk_thread *t, struct start *start)
{
	const struct layout *l = w->layout;
	raddr_t root = walk_u64(t->image, l->tstate.frame_root);
	*start = (struct start){root, UINT64_MAX};
	if (l->frame_root == LAYOUT_ROOT_TSTATE || !root)
		return 0;
	const unsigned char *p = is_frame_address(root) ? get(w, t, root, l->cframe.size) : NULL;
	if (!p)
		return ERR_TORN;
	start->frame = walk_u64(p, l->cframe.current_frame);
	raddr_t before = walk_u64(p, l->cframe.previous);
	if (!before) /* the thread state's own cframe: nothing was called yet */
		return 0;
	p = is_frame_address(before) ? get(w, t, before, l->cframe.size) : NULL;
	if (!p)
		return ERR_TORN;
	start->before = walk_u64(p, l->cframe.current_frame);
	return start->frame ? 0 : ERR_TORN;
}

static bool ends_call(const struct layout *l, const unsigned char *frame)
{
	return l->frame.is_entry ? frame[l->frame.is_entry] != 0 : frame[l->frame.owner] == l->frame.owner_cstack;
}

/* May a chain end here? A generator that is not running has no caller: reached, it is left over. From 3.12 on a shim is
 * always outermost. */
static bool is_outermost(const struct layout *l, const unsigned char *frame)
{
	uint8_t owner = frame[l->frame.owner];
	return l->frame.owner_cstack == 255 ? owner == 0 : owner == l->frame.owner_cstack;
}

/* How far down the thread's own data stack a walk has come. */
struct position {
	size_t chunk; /* 0 the top one, 1 the one below it, ... */
	raddr_t at;
};

/* Callers lie below what they called. A frame on the data stack that does not is torn, and may be a circle; one that
 * its thread owns (`owner` 0) but that lies on no chunk of this thread is another thread's: a generator's memory was
 * given to that thread between two reads, and led there. */
static bool goes_down(const struct walk_thread *t, raddr_t at, size_t n, uint8_t owner, struct position *last)
{
	for (size_t i = last->chunk; i <= t->n_older; i++) {
		if (!in_chunk(i ? &t->older[i - 1] : &t->top, at, n))
			continue;
		bool down = i > last->chunk || at < last->at;
		*last = (struct position){i, at};
		return down;
	}
	return owner != 0;
}

/* Bytes of a frame up to the end of the last field that is read. */
static size_t fixed_part(const struct layout *l)
{
	const uint32_t words[] = {l->frame.previous, l->frame.code, l->frame.globals, l->frame.instr};
	size_t n = l->frame.owner + 1;
	for (size_t i = 0; i < sizeof words / sizeof *words; i++)
		if (words[i] + 8 > n)
			n = words[i] + 8;
	return l->frame.is_entry + 1 > n ? l->frame.is_entry + 1 : n;
}

int walk_frames(struct walk *w, struct walk_thread *t)
{
	const struct layout *l = w->layout;
	uint64_t repairs = w->repairs;
	struct start start;
	w->frames.n = 0;
	w->is_cut = false;
	t->hint = 0;
	TRY(settle_chunks(w, t));
	TRY(find_start(w, t, &start));
	size_t fixed = fixed_part(l);
	size_t shims = 0, outside = 0;
	struct position last = {0, UINT64_MAX};
	for (raddr_t at = start.frame; at;) {
		if (w->repairs - repairs > WALK_REPAIRS_MAX || !is_frame_address(at))
			return ERR_TORN;
		const unsigned char *p = get(w, t, at, fixed);
		if (!p)
			return ERR_TORN;
		uint8_t owner = p[l->frame.owner];
		if (!goes_down(t, at, fixed, owner, &last))
			return ERR_TORN;
		if (owner != 0 && ++outside > WALK_FRAMES_MAX / 2)
			return ERR_TORN;
		raddr_t previous = walk_u64(p, l->frame.previous);
		if (start.before != UINT64_MAX && ends_call(l, p)) {
			if (previous != start.before)
				return ERR_TORN;
			start.before = UINT64_MAX;
		}
		if (!previous && !is_outermost(l, p))
			return ERR_TORN;
		at = previous;
		if (owner == l->frame.owner_cstack) {
			if (++shims > WALK_FRAMES_MAX)
				return ERR_TORN;
			continue;
		}
		if (owner > 2)
			return ERR_TORN;
		if (w->frames.n == WALK_FRAMES_MAX) {
			w->is_cut = true;
			return 0;
		}
		struct walk_frame f = {walk_u64(p, l->frame.code), walk_u64(p, l->frame.instr),
		                       walk_u64(p, l->frame.globals), owner};
		if (!vec_push(&w->frames, f))
			return ERR_NO_MEMORY;
	}
	return 0;
}

int walk_alone(struct walk *w, struct walk_thread *t, struct reader_batch *scratch)
{
	size_t first;
	for (int tries = 0; tries < 8; tries++) {
		walk_begin_pass(w);
		reader_batch_clear(scratch);
		if (!walk_plan(w, t, scratch, &first)) { /* more pieces than a batch holds: start over with none */
			t->n_extras = t->n_older = 0;
			t->top.at = 0;
			continue;
		}
		int got = reader_batch_read(w->reader, scratch);
		if (got == (int)scratch->n)
			return walk_frames(w, t);
		if (got < 0 && got != ERR_MEMORY_READ)
			return got;
		TRY(walk_failed_piece(w, t, got < 0 ? 0 : (size_t)got));
	}
	return ERR_MEMORY_READ;
}
