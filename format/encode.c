#include "format/encode.h"

#include <string.h>

#include "format/encode_record.h"

enum { VARINT_MAX = 10 };
#define ELLIPSIS "\xE2\x80\xA6"
enum { ELLIPSIS_SIZE = 3 };

static unsigned varint_bytes(unsigned char out[VARINT_MAX], uint64_t v)
{
	unsigned n = 0;

	while (v >= 0x80) {
		out[n++] = (unsigned char)(v | 0x80);
		v >>= 7;
	}
	out[n++] = (unsigned char)v;
	return n;
}

void encode_varint(struct buf *b, uint64_t v)
{
	unsigned char bytes[VARINT_MAX];

	buf_put(b, bytes, varint_bytes(bytes, v));
}

void encode_zigzag(struct buf *b, int64_t v)
{
	encode_varint(b, (uint64_t)v << 1 ^ (v < 0 ? UINT64_MAX : 0));
}

size_t encode_record_begin(struct buf *b, enum wire_record type)
{
	encode_varint(b, type);
	return b->len;
}

void encode_record_end(struct buf *b, size_t payload)
{
	unsigned char length[VARINT_MAX];
	size_t n = b->len - payload;
	unsigned k = varint_bytes(length, n);

	if (!buf_reserve(b, k))
		return;
	memmove(b->data + payload + k, b->data + payload, n);
	memcpy(b->data + payload, length, k);
	b->len += k;
}

static bool is_continuation(char c)
{
	return ((unsigned char)c & 0xC0) == 0x80;
}

/* Where to cut so that at most `max` bytes stay and no code point is torn. */
static size_t cut_at(const char *s, size_t max)
{
	size_t n = max;

	while (n > 0 && n + 3 > max && is_continuation(s[n]))
		n--;
	return is_continuation(s[n]) ? max : n;
}

void encode_record_bytes(struct buf *b, const char *s, size_t n)
{
	size_t keep = n;

	if (n <= WIRE_STRING_WRITE_MAX) {
		encode_varint(b, n);
		buf_put(b, s, n);
		return;
	}
	keep = cut_at(s, WIRE_STRING_WRITE_MAX - ELLIPSIS_SIZE);
	encode_varint(b, keep + ELLIPSIS_SIZE);
	buf_put(b, s, keep);
	buf_put(b, ELLIPSIS, ELLIPSIS_SIZE);
}

void encode_record_ids(struct buf *b, const str_id *ids, uint32_t n)
{
	encode_varint(b, n);
	for (uint32_t i = 0; i < n; i++)
		encode_varint(b, ids[i]);
}

void encode_batch_init(struct encode_batch *t)
{
	buf_init(&t->body, 0);
	t->first = t->n = 0;
}

void encode_batch_done(struct encode_batch *t)
{
	buf_done(&t->body);
	t->first = t->n = 0;
}

static void add(struct encode_batch *t, uint32_t id)
{
	if (t->n == 0)
		t->first = id;
	t->n++;
}

void encode_add_string(struct encode_batch *t, str_id id, const char *s, size_t n)
{
	add(t, id);
	encode_record_bytes(&t->body, s, n);
}

void encode_add_function(struct encode_batch *t, function_id id, const struct rec_function *f)
{
	add(t, id);
	encode_varint(&t->body, f->kind);
	encode_varint(&t->body, f->module);
	encode_varint(&t->body, f->qualname);
	encode_varint(&t->body, f->file);
	encode_varint(&t->body, f->first_line);
}

static void add_python(struct buf *b, const struct rec_location *l, uint32_t first_line)
{
	/* what cannot be a range of columns is left out, not bent into one */
	bool has_columns =
	    l->has_columns && l->has_line && l->end_line >= l->line && l->column >= 0 && l->end_column >= 0;
	uint32_t flags = (l->has_line ? 0 : WIRE_LOCATION_NO_LINE) | (has_columns ? WIRE_LOCATION_COLUMNS : 0);

	encode_varint(b, (uint64_t)l->function << 1);
	encode_zigzag(b, l->has_line ? (int64_t)l->line - (int64_t)first_line : 0);
	encode_varint(b, flags);
	if (has_columns) {
		encode_varint(b, (uint64_t)((int64_t)l->end_line - l->line));
		encode_varint(b, (uint64_t)l->column);
		encode_varint(b, (uint64_t)l->end_column);
	}
}

void encode_add_location(struct encode_batch *t, location_id id, const struct rec_location *l, uint32_t first_line)
{
	add(t, id);
	if (!l->is_native) {
		add_python(&t->body, l, first_line);
		return;
	}
	encode_varint(&t->body, (uint64_t)l->module << 1 | 1);
	encode_varint(&t->body, l->offset);
	encode_varint(&t->body, l->symbol);
}

void encode_add_stack(struct encode_batch *t, stack_id id, const struct rec_stack *s)
{
	add(t, id);
	encode_varint(&t->body, id - s->parent);
	encode_varint(&t->body, (uint64_t)s->location << 1 | s->certified);
}

void encode_batch_flush(struct encode_batch *t, enum wire_record type, struct buf *out)
{
	size_t payload;

	if (t->n == 0)
		return;
	if (t->body.err && !out->err)
		out->err = t->body.err;
	payload = encode_record_begin(out, type);
	encode_varint(out, t->first);
	encode_varint(out, t->n);
	buf_put(out, t->body.data, t->body.len);
	encode_record_end(out, payload);
	buf_reset(&t->body);
	t->first = t->n = 0;
}
