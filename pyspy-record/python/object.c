#include "pyspy-record/python/object.h"

#include <string.h>

#include "libcommon/err.h"

/* tp_flags of 3.11 and later (2.x had other uses for these bits) */
enum { TYPE_INLINE_VALUES = 1 << 2, TYPE_MANAGED_DICT = 1 << 4 };
enum { DIGITS_MAX = 5, INSTANCE_MAX = 1 << 20 };

uint32_t object_u32(const void *p, size_t at)
{
	uint32_t v;
	memcpy(&v, (const char *)p + at, sizeof v);
	return v;
}

uint64_t object_u64(const void *p, size_t at)
{
	uint64_t v;
	memcpy(&v, (const char *)p + at, sizeof v);
	return v;
}

int64_t object_size(const struct layout *l, const void *p, size_t at)
{
	return l->object.wide_sizes ? (int64_t)object_u64(p, at) : (int32_t)object_u32(p, at);
}

static int read_size(struct reader *r, const struct layout *l, raddr_t from, int64_t *size)
{
	unsigned char raw[8] = {0};
	TRY(reader_read(r, from, raw, l->object.wide_sizes ? 8 : 4));
	*size = object_size(l, raw, 0);
	return 0;
}

int object_bytes(struct reader *r, const struct layout *l, raddr_t bytes, size_t most, struct buf *out)
{
	int64_t size;
	if (!object_is_address(bytes))
		return ERR_TORN;
	TRY(read_size(r, l, bytes + l->bytes.ob_size, &size));
	if (size < 0 || (uint64_t)size > most)
		return ERR_TORN;
	unsigned char *to = buf_reserve(out, (size_t)size);
	if (!to)
		return size ? out->err : 0;
	TRY(reader_read(r, bytes + l->bytes.ob_sval, to, (size_t)size));
	out->len += (size_t)size;
	return 0;
}

int object_type_is(struct reader *r, const struct layout *l, raddr_t object, const char *name)
{
	uint64_t type, name_at;
	char text[32];
	size_t n = strlen(name) + 1;
	if (!object_is_address(object) || n > sizeof text)
		return ERR_TORN;
	TRY(reader_word(r, object + l->object.type, &type));
	if (!object_is_address(type))
		return ERR_TORN;
	TRY(reader_word(r, type + l->type.name, &name_at));
	TRY(reader_read(r, name_at, text, n));
	return memcmp(text, name, n) == 0;
}

int object_type_may_be(struct reader *r, const struct layout *l, raddr_t object, const char *name)
{
	uint64_t type, meta, above;
	int rc = object_type_is(r, l, object, name);
	if (rc != ERR_MEMORY_READ || !r->core)
		return rc;
	TRY(reader_word(r, object + l->object.type, &type));
	if (!object_is_address(type))
		return ERR_TORN;
	TRY(reader_word(r, type + l->object.type, &meta));
	if (!object_is_address(meta))
		return ERR_TORN;
	TRY(reader_word(r, meta + l->object.type, &above));
	return above == meta;
}

int object_list(struct reader *r, const struct layout *l, raddr_t list, raddr_t *items, size_t cap, size_t *n,
                struct object_trail *trail)
{
	unsigned char head[64]; /* size, and where the items are */
	size_t first = l->list.ob_size, end = l->list.ob_item + 8;
	if (!object_is_address(list) || end < first + 16 || end - first > sizeof head)
		return ERR_TORN;
	TRY(reader_read(r, list + first, head, end - first));
	object_trail_add(trail, list + first, head, end - first);
	int64_t size = object_size(l, head, 0);
	raddr_t at = object_u64(head, l->list.ob_item - first);
	if (size < 0 || size > 1 << 20)
		return ERR_TORN;
	*n = (size_t)size < cap ? (size_t)size : cap;
	if (*n)
		TRY(reader_read(r, at, items, *n * 8));
	object_trail_add(trail, at, items, *n * 8);
	return 0;
}

/* --- ints */

/* 3.x int, 2.x long: digits of 15 or 30 bits, the lowest first; sign and count beside them. */
static int read_digits(struct reader *r, const struct layout *l, raddr_t integer, uint64_t *value,
                       struct object_trail *trail)
{
	unsigned char head[64], digits[4 * DIGITS_MAX] = {0};
	if (l->integer.digit > sizeof head || l->integer.digit < l->integer.tag + (l->object.wide_sizes ? 8 : 4))
		return ERR_TORN;
	TRY(reader_read(r, integer, head, l->integer.digit));
	uint64_t tag = (uint64_t)object_size(l, head, l->integer.tag);
	bool is_negative = l->integer.tag_has_count ? (tag & 3) == 2 : tag >> 63;
	uint64_t n = l->integer.tag_has_count ? tag >> 3 : is_negative ? 0 - tag : tag;
	if (n > 1 << 16)
		return ERR_TORN;
	n = n > DIGITS_MAX ? DIGITS_MAX : n;
	if (n)
		TRY(reader_read(r, integer + l->integer.digit, digits, n * l->integer.digit_size));
	*value = 0;
	for (size_t i = 0; i < n && i * l->integer.digit_bits < 64; i++) {
		uint64_t digit = l->integer.digit_size == 2 ? (uint64_t)(digits[2 * i] | digits[2 * i + 1] << 8)
		                                            : object_u32(digits, 4 * i);
		*value |= digit << i * l->integer.digit_bits;
	}
	if (is_negative)
		*value = 0 - *value;
	object_trail_add(trail, integer + l->integer.tag, head + l->integer.tag, l->integer.digit - l->integer.tag);
	object_trail_add(trail, integer + l->integer.digit, digits, n * l->integer.digit_size);
	return 0;
}

int object_int(struct reader *r, const struct layout *l, raddr_t integer, uint64_t *value, struct object_trail *trail)
{
	if (!object_is_address(integer))
		return ERR_TORN;
	if (l->is_python2) {
		int is_long;
		TRY(is_long = object_type_is(r, l, integer, "long"));
		if (!is_long) {
			TRY(reader_word(r, integer + l->integer.value, value));
			object_trail_add(trail, integer + l->integer.value, value, 8);
			return 0;
		}
	}
	return read_digits(r, l, integer, value, trail);
}

/* --- attributes */

/* A word that the answer depends on. */
static int read_link(struct reader *r, raddr_t from, uint64_t *word, struct object_trail *trail)
{
	TRY(reader_word(r, from, word));
	object_trail_add(trail, from, word, 8);
	return 0;
}

/* The dict pointer lies at tp_dictoffset; counted from the end of the object when that is negative: 0 = has none. */
static int find_dict(struct reader *r, const struct layout *l, raddr_t object, raddr_t type, raddr_t *at)
{
	int64_t offset, n, basic, item;
	*at = 0;
	TRY(reader_word(r, type + l->type.dictoffset, (uint64_t *)&offset));
	if (offset > 0) {
		*at = offset <= INSTANCE_MAX ? object + (uint64_t)offset : 0;
	} else if (offset < 0 && offset >= -INSTANCE_MAX) {
		TRY(read_size(r, l, object + l->object.size, &n));
		TRY(read_size(r, l, type + l->type.basicsize, &basic));
		TRY(read_size(r, l, type + l->type.basicsize + (l->object.wide_sizes ? 8 : 4), &item));
		if (n < -INSTANCE_MAX || n > INSTANCE_MAX || basic < 0 || basic > INSTANCE_MAX || item < 0 ||
		    item > INSTANCE_MAX)
			return ERR_TORN;
		int64_t size = (basic + (n < 0 ? -n : n) * item + 7) / 8 * 8;
		*at = size + offset > 0 ? object + (uint64_t)(size + offset) : 0;
	}
	return 0;
}

/* 3.11 and later: the interpreter itself sees to where a dict or the values are. */
static int find_managed(struct reader *r, const struct layout *l, raddr_t object, raddr_t type, uint64_t flags,
                        raddr_t *dict, raddr_t *values, struct object_trail *trail)
{
	uint64_t word;
	if (layout_minor(l) == 0x30b) { /* two words in front of the object: values, dict */
		TRY(read_link(r, object - 24, dict, trail));
		return read_link(r, object - 32, values, trail);
	}
	if (layout_minor(l) == 0x30c) { /* one word: dict, or values with the low bit set */
		TRY(read_link(r, object - 24, &word, trail));
		*(word & 1 ? values : dict) = word & 1 ? word + 1 : word;
		return 0;
	}
	TRY(read_link(r, object - (layout_is_freethreaded(l) ? 8 : 24), dict, trail));
	if (!*dict && flags & TYPE_INLINE_VALUES) {
		int64_t basicsize;
		uint8_t head[4]; /* PyDictValues: capacity, size, embedded, valid */
		TRY(read_size(r, l, type + l->type.basicsize, &basicsize));
		if (basicsize < 0 || basicsize > INSTANCE_MAX)
			return ERR_TORN;
		raddr_t at = object + (uint64_t)basicsize;
		TRY(reader_read(r, at, head, sizeof head));
		object_trail_add(trail, at, head, sizeof head);
		*values = head[3] ? at : 0;
	}
	return 0;
}

int object_instance(struct reader *r, const struct layout *l, raddr_t object, raddr_t *dict, raddr_t *keys,
                    raddr_t *values, struct object_trail *trail)
{
	uint64_t type, flags = 0;
	raddr_t at;
	*dict = *keys = *values = 0;
	if (!object_is_address(object))
		return ERR_TORN;
	TRY(read_link(r, object + l->object.type, &type, trail));
	if (!object_is_address(type))
		return ERR_TORN;
	if (layout_minor(l) >= 0x30b)
		TRY(reader_word(r, type + l->type.flags, &flags));
	if (flags & TYPE_MANAGED_DICT) {
		TRY(find_managed(r, l, object, type, flags, dict, values, trail));
	} else {
		TRY(find_dict(r, l, object, type, &at));
		if (at)
			TRY(read_link(r, at, dict, trail));
	}
	if (*dict || !*values)
		return 0;
	return reader_word(r, type + l->type.cached_keys, keys);
}

int object_attribute(struct reader *r, const struct layout *l, raddr_t object, const char *name, raddr_t *value,
                     struct object_trail *trail)
{
	raddr_t dict, keys, values;
	TRY(object_instance(r, l, object, &dict, &keys, &values, trail));
	if (dict)
		return object_dict_get(r, l, dict, name, value, trail);
	return values ? object_split_get(r, l, keys, values, name, value, trail) : ERR_AGAIN;
}
