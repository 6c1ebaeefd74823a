#include "libcommon/escape.h"

#include "libcommon/utf8.h"

#define BAD UINT32_C(0xFFFFFFFF)

/* ASCII that a place gives a meaning to, and what stands for it. NULL = stays as it is. */
typedef const char *(*special_fn)(uint32_t cp);

static const char *special_none(uint32_t cp)
{
	return NULL;
}

static const char *special_folded(uint32_t cp)
{
	return cp == ';' ? "\\x3b" : NULL;
}

static const char *special_xml(uint32_t cp)
{
	switch (cp) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

static const char *special_json(uint32_t cp)
{
	switch (cp) {
	case '"':
		return "\\\"";
	case '\\':
		return "\\\\";
	case '<':
		return "\\u003c";
	case '>':
		return "\\u003e";
	case '&':
		return "\\u0026";
	default:
		return NULL;
	}
}

static const char *short_control(uint32_t cp)
{
	switch (cp) {
	case '\n':
		return "\\n";
	case '\t':
		return "\\t";
	case '\r':
		return "\\r";
	default:
		return NULL;
	}
}

/* An unsafe code point, or the bad byte `byte`, made visible. */
static void put_visible(struct buf *out, uint32_t cp, unsigned char byte)
{
	const char *s = short_control(cp);

	if (s)
		buf_str(out, s);
	else if (cp == BAD)
		buf_printf(out, "\\x%02x", byte);
	else if (cp < 0x80)
		buf_printf(out, "\\x%02x", cp);
	else if (cp < 0x10000)
		buf_printf(out, "\\u%04x", cp);
	else
		buf_printf(out, "\\U%08x", cp);
}

static void put_json(struct buf *out, uint32_t cp, unsigned char byte)
{
	const char *s = short_control(cp);

	if (s)
		buf_str(out, s);
	else if (cp == BAD || (cp >= 0xD800 && cp <= 0xDFFF))
		buf_str(out, "\xEF\xBF\xBD");
	else if (cp < 0x10000)
		buf_printf(out, "\\u%04x", cp);
	else
		buf_printf(out, "\\u%04x\\u%04x", 0xD7C0 + (cp >> 10), 0xDC00 + (cp & 0x3FF));
}

static void escape(struct buf *out, const char *s, size_t n, special_fn special,
                   void (*put_unsafe)(struct buf *, uint32_t, unsigned char))
{
	size_t clean = 0; /* where the bytes begin that stay as they are and are not yet written */

	for (size_t i = 0; i < n;) {
		uint32_t cp;
		size_t len = utf8_next(s + i, n - i, &cp);
		bool is_unsafe = utf8_is_unsafe(cp);
		const char *instead = is_unsafe ? NULL : special(cp);

		if (is_unsafe || instead) {
			buf_put(out, s + clean, i - clean);
			clean = i + len;
		}
		if (is_unsafe)
			put_unsafe(out, cp, (unsigned char)s[i]);
		else if (instead)
			buf_str(out, instead);
		i += len;
	}
	buf_put(out, s + clean, n - clean);
}

void escape_text(struct buf *out, const char *s, size_t n)
{
	escape(out, s, n, special_none, put_visible);
}

void escape_folded(struct buf *out, const char *s, size_t n)
{
	escape(out, s, n, special_folded, put_visible);
}

void escape_xml(struct buf *out, const char *s, size_t n)
{
	escape(out, s, n, special_xml, put_visible);
}

void escape_json(struct buf *out, const char *s, size_t n)
{
	escape(out, s, n, special_json, put_json);
}
