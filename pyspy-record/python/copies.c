#include "pyspy-record/python/copies.h"

#include "libcommon/err.h"

enum { ARRAY_SIZE = 0, ARRAY_ENTRIES = 8, AT_ONCE = 64 };

void copies_init(struct copies *c, struct reader *r, const struct layout *l)
{
	*c = (struct copies){.reader = r, .layout = l};
	map_init(&c->by_code, 0);
}

void copies_done(struct copies *c)
{
	map_done(&c->by_code);
	vec_free(&c->v);
}

void copies_clear(struct copies *c)
{
	map_clear(&c->by_code);
	c->v.n = 0;
}

static bool holds(raddr_t start, const struct copies_wanted *w)
{
	return start && w->instr - start < w->size_bytes;
}

/* The entries from `from` on, at most n of them, as many as there are. */
static int read_entries(struct copies *c, const struct copies_wanted *w, uint64_t from, uint64_t *entries, size_t *n)
{
	raddr_t array;
	uint64_t size;
	TRY(reader_word(c->reader, w->at + c->layout->code.tlbc, &array));
	if (array < 4096 || array % 8 != 0 || array >> 47)
		return ERR_TORN;
	TRY(reader_word(c->reader, array + ARRAY_SIZE, &size));
	if (size > COPIES_ARRAY_MAX)
		return ERR_TORN;
	size_t left = from < size ? (size_t)(size - from) : 0;
	*n = left < *n ? left : *n;
	return *n ? reader_read(c->reader, array + ARRAY_ENTRIES + from * 8, entries, *n * 8) : 0;
}

/* A frame that goes from one thread's copy to another's (a generator that is resumed elsewhere) has the new index
 * before it has the new instruction. */
static int find_other(struct copies *c, const struct copies_wanted *w, raddr_t *start)
{
	uint64_t entries[AT_ONCE];
	size_t n = AT_ONCE;
	for (uint64_t from = 0; n == AT_ONCE && from < COPIES_ARRAY_MAX; from += n) {
		TRY(read_entries(c, w, from, entries, &n));
		for (size_t i = 0; i < n; i++)
			if (holds(entries[i], w)) {
				*start = entries[i];
				return 0;
			}
	}
	return ERR_TORN;
}

static int remember(struct copies *c, const struct copies_wanted *w, uint32_t *slot, raddr_t start)
{
	struct copies_start s = {start, w->generation};
	bool is_new;
	if (slot) {
		c->v.v[*slot] = s;
		return 0;
	}
	slot = map_put(&c->by_code, w->code, w->index, &is_new);
	if (!slot)
		return ERR_NO_MEMORY;
	*slot = (uint32_t)c->v.n;
	return vec_push(&c->v, s) ? 0 : ERR_NO_MEMORY;
}

int copies_find(struct copies *c, const struct copies_wanted *w, raddr_t *start, bool *known)
{
	uint32_t *slot = map_get(&c->by_code, w->code, w->index);
	raddr_t was = slot ? c->v.v[*slot].start : 0;
	uint64_t now = 0;
	size_t n = 1;
	*known = true;
	*start = was;
	if (holds(was, w) && w->generation != COPIES_UNKNOWN && c->v.v[*slot].generation == w->generation)
		return 0;
	c->reads++;
	int rc = read_entries(c, w, w->index, &now, &n);
	if (rc < 0 && rc != ERR_TORN && rc != ERR_MEMORY_READ)
		return rc;
	if (rc < 0 || n == 0)
		now = 0;
	if (now)
		TRY(remember(c, w, slot, now));
	if (holds(was, w) && (was == now || !holds(now, w)))
		return 0;
	*known = false;
	*start = now;
	if (!holds(now, w))
		return find_other(c, w, start);
	/* two copies one after the other, over each other: which of them was it? */
	return holds(was, w) ? ERR_TORN : 0;
}
