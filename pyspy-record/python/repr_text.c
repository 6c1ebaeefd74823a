/* str, bytes, bytearray, and names: quoted and escaped as the version does. */
#include <stdarg.h>
#include <stdio.h>

#include "pyspy-record/python/repr_parts.h"
#include "pyspy-record/python/secrets_text.h"

enum { CHARS_MAX = 65536, BYTES_MOST = 65536 };
enum { LOOK_AHEAD = 512 /* characters behind what is shown, to tell a secret that is cut */ };

/* --- which characters are printable */

/* Printable from `since` (layout_minor) on, as long as there is such a version. */
struct range {
	uint32_t first, last;
	uint16_t since;
};
static const struct range ranges[] = {
#include "pyspy-record/python/repr_printable.inc"
};

bool repr_is_printable(uint32_t cp, unsigned minor)
{
	size_t low = 0, high = sizeof ranges / sizeof *ranges;
	if (cp < 0x7f)
		return cp >= 0x20;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (cp > ranges[middle].last)
			low = middle + 1;
		else if (cp < ranges[middle].first)
			high = middle;
		else
			return minor >= ranges[middle].since;
	}
	return false;
}

/* --- putting */

void repr_put(struct repr *p, const char *ascii)
{
	size_t n = strlen(ascii);
	buf_put(p->out, ascii, n);
	p->chars += n;
}

void repr_format(struct repr *p, const char *fmt, ...)
{
	char text[512];
	va_list args;
	va_start(args, fmt);
	int n = vsnprintf(text, sizeof text, fmt, args);
	va_end(args);
	if (n >= 0)
		repr_put(p, text);
}

size_t repr_room(const struct repr *p)
{
	return p->chars < p->limits.chars ? p->limits.chars - p->chars : 0;
}

static size_t put_escaped(struct buf *out, uint32_t cp)
{
	char text[16];
	int n = snprintf(text, sizeof text, cp < 0x100 ? "\\x%02x" : cp < 0x10000 ? "\\u%04x" : "\\U%08x", cp);
	buf_put(out, text, (size_t)n);
	return (size_t)n;
}

void repr_name(struct buf *out, const char *name, size_t n)
{
	for (size_t i = 0; i < n;) {
		uint32_t cp;
		size_t step = utf8_next(name + i, n - i, &cp);
		if (cp == UINT32_MAX)
			put_escaped(out, (unsigned char)name[i]);
		else if (repr_is_printable(cp, UINT16_MAX))
			buf_put(out, name + i, step);
		else
			put_escaped(out, cp);
		i += step;
	}
}

void repr_put_name(struct repr *p, const char *name)
{
	size_t n = strlen(name);
	repr_name(p->out, name, n);
	p->chars += n;
}

void repr_put_type(struct repr *p, const struct repr_type *t)
{
	if (*t->module) {
		repr_put_name(p, t->module);
		repr_put(p, ".");
	}
	repr_put_name(p, t->qualname);
}

const char *repr_short_name(const struct repr_type *t)
{
	const char *dot = strrchr(t->name, '.');
	return dot ? dot + 1 : t->name;
}

/* --- quoting */

static char choose_quote(const uint32_t *chars, size_t n)
{
	bool has_single = false, has_double = false;
	for (size_t i = 0; i < n; i++) {
		has_single |= chars[i] == '\'';
		has_double |= chars[i] == '"';
	}
	return has_single && !has_double ? '"' : '\'';
}

/* One character; `is_plain`: what is not ASCII is always escaped. Returns its columns. */
static size_t put_quoted(struct repr *p, uint32_t c, char quote, bool is_plain)
{
	char text[4];
	const char *escape = c == '\n' ? "\\n" : c == '\r' ? "\\r" : c == '\t' ? "\\t" : NULL;
	if (escape) {
		buf_put(p->out, escape, 2);
		return 2;
	}
	if (c == (unsigned char)quote || c == '\\') {
		text[0] = '\\';
		text[1] = (char)c;
		buf_put(p->out, text, 2);
		return 2;
	}
	if (is_plain ? c >= 0x20 && c < 0x7f : repr_is_printable(c, layout_minor(p->layout))) {
		buf_put(p->out, text, utf8_put(text, c));
		return 1;
	}
	return put_escaped(p->out, c);
}

void repr_quote(struct repr *p, const char *prefix, const uint32_t *chars, size_t n, uint64_t length,
                enum repr_text_kind kind)
{
	char quote = choose_quote(chars, n), text[2] = {quote, 0};
	bool is_plain = kind != REPR_TEXT || p->layout->is_python2;
	size_t i = 0, room = repr_room(p), used = 0;
	struct secrets_span hidden;
	bool is_hiding = secrets_next(p->secrets, chars, n, n < length, 0, &hidden);
	repr_put(p, prefix);
	repr_put(p, text);
	while (i < n && used < room) {
		if (is_hiding && i == hidden.from) {
			buf_str(p->out, "<hidden>");
			used += 8;
			i = hidden.to;
			is_hiding = secrets_next(p->secrets, chars, n, n < length, i, &hidden);
			continue;
		}
		uint32_t c = chars[i++];
		/* 2.x with 2 bytes a character; with 4 none comes in pairs */
		if (p->layout->is_python2 && kind == REPR_TEXT && c >> 10 == 0xd800 >> 10 && i < n &&
		    chars[i] >> 10 == 0xdc00 >> 10)
			c = 0x10000 + ((c & 0x3ff) << 10 | (chars[i++] & 0x3ff));
		if (c == '\'' && kind == REPR_BYTEARRAY) {
			buf_str(p->out, "\\'");
			used += 2;
			continue;
		}
		used += put_quoted(p, c, quote, is_plain);
	}
	p->chars += used;
	repr_put(p, text);
	if (i < length)
		repr_format(p, "\xe2\x80\xa6 %llu more", (unsigned long long)(length - i));
}

/* How many characters are worth reading: one that is cut within its room is told apart from one that fits. */
static size_t worth(const struct repr *p)
{
	size_t room = repr_room(p) + 1 + (p->secrets && p->secrets->is_on ? LOOK_AHEAD : 0);
	return room < CHARS_MAX ? room : CHARS_MAX;
}

static int show_characters(struct repr *p, raddr_t object, const char *prefix, enum repr_text_kind kind)
{
	size_t most = worth(p), n;
	uint64_t length;
	uint32_t *chars = malloc((most + 1) * sizeof *chars);
	if (!chars)
		return ERR_NO_MEMORY;
	int rc = object_characters(p->reader, p->layout, object, chars, most, &n, &length);
	if (rc == 0)
		repr_quote(p, prefix, chars, n, length, kind);
	free(chars);
	return rc;
}

int repr_show_str(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_characters(p, object, "", p->layout->is_python2 ? REPR_BYTES : REPR_TEXT);
}

int repr_show_unicode2(struct repr *p, raddr_t object, const struct repr_type *t)
{
	return show_characters(p, object, "u", REPR_TEXT);
}

/* size bytes at `at` */
static int show_bytes(struct repr *p, raddr_t at, uint64_t size, enum repr_text_kind kind)
{
	size_t n = worth(p);
	n = size < n ? (size_t)size : n;
	uint32_t *chars = malloc((n + 1) * (sizeof *chars + 1));
	if (!chars)
		return ERR_NO_MEMORY;
	unsigned char *raw = (unsigned char *)(chars + n + 1);
	int rc = n ? reader_read(p->reader, at, raw, n) : 0;
	for (size_t i = 0; rc == 0 && i < n; i++)
		chars[i] = raw[i];
	if (rc == 0)
		repr_quote(p, "b", chars, n, size, kind);
	free(chars);
	return rc;
}

static int read_size(struct repr *p, raddr_t object, uint64_t *size)
{
	unsigned char raw[8] = {0};
	TRY(reader_read(p->reader, object + p->layout->bytes.ob_size, raw, p->layout->object.wide_sizes ? 8 : 4));
	int64_t n = object_size(p->layout, raw, 0);
	if (n < 0 || n > (int64_t)1 << 46)
		return ERR_TORN;
	*size = (uint64_t)n;
	return 0;
}

int repr_show_bytes(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t size;
	TRY(read_size(p, object, &size));
	return show_bytes(p, object + p->layout->bytes.ob_sval, size, REPR_BYTES);
}

int repr_show_bytearray(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t size, start;
	size_t was = p->out->len, chars = p->chars;
	TRY(read_size(p, object, &size));
	TRY(repr_word(p, object + p->shape->bytearray.start, &start));
	repr_format(p, "%s(", layout_minor(p->layout) >= 0x307 ? repr_short_name(t) : "bytearray");
	int rc = show_bytes(p, start, size, layout_minor(p->layout) < 0x30f ? REPR_BYTEARRAY : REPR_BYTES);
	if (rc < 0) {
		p->out->len = was;
		p->chars = chars;
		return rc;
	}
	repr_put(p, ")");
	return 0;
}

int repr_text(struct repr *p, raddr_t str, char *to, size_t n)
{
	uint32_t chars[1024];
	size_t got, used = 0;
	uint64_t length;
	*to = 0;
	TRY(object_is_text(p->reader, p->layout, str) == 1 ? 0 : ERR_TORN);
	TRY(object_characters(p->reader, p->layout, str, chars, n < 1024 ? n : 1024, &got, &length));
	for (size_t i = 0; i < got && used + 5 < n; i++)
		used += chars[i] ? utf8_put(to + used, chars[i]) : utf8_put(to + used, 0xfffd);
	to[used] = 0;
	return 0;
}
