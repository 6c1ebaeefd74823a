/* Items of a numpy array as texts that have the same width. */
#include <stdio.h>

#include "pyspy-record/python/repr_numpy.h"

void numpy_texts_done(struct numpy_texts *t)
{
	buf_done(&t->text);
	vec_free(&t->ends);
}

bool numpy_texts_add(struct numpy_texts *t, const char *s, size_t n)
{
	buf_put(&t->text, s, n);
	return !t->text.err && vec_push(&t->ends, t->text.len);
}

/* What repr put behind `was` becomes a text; it is taken back from the output. Objects stay counted, so that arrays in
 * arrays have an end. */
static int take_back(struct repr *p, size_t was, size_t chars, bool is_object, struct numpy_texts *out)
{
	bool fits = numpy_texts_add(out, (const char *)p->out->data + was, p->out->len - was);
	p->out->len = was;
	p->chars = is_object ? p->chars : chars;
	return fits ? 0 : ERR_NO_MEMORY;
}

/* All to the width of the widest, or to `least`. */
static int pad(struct numpy_texts *t, size_t first, size_t least)
{
	struct numpy_texts wide = {0};
	size_t n, widest = least;
	for (size_t i = first; i < t->ends.n; i++) {
		numpy_texts_at(t, i, &n);
		widest = n > widest ? n : widest;
	}
	buf_init(&wide.text, 0);
	bool fits = true;
	for (size_t i = first; i < t->ends.n && fits; i++) {
		const char *s = numpy_texts_at(t, i, &n);
		for (size_t k = n; k < widest; k++)
			buf_u8(&wide.text, ' ');
		fits = numpy_texts_add(&wide, s, n);
	}
	size_t keep = first ? t->ends.v[first - 1] : 0;
	for (size_t i = 0; i < wide.ends.n && fits; i++)
		t->ends.v[first + i] = keep + wide.ends.v[i];
	t->text.len = keep;
	buf_put(&t->text, wide.text.data, wide.text.len);
	numpy_texts_done(&wide);
	return fits && !t->text.err ? 0 : ERR_NO_MEMORY;
}

static int read_floats(struct repr *p, const struct numpy_dtype *d, const raddr_t *at, size_t n,
                       struct numpy_texts *out)
{
	unsigned char raw[NUMPY_ITEM_MAX];
	size_t parts = d->form == NUMPY_COMPLEX ? 2 : 1;
	uint64_t size = d->size / parts;
	long double *v = malloc((2 * n + 1) * sizeof *v);
	struct numpy_texts real = {0}, imaginary = {0};
	buf_init(&real.text, 0);
	buf_init(&imaginary.text, 0);
	int rc = v ? 0 : ERR_NO_MEMORY;
	for (size_t i = 0; rc == 0 && i < n; i++) {
		rc = numpy_item_read(p, at[i], d, raw);
		v[i] = rc == 0 ? numpy_float_of(raw, size) : 0;
		if (parts == 2)
			v[n + i] = rc == 0 ? numpy_float_of(raw + size, size) : 0;
	}
	if (rc == 0)
		rc = numpy_floats_put(v, n, size, false, parts == 2 ? &real : out);
	if (rc == 0 && parts == 2)
		rc = numpy_floats_put(v + n, n, size, true, &imaginary);
	for (size_t i = 0; rc == 0 && parts == 2 && i < n; i++) { /* the j stands before the blanks */
		size_t k, spaces = 0;
		const char *s = numpy_texts_at(&real, i, &k);
		buf_put(&out->text, s, k);
		s = numpy_texts_at(&imaginary, i, &k);
		while (spaces < k && s[k - 1 - spaces] == ' ')
			spaces++;
		buf_put(&out->text, s, k - spaces);
		buf_u8(&out->text, 'j');
		rc = numpy_texts_add(out, s + k - spaces, spaces) ? 0 : ERR_NO_MEMORY;
	}
	free(v);
	numpy_texts_done(&real);
	numpy_texts_done(&imaginary);
	return rc;
}

/* Text of fixed width: without the zeros at its end. */
static int put_text(struct repr *p, const struct numpy_dtype *d, raddr_t at)
{
	enum { MOST = 2048 };
	unsigned char raw[4 * MOST];
	uint32_t chars[MOST];
	uint64_t unit = d->form == NUMPY_UNICODE ? 4 : 1, length = d->size / unit;
	size_t n = length < MOST ? (size_t)length : MOST, used = 0;
	TRY(reader_read(p->reader, at, raw, n * unit));
	for (size_t i = 0; i < n; i++) {
		chars[i] = unit == 1 ? raw[i] : object_u32(raw, i * 4);
		if (d->is_swapped && unit == 4)
			chars[i] = __builtin_bswap32(chars[i]);
		if (chars[i])
			used = i + 1;
	}
	repr_quote(p, unit == 1 ? "b" : "", chars, used, n < length ? length : used,
	           unit == 1 ? REPR_BYTES : REPR_TEXT);
	return 0;
}

static int put_time(struct repr *p, const struct numpy_dtype *d, raddr_t at)
{
	unsigned char raw[NUMPY_ITEM_MAX];
	char text[NUMPY_NUMBER];
	TRY(numpy_item_read(p, at, d, raw));
	int64_t v = (int64_t)object_u64(raw, 0);
	numpy_datetime_text(v, d->unit, d->multiple, text);
	if (d->form == NUMPY_DATETIME || v == NUMPY_NAT)
		repr_format(p, "'%s'", v == NUMPY_NAT ? "NaT" : text);
	else
		repr_format(p, "%lld", (long long)v);
	return 0;
}

int numpy_void_put(struct repr *p, raddr_t at, uint64_t size)
{
	unsigned char raw[64];
	size_t n = size < sizeof raw ? (size_t)size : sizeof raw;
	TRY(reader_read(p->reader, at, raw, n));
	repr_put(p, "b'");
	for (size_t i = 0; i < n; i++)
		repr_format(p, "\\x%02X", raw[i]);
	repr_put(p, n < size ? "\xe2\x80\xa6'" : "'");
	return 0;
}

/* numpy says what is a list, for an array has the same brackets. */
static int put_object(struct repr *p, raddr_t object)
{
	int rc;
	const struct repr_type *t = repr_type_of(p, object, &rc);
	bool is_list = t && strcmp(t->name, "list") == 0;
	repr_put(p, is_list ? "list(" : "");
	rc = repr_inner(p, object);
	repr_put(p, is_list ? ")" : "");
	return rc;
}

static int put_plain(struct repr *p, const struct numpy_dtype *d, raddr_t at)
{
	unsigned char raw[NUMPY_ITEM_MAX];
	raddr_t object;
	switch (d->form) {
	case NUMPY_OBJECT:
		if (repr_room(p) == 0) {
			repr_put(p, "\xe2\x80\xa6");
			return 0;
		}
		TRY(repr_word(p, at, &object));
		if (!object) {
			repr_put(p, "None");
			return 0;
		}
		return put_object(p, object);
	case NUMPY_STRING:
	case NUMPY_UNICODE:
		return put_text(p, d, at);
	case NUMPY_DATETIME:
	case NUMPY_TIMEDELTA:
		return put_time(p, d, at);
	case NUMPY_VOID:
		return numpy_void_put(p, at, d->size);
	default:
		break;
	}
	TRY(numpy_item_read(p, at, d, raw));
	if (d->form == NUMPY_FLOAT)
		numpy_float_put(p, numpy_float_of(raw, d->size), d->size, true, false);
	else if (d->form == NUMPY_BOOL)
		repr_put(p, raw[0] ? "True" : "False");
	else
		numpy_integer_put(p, raw, d->size, d->form == NUMPY_INT);
	return 0;
}

/* `(a, b)` of each, from the texts of each field. */
static int read_record(struct repr *p, const struct numpy_dtype *d, const raddr_t *at, size_t n, enum numpy_place place,
                       unsigned depth, struct numpy_texts *out)
{
	struct numpy_texts columns[NUMPY_FIELDS_MAX] = {0};
	raddr_t *places = calloc(n + 1, sizeof *places);
	unsigned count = 0;
	int rc = places ? 0 : ERR_NO_MEMORY;
	struct numpy_field f;
	while (rc == 0 && count < NUMPY_FIELDS_MAX) {
		struct numpy_dtype inner;
		rc = numpy_dtype_field(p, d, count, &f);
		if (rc <= 0)
			break;
		rc = numpy_dtype_read(p, f.dtype, &inner);
		for (size_t i = 0; rc == 0 && i < n; i++)
			places[i] = at[i] + (uint64_t)f.offset;
		buf_init(&columns[count].text, 0);
		if (rc == 0)
			rc = numpy_items_read(p, &inner, places, n, place == NUMPY_ALONE ? NUMPY_IN_ROW : place,
			                      depth + 1, &columns[count]);
		count++;
	}
	for (size_t i = 0; rc == 0 && i < n; i++) {
		buf_u8(&out->text, '(');
		for (unsigned k = 0; k < count; k++) {
			size_t len;
			const char *s = numpy_texts_at(&columns[k], i, &len);
			buf_str(&out->text, k ? ", " : "");
			buf_put(&out->text, s, len);
		}
		rc = numpy_texts_add(out, ",)" + (count != 1), count == 1 ? 2 : 1) ? 0 : ERR_NO_MEMORY;
	}
	for (unsigned k = 0; k < count; k++)
		numpy_texts_done(&columns[k]);
	free(places);
	return rc;
}

/* A field that is an array by itself: brackets around the texts of all items. */
static int read_subarray(struct repr *p, const struct numpy_dtype *d, const raddr_t *at, size_t n,
                         enum numpy_place place, unsigned depth, struct numpy_texts *out)
{
	int64_t shape[NUMPY_DIMENSIONS_MAX];
	struct numpy_dtype inner;
	struct numpy_texts items = {0};
	uint64_t each = 1;
	int dimensions = numpy_shape_read(p, d->shape, shape);
	TRY(dimensions);
	TRY(numpy_dtype_read(p, d->base, &inner));
	for (int i = 0; i < dimensions; i++)
		if (shape[i] < 0 || __builtin_mul_overflow(each, (uint64_t)shape[i], &each) || each > NUMPY_ITEMS_MAX)
			return ERR_UNSUPPORTED;
	if (each == 0 || each * n > NUMPY_ITEMS_MAX)
		return ERR_UNSUPPORTED;
	raddr_t *places = calloc(each * n + 1, sizeof *places);
	buf_init(&items.text, 0);
	int rc = places ? 0 : ERR_NO_MEMORY;
	for (size_t i = 0; rc == 0 && i < n; i++)
		for (uint64_t k = 0; k < each; k++)
			places[i * each + k] = at[i] + k * inner.size;
	if (rc == 0)
		rc = numpy_items_read(p, &inner, places, each * n, place == NUMPY_ALONE ? NUMPY_IN_ROW : place,
		                      depth + 1, &items);
	for (size_t i = 0; rc == 0 && i < n; i++) {
		for (uint64_t k = 0; k < each; k++) {
			uint64_t span = 1;
			size_t len;
			int opens = 0, closes = 0;
			for (int x = dimensions; x-- > 0;) {
				span *= (uint64_t)shape[x];
				opens += k % span == 0;
				closes += (k + 1) % span == 0;
			}
			buf_str(&out->text, k ? ", " : "");
			for (int x = 0; x < opens; x++)
				buf_u8(&out->text, '[');
			const char *s = numpy_texts_at(&items, i * each + k, &len);
			buf_put(&out->text, s, len);
			for (int x = 0; x < closes; x++)
				buf_u8(&out->text, ']');
		}
		rc = numpy_texts_add(out, "", 0) ? 0 : ERR_NO_MEMORY;
	}
	free(places);
	numpy_texts_done(&items);
	return rc;
}

int numpy_items_read(struct repr *p, const struct numpy_dtype *d, const raddr_t *at, size_t n, enum numpy_place place,
                     unsigned depth, struct numpy_texts *out)
{
	if (depth > NUMPY_NESTED_MAX)
		return ERR_UNSUPPORTED;
	if (d->base)
		return read_subarray(p, d, at, n, place, depth, out);
	if (d->names)
		return read_record(p, d, at, n, place, depth, out);
	bool is_scalar = d->form == NUMPY_FLOAT && place == NUMPY_IN_SCALAR;
	if ((d->form == NUMPY_FLOAT && !is_scalar) || d->form == NUMPY_COMPLEX)
		return read_floats(p, d, at, n, out);
	size_t first = out->ends.n, least = 0;
	for (size_t i = 0; i < n; i++) {
		size_t was = p->out->len, chars = p->chars;
		int rc = put_plain(p, d, at[i]);
		if (rc < 0) {
			p->out->len = was;
			p->chars = chars;
			return rc;
		}
		TRY(take_back(p, was, chars, d->form == NUMPY_OBJECT, out));
	}
	if (d->form == NUMPY_BOOL)
		least = place == NUMPY_ALONE ? 0 : 5;
	else if (d->form == NUMPY_OBJECT || d->form == NUMPY_STRING || d->form == NUMPY_UNICODE ||
	         d->form == NUMPY_VOID)
		return 0;
	return pad(out, first, least);
}
