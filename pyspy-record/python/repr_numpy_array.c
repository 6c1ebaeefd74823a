/* numpy's arrays, on one line; numpy breaks lines between rows and at 75 columns. */
#include <stdio.h>

#include "pyspy-record/python/repr_numpy.h"

struct array {
	raddr_t data;
	unsigned n_dimensions;
	int64_t dimensions[NUMPY_DIMENSIONS_MAX], strides[NUMPY_DIMENSIONS_MAX];
	struct numpy_dtype dtype;
	raddr_t dtype_at;
	uint64_t total;
	uint64_t n; /* texts: of the first items */
	struct numpy_texts texts;
	uint64_t shown;
};

/* PyArrayObject_fields: data, nd (4 bytes), dimensions, strides, base, descr */
static int read_array(struct repr *p, raddr_t object, struct array *a)
{
	uint64_t words[6];
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	*a = (struct array){.data = words[0], .n_dimensions = (uint32_t)words[1], .total = 1, .dtype_at = words[5]};
	if (a->n_dimensions > NUMPY_DIMENSIONS_MAX)
		return ERR_TORN;
	if (a->n_dimensions) {
		TRY(reader_read(p->reader, words[2], a->dimensions, a->n_dimensions * 8));
		TRY(reader_read(p->reader, words[3], a->strides, a->n_dimensions * 8));
	}
	bool is_empty = false, is_wild = false;
	for (unsigned i = 0; i < a->n_dimensions; i++) {
		if (a->dimensions[i] < 0)
			return ERR_TORN;
		is_empty |= a->dimensions[i] == 0;
		is_wild |= !is_empty && __builtin_mul_overflow(a->total, (uint64_t)a->dimensions[i], &a->total);
	}
	if (is_empty)
		a->total = 0;
	return is_wild && !is_empty ? ERR_TORN : 0;
}

static raddr_t item_at(const struct array *a, uint64_t i)
{
	uint64_t at = a->data;
	for (unsigned d = a->n_dimensions; d-- > 0;) {
		at += (uint64_t)a->strides[d] * (i % (uint64_t)a->dimensions[d]);
		i /= (uint64_t)a->dimensions[d];
	}
	return at;
}

static int read_items(struct repr *p, struct array *a)
{
	raddr_t *at = malloc((a->n + 1) * sizeof *at);
	if (!at)
		return ERR_NO_MEMORY;
	for (uint64_t i = 0; i < a->n; i++)
		at[i] = item_at(a, i);
	int rc = numpy_items_read(p, &a->dtype, at, a->n, a->n_dimensions ? NUMPY_IN_ROW : NUMPY_ALONE, 0, &a->texts);
	free(at);
	return rc;
}

/* `[[1, 2], [3, 4]]`. 1: there is no more room. */
static int show_level(struct repr *p, struct array *a, unsigned d)
{
	int rc = 0;
	if (d == a->n_dimensions) {
		size_t n;
		const char *s = numpy_texts_at(&a->texts, a->shown, &n);
		buf_put(p->out, s, n);
		p->chars += a->dtype.form == NUMPY_OBJECT ? 0 : n; /* these are counted already */
		a->shown++;
		return 0;
	}
	repr_put(p, "[");
	for (int64_t i = 0; i < a->dimensions[d]; i++) {
		if (i)
			repr_put(p, ", ");
		if (a->shown >= a->n || (repr_room(p) == 0 && a->dtype.form != NUMPY_OBJECT)) {
			repr_put(p, "\xe2\x80\xa6");
			rc = 1;
			break;
		}
		TRY(rc = show_level(p, a, d + 1));
		if (rc)
			break;
	}
	repr_put(p, "]");
	return rc;
}

static void put_shape(struct repr *p, const struct array *a)
{
	repr_put(p, "shape=(");
	for (unsigned d = 0; d < a->n_dimensions; d++)
		repr_format(p, "%s%lld", d ? ", " : "", (long long)a->dimensions[d]);
	repr_put(p, a->n_dimensions == 1 ? ",)" : ")");
}

static bool is_implied(struct repr *p, const struct array *a)
{
	const struct numpy_dtype *d = &a->dtype;
	return a->total && d->is_default && !d->names && !d->base && (!d->is_swapped || numpy_version(p) < 125);
}

/* What we cannot show the items of: shape and dtype. */
static int show_outline(struct repr *p, const struct array *a, const char *name)
{
	int rc;
	struct numpy_dtype d;
	repr_format(p, "%s(\xe2\x80\xa6, ", name);
	put_shape(p, a);
	repr_put(p, ", dtype=");
	size_t was = p->out->len, chars = p->chars;
	if (numpy_dtype_read(p, a->dtype_at, &d) < 0 || numpy_dtype_put(p, &d) < 0) {
		p->out->len = was;
		p->chars = chars;
		const struct repr_type *t = repr_type_of(p, a->dtype_at, &rc);
		if (!t)
			return rc;
		repr_put_name(p, t->qualname);
	}
	repr_put(p, ")");
	return 0;
}

static int show_items(struct repr *p, struct array *a, const char *name)
{
	int rc = 0;
	repr_format(p, "%s(", name);
	if (a->total)
		TRY(rc = show_level(p, a, 0));
	else
		repr_put(p, "[]");
	if (a->shown < a->total) {
		repr_format(p, " \xe2\x80\xa6 %llu more, ", (unsigned long long)(a->total - a->shown));
		put_shape(p, a);
	} else if (a->total == 0 && (a->n_dimensions > 1)) {
		repr_put(p, ", ");
		put_shape(p, a);
	}
	if (!is_implied(p, a)) {
		repr_put(p, ", dtype=");
		TRY(numpy_dtype_put(p, &a->dtype));
	}
	repr_put(p, ")");
	return 0;
}

int repr_show_ndarray(struct repr *p, raddr_t object, const struct repr_type *t)
{
	struct array a;
	const char *name = strcmp(t->name, "numpy.ndarray") == 0  ? "array"
	                   : strcmp(t->qualname, "recarray") == 0 ? "rec.array"
	                                                          : repr_short_name(t);
	TRY(read_array(p, object, &a));
	buf_init(&a.texts.text, 0);
	int rc = numpy_dtype_read(p, a.dtype_at, &a.dtype);
	a.n = a.total < p->limits.items ? a.total : p->limits.items;
	a.n = a.n < NUMPY_ITEMS_MAX ? a.n : NUMPY_ITEMS_MAX;
	size_t was = p->out->len, chars = p->chars;
	unsigned depth = p->depth;
	if (!repr_enter(p, object, "array(", ")", a.total))
		return 0;
	if (rc == 0)
		rc = read_items(p, &a);
	if (rc == 0)
		rc = show_items(p, &a, name);
	numpy_texts_done(&a.texts);
	p->depth = depth;
	if (rc != ERR_UNSUPPORTED)
		return rc < 0 ? rc : 0;
	p->out->len = was;
	p->chars = chars;
	return show_outline(p, &a, name);
}
