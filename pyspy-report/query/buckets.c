#include "pyspy-report/query/buckets.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/map.h"

/* The finest width of 1, 2 or 5 times a power of ten that needs at most BUCKETS_FIRST buckets: people read times. */
static uint64_t buckets_width(uint64_t end_ns)
{
	static const unsigned steps[] = {1, 2, 5};

	for (uint64_t ten = 1; ten <= UINT64_MAX / 50; ten *= 10)
		for (int i = 0; i < 3; i++)
			if (end_ns / (ten * steps[i]) < BUCKETS_FIRST)
				return ten * steps[i];
	return UINT64_MAX / BUCKETS_FIRST + 1;
}

static void buckets_count(struct buckets *b)
{
	b->count = (uint32_t)(b->end_ns / b->width_ns) + (b->end_ns % b->width_ns || !b->end_ns);
}

int buckets_init(struct buckets *b, uint64_t end_ns, size_t most)
{
	memset(b, 0, sizeof *b);
	b->end_ns = end_ns;
	b->width_ns = buckets_width(end_ns);
	b->most = most ? most : 1;
	buckets_count(b);
	b->recent = calloc(BUCKETS_RECENT, sizeof *b->recent);
	return b->recent ? 0 : ERR_NO_MEMORY;
}

void buckets_done(struct buckets *b)
{
	vec_free(&b->cells);
	free(b->recent);
	b->recent = NULL;
}

int buckets_compare(const void *a, const void *b)
{
	const struct buckets_cell *x = a, *y = b;

	if (x->node != y->node)
		return x->node < y->node ? -1 : 1;
	if (x->thread != y->thread)
		return x->thread < y->thread ? -1 : 1;
	return (x->bucket > y->bucket) - (x->bucket < y->bucket);
}

static uint64_t buckets_plus(uint64_t a, uint64_t b)
{
	return a > UINT64_MAX - b ? UINT64_MAX : a + b;
}

/* Equal ones that stand side by side become one. */
static size_t buckets_unite(struct buckets_cell *v, size_t count)
{
	size_t n = 0;

	for (size_t i = 0; i < count; i++) {
		if (n && buckets_compare(&v[n - 1], &v[i]) == 0) {
			v[n - 1].n = buckets_plus(v[n - 1].n, v[i].n);
			v[n - 1].ns = buckets_plus(v[n - 1].ns, v[i].ns);
		} else {
			v[n++] = v[i];
		}
	}
	return n;
}

/* What came since the last time is sorted, and merged with what was sorted then: qsort of all would need as much memory
 * again. */
static int buckets_merge(struct buckets *b)
{
	struct buckets_cell *v = b->cells.v, *tail;
	size_t head = b->sorted, n = b->cells.n - head;

	if (n > 1)
		qsort(v + head, n, sizeof *v, buckets_compare);
	if (n)
		n = buckets_unite(v + head, n);
	b->cells.n = head + n;
	if (n && head) {
		tail = malloc(n * sizeof *tail);
		if (!tail)
			return ERR_NO_MEMORY;
		memcpy(tail, v + head, n * sizeof *tail);
		for (size_t to = head + n; n; to--) { /* from the end: there is room */
			bool is_head = head && buckets_compare(&v[head - 1], &tail[n - 1]) > 0;

			v[to - 1] = is_head ? v[--head] : tail[--n];
		}
		free(tail);
		b->cells.n = buckets_unite(v, b->cells.n);
	}
	b->sorted = b->cells.n;
	return 0;
}

/* Everything is in cells: make them few enough. */
static int buckets_fit(struct buckets *b)
{
	TRY(buckets_merge(b));
	while (b->cells.n > b->most && b->count > 1) {
		b->width_ns *= 2;
		for (size_t i = 0; i < b->cells.n; i++)
			b->cells.v[i].bucket /= 2;
		buckets_count(b);
		b->cells.n = b->sorted = buckets_unite(b->cells.v, b->cells.n); /* they stay in order */
	}
	return 0;
}

static int buckets_flush(struct buckets *b)
{
	if (!vec_room(&b->cells, BUCKETS_RECENT))
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < BUCKETS_RECENT; i++)
		if (b->recent[i].n || b->recent[i].ns)
			b->cells.v[b->cells.n++] = b->recent[i];
	memset(b->recent, 0, BUCKETS_RECENT * sizeof *b->recent);
	return 0;
}

static int buckets_put(struct buckets *b, const struct buckets_cell *c)
{
	struct buckets_cell *r = &b->recent[map_hash((uint64_t)c->node << 32 | c->thread, c->bucket) % BUCKETS_RECENT];

	if (!c->n && !c->ns)
		return 0;
	if ((r->n || r->ns) && buckets_compare(r, c) == 0) {
		r->n = buckets_plus(r->n, c->n);
		r->ns = buckets_plus(r->ns, c->ns);
		return 0;
	}
	if ((r->n || r->ns) && !vec_push(&b->cells, *r))
		return ERR_NO_MEMORY;
	*r = *c;
	return 0;
}

/* Half as many more as may stay: a sort every so often and not for each. */
static int buckets_bound(struct buckets *b)
{
	if (b->cells.n < b->most + b->most / 2 + BUCKETS_RECENT)
		return 0;
	TRY(buckets_flush(b));
	TRY(buckets_fit(b));
	if (b->cells.n > b->most) /* one bucket, and that many different ones */
		b->most = b->cells.n;
	return 0;
}

static uint64_t buckets_part(uint64_t whole, uint64_t part, uint64_t of)
{
	return of ? (uint64_t)((unsigned __int128)whole * part / of) : whole;
}

int buckets_add(struct buckets *b, uint32_t node, uint32_t thread, uint64_t begin_ns, uint64_t length_ns, uint64_t n)
{
	uint64_t done = 0;

	TRY(buckets_bound(b));
	for (;;) {
		uint64_t at = buckets_plus(begin_ns, done), bucket = at / b->width_ns, until = length_ns;
		struct buckets_cell c = {.node = node, .thread = thread};

		if (bucket >= b->count - 1)
			bucket = b->count - 1;
		else if ((bucket + 1) * b->width_ns - begin_ns < length_ns)
			until = (bucket + 1) * b->width_ns - begin_ns;
		c.bucket = (uint32_t)bucket;
		c.ns = until - done;
		c.n = buckets_part(n, until, length_ns) - (done ? buckets_part(n, done, length_ns) : 0);
		TRY(buckets_put(b, &c));
		done = until;
		if (done >= length_ns)
			return 0;
	}
}

int buckets_finish(struct buckets *b)
{
	TRY(buckets_flush(b));
	TRY(buckets_fit(b));
	free(b->recent);
	b->recent = NULL;
	return 0;
}

/* The cells from .. to - 1 shall add up to `want`. */
static void buckets_scale(struct buckets_cell *c, size_t n, const struct buckets_cell *want)
{
	uint64_t all_n = 0, all_ns = 0, at_n = 0, at_ns = 0, at = 0;

	for (size_t i = 0; i < n; i++) {
		all_n = buckets_plus(all_n, c[i].n);
		all_ns = buckets_plus(all_ns, c[i].ns);
	}
	if (all_n == want->n && all_ns == want->ns)
		return;
	for (size_t i = 0; i < n; i++) {
		uint64_t before_n = at_n, before_ns = at_ns, before = at;

		at_n = buckets_plus(at_n, c[i].n);
		at_ns = buckets_plus(at_ns, c[i].ns);
		at = all_ns ? at_ns : at_n;
		c[i].ns = buckets_part(want->ns, at, all_ns ? all_ns : all_n) -
		          (i ? buckets_part(want->ns, before, all_ns ? all_ns : all_n) : 0);
		c[i].n =
		    all_n ? buckets_part(want->n, at_n, all_n) - (i ? buckets_part(want->n, before_n, all_n) : 0)
		          : buckets_part(want->n, at_ns, all_ns) - (i ? buckets_part(want->n, before_ns, all_ns) : 0);
	}
}

int buckets_agree(struct buckets *b, const struct buckets_cell *sums, size_t n)
{
	size_t at = 0, had = b->cells.n;

	for (size_t i = 0; i < n; i++) {
		struct buckets_cell first = {.node = sums[i].node, .thread = sums[i].thread};
		size_t end;

		while (at < had && buckets_compare(&b->cells.v[at], &first) < 0)
			at++;
		for (end = at;
		     end < had && b->cells.v[end].node == first.node && b->cells.v[end].thread == first.thread;)
			end++;
		if (end > at) {
			buckets_scale(b->cells.v + at, end - at, &sums[i]);
		} else if (sums[i].n || sums[i].ns) {
			first.n = sums[i].n;
			first.ns = sums[i].ns;
			if (!vec_push(&b->cells, first))
				return ERR_NO_MEMORY;
		}
		at = end;
	}
	if (b->cells.n > had)
		qsort(b->cells.v, b->cells.n, sizeof *b->cells.v, buckets_compare);
	return 0;
}
