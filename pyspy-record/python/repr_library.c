/* decimal, fractions, uuid, pathlib, re, os.environ. */
#include <stdio.h>

#include "pyspy-record/python/repr_parts.h"

/* --- decimal.Decimal (Modules/_decimal): hash, then mpd_t: flags, exponent, digits, length, allocated, words of 19
 * digits, the lowest first */

enum { WORD_DIGITS = 19, WORDS_MAX = 256, PATTERN_MAX = 200 };
enum { MPD_NEGATIVE = 1, MPD_INFINITE = 2, MPD_NAN = 4, MPD_SIGNALING = 8 };

static void put_decimal(struct repr *p, const char *digits, size_t n, int64_t exponent)
{
	int64_t left = exponent + (int64_t)n; /* digits in front of the point */
	if (exponent <= 0 && left > -6) {
		if (left <= 0)
			repr_format(p, "0%s%.*s%s", exponent < 0 ? "." : "", (int)-left, "000000", digits);
		else
			repr_format(p, "%.*s%s%s", (int)left, digits, exponent < 0 ? "." : "", digits + left);
		return;
	}
	repr_format(p, "%.1s%s%sE%+lld", digits, n > 1 ? "." : "", digits + 1, (long long)(left - 1));
}

int repr_show_decimal(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t m[6], words[WORDS_MAX];
	char text[WORDS_MAX * WORD_DIGITS + 2];
	TRY(reader_read(p->reader, object + repr_body(p) + 8, m, sizeof m));
	unsigned flags = (unsigned char)m[0];
	uint64_t n = m[3];
	if (n > WORDS_MAX)
		return ERR_TORN;
	if (n)
		TRY(reader_read(p->reader, m[5], words, n * 8));
	int used = snprintf(text, sizeof text, "%llu", (unsigned long long)(n ? words[n - 1] : 0));
	for (uint64_t i = n; i-- > 1;)
		used += snprintf(text + used, sizeof text - (size_t)used, "%019llu", (unsigned long long)words[i - 1]);
	repr_format(p, "Decimal('%s", flags & MPD_NEGATIVE ? "-" : "");
	if (flags & MPD_INFINITE)
		repr_put(p, "Infinity");
	else if (flags & (MPD_NAN | MPD_SIGNALING))
		repr_format(p, "%s%s", flags & MPD_SIGNALING ? "sNaN" : "NaN", n && words[n - 1] ? text : "");
	else
		put_decimal(p, text, (size_t)used, (int64_t)m[1]);
	repr_put(p, "')");
	return 0;
}

/* Python's own: _sign, _int, the digits, and _exp, which is F, n or N of what is no number. */
int repr_show_decimal2(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t sign, digits, exponent;
	int64_t is_negative, power;
	char text[1024], kind[8];
	TRY(repr_attribute(p, object, t, "_sign", &sign));
	TRY(repr_attribute(p, object, t, "_int", &digits));
	TRY(repr_attribute(p, object, t, "_exp", &exponent));
	TRY(repr_int(p, sign, &is_negative));
	TRY(repr_text(p, digits, text, sizeof text));
	for (char *c = text; *c; c++)
		if (*c < '0' || *c > '9')
			return ERR_TORN;
	repr_format(p, "Decimal('%s", is_negative ? "-" : "");
	if (repr_text(p, exponent, kind, sizeof kind) == 0) {
		bool is_signaling = *kind == 'N';
		repr_put(p, *kind == 'F' ? "Infinity" : is_signaling ? "sNaN" : "NaN");
		repr_put(p, *kind == 'F' ? "" : text);
	} else {
		TRY(repr_int(p, exponent, &power));
		put_decimal(p, text, strlen(text), power);
	}
	repr_put(p, "')");
	return 0;
}

int repr_show_fraction(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t top, bottom;
	TRY(repr_attribute(p, object, t, "_numerator", &top));
	TRY(repr_attribute(p, object, t, "_denominator", &bottom));
	if (!repr_enter(p, object, "", "", UINT64_MAX))
		return 0;
	repr_put_name(p, repr_short_name(t));
	repr_put(p, "(");
	TRY(repr_inner(p, top));
	repr_put(p, ", ");
	TRY(repr_inner(p, bottom));
	repr_put(p, ")");
	repr_leave(p);
	return 0;
}

/* --- uuid.UUID: an int of 128 bits */

int repr_show_uuid(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t number;
	unsigned __int128 v;
	TRY(repr_attribute(p, object, t, "int", &number));
	TRY(repr_int128(p, number, &v));
	uint64_t high = (uint64_t)(v >> 64), low = (uint64_t)v;
	repr_put_name(p, repr_short_name(t));
	repr_format(p, "('%08llx-%04llx-%04llx-%04llx-%012llx')", (unsigned long long)(high >> 32),
	            (unsigned long long)(high >> 16 & 0xffff), (unsigned long long)(high & 0xffff),
	            (unsigned long long)(low >> 48), (unsigned long long)(low & 0xffffffffffff));
	return 0;
}

/* --- pathlib: POSIX */

/* Append a piece of a path: an absolute one begins anew; "." and empty parts go away. */
static void join(char *path, size_t room, const char *piece)
{
	size_t n = strlen(path);
	if (*piece == '/') {
		bool is_double = piece[1] == '/' && piece[2] != '/';
		n = (size_t)snprintf(path, room, "%s", is_double ? "//" : "/");
	}
	while (*piece) {
		size_t part = strcspn(piece, "/");
		if (part && !(part == 1 && *piece == '.') && n + part + 2 < room) {
			if (n && path[n - 1] != '/')
				path[n++] = '/';
			memcpy(path + n, piece, part);
			n += part;
			path[n] = 0;
		}
		piece += part;
		piece += *piece == '/';
	}
}

static int join_all(struct repr *p, raddr_t list, char *path, size_t room)
{
	raddr_t items, item;
	uint64_t n;
	char piece[1024];
	if (object_type_is(p->reader, p->layout, list, "list") != 1)
		return ERR_TORN;
	TRY(repr_word(p, list + p->layout->list.ob_size, &n));
	TRY(repr_word(p, list + p->layout->list.ob_item, &items));
	for (uint64_t i = 0; i < n && i < 256; i++) {
		TRY(repr_word(p, items + i * 8, &item));
		TRY(repr_text(p, item, piece, sizeof piece));
		join(path, room, piece);
	}
	return 0;
}

int repr_show_path(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t value;
	char path[4096] = "";
	uint32_t chars[4096];
	size_t n = 0;
	if (strstr(t->qualname, "Windows"))
		return repr_show_custom(p, object, t);
	/* 3.12 and later: as given; before: in parts, the root first */
	if (repr_attribute(p, object, t, "_raw_paths", &value) < 0 &&
	    repr_attribute(p, object, t, "_parts", &value) < 0)
		return repr_show_custom(p, object, t);
	TRY(join_all(p, value, path, sizeof path));
	const char *text = *path ? path : ".";
	for (size_t i = 0, len = strlen(text); i < len && n < 4096;)
		i += utf8_next(text + i, len - i, &chars[n++]);
	repr_put_name(p, repr_short_name(t));
	repr_put(p, "(");
	repr_quote(p, p->layout->is_python2 ? "u" : "", chars, n, n, REPR_TEXT);
	repr_put(p, ")");
	return 0;
}

/* --- re: ob_size, groups, groupindex, indexgroup, pattern, flags (Modules/_sre) */

int repr_show_pattern(struct repr *p, raddr_t object, const struct repr_type *t)
{
	static const char *const names[] = {"TEMPLATE", "IGNORECASE", "LOCALE", "MULTILINE", "DOTALL",
	                                    "UNICODE",  "VERBOSE",    "DEBUG",  "ASCII"};
	uint64_t words[6];
	const char *separator = ", ";
	if (layout_minor(p->layout) < 0x304)
		return repr_show_object(p, object, t);
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	uint32_t flags = (uint32_t)words[5];
	bool is_text = object_is_text(p->reader, p->layout, words[4]) == 1;
	if (is_text && (flags & (4 | 256 | 32)) == 32) /* UNICODE goes without saying */
		flags &= ~32u;
	repr_put(p, "re.compile(");
	size_t len = p->out->len, chars = p->chars;
	TRY(repr_inner(p, words[4]));
	if (p->chars - chars > PATTERN_MAX) { /* "%.200R" */
		uint32_t unused;
		for (unsigned i = 0; i < PATTERN_MAX && len < p->out->len; i++)
			len += utf8_next((const char *)p->out->data + len, p->out->len - len, &unused);
		p->out->len = len;
		p->chars = chars + PATTERN_MAX;
	}
	for (unsigned i = 0; i < sizeof names / sizeof *names; i++)
		if (flags & 1u << i && !(i == 0 && layout_minor(p->layout) >= 0x30d)) {
			repr_format(p, "%sre.%s", separator, names[i]);
			separator = "|";
			flags &= ~(1u << i);
		}
	if (flags)
		repr_format(p, "%s0x%x", separator, flags);
	repr_put(p, ")");
	return 0;
}

/* ob_size, string, regs, pattern, pos, endpos, lastindex, groups, marks */
int repr_show_match(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t words[10];
	uint32_t *chars;
	size_t n;
	uint64_t length;
	if (layout_minor(p->layout) < 0x304)
		return repr_show_object(p, object, t);
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	uint64_t from = words[8], to = words[9];
	if (object_is_text(p->reader, p->layout, words[1]) != 1 || from > to || to > 1 << 20)
		return repr_show_object(p, object, t);
	chars = malloc((to + 1) * sizeof *chars);
	if (!chars)
		return ERR_NO_MEMORY;
	int rc = object_characters(p->reader, p->layout, words[1], chars, to, &n, &length);
	if (rc == 0 && n >= from) {
		repr_put(p, "<");
		repr_put_name(p, t->name);
		repr_format(p, " object; span=(%llu, %llu), match=", (unsigned long long)from, (unsigned long long)to);
		repr_quote(p, "", chars + from, n - from, to - from, REPR_TEXT);
		repr_put(p, ">");
	}
	free(chars);
	return rc;
}

/* --- os.environ: bytes in a dict, shown as text */

struct environ {
	struct repr *p;
	struct repr_row row;
};

static int show_text(struct repr *p, const char *text, size_t n)
{
	uint32_t *chars = malloc((n + 1) * sizeof *chars);
	size_t k = 0;
	if (!chars)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < n; k++) {
		size_t step = utf8_next(text + i, n - i, &chars[k]);
		if (chars[k] > 0x10ffff) /* as the file system's encoding does */
			chars[k] = 0xdc00u + (unsigned char)text[i];
		i += step;
	}
	repr_quote(p, "", chars, k, k, REPR_TEXT);
	free(chars);
	return 0;
}

static int show_variable(void *ctx, raddr_t key, raddr_t value)
{
	struct environ *e = ctx;
	struct buf name, text;
	buf_init(&name, 0);
	buf_init(&text, 0);
	int rc = 0;
	if (!repr_next(e->p, &e->row)) {
		rc = 1;
	} else {
		rc = object_bytes(e->p->reader, e->p->layout, key, 1 << 16, &name);
		rc = rc < 0 ? rc : object_bytes(e->p->reader, e->p->layout, value, 1 << 20, &text);
		rc = rc < 0 ? rc : show_text(e->p, (const char *)name.data, name.len);
		if (rc == 0)
			repr_put(e->p, ": ");
		if (rc == 0 && secrets_hides(e->p->secrets, (const char *)name.data, name.len))
			repr_put(e->p, "<hidden>");
		else if (rc == 0)
			rc = show_text(e->p, (const char *)text.data, text.len);
	}
	buf_done(&name);
	buf_done(&text);
	return rc;
}

int repr_show_environ(struct repr *p, raddr_t object, const struct repr_type *t)
{
	raddr_t data;
	int rc;
	TRY(repr_attribute(p, object, t, "_data", &data));
	struct environ e = {.p = p, .row = {.total = repr_dict_len(p, data)}};
	repr_put(p, "environ({");
	rc = object_dict(p->reader, p->layout, data, show_variable, &e, NULL);
	if (rc == ERR_GONE || rc == ERR_NO_MEMORY || (rc < 0 && e.row.shown == 0))
		return rc;
	repr_row_end(p, &e.row);
	repr_put(p, "})");
	return 0;
}
