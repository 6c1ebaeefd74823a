#include "pyspy-record/python/walk_extras.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"

enum {
	FIRST_CAP = 16,
	SPARE = 0,
	ROW = 256
}; /* the first WALK_PIECE bytes of `spans` are for what is not remembered */

void walk_extras_done(struct walk_thread *t)
{
	free(t->extras);
	free(t->spans);
	t->extras = NULL;
	t->spans = NULL;
	t->n_extras = t->cap_extras = t->n_span_bytes = t->cap_span_bytes = 0;
}

void walk_extras_age(struct walk *w, struct walk_thread *t)
{
	size_t kept = 0;
	for (size_t i = 0; i < t->n_extras; i++)
		if (t->extras[i].met_pass + WALK_EXTRA_KEPT >= w->pass)
			t->extras[kept++] = t->extras[i];
	t->n_extras = kept;
}

/* --- spans: extras that are near to each other */

static raddr_t end_of(const struct walk_extra *e)
{
	return e->at + e->len;
}

/* The first extra behind the span that begins with extra i; *end: where the span's bytes do. */
static size_t span_from(const struct walk_thread *t, size_t i, raddr_t *end)
{
	*end = end_of(&t->extras[i]);
	for (i++; i < t->n_extras && t->extras[i].at <= *end + WALK_SPAN_GAP; i++)
		if (end_of(&t->extras[i]) > *end)
			*end = end_of(&t->extras[i]);
	return i;
}

size_t walk_extras_spans(struct walk_thread *t)
{
	size_t i = 0;
	raddr_t end;
	t->n_spans = 0;
	t->planned_bytes = 0;
	while (i < t->n_extras && t->n_spans < WALK_SPANS_MAX) {
		raddr_t at = t->extras[i].at;
		i = span_from(t, i, &end);
		t->planned_bytes += (size_t)(end - at) + 8; /* 8: what filling up may take */
		t->n_spans++;
	}
	return t->n_spans;
}

/* Room for n bytes more of spans; they begin at *at. */
static bool span_room(struct walk_thread *t, size_t n, uint32_t *at)
{
	if (t->n_span_bytes + n > t->cap_span_bytes) {
		size_t cap = (t->n_span_bytes + n) * 2;
		unsigned char *p = realloc(t->spans, cap);
		if (!p)
			return false;
		t->spans = p;
		t->cap_span_bytes = cap;
	}
	*at = (uint32_t)t->n_span_bytes;
	t->n_span_bytes += (n + 7) / 8 * 8;
	return true;
}

void walk_extras_plan(struct walk *w, struct walk_thread *t, struct reader_batch *b)
{
	uint32_t image;
	raddr_t end;
	size_t i = 0;
	t->n_span_bytes = 0;
	if (!span_room(t, WALK_PIECE + t->planned_bytes, &image)) /* no piece is added: all are read as they are met */
		t->n_spans = 0;
	t->n_span_bytes = WALK_PIECE;
	for (size_t k = 0; k < t->n_spans; k++) {
		size_t first = i;
		i = span_from(t, i, &end);
		raddr_t at = t->extras[first].at;
		span_room(t, (size_t)(end - at), &image);
		reader_batch_add(b, at, t->spans + image, (size_t)(end - at));
		for (; first < i; first++) {
			t->extras[first].read_pass = w->pass;
			t->extras[first].image = image + (uint32_t)(t->extras[first].at - at);
		}
	}
}

static void forget(struct walk_thread *t, size_t from, size_t to)
{
	memmove(&t->extras[from], &t->extras[to], (t->n_extras - to) * sizeof *t->extras);
	t->n_extras -= to - from;
	t->last_extra = t->n_extras;
}

void walk_extras_failed(struct walk_thread *t, size_t span)
{
	raddr_t end;
	size_t from = 0, to = 0;
	for (size_t k = 0; k <= span && to < t->n_extras; k++) {
		from = to;
		to = span_from(t, from, &end);
	}
	forget(t, from, to);
}

/* --- finding */

/* The first extra at or behind `at`. */
static size_t lower_bound(const struct walk_thread *t, raddr_t at)
{
	size_t low = 0, high = t->n_extras;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (t->extras[middle].at < at)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static bool insert(struct walk_thread *t, size_t k, raddr_t at)
{
	if (t->n_extras == WALK_EXTRAS_MAX)
		return false;
	if (t->n_extras == t->cap_extras) {
		size_t cap = t->cap_extras ? 2 * t->cap_extras : FIRST_CAP;
		struct walk_extra *p = realloc(t->extras, cap * sizeof *p);
		if (!p)
			return false;
		t->extras = p;
		t->cap_extras = cap;
	}
	bool is_first = t->last_extra >= t->n_extras;
	memmove(&t->extras[k + 1], &t->extras[k], (t->n_extras - k) * sizeof *t->extras);
	t->extras[k] = (struct walk_extra){.at = at};
	t->n_extras++;
	if (is_first)
		t->last_extra = t->n_extras;
	else if (t->last_extra >= k)
		t->last_extra++;
	return true;
}

/* The extra at `at`: mostly the one that was met here in the last walk. NULL: it is not remembered, and cannot be. */
static struct walk_extra *find(struct walk_thread *t, raddr_t at)
{
	bool is_first = t->last_extra >= t->n_extras;
	size_t k = is_first ? t->n_extras : t->extras[t->last_extra].follower;
	if (k >= t->n_extras || t->extras[k].at != at) {
		k = lower_bound(t, at);
		if ((k == t->n_extras || t->extras[k].at != at) && !insert(t, k, at))
			return NULL;
		if (t->last_extra < t->n_extras)
			t->extras[t->last_extra].follower = (uint32_t)k;
	}
	t->last_extra = k;
	return &t->extras[k];
}

/* Read n bytes or, where there are more, WALK_PIECE: it may end where the mapping does. Returns how many; 0 = none. */
static uint32_t repair(struct walk *w, raddr_t from, unsigned char *to, size_t n)
{
	w->repairs++;
	int rc = reader_read(w->reader, from, to, WALK_PIECE);
	if (rc == 0)
		return WALK_PIECE;
	w->repairs++;
	return rc == ERR_MEMORY_READ && reader_read(w->reader, from, to, n) == 0 ? (uint32_t)n : 0;
}

/* More are remembered than the plan had room for: those that came one after the other in the last walk are read
 * together, from this one on. */
static void read_row(struct walk *w, struct walk_thread *t, size_t k)
{
	static struct reader_batch batch; /* large, and used by one thread only */
	static size_t row[ROW];
	uint32_t image;
	size_t n = 0, at = t->n_span_bytes;
	for (; n < ROW && k < t->n_extras && t->extras[k].read_pass != w->pass && t->extras[k].len; n++) {
		struct walk_extra *e = &t->extras[k];
		if (!span_room(t, WALK_PIECE, &image))
			break;
		e->image = image;
		e->read_pass = w->pass; /* taken back below */
		row[n] = k;
		k = e->follower;
	}
	reader_batch_clear(&batch);
	for (size_t i = 0; i < n; i++)
		reader_batch_add(&batch, t->extras[row[i]].at, t->spans + t->extras[row[i]].image,
		                 t->extras[row[i]].len);
	w->repairs++;
	int got = n ? reader_batch_read(w->reader, &batch) : 0;
	for (size_t i = got < 0 ? 0 : (size_t)got; i < n; i++)
		t->extras[row[i]].read_pass = 0;
	if (got <= 0)
		t->n_span_bytes = at;
}

const unsigned char *walk_extras_get(struct walk *w, struct walk_thread *t, raddr_t at, size_t n)
{
	struct walk_extra *e = find(t, at);
	if (e && e->read_pass != w->pass && e->len >= n)
		read_row(w, t, t->last_extra);
	if (e && e->read_pass == w->pass && e->len >= n) {
		e->met_pass = w->pass;
		return t->spans + e->image;
	}
	uint32_t image = SPARE;
	bool is_kept = e && span_room(t, WALK_PIECE, &image);
	if (t->cap_span_bytes < WALK_PIECE)
		return NULL;
	uint32_t len = repair(w, at, t->spans + image, n);
	if (!e)
		return len ? t->spans + image : NULL;
	if (!len) {
		forget(t, t->last_extra, t->last_extra + 1);
		return NULL;
	}
	e->len = len;
	e->image = image;
	e->met_pass = w->pass;
	e->read_pass = is_kept ? w->pass : 0;
	return t->spans + image;
}
