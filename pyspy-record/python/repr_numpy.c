/* numpy: what a dtype is, and scalars. */
#include <stdio.h>

#include "pyspy-record/python/repr_numpy.h"

/* By type_num (NPY_TYPES). */
static const struct kind {
	const char *name;
	uint8_t size;
	enum numpy_form form;
} kinds[] = {
    {"bool", 1, NUMPY_BOOL},
    {"int8", 1, NUMPY_INT},
    {"uint8", 1, NUMPY_UINT},
    {"int16", 2, NUMPY_INT},
    {"uint16", 2, NUMPY_UINT},
    {"int32", 4, NUMPY_INT},
    {"uint32", 4, NUMPY_UINT},
    {"int64", 8, NUMPY_INT},
    {"uint64", 8, NUMPY_UINT},
    {"int64", 8, NUMPY_INT},
    {"uint64", 8, NUMPY_UINT},
    {"float32", 4, NUMPY_FLOAT},
    {"float64", 8, NUMPY_FLOAT},
    {"float128", 16, NUMPY_FLOAT},
    {"complex64", 8, NUMPY_COMPLEX},
    {"complex128", 16, NUMPY_COMPLEX},
    {"complex256", 32, NUMPY_COMPLEX},
    {"object", 8, NUMPY_OBJECT},
    {NULL, 0, NUMPY_STRING},
    {NULL, 0, NUMPY_UNICODE},
    {NULL, 0, NUMPY_VOID},
    {NULL, 8, NUMPY_DATETIME},
    {NULL, 8, NUMPY_TIMEDELTA},
    {"float16", 2, NUMPY_FLOAT},
};
enum { KINDS = sizeof kinds / sizeof *kinds };

enum { DEFAULT_INT = 7 /* NPY_LONG */, VERSION_UNKNOWN = 205 };

unsigned numpy_version(struct repr *p)
{
	raddr_t dict, version;
	char text[32];
	unsigned major, minor;
	if (p->library)
		return (unsigned)p->library;
	p->library = VERSION_UNKNOWN;
	if (repr_module(p, "numpy", &dict) == 0 &&
	    object_dict_get(p->reader, p->layout, dict, "__version__", &version, NULL) == 0 &&
	    repr_text(p, version, text, sizeof text) == 0 && sscanf(text, "%u.%u", &major, &minor) == 2 && major > 0 &&
	    major < 100 && minor < 100)
		p->library = major * 100 + minor;
	return (unsigned)p->library;
}

/* --- dtypes */

/* PyArray_Descr behind the object's header: typeobj, kind, type, byteorder, flags (a char each), type_num (4 bytes);
 * then in 1.x elsize and alignment (4 bytes each), subarray, fields, names, f, metadata, c_metadata; in 2.x flags,
 * elsize, alignment, metadata, hash, two words, subarray, fields, names, c_metadata (8 bytes each). */
int numpy_dtype_read(struct repr *p, raddr_t at, struct numpy_dtype *d)
{
	unsigned char raw[104], unit[8];
	raddr_t subarray, times, pair[2];
	uint32_t number;
	bool is_new = numpy_is_new(p);
	*d = (struct numpy_dtype){.at = at};
	if (!object_is_address(at))
		return ERR_TORN;
	TRY(reader_read(p->reader, at + repr_body(p), raw, 16));
	number = object_u32(raw, 12);
	if (number >= KINDS)
		return ERR_UNSUPPORTED;
	TRY(reader_read(p->reader, at + repr_body(p), raw, is_new ? 104 : 72));
	d->form = kinds[number].form;
	d->name = kinds[number].name;
	d->is_swapped = raw[10] == '>';
	d->is_default = number == DEFAULT_INT || d->form == NUMPY_BOOL ||
	                (d->form == NUMPY_FLOAT && kinds[number].size == 8) ||
	                (d->form == NUMPY_COMPLEX && kinds[number].size == 16);
	d->size = is_new ? object_u64(raw, 24) : object_u32(raw, 16);
	subarray = object_u64(raw, is_new ? 72 : 24);
	d->fields = object_u64(raw, is_new ? 80 : 32);
	d->names = object_u64(raw, is_new ? 88 : 40);
	times = object_u64(raw, is_new ? 96 : 64);
	if (d->size > 1 << 30 || (kinds[number].size && d->size != kinds[number].size))
		return ERR_TORN;
	if (d->names && object_type_is(p->reader, p->layout, d->names, "tuple") != 1)
		d->names = d->fields = 0;
	if (subarray) { /* base, shape */
		TRY(reader_read(p->reader, subarray, pair, sizeof pair));
		d->base = pair[0];
		d->shape = pair[1];
		d->names = 0;
	}
	if (d->form != NUMPY_DATETIME && d->form != NUMPY_TIMEDELTA)
		return 0;
	TRY(reader_read(p->reader, times + 32, unit, sizeof unit)); /* behind NpyAuxData: base, num */
	d->unit = (int)object_u32(unit, 0);
	d->multiple = (int)object_u32(unit, 4);
	return 0;
}

static int tuple_item(struct repr *p, raddr_t tuple, uint64_t i, raddr_t *item)
{
	unsigned char raw[8] = {0};
	TRY(object_type_is(p->reader, p->layout, tuple, "tuple") == 1 ? 0 : ERR_TORN);
	TRY(reader_read(p->reader, tuple + p->layout->tuple.ob_size, raw, 8));
	if (i >= object_u64(raw, 0))
		return ERR_AGAIN;
	return repr_word(p, tuple + p->layout->tuple.ob_item + i * 8, item);
}

int numpy_dtype_field(struct repr *p, const struct numpy_dtype *d, unsigned i, struct numpy_field *f)
{
	raddr_t name, fields = d->fields, entry, offset;
	int rc = tuple_item(p, d->names, i, &name);
	if (rc == ERR_AGAIN)
		return 0;
	TRY(rc);
	TRY(repr_text(p, name, f->name, sizeof f->name));
	int is_proxy = object_type_is(p->reader, p->layout, fields, "mappingproxy");
	if (is_proxy == 1)
		TRY(repr_word(p, fields + repr_body(p), &fields));
	rc = object_dict_get(p->reader, p->layout, fields, f->name, &entry, NULL);
	TRY(rc == ERR_AGAIN ? ERR_UNSUPPORTED : rc); /* a name that is not ASCII */
	TRY(tuple_item(p, entry, 0, &f->dtype));
	TRY(tuple_item(p, entry, 1, &offset));
	return repr_int(p, offset, &f->offset) < 0 || f->offset < 0 || f->offset > 1 << 30 ? ERR_TORN : 1;
}

int numpy_shape_read(struct repr *p, raddr_t shape, int64_t *dimensions)
{
	raddr_t item;
	for (int i = 0;; i++) {
		int rc = tuple_item(p, shape, (uint64_t)i, &item);
		if (rc == ERR_AGAIN)
			return i;
		TRY(rc);
		if (i >= NUMPY_DIMENSIONS_MAX)
			return ERR_TORN;
		TRY(repr_int(p, item, &dimensions[i]));
	}
}

/* `<f8`, `S3`, `?`: as it is named in a record, and by itself where it has no other name. */
static void put_code(struct repr *p, const struct numpy_dtype *d, bool is_whole)
{
	static const char letters[] = {'?', 'i', 'u', 'f', 'c', 'O', 'S', 'U', 'V', 'M', 'm'};
	bool has_order = d->form == NUMPY_UNICODE || d->form == NUMPY_DATETIME || d->form == NUMPY_TIMEDELTA ||
	                 (d->size > 1 && d->form >= NUMPY_INT && d->form <= NUMPY_COMPLEX);
	char unit[24];
	if (has_order)
		repr_put(p, d->is_swapped ? ">" : "<");
	else if (is_whole && (d->form == NUMPY_STRING || d->form == NUMPY_VOID))
		repr_put(p, "|");
	if (d->form == NUMPY_BOOL || d->form == NUMPY_OBJECT) {
		repr_format(p, "%c", letters[d->form]);
		return;
	}
	repr_format(p, "%c", letters[d->form]);
	if (d->form == NUMPY_UNICODE)
		repr_format(p, "%llu", (unsigned long long)d->size / 4);
	else if (d->size || (d->form != NUMPY_STRING && d->form != NUMPY_VOID) || is_whole)
		repr_format(p, "%llu", (unsigned long long)d->size);
	if (d->form == NUMPY_DATETIME || d->form == NUMPY_TIMEDELTA) {
		numpy_unit_text(d->unit, d->multiple, unit, sizeof unit);
		repr_format(p, *unit ? "[%s]" : "", unit);
	}
}

static int put_nested(struct repr *p, const struct numpy_dtype *d, unsigned depth);

/* `[('a', '<i4'), ('b', '<f8', (3,))]`, where the fields lie one behind the other. */
static int put_record(struct repr *p, const struct numpy_dtype *d, unsigned depth)
{
	struct numpy_field f;
	struct numpy_dtype inner;
	int64_t end = 0, shape[NUMPY_DIMENSIONS_MAX];
	repr_put(p, "[");
	for (unsigned i = 0; i < NUMPY_FIELDS_MAX; i++) {
		int rc = numpy_dtype_field(p, d, i, &f);
		TRY(rc);
		if (rc == 0)
			break;
		TRY(numpy_dtype_read(p, f.dtype, &inner));
		if (f.offset != end)
			return ERR_UNSUPPORTED;
		end += (int64_t)inner.size;
		repr_put(p, i ? ", ('" : "('");
		repr_put_name(p, f.name);
		repr_put(p, "', ");
		int dimensions = 0;
		if (inner.base) {
			dimensions = numpy_shape_read(p, inner.shape, shape);
			TRY(dimensions);
			TRY(numpy_dtype_read(p, inner.base, &inner));
		}
		TRY(put_nested(p, &inner, depth + 1));
		for (int k = 0; k < dimensions; k++)
			repr_format(p, "%s%lld%s", k ? ", " : ", (", (long long)shape[k],
			            k + 1 < dimensions ? ""
			            : k                ? ")"
			                               : ",)");
		repr_put(p, ")");
	}
	repr_put(p, "]");
	return end == (int64_t)d->size ? 0 : ERR_UNSUPPORTED;
}

static int put_nested(struct repr *p, const struct numpy_dtype *d, unsigned depth)
{
	if (depth > NUMPY_NESTED_MAX)
		return ERR_UNSUPPORTED;
	if (d->names)
		return put_record(p, d, depth);
	repr_put(p, "'");
	put_code(p, d, false);
	repr_put(p, "'");
	return 0;
}

int numpy_dtype_put(struct repr *p, const struct numpy_dtype *d)
{
	char unit[24];
	bool is_swapped = d->is_swapped && numpy_version(p) >= 125; /* numpy did not say so before */
	if (d->names)
		return put_record(p, d, 0);
	if (d->form == NUMPY_DATETIME || d->form == NUMPY_TIMEDELTA) {
		numpy_unit_text(d->unit, d->multiple, unit, sizeof unit);
		const char *name = d->form == NUMPY_DATETIME ? "datetime64" : "timedelta64";
		if (is_swapped) {
			repr_put(p, "'");
			put_code(p, d, true);
			repr_put(p, "'");
		} else if (*unit) {
			repr_format(p, "'%s[%s]'", name, unit);
		} else {
			repr_put(p, name);
		}
		return 0;
	}
	if (d->name && !is_swapped) {
		repr_put(p, d->name);
		return 0;
	}
	repr_put(p, "'");
	put_code(p, d, true);
	repr_put(p, "'");
	return 0;
}

/* --- scalars: the value behind the header */

static int show_text(struct repr *p, raddr_t object, const struct repr_type *t, const char *name, bool is_new)
{
	repr_format(p, is_new ? "np.%s(" : "", name);
	TRY(*name == 's' ? repr_show_str(p, object, t) : repr_show_bytes(p, object, t));
	repr_put(p, is_new ? ")" : "");
	return 0;
}

/* datetime64, timedelta64: value, unit, multiple */
static int show_time(struct repr *p, raddr_t object, bool is_difference, bool is_new)
{
	unsigned char raw[16];
	char unit[24], text[NUMPY_NUMBER];
	TRY(reader_read(p->reader, object + repr_body(p), raw, sizeof raw));
	int64_t v = (int64_t)object_u64(raw, 0);
	int base = (int)object_u32(raw, 8), multiple = (int)object_u32(raw, 12);
	numpy_unit_text(base, multiple, unit, sizeof unit);
	numpy_datetime_text(v, base, multiple, text);
	repr_format(p, "%s.%s64(", is_new ? "np" : "numpy", is_difference ? "timedelta" : "datetime");
	if (v == NUMPY_NAT)
		repr_put(p, "'NaT'");
	else if (is_difference)
		repr_format(p, "%lld", (long long)v);
	else
		repr_format(p, "'%s'", text);
	/* what the text does not say of the unit */
	if (v == NUMPY_NAT && !is_difference && numpy_version(p) >= 204)
		repr_format(p, ",'%s'", *unit ? unit : "generic");
	else if (*unit && (is_difference || strcmp(unit, "h") == 0 || (v != NUMPY_NAT && multiple != 1)))
		repr_format(p, ",'%s'", unit);
	repr_put(p, ")");
	return 0;
}

/* void: size, pointer to the value, dtype */
static int show_void(struct repr *p, raddr_t object, const struct repr_type *t, bool is_new)
{
	uint64_t words[2];
	struct numpy_dtype d;
	struct numpy_texts texts = {0};
	size_t n;
	TRY(reader_read(p->reader, object + repr_var_body(p), words, sizeof words));
	TRY(numpy_dtype_read(p, words[1], &d));
	if (!repr_enter(p, object, "(", ")", UINT64_MAX))
		return 0;
	const char *name = strcmp(t->name, "numpy.void") == 0 ? "void" : repr_short_name(t);
	if (d.names && is_new)
		repr_format(p, "%s.%s(", "np", name);
	else if (!d.names)
		repr_format(p, "%s%s(", is_new ? "np." : "", name);
	raddr_t at = words[0];
	if (d.names) {
		buf_init(&texts.text, 0);
		int rc = numpy_items_read(p, &d, &at, 1, is_new ? NUMPY_IN_SCALAR : NUMPY_IN_ROW, 0, &texts);
		const char *s = rc == 0 ? numpy_texts_at(&texts, 0, &n) : NULL;
		if (s) {
			buf_put(p->out, s, n);
			p->chars += n;
		}
		numpy_texts_done(&texts);
		TRY(rc);
	} else {
		TRY(numpy_void_put(p, at, d.size));
	}
	if (d.names && is_new) {
		repr_put(p, ", dtype=");
		TRY(numpy_dtype_put(p, &d));
	}
	if (!d.names || is_new)
		repr_put(p, ")");
	repr_leave(p);
	return 0;
}

static const struct kind *kind_named(const char *name)
{
	static const char *const others[][2] = {
	    {"bool_", "bool"},          {"longlong", "int64"},         {"ulonglong", "uint64"},
	    {"longdouble", "float128"}, {"clongdouble", "complex256"}, {"intc", "int32"},
	    {"uintc", "uint32"},        {"float96", "float128"}};
	for (size_t i = 0; i < sizeof others / sizeof *others; i++)
		if (strcmp(others[i][0], name) == 0)
			name = others[i][1];
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i].name && strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

int repr_show_numpy_scalar(struct repr *p, raddr_t object, const struct repr_type *t)
{
	unsigned char raw[NUMPY_ITEM_MAX];
	const char *name = strrchr(t->storage->name, '.');
	bool is_new = numpy_is_new(p);
	name = name ? name + 1 : t->storage->name;
	if (strcmp(name, "str_") == 0 || strcmp(name, "bytes_") == 0)
		return show_text(p, object, t, name, is_new);
	if (strcmp(name, "datetime64") == 0 || strcmp(name, "timedelta64") == 0)
		return show_time(p, object, *name == 't', is_new);
	if (strcmp(name, "void") == 0)
		return show_void(p, object, t, is_new);
	const struct kind *k = kind_named(name);
	if (!k)
		return repr_show_object(p, object, t);
	/* long doubles lie at multiples of 16 */
	raddr_t at = k->form == NUMPY_FLOAT || k->form == NUMPY_COMPLEX ? object + ((repr_body(p) + 15) & ~15ull)
	                                                                : object + repr_body(p);
	if (k->size != 16 && k->size != 32)
		at = object + repr_body(p);
	TRY(reader_read(p->reader, at, raw, k->size));
	if (k->form == NUMPY_BOOL) {
		repr_format(p, is_new ? "np.%s_" : "%s", raw[0] ? "True" : "False");
		return 0;
	}
	bool is_long =
	    k->size == (k->form == NUMPY_FLOAT ? 16 : 32) && (k->form == NUMPY_FLOAT || k->form == NUMPY_COMPLEX);
	bool is_quoted = is_new && is_long;
	if (strstr(name, "longlong"))
		name = k->name;
	if (is_new && is_long)
		name = k->form == NUMPY_FLOAT ? "longdouble" : "clongdouble";
	repr_format(p, is_new ? "np.%s(%s" : "", name, is_quoted ? "'" : "");
	if (k->form == NUMPY_FLOAT)
		numpy_float_put(p, numpy_float_of(raw, k->size), k->size, true, false);
	else if (k->form == NUMPY_COMPLEX)
		numpy_complex_put(p, raw, k->size, is_new ? "" : "(", is_new ? "" : ")");
	else
		numpy_integer_put(p, raw, k->size, k->form == NUMPY_INT);
	repr_put(p, is_quoted ? "')" : is_new ? ")" : "");
	return 0;
}
