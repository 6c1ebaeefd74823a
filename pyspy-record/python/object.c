#include "pyspy-record/python/object.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/utf8.h"

/* tp_flags */
enum { TYPE_INLINE_VALUES = 1 << 2, TYPE_MANAGED_DICT = 1 << 4 };
enum { OBJECT_HEAD = 64, DICT_ENTRIES_MAX = 1 << 20, KEY_MAX = 64 };

static bool is_object(raddr_t a)
{
	return a >= 4096 && a < (raddr_t)1 << 47 && a % 8 == 0;
}

static uint64_t u64_at(const void *p, size_t at)
{
	uint64_t v;
	memcpy(&v, (const char *)p + at, sizeof v);
	return v;
}

static uint32_t u32_at(const void *p, size_t at)
{
	uint32_t v;
	memcpy(&v, (const char *)p + at, sizeof v);
	return v;
}

static void put_text(struct buf *out, const unsigned char *data, size_t n, unsigned kind)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t cp;
		if (kind == 1)
			cp = data[i];
		else if (kind == 2)
			cp = (uint32_t)(data[2 * i] | data[2 * i + 1] << 8);
		else
			cp = u32_at(data, 4 * i);
		if (cp > 0x10ffff)
			cp = 0xfffd;
		char bytes[4];
		buf_put(out, bytes, utf8_put(bytes, cp));
	}
}

int object_string(struct reader *r, const struct layout *l, raddr_t str, struct buf *out)
{
	if (!is_object(str))
		return ERR_TORN;
	unsigned char head[512]; /* most names come over with the head */
	size_t head_size = sizeof head;
	int rc = reader_read(r, str, head, head_size);
	if (rc == ERR_MEMORY_READ) { /* the object may end at the end of a page */
		head_size = OBJECT_HEAD;
		rc = reader_read(r, str, head, head_size);
		if (rc == ERR_MEMORY_READ) {
			head_size = l->unicode.ascii_size;
			rc = reader_read(r, str, head, head_size);
		}
	}
	TRY(rc);
	uint64_t length = u64_at(head, l->unicode.length);
	uint32_t state = u32_at(head, l->unicode.state);
	unsigned kind = state >> l->unicode.kind_shift & 7;
	if ((kind != 1 && kind != 2 && kind != 4) || length > (uint64_t)1 << 32)
		return ERR_TORN;
	raddr_t data;
	if (state & l->unicode.compact) {
		data = str + (state & l->unicode.ascii ? l->unicode.ascii_size : l->unicode.compact_size);
	} else {
		TRY(reader_word(r, str + l->unicode.data, &data));
	}
	size_t n = length > OBJECT_STRING_MAX ? OBJECT_STRING_MAX : (size_t)length;
	size_t bytes = n * kind;
	if (data >= str && data - str <= head_size && bytes <= head_size - (data - str)) {
		put_text(out, head + (data - str), n, kind);
	} else {
		unsigned char chunk[4096];
		for (size_t done = 0; done < bytes;) {
			size_t want = bytes - done < sizeof chunk ? bytes - done : sizeof chunk;
			TRY(reader_read(r, data + done, chunk, want));
			put_text(out, chunk, want / kind, kind);
			done += want;
		}
	}
	if (n < length)
		buf_put(out, "\xe2\x80\xa6", 3);
	return out->err;
}

int object_bytes(struct reader *r, const struct layout *l, raddr_t bytes, size_t most, struct buf *out)
{
	uint64_t size;
	if (!is_object(bytes))
		return ERR_TORN;
	TRY(reader_word(r, bytes + l->bytes.ob_size, &size));
	if (size > most)
		return ERR_TORN;
	unsigned char *to = buf_reserve(out, size);
	if (!to)
		return size ? out->err : 0;
	TRY(reader_read(r, bytes + l->bytes.ob_sval, to, size));
	out->len += size;
	return 0;
}

int object_type_is(struct reader *r, const struct layout *l, raddr_t object, const char *name)
{
	uint64_t type, name_at;
	char text[32];
	size_t n = strlen(name) + 1;
	if (!is_object(object) || n > sizeof text)
		return ERR_TORN;
	TRY(reader_word(r, object + l->object.type, &type));
	if (!is_object(type))
		return ERR_TORN;
	TRY(reader_word(r, type + l->type.name, &name_at));
	TRY(reader_read(r, name_at, text, n));
	return memcmp(text, name, n) == 0;
}

/* A dict's key table: where its entries are and how large. */
struct key_table {
	raddr_t entries;
	uint64_t n;
	unsigned entry_size, key_at, value_at; /* general: hash, key, value; unicode keys: key, value */
};

static int read_key_table(struct reader *r, const struct layout *l, raddr_t keys, struct key_table *t)
{
	unsigned char head[40];
	if (!is_object(keys))
		return ERR_TORN;
	TRY(reader_read(r, keys, head, l->keys.indices));
	unsigned log2_index_bytes = head[l->keys.log2_index_bytes];
	t->n = u64_at(head, l->keys.n_entries);
	if (log2_index_bytes > 40 || t->n > DICT_ENTRIES_MAX)
		return ERR_TORN;
	t->entries = keys + l->keys.indices + ((uint64_t)1 << log2_index_bytes);
	bool general = head[l->keys.kind] == 0;
	t->entry_size = general ? 24 : 16;
	t->key_at = general ? 8 : 0;
	t->value_at = general ? 16 : 8;
	return 0;
}

/* `values`: of a split table, 0 when the values stand beside the keys. */
static int walk_keys(struct reader *r, const struct key_table *t, raddr_t values, object_visit *visit, void *ctx)
{
	unsigned char entries[24 * 64];
	uint64_t split[64];
	for (uint64_t done = 0; done < t->n;) {
		size_t n = t->n - done < 64 ? (size_t)(t->n - done) : 64;
		TRY(reader_read(r, t->entries + done * t->entry_size, entries, n * t->entry_size));
		if (values)
			TRY(reader_read(r, values + done * 8, split, n * 8));
		for (size_t i = 0; i < n; i++) {
			raddr_t key = u64_at(entries, i * t->entry_size + t->key_at);
			raddr_t value = values ? split[i] : u64_at(entries, i * t->entry_size + t->value_at);
			if (!is_object(key) || !is_object(value))
				continue;
			int rc = visit(ctx, key, value);
			if (rc != 0)
				return rc;
		}
		done += n;
	}
	return 0;
}

int object_dict(struct reader *r, const struct layout *l, raddr_t dict, object_visit *visit, void *ctx)
{
	unsigned char head[64];
	struct key_table t;
	size_t size = (l->dict.values > l->dict.keys ? l->dict.values : l->dict.keys) + 8;
	if (!is_object(dict) || size > sizeof head)
		return ERR_TORN;
	TRY(reader_read(r, dict, head, size));
	TRY(read_key_table(r, l, u64_at(head, l->dict.keys), &t));
	raddr_t values = u64_at(head, l->dict.values);
	return walk_keys(r, &t, values ? values + l->dict.values_first : 0, visit, ctx);
}

struct find {
	struct reader *r;
	const struct layout *l;
	const char *key;
	size_t n;
	raddr_t value;
};

static int find_key(void *ctx, raddr_t key, raddr_t value)
{
	struct find *f = ctx;
	unsigned char head[KEY_MAX + 64];
	size_t want = f->l->unicode.ascii_size + f->n;
	/* only ASCII keys are looked for: length, kind and text come over in one read */
	int rc = reader_read(f->r, key, head, want);
	if (rc == ERR_MEMORY_READ)
		return 0;
	TRY(rc);
	if (u64_at(head, f->l->unicode.length) != f->n || !(u32_at(head, f->l->unicode.state) & f->l->unicode.ascii) ||
	    memcmp(head + f->l->unicode.ascii_size, f->key, f->n) != 0)
		return 0;
	f->value = value;
	return 1;
}

static int find_result(int rc, const struct find *f, raddr_t *value)
{
	TRY(rc);
	if (rc == 0)
		return ERR_AGAIN;
	*value = f->value;
	return 0;
}

int object_dict_get(struct reader *r, const struct layout *l, raddr_t dict, const char *key, raddr_t *value)
{
	struct find f = {r, l, key, strlen(key), 0};
	if (f.n > KEY_MAX)
		return ERR_AGAIN;
	return find_result(object_dict(r, l, dict, find_key, &f), &f, value);
}

int object_list(struct reader *r, const struct layout *l, raddr_t list, raddr_t *items, size_t cap, size_t *n)
{
	uint64_t size, at;
	if (!is_object(list))
		return ERR_TORN;
	TRY(reader_word(r, list + l->list.ob_size, &size));
	TRY(reader_word(r, list + l->list.ob_item, &at));
	if (size > 1 << 20)
		return ERR_TORN;
	*n = size < cap ? (size_t)size : cap;
	return *n ? reader_read(r, at, items, *n * 8) : 0;
}

int object_int(struct reader *r, const struct layout *l, raddr_t integer, uint64_t *value)
{
	unsigned char head[40] = {0};
	if (!is_object(integer))
		return ERR_TORN;
	TRY(reader_read(r, integer, head, l->integer.digit + 4));
	uint64_t tag = u64_at(head, l->integer.tag);
	uint64_t n = l->integer.tag_has_count ? tag >> 3 : tag >> 63 ? 0 - tag : tag;
	if (n > 1 << 16)
		return ERR_TORN;
	uint32_t digits[3] = {0};
	if (n > 3)
		n = 3;
	if (n)
		TRY(reader_read(r, integer + l->integer.digit, digits, n * 4));
	*value = (uint64_t)digits[0] | (uint64_t)digits[1] << 30 | (uint64_t)digits[2] << 60;
	return 0;
}

int object_attribute(struct reader *r, const struct layout *l, raddr_t object, const char *name, raddr_t *value)
{
	uint64_t type, flags, word, keys, dict = 0, values = 0;
	int64_t dictoffset;
	if (!is_object(object))
		return ERR_TORN;
	if (strlen(name) > KEY_MAX)
		return ERR_AGAIN;
	TRY(reader_word(r, object + l->object.type, &type));
	if (!is_object(type))
		return ERR_TORN;
	TRY(reader_word(r, type + l->type.flags, &flags));
	if (!(flags & TYPE_MANAGED_DICT)) {
		TRY(reader_word(r, type + l->type.dictoffset, (uint64_t *)&dictoffset));
		if (dictoffset <= 0 || dictoffset > 1 << 20)
			return ERR_AGAIN;
		TRY(reader_word(r, object + (uint64_t)dictoffset, &dict));
	} else if (layout_minor(l) == 0x30b) { /* two words in front of the object: values, dict */
		TRY(reader_word(r, object - 24, &dict));
		TRY(reader_word(r, object - 32, &values));
	} else if (layout_minor(l) == 0x30c) { /* one word: dict, or values with the low bit set */
		TRY(reader_word(r, object - 24, &word));
		if (word & 1)
			values = word + 1;
		else
			dict = word;
	} else {
		TRY(reader_word(r, object - 24, &dict));
		if (!dict && flags & TYPE_INLINE_VALUES) {
			uint64_t basicsize;
			uint8_t head[4]; /* PyDictValues: capacity, size, embedded, valid */
			TRY(reader_word(r, type + l->type.basicsize, &basicsize));
			if (basicsize > 1 << 20)
				return ERR_TORN;
			TRY(reader_read(r, object + basicsize, head, sizeof head));
			values = head[3] ? object + basicsize : 0;
		}
	}
	if (dict)
		return object_dict_get(r, l, dict, name, value);
	if (!values)
		return ERR_AGAIN;
	struct key_table t;
	TRY(reader_word(r, type + l->type.cached_keys, &keys));
	TRY(read_key_table(r, l, keys, &t));
	struct find f = {r, l, name, strlen(name), 0};
	return find_result(walk_keys(r, &t, values + l->dict.values_first, find_key, &f), &f, value);
}
