/* Strings: 2.x str and unicode, 3.3+ str in all its forms. */
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/utf8.h"
#include "pyspy-record/python/object.h"

enum { HEAD = 512, TYPE_NAME_MAX = 32, TRAIL_TEXT = 1024 };
/* tp_flags, 2.6 and later: the type is str (2.x) or derived from it; unicode (3.x: str) or derived from it */
enum { TYPE_STR2 = 1 << 27, TYPE_UNICODE = 1 << 28 };

enum coding {
	CODING_UNITS, /* each `width` bytes are a code point */
	CODING_BYTES, /* a 2.x str */
	CODING_WIDE,  /* a 2.x unicode: 2 or 4 bytes a character */
};

struct text {
	enum coding coding;
	raddr_t data;
	uint64_t length;
	unsigned width;
	size_t head_end; /* what lies before it in the object says all of the above */
};

/* --- types */

/* What is an object of this type to object_string? */
static int type_coding(struct reader *r, const struct layout *l, raddr_t type, bool *is_text, enum coding *coding)
{
	char name[TYPE_NAME_MAX] = {0};
	uint64_t name_at, flags = 0;
	const char *const unicode = l->is_python2 ? "unicode" : "str";
	*is_text = true;
	if (!object_is_address(type))
		return ERR_TORN;
	TRY(reader_word(r, type + l->type.name, &name_at));
	int rc = reader_read(r, name_at, name, strlen(unicode) + 1);
	if (rc != ERR_MEMORY_READ || !r->core) /* a core may lack the name: then its flags tell */
		TRY(rc);
	*coding = l->is_python2 ? CODING_WIDE : CODING_UNITS;
	if (strcmp(name, unicode) == 0)
		return 0;
	if (l->is_python2 && strcmp(name, "str") == 0) {
		*coding = CODING_BYTES;
		return 0;
	}
	if (layout_minor(l) >= 0x206)
		TRY(reader_word(r, type + l->type.flags, &flags));
	if (l->is_python2 && flags & TYPE_STR2)
		*coding = CODING_BYTES;
	else if (!(flags & TYPE_UNICODE))
		*is_text = false;
	return 0;
}

int object_is_text(struct reader *r, const struct layout *l, raddr_t object)
{
	uint64_t type;
	enum coding coding;
	bool is_text;
	if (!object_is_address(object))
		return ERR_TORN;
	TRY(reader_word(r, object + l->object.type, &type));
	TRY(type_coding(r, l, type, &is_text, &coding));
	return is_text;
}

/* --- text */

static void put(struct buf *out, uint32_t cp)
{
	char bytes[4];
	buf_put(out, bytes, utf8_put(bytes, cp <= 0x10ffff ? cp : 0xfffd));
}

static uint32_t unit_at(const unsigned char *data, size_t i, unsigned width)
{
	return width == 1   ? data[i]
	       : width == 2 ? (uint32_t)(data[2 * i] | data[2 * i + 1] << 8)
	                    : object_u32(data, 4 * i);
}

static void put_units(struct buf *out, const unsigned char *data, size_t n, unsigned width)
{
	for (size_t i = 0; i < n; i++)
		put(out, unit_at(data, i, width));
}

/* UTF-16: the unicode of a 2.x build with 2 bytes a character. */
static void put_utf16(struct buf *out, const unsigned char *data, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		uint32_t cp = unit_at(data, i, 2), low = i + 1 < n ? unit_at(data, i + 1, 2) : 0;
		if (cp >> 10 == 0xd800 >> 10 && low >> 10 == 0xdc00 >> 10) {
			cp = 0x10000 + ((cp & 0x3ff) << 10 | (low & 0x3ff));
			i++;
		}
		put(out, cp);
	}
}

static void put_bytes(struct buf *out, const unsigned char *data, size_t n)
{
	for (size_t i = 0; i < n;) {
		uint32_t cp;
		size_t step = utf8_next((const char *)data + i, n - i, &cp);
		if (cp <= 0x10ffff && cp >> 11 != 0xd800 >> 11) {
			buf_put(out, data + i, step);
			i += step;
		} else { /* also surrogates, so that each byte can be had back */
			put(out, 0xdc00u + data[i++]);
		}
	}
}

/* How many of the first n bytes are there without the part of a UTF-8 sequence that a cut has left at their end. */
static size_t whole_bytes(const unsigned char *data, size_t n)
{
	for (size_t back = 1; back <= 3 && back <= n; back++) {
		unsigned char c = data[n - back];
		if ((c & 0xc0) == 0x80)
			continue;
		size_t need = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : c >= 0xc0 ? 2 : 1;
		return need > back ? n - back : n;
	}
	return n;
}

/* Does it make sense as 4 bytes each? `is_ended`: there is one more, which must be 0. */
static bool is_ucs4(const unsigned char *data, size_t n, bool is_ended)
{
	for (size_t i = 0; i < n; i++)
		if (unit_at(data, i, 4) > 0x10ffff)
			return false;
	return !is_ended || unit_at(data, n, 4) == 0;
}

/* --- the object */

/* As much of the object as can be had: *n bytes of it. */
static int read_head(struct reader *r, const struct layout *l, raddr_t str, unsigned char *head, size_t *n)
{
	/* most texts come over with the head; but the object may end at the end of a page */
	const size_t sizes[] = {HEAD, 64, l->is_python2 ? l->bytes.ob_sval : l->unicode.ascii_size};
	int rc = ERR_MEMORY_READ;
	for (size_t i = 0; i < sizeof sizes / sizeof *sizes && rc == ERR_MEMORY_READ; i++) {
		*n = sizes[i];
		rc = reader_read(r, str, head, sizes[i]);
	}
	return rc;
}

static int find_text2(struct reader *r, const struct layout *l, raddr_t str, const unsigned char *head, size_t n,
                      struct text *t)
{
	bool is_text;
	TRY(type_coding(r, l, object_u64(head, l->object.type), &is_text, &t->coding));
	if (!is_text)
		return ERR_TORN;
	if (t->coding == CODING_BYTES) {
		t->length = (uint64_t)object_size(l, head, l->bytes.ob_size);
		t->data = str + l->bytes.ob_sval;
		t->head_end = l->bytes.ob_sval;
		t->width = 1;
		return 0;
	}
	if (n < l->unicode.data + 8)
		return ERR_MEMORY_READ;
	t->length = (uint64_t)object_size(l, head, l->unicode.length);
	t->data = object_u64(head, l->unicode.data);
	t->head_end = l->unicode.data + 8;
	return 0;
}

/* One that nobody has asked for its characters yet has only its wchar_t text: 3.3 to 3.11. */
static int find_wide_text(struct reader *r, const struct layout *l, raddr_t str, struct text *t)
{
	if (layout_minor(l) >= 0x30c)
		return ERR_TORN;
	TRY(reader_word(r, str + l->unicode.state + 8, &t->data));
	TRY(reader_word(r, str + l->unicode.compact_size - 8, &t->length));
	t->width = 4;
	return 0;
}

static int find_text(struct reader *r, const struct layout *l, raddr_t str, const unsigned char *head, size_t n,
                     struct text *t)
{
	*t = (struct text){.coding = CODING_UNITS};
	if (l->is_python2)
		return find_text2(r, l, str, head, n, t);
	uint32_t state = object_u32(head, l->unicode.state);
	t->length = object_u64(head, l->unicode.length);
	t->width = state >> l->unicode.kind_shift & 7;
	t->head_end = l->unicode.state + 4;
	if (state & l->unicode.compact)
		t->data = str + (state & l->unicode.ascii ? l->unicode.ascii_size : l->unicode.compact_size);
	else if (t->width)
		TRY(reader_word(r, str + l->unicode.data, &t->data));
	else
		TRY(find_wide_text(r, l, str, t));
	return t->width == 1 || t->width == 2 || t->width == 4 ? 0 : ERR_TORN;
}

/* The unicode of a 2.x build: of which width? Into raw, with that set. */
static int read_either(struct reader *r, struct text *t, size_t n, bool is_whole, struct buf *raw)
{
	size_t units = n + is_whole; /* with the zero at its end */
	unsigned char *to = buf_reserve(raw, units * 4);
	if (!to)
		return raw->err;
	t->width = 4;
	int rc = reader_read(r, t->data, to, units * 4);
	if (rc == 0 && is_ucs4(to, n, is_whole))
		return 0;
	if (rc != 0 && rc != ERR_MEMORY_READ)
		return rc;
	t->width = 2;
	TRY(reader_read(r, t->data, to, units * 2));
	return !is_whole || unit_at(to, n, 2) == 0 ? 0 : ERR_TORN;
}

static void put_text(const struct text *t, const unsigned char *data, size_t n, struct buf *out)
{
	if (t->coding == CODING_BYTES)
		put_bytes(out, data, n < t->length ? whole_bytes(data, n) : n);
	else if (t->coding == CODING_WIDE && t->width == 2)
		put_utf16(out, data, n);
	else
		put_units(out, data, n, t->width);
	if (n < t->length)
		buf_put(out, "\xe2\x80\xa6", 3);
}

int object_string(struct reader *r, const struct layout *l, raddr_t str, struct buf *out, struct object_trail *trail)
{
	unsigned char head[HEAD];
	size_t head_size;
	struct text t;
	if (!object_is_address(str))
		return ERR_TORN;
	TRY(read_head(r, l, str, head, &head_size));
	TRY(find_text(r, l, str, head, head_size, &t));
	if (t.length > (uint64_t)1 << 32)
		return ERR_TORN;
	size_t n = t.length > OBJECT_STRING_MAX ? OBJECT_STRING_MAX : (size_t)t.length;
	struct buf raw;
	buf_init(&raw, 0);
	int rc = 0;
	const unsigned char *data = head; /* of an empty one */
	if (t.coding == CODING_WIDE) {
		rc = read_either(r, &t, n, n == t.length, &raw);
		data = raw.data;
	} else if (t.data >= str && t.data - str <= head_size && n * t.width <= head_size - (t.data - str)) {
		data = head + (t.data - str);
	} else if (n) {
		data = buf_reserve(&raw, n * t.width);
		rc = data ? reader_read(r, t.data, raw.data, n * t.width) : ERR_NO_MEMORY;
	}
	if (rc == 0) {
		size_t kept = n * t.width < TRAIL_TEXT ? n * t.width : TRAIL_TEXT;
		object_trail_add(trail, str + l->object.size, head + l->object.size, t.head_end - l->object.size);
		object_trail_add(trail, t.data, data, kept);
		put_text(&t, data, n, out);
		rc = out->err;
	}
	buf_done(&raw);
	return rc;
}

int object_characters(struct reader *r, const struct layout *l, raddr_t str, uint32_t *to, size_t most, size_t *n,
                      uint64_t *length)
{
	unsigned char head[HEAD];
	size_t head_size;
	struct text t;
	if (!object_is_address(str))
		return ERR_TORN;
	TRY(read_head(r, l, str, head, &head_size));
	TRY(find_text(r, l, str, head, head_size, &t));
	if (t.length > (uint64_t)1 << 40)
		return ERR_TORN;
	*length = t.length;
	*n = t.length < most ? (size_t)t.length : most;
	struct buf raw;
	buf_init(&raw, 0);
	int rc = 0;
	if (t.coding == CODING_WIDE) {
		rc = read_either(r, &t, *n, *n == t.length, &raw);
	} else if (*n) {
		unsigned char *room = buf_reserve(&raw, *n * t.width);
		rc = room ? reader_read(r, t.data, room, *n * t.width) : ERR_NO_MEMORY;
	}
	for (size_t i = 0; rc == 0 && i < *n; i++)
		to[i] = unit_at(raw.data, i, t.width);
	buf_done(&raw);
	return rc;
}
