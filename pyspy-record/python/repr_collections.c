/* collections and array: deque, defaultdict, OrderedDict, Counter, ChainMap, UserDict and its like, array.array. */
#include <stdio.h>

#include "pyspy-record/python/repr_parts.h"

static bool is_fatal(int rc)
{
	return rc == ERR_GONE || rc == ERR_NO_MEMORY;
}

/* --- deque: blocks of items in a row (Modules/_collectionsmodule.c) */

struct deque {
	uint64_t n, left, maxlen;
	raddr_t block;
	unsigned block_len, data_at, right_at;
};

static int read_deque(struct repr *p, raddr_t object, struct deque *d)
{
	uint64_t words[8];
	unsigned minor = layout_minor(p->layout);
	/* up to 2.6 both links, then the items; 2.7, 3.3 the items first; then the items between the links */
	TRY(reader_read(p->reader, object + repr_body(p), words, 7 * 8));
	if (minor >= 0x303) /* ob_size; leftblock, rightblock, leftindex, rightindex, state, maxlen */
		*d = (struct deque){words[0], words[3], words[6], words[1], 64, 8, 8 + 64 * 8};
	else /* leftblock, rightblock, leftindex, rightindex, len, state, maxlen */
		*d = (struct deque){words[4], words[2], words[6], words[0], 62, 16, 8};
	if (minor == 0x207 || minor == 0x303) {
		d->block_len = 62;
		d->data_at = 0;
		d->right_at = 62 * 8;
	}
	return d->n > (uint64_t)1 << 46 || d->left >= d->block_len + 1 ? ERR_TORN : 0;
}

static int show_deque_items(struct repr *p, struct deque *d, struct repr_row *row)
{
	while (row->shown < row->total) {
		raddr_t item;
		if (d->left == d->block_len) {
			TRY(repr_word(p, d->block + d->right_at, &d->block));
			d->left = 0;
		}
		TRY(repr_word(p, d->block + d->data_at + d->left * 8, &item));
		if (!repr_next(p, row))
			break;
		d->left++;
		TRY(repr_inner(p, item));
	}
	return 0;
}

int repr_show_deque(struct repr *p, raddr_t object, const struct repr_type *t)
{
	struct deque d;
	TRY(read_deque(p, object, &d));
	struct repr_row row = {.total = d.n};
	if (!repr_enter(p, object, "[", "]", d.n))
		return 0;
	repr_put_name(p, layout_minor(p->layout) >= 0x307 ? repr_short_name(t) : "deque");
	repr_put(p, "([");
	int rc = show_deque_items(p, &d, &row);
	if (rc < 0 && (row.shown == 0 || is_fatal(rc)))
		return rc;
	repr_row_end(p, &row);
	repr_put(p, "]");
	if ((int64_t)d.maxlen >= 0 && layout_minor(p->layout) >= 0x206)
		repr_format(p, ", maxlen=%llu", (unsigned long long)d.maxlen);
	repr_put(p, ")");
	repr_leave(p);
	return 0;
}

/* --- dicts with something more */

static int show_dict_in(struct repr *p, raddr_t object)
{
	return repr_show_dict(p, object, NULL);
}

int repr_show_defaultdict(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t factory;
	TRY(repr_word(p, object + p->shape->dict.size, &factory));
	repr_put_name(p, layout_minor(p->layout) >= 0x307 ? repr_short_name(t) : "defaultdict");
	repr_put(p, "(");
	if (factory)
		TRY(repr_inner(p, factory));
	else
		repr_put(p, "None");
	repr_put(p, ", ");
	TRY(show_dict_in(p, object));
	repr_put(p, ")");
	return 0;
}

/* The entries of a dict in hand. */
struct entry {
	raddr_t key, value;
	double count;
};
struct entries {
	VEC(struct entry) v;
	size_t most;
};

static int gather_one(void *ctx, raddr_t key, raddr_t value)
{
	struct entries *e = ctx;
	if (e->v.n == e->most)
		return 1;
	return vec_push(&e->v, ((struct entry){key, value, 0})) ? 0 : ERR_NO_MEMORY;
}

static int gather(struct repr *p, raddr_t dict, struct entries *e)
{
	e->most = 1 << 16;
	return object_dict(p->reader, p->layout, dict, gather_one, e, NULL);
}

static int show_pairs(struct repr *p, const struct entries *e, uint64_t total, bool as_tuples)
{
	struct repr_row row = {.total = total};
	for (size_t i = 0; i < e->v.n && repr_next(p, &row); i++) {
		if (as_tuples)
			repr_put(p, "(");
		TRY(as_tuples ? repr_pair_item(p, e->v.v[i].key, e->v.v[i].value)
		              : repr_pair(p, e->v.v[i].key, e->v.v[i].value));
		if (as_tuples)
			repr_put(p, ")");
	}
	repr_row_end(p, &row);
	return 0;
}

/* `Name([...])` up to 3.11, `Name({...})` from 3.12 on */
static int show_ordered(struct repr *p, raddr_t object, const struct repr_type *t, const struct entries *e)
{
	bool as_tuples = layout_minor(p->layout) < 0x30c;
	uint64_t total = repr_dict_len(p, object);
	if (!repr_enter(p, object, "", "", UINT64_MAX))
		return 0;
	repr_put_name(p, repr_short_name(t));
	repr_put(p, total == 0 ? "(" : as_tuples ? "([" : "({");
	if (total)
		TRY(show_pairs(p, e, total, as_tuples));
	repr_put(p, total == 0 ? ")" : as_tuples ? "])" : "})");
	repr_leave(p);
	return 0;
}

/* Put the entries into the order of the keys. */
static void reorder(struct entries *e, const raddr_t *keys, size_t n)
{
	for (size_t i = 0; i < n && i < e->v.n; i++) {
		size_t k = i;
		while (k < e->v.n && e->v.v[k].key != keys[i] && k - i < 4096)
			k++;
		if (k == e->v.n || e->v.v[k].key != keys[i])
			return;
		struct entry found = e->v.v[k];
		memmove(&e->v.v[i + 1], &e->v.v[i], (k - i) * sizeof found);
		e->v.v[i] = found;
	}
}

/* 3.5 and later: a list of nodes (key, hash, next, previous); its first one follows the dict (seen in 3.6 to 3.15). */
static size_t read_nodes(struct repr *p, raddr_t object, raddr_t *keys, size_t most)
{
	uint64_t node, words[3];
	size_t n = 0;
	if (repr_word(p, object + p->shape->dict.size, &node) < 0)
		return 0;
	while (node && n < most && reader_read(p->reader, node, words, sizeof words) == 0) {
		keys[n++] = words[0];
		node = words[2];
	}
	return n;
}

/* 2.7: Python's own; a ring of lists [previous, next, key] */
static size_t read_ring(struct repr *p, raddr_t object, const struct repr_type *t, raddr_t *keys, size_t most)
{
	raddr_t root, link, items, words[3];
	size_t n = 0;
	if (repr_attribute(p, object, t, "_OrderedDict__root", &root) < 0)
		return 0;
	link = root;
	while (n < most && repr_word(p, link + p->layout->list.ob_item, &items) == 0 &&
	       reader_read(p->reader, items, words, sizeof words) == 0) {
		if (link != root)
			keys[n++] = words[2];
		link = words[1];
		if (link == root)
			break;
	}
	return n;
}

static int show_in_order(struct repr *p, raddr_t object, const struct repr_type *t, bool is_ring)
{
	struct entries e = {0};
	size_t most = p->limits.items + 1;
	raddr_t *keys = malloc(most * sizeof *keys);
	int rc = keys ? gather(p, object, &e) : ERR_NO_MEMORY;
	if (rc >= 0) {
		reorder(&e, keys, is_ring ? read_ring(p, object, t, keys, most) : read_nodes(p, object, keys, most));
		rc = show_ordered(p, object, t, &e);
	}
	free(keys);
	vec_free(&e.v);
	return rc;
}

int repr_show_ordereddict(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_in_order(p, object, t, false);
}

int repr_show_ordereddict2(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_in_order(p, object, t, true);
}

/* --- Counter: the most common first, those alike in the order of the dict */

static bool find_count(struct repr *p, raddr_t value, double *count)
{
	int rc;
	int64_t n;
	const struct repr_type *t = repr_type_of(p, value, &rc);
	if (t && strcmp(t->storage->name, "float") == 0)
		return reader_read(p->reader, value + p->shape->floating.value, count, 8) == 0 && *count == *count;
	if (!t || repr_int(p, value, &n) < 0)
		return false;
	*count = (double)n;
	return true;
}

/* Merge sort: stable. */
static void sort(struct entry *v, struct entry *room, size_t n)
{
	size_t half = n / 2, i = 0, k = half, to = 0;
	if (n < 2)
		return;
	sort(v, room, half);
	sort(v + half, room, n - half);
	while (i < half || k < n)
		room[to++] = k == n || (i < half && v[i].count >= v[k].count) ? v[i++] : v[k++];
	memcpy(v, room, n * sizeof *v);
}

int repr_show_counter(struct repr *p, raddr_t object, const struct repr_type *t)
{
	struct entries e = {0};
	bool can_sort = true;
	uint64_t total = repr_dict_len(p, object);
	int rc = gather(p, object, &e);
	for (size_t i = 0; rc >= 0 && i < e.v.n && can_sort; i++)
		can_sort = find_count(p, e.v.v[i].value, &e.v.v[i].count);
	struct entry *room = rc >= 0 && e.v.n ? malloc(e.v.n * sizeof *room) : NULL;
	if (room && can_sort)
		sort(e.v.v, room, e.v.n);
	free(room);
	if (rc >= 0 && repr_enter(p, object, "", "", UINT64_MAX)) {
		repr_put_name(p, repr_short_name(t));
		repr_put(p, total ? "({" : "(");
		rc = total ? show_pairs(p, &e, total, false) : 0;
		repr_put(p, total ? "})" : ")");
		repr_leave(p);
	}
	vec_free(&e.v);
	return rc < 0 ? rc : 0;
}

/* --- those that wrap something */

/* UserDict, UserList, UserString: their `data` */
int repr_show_userdata(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t data;
	TRY(repr_attribute(p, object, t, "data", &data));
	if (!repr_enter(p, object, "", "", UINT64_MAX))
		return 0;
	TRY(repr_inner(p, data));
	repr_leave(p);
	return 0;
}

int repr_show_chainmap(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t maps, items;
	uint64_t n;
	int rc;
	TRY(repr_attribute(p, object, t, "maps", &maps));
	const struct repr_type *mt = repr_type_of(p, maps, &rc);
	if (!mt || strcmp(mt->storage->name, "list") != 0)
		return ERR_TORN;
	TRY(repr_word(p, maps + p->layout->list.ob_size, &n));
	TRY(repr_word(p, maps + p->layout->list.ob_item, &items));
	if (n > 1 << 20)
		return ERR_TORN;
	repr_put_name(p, repr_short_name(t));
	return repr_vector(p, maps, items, n, "(", ")");
}

/* --- array.array: ob_size, items, allocated, description (typecode, bytes of an item) */

static int show_number(struct repr *p, char code, const unsigned char *raw, unsigned size)
{
	uint64_t u = 0;
	float f;
	double d;
	memcpy(&u, raw, size);
	if (code == 'f' || code == 'd') {
		memcpy(&f, raw, sizeof f);
		memcpy(&d, raw, sizeof d);
		repr_double(p, code == 'f' ? (double)f : d, true, false);
	} else if (strchr("bhilq", code)) {
		repr_format(p, "%lld", (long long)((int64_t)(u << (64 - 8 * size)) >> (64 - 8 * size)));
	} else {
		repr_format(p, "%llu%s", (unsigned long long)u, p->layout->is_python2 && strchr("IL", code) ? "L" : "");
	}
	return 0;
}

static int show_array_text(struct repr *p, raddr_t items, uint64_t n, unsigned size, char code)
{
	uint32_t chars[1024];
	unsigned char raw[4096];
	size_t k = n < 1024 ? (size_t)n : 1024;
	TRY(reader_read(p->reader, items, raw, k * size));
	for (size_t i = 0; i < k; i++)
		chars[i] = size == 1   ? raw[i]
		           : size == 2 ? (uint32_t)(raw[2 * i] | raw[2 * i + 1] << 8)
		                       : object_u32(raw, 4 * i);
	repr_quote(p, p->layout->is_python2 && code == 'u' ? "u" : "", chars, k, n,
	           code == 'c' ? REPR_BYTES : REPR_TEXT);
	return 0;
}

int repr_show_array(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t words[4];
	unsigned char raw[8] = {0};
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	TRY(reader_read(p->reader, words[3], raw, 8));
	struct repr_row row = {.total = words[0]};
	char code[2] = {(char)raw[0], 0};
	unsigned size = object_u32(raw, 4);
	raddr_t items = words[1];
	if (!strchr("bBhHiIlLqQfducw", code[0]) || !code[0] || size < 1 || size > 8 || row.total > (uint64_t)1 << 46)
		return ERR_TORN;
	repr_put(p, layout_minor(p->layout) >= 0x307 ? repr_short_name(t) : "array");
	repr_format(p, "('%s'", code);
	if (row.total && strchr("ucw", code[0]) && size <= 4) {
		repr_put(p, ", ");
		TRY(show_array_text(p, items, row.total, size, code[0]));
	} else if (row.total) {
		repr_put(p, ", [");
		while (row.shown < row.total && repr_next(p, &row)) {
			memset(raw, 0, sizeof raw);
			TRY(reader_read(p->reader, items + (row.shown - 1) * size, raw, size));
			TRY(show_number(p, code[0], raw, size));
		}
		repr_row_end(p, &row);
		repr_put(p, "]");
	}
	repr_put(p, ")");
	return 0;
}
