#include "pyspy-record/python/walk_extras.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-record/python/walk_chain.h"

enum { CHUNK_SLACK = 768, CHUNK_LEAST = 1024, CHUNK_GRAIN = 256, ROOT_DOUBTS = 16 };

void walk_init(struct walk *w, struct reader *r, const struct layout *l)
{
	*w = (struct walk){.reader = r, .layout = l};
}

void walk_done(struct walk *w)
{
	vec_free(&w->frames);
	vec_free(&w->entries);
	vec_free(&w->chunks);
}

void walk_thread_done(struct walk_thread *t)
{
	free(t->top.image);
	for (size_t i = 0; i < t->cap_older; i++)
		free(t->older[i].image);
	free(t->older);
	walk_extras_done(t);
	*t = (struct walk_thread){0};
}

void walk_begin_pass(struct walk *w)
{
	w->pass++;
}

static bool chunk_room(struct walk_chunk *c, size_t n)
{
	if (c->image && n <= c->cap)
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

static size_t tstate_size(const struct walk *w)
{
	return w->layout->tstate.size < WALK_TSTATE ? w->layout->tstate.size : WALK_TSTATE;
}

bool walk_plan(struct walk *w, struct walk_thread *t, struct reader_batch *b, size_t *first)
{
	if (w->pass % 16 == 0)
		walk_extras_age(w, t);
	if (b->n + t->n_older + walk_extras_spans(t) + 2 > WALK_PLAN_MAX)
		return false;
	*first = b->n;
	for (size_t i = t->n_older; i-- > 0;) /* the outermost first, the top chunk last */
		reader_batch_add(b, t->older[i].at, t->older[i].image, t->older[i].len);
	walk_extras_plan(w, t, b);
	reader_batch_add(b, t->tstate, t->image, tstate_size(w));
	t->top.len = 0;
	if (t->top.at && chunk_room(&t->top, t->top.want)) {
		t->top.len = t->top.want;
		reader_batch_add(b, t->top.at, t->top.image, t->top.want);
	}
	return true;
}

/* Chunks are given back from the top one on: when one is gone, those further in are too. */
static void keep_outermost(struct walk_thread *t, size_t n)
{
	size_t gone = t->n_older - n;
	for (size_t i = 0; i < n; i++) {
		struct walk_chunk was = t->older[i];
		t->older[i] = t->older[i + gone];
		t->older[i + gone] = was;
	}
	t->n_older = n;
	t->top.at = 0;
}

int walk_failed_piece(struct walk *w, struct walk_thread *t, size_t piece)
{
	if (piece < t->n_older) {
		keep_outermost(t, piece);
		return 0;
	}
	piece -= t->n_older;
	if (piece < t->n_spans) {
		walk_extras_failed(t, piece);
		return 0;
	}
	if (piece == t->n_spans)
		return ERR_GONE;
	t->top.at = 0;
	return 0;
}

static int repair(struct walk *w, raddr_t from, void *to, size_t n)
{
	w->repairs++;
	return reader_read(w->reader, from, to, n);
}

/* The thread's chunks by their place, 0 the top one. */
static struct walk_chunk *chunk_at(struct walk_thread *t, size_t i)
{
	return i ? &t->older[i - 1] : &t->top;
}

static bool more_older(struct walk_thread *t)
{
	if (t->n_older < t->cap_older)
		return true;
	size_t cap = t->cap_older ? 2 * t->cap_older : 4;
	struct walk_chunk *p = realloc(t->older, cap * sizeof *p);
	if (!p)
		return false;
	memset(p + t->cap_older, 0, (cap - t->cap_older) * sizeof *p);
	t->older = p;
	t->cap_older = cap;
	return true;
}

/* The one below a top chunk that could not be read becomes the top one. */
static void drop_top(struct walk_thread *t)
{
	struct walk_chunk was = t->top;
	if (t->n_older == 0)
		return;
	for (size_t i = 0; i < t->n_older; i++)
		*chunk_at(t, i) = *chunk_at(t, i + 1);
	t->older[--t->n_older] = was;
}

/* Let the chunk at place i be chunk `at`: with the image that was read for another place, for chunks come and go at the
 * top, and the others move; else with an empty one. */
static int place_chunk(struct walk_thread *t, size_t i, raddr_t at)
{
	size_t k = 0, known = t->top.at ? t->n_older + 1 : 0;
	if (!walk_is_address(at))
		return ERR_TORN;
	while (k < known && chunk_at(t, k)->at != at)
		k++;
	if (k < i) /* a circle */
		return ERR_TORN;
	if (k == known && known) {
		if (!more_older(t))
			return ERR_NO_MEMORY;
		t->n_older++;
	}
	struct walk_chunk found = *chunk_at(t, k);
	if (k == known) {
		found.at = at;
		found.len = 0;
	}
	for (; k > i; k--)
		*chunk_at(t, k) = *chunk_at(t, k - 1);
	*chunk_at(t, i) = found;
	return 0;
}

/* Make the image `used` bytes long at least. */
static int fill_chunk(struct walk *w, struct walk_chunk *c, size_t used)
{
	if (!chunk_room(c, used))
		return ERR_TORN;
	if (c->len >= used)
		return 0;
	TRY(repair(w, c->at + c->len, c->image + c->len, used - c->len));
	c->len = used;
	return 0;
}

/* An older chunk is read as far as it is in use; nobody knows how far before its header is there. */
static int fill_older(struct walk *w, struct walk_chunk *c)
{
	TRY(fill_chunk(w, c, WALK_CHUNK_DATA));
	uint64_t top = walk_u64(c->image, WALK_CHUNK_TOP), size = walk_u64(c->image, WALK_CHUNK_SIZE);
	if (size > WALK_CHUNK_MAX || top > size / 8)
		return ERR_TORN;
	TRY(fill_chunk(w, c, WALK_CHUNK_DATA + top * 8));
	c->len = WALK_CHUNK_DATA + top * 8;
	return 0;
}

/* The chunks below the top one. */
static int settle_older(struct walk *w, struct walk_thread *t)
{
	size_t n = 0, total = 0;
	raddr_t next = walk_u64(t->top.image, WALK_CHUNK_PREVIOUS);
	int rc = 0;
	while (next && rc == 0) {
		if (n == WALK_CHUNKS_MAX || total > WALK_CHUNK_MAX) {
			rc = ERR_TORN;
			break;
		}
		if (n == t->n_older || t->older[n].at != next)
			rc = place_chunk(t, n + 1, next);
		if (rc == 0)
			rc = fill_older(w, &t->older[n]);
		if (rc == 0) {
			total += t->older[n].len;
			next = walk_u64(t->older[n++].image, WALK_CHUNK_PREVIOUS);
		}
	}
	t->n_older = n;
	return rc;
}

/* What is planned of the top chunk next time. */
static size_t wanted(const struct walk_chunk *c, size_t used)
{
	uint64_t size = walk_u64(c->image, WALK_CHUNK_SIZE);
	size_t want = (used + CHUNK_SLACK + CHUNK_GRAIN - 1) / CHUNK_GRAIN * CHUNK_GRAIN;
	if (want < CHUNK_LEAST)
		want = CHUNK_LEAST;
	return size >= WALK_CHUNK_DATA && want > size ? (size_t)size : want;
}

/* Make the images hold the chunks that the thread state speaks of. */
static int settle_chunks(struct walk *w, struct walk_thread *t)
{
	bool has_chunks = w->layout->tstate.datastack_chunk != 0;
	raddr_t chunk = has_chunks ? walk_u64(t->image, w->layout->tstate.datastack_chunk) : 0;
	raddr_t end = walk_u64(t->image, w->layout->tstate.datastack_top);
	if (!chunk) {
		t->top.at = t->top.len = t->n_older = 0;
		return 0;
	}
	if (end < chunk + WALK_CHUNK_DATA || end - chunk > WALK_CHUNK_MAX)
		return ERR_TORN;
	size_t used = (size_t)(end - chunk);
	if (!t->top.at)
		drop_top(t);
	if (t->top.at != chunk)
		TRY(place_chunk(t, 0, chunk));
	int rc = fill_chunk(w, &t->top, used);
	if (rc < 0) {
		t->top.at = 0;
		return rc;
	}
	t->top.want = wanted(&t->top, used);
	rc = settle_older(w, t);
	return w->reader->core && rc == ERR_MEMORY_READ ? 0 : rc;
}

/* A thread keeps its outermost chunk for life (Python/pystate.c, push_chunk). Another one is another thread's: without
 * a GIL, or when we lost our CPU between two pieces of a read, a chunk that this thread gave back may be in use there
 * by the time that it is read, and all that follows is a stack that makes sense. The first that is met may be wrong
 * too: see sample/roots.c. */
static int check_root(struct walk_thread *t)
{
	raddr_t root = t->n_older ? t->older[t->n_older - 1].at : t->top.at;
	if (!root)
		return 0;
	if (root == t->root) {
		t->root_looks += t->root_looks < WALK_ROOT_LOOKS;
		t->root_doubts = 0;
		return 0;
	}
	if (t->root_looks < WALK_ROOT_LOOKS) {
		t->root = root;
		t->root_looks = 1;
		return 0;
	}
	t->root_doubts = root == t->other_root ? t->root_doubts + 1 : 1;
	t->other_root = root;
	if (t->root_doubts == ROOT_DOUBTS) /* then it was the first one that was wrong */
		t->root = root;
	return ERR_TORN;
}

struct live {
	struct walk_chain chain;
	struct walk *w;
	struct walk_thread *t;
	uint64_t repairs; /* at the start */
};

static const unsigned char *outside(struct walk_chain *c, raddr_t at, size_t n)
{
	struct live *live = (struct live *)c;
	size_t most = live->t->n_extras == WALK_EXTRAS_MAX ? WALK_REPAIRS_FULL : WALK_REPAIRS_MAX;
	if (live->w->repairs - live->repairs >= most) {
		c->is_tired = true;
		return NULL;
	}
	const unsigned char *p = walk_extras_get(live->w, live->t, at, n);
	/* What a core lacks is in no later look either. gdb writes zeros for what it could not read: all of a stack
	 * whose guard is a part of it (glibc 2.42). */
	if (live->w->reader->core && (!p || (n == c->frame_bytes && p[0] == 0 && memcmp(p, p + 1, n - 1) == 0))) {
		c->is_tired = true;
		return NULL;
	}
	return p;
}

static bool add_piece(struct walk *w, const struct walk_chunk *c)
{
	return !c->at || vec_push(&w->chunks, ((struct walk_piece){c->at, (uint32_t)c->len, c->image}));
}

int walk_frames(struct walk *w, struct walk_thread *t)
{
	w->frames.n = w->chunks.n = 0;
	w->is_cut = w->has_chunks = false;
	t->outermost = 0;
	t->last_extra = t->n_extras;
	TRY(settle_chunks(w, t));
	TRY(check_root(t));
	w->has_chunks = true;
	if (!add_piece(w, &t->top))
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < t->n_older; i++)
		if (!add_piece(w, &t->older[i]))
			return ERR_NO_MEMORY;
	struct live live = {
	    .chain = {.layout = w->layout, .chunks = w->chunks.v, .n_chunks = w->chunks.n, .outside = outside},
	    .w = w,
	    .t = t,
	    .repairs = w->repairs};
	int rc = walk_chain_follow(&live.chain, t->image, w);
	t->outermost = rc == 0 ? w->outermost : 0;
	return rc;
}

/* The bytes of a frame that lies in a chunk, below where the thread state (the older ones themselves) says that it is
 * in use: what lies there was called and has not returned by the time that that was read. */
static const unsigned char *frame_in_chunk(const struct walk *w, struct walk_thread *t, raddr_t at, size_t n)
{
	size_t known = t->top.at ? t->n_older + 1 : 0;
	for (size_t i = 0; i < known; i++) {
		const struct walk_chunk *c = chunk_at(t, i);
		size_t used = i ? c->len : walk_u64(t->image, w->layout->tstate.datastack_top) - c->at;
		if (used > c->len)
			used = c->len;
		if (at >= c->at + WALK_CHUNK_DATA && at - c->at < used && used - (at - c->at) >= n)
			return c->image + (at - c->at);
	}
	return NULL;
}

bool walk_still_has(struct walk *w, struct walk_thread *t, const struct walk_frame *f, raddr_t *instr)
{
	const struct layout *l = w->layout;
	size_t n = walk_frame_bytes(l);
	bool is_object = l->frame_root == LAYOUT_ROOT_FRAME;
	const unsigned char *p = NULL;
	if (is_object)
		p = walk_extras_get(w, t, f->at + l->frame.first, n);
	else if (w->has_chunks)
		p = frame_in_chunk(w, t, f->at, n);
	if (!p || (walk_u64(p, l->frame.code) & ~(raddr_t)l->frame.tag_mask) != f->code ||
	    walk_u64(p, l->frame.globals) != f->globals || walk_u64(p, l->frame.previous) != f->previous)
		return false;
	if (is_object)
		*instr =
		    walk_frame_of_object(l, f->at, f->code, f->globals, (int32_t)walk_u32(p, l->frame.instr)).instr;
	else
		*instr = walk_u64(p, l->frame.instr);
	return p[l->frame.owner] == f->owner || is_object;
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
