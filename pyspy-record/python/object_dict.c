/* Dictionaries: four forms of key table, each also split from its values (3.3 and later). */
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-record/python/object.h"

enum { ENTRIES_MAX = 1 << 20, CHUNK = 64, ENTRY_MAX = 24, HEAD_MAX = 64 };

/* Where a dict's entries are and how large. */
struct table {
	raddr_t entries, values; /* values: of a split table; else 0, and they stand beside the keys */
	uint64_t n;
	unsigned entry_size, key_at, value_at; /* hash, key, value; of 3.11+'s unicode keys: key, value */
};

/* Some entries of it. */
struct chunk {
	size_t n;
	unsigned char entries[ENTRY_MAX * CHUNK];
	uint64_t split[CHUNK];
};

static bool is_power_of_two(uint64_t n)
{
	return n && !(n & (n - 1));
}

/* 3.6 to 3.10: the index table has dk_size entries, as wide as their numbers need. */
static unsigned index_width(uint64_t slots)
{
	return slots <= 0xff ? 1 : slots <= 0xffff ? 2 : slots <= 0xffffffff ? 4 : 8;
}

static int read_keys(struct reader *r, const struct layout *l, raddr_t keys, struct table *t,
                     struct object_trail *trail)
{
	unsigned char head[HEAD_MAX];
	size_t size = l->keys.entries ? l->keys.entries : l->keys.indices;
	if (!object_is_address(keys) || size > sizeof head || size < 8)
		return ERR_TORN;
	TRY(reader_read(r, keys, head, size));
	object_trail_add(trail, keys + 8, head + 8, size - 8); /* behind the reference count */
	t->entry_size = 24;
	t->key_at = 8;
	t->value_at = 16;
	if (l->keys.entries) {
		t->n = object_u64(head, l->keys.slots);
		t->entries = keys + l->keys.entries;
		return is_power_of_two(t->n) && t->n <= ENTRIES_MAX ? 0 : ERR_TORN;
	}
	t->n = object_u64(head, l->keys.n_entries);
	if (t->n > ENTRIES_MAX)
		return ERR_TORN;
	if (l->keys.slots) {
		uint64_t slots = object_u64(head, l->keys.slots);
		if (!is_power_of_two(slots) || slots > (uint64_t)1 << 40 || t->n > slots)
			return ERR_TORN;
		t->entries = keys + l->keys.indices + slots * index_width(slots);
		return 0;
	}
	unsigned log2_index_bytes = head[l->keys.log2_index_bytes];
	if (log2_index_bytes > 40)
		return ERR_TORN;
	t->entries = keys + l->keys.indices + ((uint64_t)1 << log2_index_bytes);
	if (head[l->keys.kind] != 0) {
		t->entry_size = 16;
		t->key_at = 0;
		t->value_at = 8;
	}
	return 0;
}

static int read_table(struct reader *r, const struct layout *l, raddr_t dict, struct table *t,
                      struct object_trail *trail)
{
	unsigned char head[HEAD_MAX];
	uint32_t last = l->is_python2 ? l->dict.table : l->dict.values > l->dict.keys ? l->dict.values : l->dict.keys;
	size_t size = last + 8;
	*t = (struct table){.entry_size = 24, .key_at = 8, .value_at = 16};
	if (!object_is_address(dict) || size > sizeof head)
		return ERR_TORN;
	TRY(reader_read(r, dict, head, size));
	/* also how many entries are used, and a version where it has one: that tells of keys that come or go */
	object_trail_add(trail, dict + l->object.size, head + l->object.size, size - l->object.size);
	if (!l->is_python2) {
		raddr_t values = object_u64(head, l->dict.values);
		t->values = values ? values + l->dict.values_first : 0;
		return read_keys(r, l, object_u64(head, l->dict.keys), t, trail);
	}
	uint64_t mask = (uint64_t)object_size(l, head, l->dict.mask);
	t->entries = object_u64(head, l->dict.table);
	t->n = mask + 1;
	return mask < ENTRIES_MAX && is_power_of_two(t->n) && object_is_address(t->entries) ? 0 : ERR_TORN;
}

static int read_chunk(struct reader *r, const struct table *t, uint64_t first, struct chunk *c)
{
	c->n = t->n - first < CHUNK ? (size_t)(t->n - first) : CHUNK;
	TRY(reader_read(r, t->entries + first * t->entry_size, c->entries, c->n * t->entry_size));
	return t->values ? reader_read(r, t->values + first * 8, c->split, c->n * 8) : 0;
}

static raddr_t key_in(const struct table *t, const struct chunk *c, size_t i)
{
	return object_u64(c->entries, i * t->entry_size + t->key_at);
}

static raddr_t value_in(const struct table *t, const struct chunk *c, size_t i)
{
	return t->values ? c->split[i] : object_u64(c->entries, i * t->entry_size + t->value_at);
}

/* 3.11 and later: the values of a split table were set in an order of their own. 3.11, 3.12: in front of the values,
 * growing downwards: a byte with their room, how many, then their numbers; 3.13: behind them. */
static int read_order(struct reader *r, const struct layout *l, const struct table *t, uint8_t *order, size_t *n)
{
	uint8_t head[2], raw[CHUNK];
	*n = 0;
	if (layout_minor(l) < 0x30d) {
		TRY(reader_read(r, t->values - 2, head, 1));
		if (head[0] > CHUNK)
			return ERR_TORN;
		TRY(reader_read(r, t->values - 2 - head[0], raw, head[0]));
		for (size_t i = 0; i < head[0]; i++)
			order[i] = raw[head[0] - 1 - i];
		*n = head[0];
		return 0;
	}
	TRY(reader_read(r, t->values - l->dict.values_first, head, 2)); /* room, how many */
	if (head[1] > CHUNK)
		return ERR_TORN;
	TRY(reader_read(r, t->values + 8u * head[0], order, head[1]));
	*n = head[1];
	return 0;
}

static int visit_ordered(struct reader *r, const struct layout *l, const struct table *t, object_visit *visit,
                         void *ctx, struct object_trail *trail)
{
	uint8_t order[CHUNK];
	struct chunk c;
	size_t n;
	TRY(read_order(r, l, t, order, &n));
	TRY(read_chunk(r, t, 0, &c));
	object_trail_add(trail, t->entries, c.entries, c.n * t->entry_size);
	object_trail_add(trail, t->values, c.split, c.n * 8);
	for (size_t i = 0; i < n; i++) {
		raddr_t key = order[i] < c.n ? key_in(t, &c, order[i]) : 0;
		raddr_t value = order[i] < c.n ? value_in(t, &c, order[i]) : 0;
		if (!object_is_address(key) || !object_is_address(value))
			continue;
		int rc = visit(ctx, key, value);
		if (rc != 0)
			return rc;
	}
	return 0;
}

static int visit_table(struct reader *r, const struct layout *l, const struct table *t, object_visit *visit, void *ctx,
                       struct object_trail *trail)
{
	struct chunk c;
	if (t->values && layout_minor(l) >= 0x30b && t->n <= CHUNK)
		return visit_ordered(r, l, t, visit, ctx, trail);
	for (uint64_t done = 0; done < t->n; done += c.n) {
		TRY(read_chunk(r, t, done, &c));
		object_trail_add(trail, t->entries + done * t->entry_size, c.entries, c.n * t->entry_size);
		if (t->values)
			object_trail_add(trail, t->values + done * 8, c.split, c.n * 8);
		for (size_t i = 0; i < c.n; i++) {
			raddr_t key = key_in(t, &c, i), value = value_in(t, &c, i);
			if (!object_is_address(key) || !object_is_address(value))
				continue;
			int rc = visit(ctx, key, value);
			if (rc != 0)
				return rc;
		}
	}
	return 0;
}

int object_dict(struct reader *r, const struct layout *l, raddr_t dict, object_visit *visit, void *ctx,
                struct object_trail *trail)
{
	struct table t;
	TRY(read_table(r, l, dict, &t, trail));
	return visit_table(r, l, &t, visit, ctx, trail);
}

int object_split(struct reader *r, const struct layout *l, raddr_t keys, raddr_t values, object_visit *visit, void *ctx,
                 struct object_trail *trail)
{
	struct table t;
	TRY(read_keys(r, l, keys, &t, trail));
	t.values = values + l->dict.values_first;
	return visit_table(r, l, &t, visit, ctx, trail);
}

/* --- looking for a key */

struct find {
	const char *key;
	size_t n, text_at, head; /* head: bytes of a key with this text, up to the text's end */
};

/* Only ASCII keys are looked for: length, form and text come over in one read. */
static bool is_key(const struct layout *l, const struct find *f, const unsigned char *head)
{
	if (l->is_python2)
		return object_size(l, head, l->bytes.ob_size) == (int64_t)f->n &&
		       memcmp(head + f->text_at, f->key, f->n) == 0;
	const uint32_t form = l->unicode.ascii | l->unicode.compact;
	return object_u64(head, l->unicode.length) == f->n && (object_u32(head, l->unicode.state) & form) == form &&
	       memcmp(head + f->text_at, f->key, f->n) == 0;
}

/* Which of a chunk's entries has the key? Its index, c->n = none, or an error. What cannot be read is not it. */
static int find_in_chunk(struct reader *r, const struct layout *l, const struct find *f, const struct table *t,
                         const struct chunk *c)
{
	static struct reader_batch batch; /* large, and used by one thread only */
	static unsigned char heads[CHUNK][OBJECT_KEY_MAX + HEAD_MAX];
	size_t index[CHUNK], n = 0, whole;
	for (size_t i = 0; i < c->n; i++)
		if (object_is_address(key_in(t, c, i)))
			index[n++] = i;
	for (size_t first = 0; first < n; first += whole + 1) {
		reader_batch_clear(&batch);
		for (size_t i = first; i < n; i++)
			reader_batch_add(&batch, key_in(t, c, index[i]), heads[i], f->head);
		int got = reader_batch_read(r, &batch);
		if (got < 0 && got != ERR_MEMORY_READ)
			return got;
		whole = got < 0 ? 0 : (size_t)got;
		for (size_t i = first; i < first + whole; i++)
			if (is_key(l, f, heads[i]))
				return (int)index[i];
	}
	return (int)c->n;
}

static int find_in_table(struct reader *r, const struct layout *l, const struct table *t, const char *key,
                         raddr_t *value, struct object_trail *trail)
{
	struct chunk c;
	struct find f = {.key = key, .n = strlen(key)};
	f.text_at = l->is_python2 ? l->bytes.ob_sval : l->unicode.ascii_size;
	f.head = f.text_at + f.n;
	if (f.n > OBJECT_KEY_MAX || f.text_at > HEAD_MAX)
		return ERR_AGAIN;
	for (uint64_t done = 0; done < t->n; done += c.n) {
		TRY(read_chunk(r, t, done, &c));
		int i = find_in_chunk(r, l, &f, t, &c);
		if (i < 0)
			return i;
		if ((size_t)i == c.n)
			continue;
		raddr_t entry = t->entries + (done + (unsigned)i) * t->entry_size, found = value_in(t, &c, (size_t)i),
		        of = key_in(t, &c, (size_t)i);
		object_trail_add(trail, entry + t->key_at, &of, 8);
		object_trail_add(trail, t->values ? t->values + (done + (unsigned)i) * 8 : entry + t->value_at, &found,
		                 8);
		if (!object_is_address(found))
			break; /* deleted, or not set yet */
		*value = found;
		return 0;
	}
	return ERR_AGAIN;
}

int object_dict_get(struct reader *r, const struct layout *l, raddr_t dict, const char *key, raddr_t *value,
                    struct object_trail *trail)
{
	struct table t;
	TRY(read_table(r, l, dict, &t, trail));
	return find_in_table(r, l, &t, key, value, trail);
}

int object_split_get(struct reader *r, const struct layout *l, raddr_t keys, raddr_t values, const char *key,
                     raddr_t *value, struct object_trail *trail)
{
	struct table t;
	TRY(read_keys(r, l, keys, &t, trail));
	t.values = values + l->dict.values_first;
	return find_in_table(r, l, &t, key, value, trail);
}
