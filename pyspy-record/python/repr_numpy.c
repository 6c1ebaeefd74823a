/* numpy: scalars and arrays of simple types, as PyArrayObject_fields and PyArray_Descr lie in 1.x and 2.x.
 *
 * On one line; numpy breaks lines between rows and at 75 columns. */
#include <math.h>
#include <stdio.h>

#include "pyspy-record/python/repr_parts.h"

enum { DIMENSIONS_MAX = 8, ITEMS_MAX = 4096, PRECISION = 8, TEXT = 96 };
enum { BOOL, INT8, UINT8, INT16, UINT16, INT32, UINT32, LONG, ULONG, LONGLONG, ULONGLONG, FLOAT32, FLOAT64 };
enum { COMPLEX64 = 14, COMPLEX128 = 15, OBJECT = 17, FLOAT16 = 23, KINDS };

static const struct kind {
	const char *name;
	unsigned size;
	char form; /* b bool, i, u, f, c, o */
	bool is_default;
} kinds[KINDS] = {
    [BOOL] = {"bool", 1, 'b', true},
    [INT8] = {"int8", 1, 'i', false},
    [UINT8] = {"uint8", 1, 'u', false},
    [INT16] = {"int16", 2, 'i', false},
    [UINT16] = {"uint16", 2, 'u', false},
    [INT32] = {"int32", 4, 'i', false},
    [UINT32] = {"uint32", 4, 'u', false},
    [LONG] = {"int64", 8, 'i', true},
    [ULONG] = {"uint64", 8, 'u', false},
    [LONGLONG] = {"int64", 8, 'i', true},
    [ULONGLONG] = {"uint64", 8, 'u', false},
    [FLOAT32] = {"float32", 4, 'f', false},
    [FLOAT64] = {"float64", 8, 'f', true},
    [COMPLEX64] = {"complex64", 8, 'c', false},
    [COMPLEX128] = {"complex128", 16, 'c', true},
    [OBJECT] = {"object", 8, 'o', false},
    [FLOAT16] = {"float16", 2, 'f', false},
};

static double half(unsigned h)
{
	int exponent = h >> 10 & 31;
	double m = h & 1023, v = exponent == 31  ? (m != 0 ? NAN : INFINITY)
	                         : exponent == 0 ? ldexp(m, -24)
	                                         : ldexp(m + 1024, exponent - 25);
	return h >> 15 ? -v : v;
}

static double read_double(const unsigned char *raw, unsigned size)
{
	double d;
	float f;
	if (size == 8) {
		memcpy(&d, raw, sizeof d);
		return d;
	}
	if (size == 4) {
		memcpy(&f, raw, sizeof f);
		return (double)f;
	}
	return half((unsigned)(raw[0] | raw[1] << 8));
}

/* Is this text the number, in a float of so many bytes? */
static bool is_same(const char *text, double v, unsigned size)
{
	if (size == 4)
		return strtof(text, NULL) == (float)v;
	if (size == 2) { /* nearer to it than to its neighbours */
		double step = ldexp(1, (fabs(v) < ldexp(1, -14) ? -14 : ilogb(v)) - 10);
		return fabs(strtod(text, NULL) - v) < step / 2;
	}
	return strtod(text, NULL) == v;
}

/* The shortest digits "d.ddde±xx" of a float of so many bytes. */
static void shortest(double v, unsigned size, char *text)
{
	for (int n = 0; n < 17; n++) {
		snprintf(text, TEXT, "%.*e", n, v);
		if (is_same(text, v, size))
			return;
	}
}

/* As it stands alone: numpy's scalars follow Python's rules, with the digits of their own size. */
static void put_scalar(struct repr *p, double v, unsigned size, bool dot, bool sign)
{
	char text[TEXT];
	if (size < 8 && isfinite(v) && v != 0) {
		shortest(v, size, text);
		v = strtod(text, NULL);
	}
	repr_double(p, v, dot, sign);
}

/* --- which numpy? */

static unsigned major(struct repr *p)
{
	raddr_t dict, version;
	char text[32];
	if (p->library)
		return (unsigned)p->library;
	p->library = 2;
	if (repr_module(p, "numpy", &dict) == 0 &&
	    object_dict_get(p->reader, p->layout, dict, "__version__", &version, NULL) == 0 &&
	    repr_text(p, version, text, sizeof text) == 0 && text[0] == '1')
		p->library = 1;
	return (unsigned)p->library;
}

/* --- scalars: the value behind the header */

static void put_complex(struct repr *p, const unsigned char *raw, unsigned size, const char *open, const char *close)
{
	double real = read_double(raw, size / 2), imaginary = read_double(raw + size / 2, size / 2);
	bool is_whole = real != 0 || signbit(real);
	repr_put(p, is_whole ? open : "");
	if (is_whole)
		put_scalar(p, real, size / 2, false, false);
	put_scalar(p, imaginary, size / 2, false, is_whole);
	repr_put(p, "j");
	repr_put(p, is_whole ? close : "");
}

static void put_integer(struct repr *p, const unsigned char *raw, unsigned size, bool is_signed)
{
	uint64_t u = 0;
	memcpy(&u, raw, size);
	if (is_signed)
		repr_format(p, "%lld", (long long)((int64_t)(u << (64 - 8 * size)) >> (64 - 8 * size)));
	else
		repr_format(p, "%llu", (unsigned long long)u);
}

static const struct kind *kind_named(const char *name)
{
	for (size_t i = 0; i < KINDS; i++)
		if (kinds[i].name && strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	return NULL;
}

int repr_show_numpy_scalar(struct repr *p, raddr_t object, const struct repr_type *t)
{
	unsigned char raw[16];
	const char *name = repr_short_name(t);
	bool is_new = major(p) >= 2;
	if (strcmp(name, "str_") == 0 || strcmp(name, "bytes_") == 0) {
		repr_format(p, is_new ? "np.%s(" : "", name);
		TRY(*name == 's' ? repr_show_str(p, object, t) : repr_show_bytes(p, object, t));
		repr_put(p, is_new ? ")" : "");
		return 0;
	}
	const struct kind *k = kind_named(strcmp(name, "bool_") == 0       ? "bool"
	                                  : strcmp(name, "longlong") == 0  ? "int64"
	                                  : strcmp(name, "ulonglong") == 0 ? "uint64"
	                                                                   : name);
	if (!k)
		return repr_show_object(p, object, t);
	TRY(reader_read(p->reader, object + repr_body(p), raw, k->size));
	if (k->form == 'b') {
		repr_format(p, is_new ? "np.%s_" : "%s", raw[0] ? "True" : "False");
		return 0;
	}
	repr_format(p, is_new ? "np.%s(" : "", name);
	if (k->form == 'f')
		put_scalar(p, read_double(raw, k->size), k->size, true, false);
	else if (k->form == 'c')
		put_complex(p, raw, k->size, is_new ? "" : "(", is_new ? "" : ")");
	else
		put_integer(p, raw, k->size, k->form == 'i');
	repr_put(p, is_new ? ")" : "");
	return 0;
}

/* --- arrays */

struct array {
	raddr_t data;
	unsigned n_dimensions;
	int64_t dimensions[DIMENSIONS_MAX], strides[DIMENSIONS_MAX];
	const struct kind *kind;
	uint64_t total;
	uint64_t n; /* texts: of the first items */
	char (*texts)[TEXT];
	uint64_t shown;
};

static int read_array(struct repr *p, raddr_t object, struct array *a)
{
	uint64_t words[6];
	unsigned char raw[16];
	TRY(reader_read(p->reader, object + repr_body(p), words, sizeof words));
	*a = (struct array){.data = words[0], .n_dimensions = (uint32_t)words[1], .total = 1};
	if (a->n_dimensions > DIMENSIONS_MAX)
		return ERR_TORN;
	if (a->n_dimensions) {
		TRY(reader_read(p->reader, words[2], a->dimensions, a->n_dimensions * 8));
		TRY(reader_read(p->reader, words[3], a->strides, a->n_dimensions * 8));
	}
	for (unsigned i = 0; i < a->n_dimensions; i++)
		if (a->dimensions[i] < 0 || __builtin_mul_overflow(a->total, (uint64_t)a->dimensions[i], &a->total))
			return ERR_TORN;
	TRY(reader_read(p->reader, words[5] + repr_body(p), raw, sizeof raw)); /* typeobj, kind, type, order, number */
	uint32_t number = object_u32(raw, 12);
	a->kind = number < KINDS && kinds[number].name && raw[10] != '>' ? &kinds[number] : NULL;
	return a->kind ? 0 : ERR_UNSUPPORTED;
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

/* A float with at most 8 digits behind the point, "1." and not "1". */
static void positional(double v, unsigned size, char *text)
{
	char digits[TEXT];
	if (!isfinite(v)) {
		snprintf(text, TEXT, "%s", isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
		return;
	}
	shortest(v, size, digits);
	char *e = strchr(digits, 'e');
	int significant = (int)(e - digits) - (digits[0] == '-') - (strchr(digits, '.') != NULL);
	int behind = significant - 1 - atoi(e + 1);
	behind = behind < 0 ? 0 : behind > PRECISION ? PRECISION : behind;
	snprintf(text, TEXT - 2, "%.*f", behind, behind == PRECISION ? v : strtod(digits, NULL));
	if (!behind)
		strcat(text, ".");
	for (size_t n = strlen(text); behind && text[n - 1] == '0'; n--)
		text[n - 1] = 0;
}

/* "d.ddde±xx" with at most 8 digits behind the point, none of them 0 at the end */
static void scientific(double v, unsigned size, char *text)
{
	char digits[TEXT];
	if (!isfinite(v)) {
		positional(v, size, text);
		return;
	}
	shortest(v, size, digits);
	if (strchr(digits, 'e') - digits > PRECISION + 2 + (digits[0] == '-'))
		snprintf(digits, TEXT, "%.*e", PRECISION, v);
	char *e = strchr(digits, 'e'), *end = e;
	while (strchr(digits, '.') && end[-1] == '0')
		end--;
	snprintf(text, TEXT, "%.*s%s%s", (int)(end - digits), digits, strchr(digits, '.') ? "" : ".", e);
}

/* Pad so that the points lie below each other. */
static void align(struct array *a, bool is_scientific)
{
	size_t left = 0, right = 0;
	for (uint64_t i = 0; i < a->n; i++) {
		char *dot = strchr(a->texts[i], '.'), *e = strchr(a->texts[i], 'e');
		size_t l = dot ? (size_t)(dot - a->texts[i]) : 0, r = dot ? strlen(dot) : 0;
		if (is_scientific && dot)
			r = (size_t)(e - dot);
		left = l > left ? l : left;
		right = r > right ? r : right;
	}
	for (uint64_t i = 0; i < a->n; i++) {
		char text[TEXT], *dot, *e;
		snprintf(text, sizeof text, "%s", a->texts[i]);
		dot = strchr(text, '.');
		e = is_scientific ? strchr(text, 'e') : NULL;
		if (!dot)
			snprintf(a->texts[i], TEXT, "%*s", (int)(left + right), text);
		else if (e)
			snprintf(a->texts[i], TEXT, "%*.*s%.*s%.*s%s", (int)left, (int)(dot - text), text,
			         (int)(e - dot), dot, (int)(right - (size_t)(e - dot)), "00000000", e);
		else
			snprintf(a->texts[i], TEXT, "%*.*s%-*s", (int)left, (int)(dot - text), text, (int)right, dot);
	}
}

static int read_floats(struct repr *p, struct array *a)
{
	double least = INFINITY, most = 0, *v = malloc((a->n + 1) * sizeof *v);
	unsigned char raw[8];
	int rc = v ? 0 : ERR_NO_MEMORY;
	for (uint64_t i = 0; rc == 0 && i < a->n; i++) {
		rc = reader_read(p->reader, item_at(a, i), raw, a->kind->size);
		v[i] = rc == 0 ? read_double(raw, a->kind->size) : 0;
		if (rc == 0 && isfinite(v[i]) && v[i] != 0) {
			least = fmin(least, fabs(v[i]));
			most = fmax(most, fabs(v[i]));
		}
	}
	bool is_scientific = most > 0 && (most >= 1e8 || least < 1e-4 || most / least > 1000);
	for (uint64_t i = 0; rc == 0 && i < a->n; i++)
		(is_scientific ? scientific : positional)(v[i], a->kind->size, a->texts[i]);
	if (rc == 0)
		align(a, is_scientific);
	free(v);
	return rc;
}

/* Let what repr puts be a text of its own. */
static int read_others(struct repr *p, struct array *a)
{
	unsigned char raw[16];
	size_t width = 0, was = p->out->len, chars = p->chars;
	for (uint64_t i = 0; i < a->n; i++) {
		TRY(reader_read(p->reader, item_at(a, i), raw, a->kind->size));
		if (a->kind->form == 'b')
			repr_put(p, raw[0] ? "True" : "False");
		else if (a->kind->form == 'c')
			put_complex(p, raw, a->kind->size, "", "");
		else
			put_integer(p, raw, a->kind->size, a->kind->form == 'i');
		snprintf(a->texts[i], TEXT, "%s", buf_cstr(p->out) + was);
		p->out->len = was;
		p->chars = chars;
		width = strlen(a->texts[i]) > width ? strlen(a->texts[i]) : width;
	}
	if (a->kind->form == 'b' && a->n_dimensions)
		width = 5;
	for (uint64_t i = 0; i < a->n; i++) {
		char text[TEXT];
		snprintf(text, sizeof text, "%s", a->texts[i]);
		snprintf(a->texts[i], TEXT, "%*s", (int)width, text);
	}
	return 0;
}

/* `[[1, 2], [3, 4]]`. False: there is no more room. */
static int show_level(struct repr *p, struct array *a, unsigned d)
{
	int rc = 0;
	if (d == a->n_dimensions) {
		raddr_t object;
		if (a->kind->form == 'o') {
			TRY(repr_word(p, item_at(a, a->shown), &object));
			TRY(repr_inner(p, object));
		} else {
			repr_put(p, a->texts[a->shown]);
		}
		a->shown++;
		return 0;
	}
	repr_put(p, "[");
	for (int64_t i = 0; i < a->dimensions[d]; i++) {
		if (i)
			repr_put(p, ", ");
		if (a->shown >= a->n || repr_room(p) == 0) {
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

int repr_show_ndarray(struct repr *p, raddr_t object, const struct repr_type *t)
{
	struct array a;
	int rc = read_array(p, object, &a);
	if (rc == ERR_UNSUPPORTED)
		return repr_show_object(p, object, t);
	TRY(rc);
	a.n = a.total < p->limits.items ? a.total : p->limits.items;
	a.n = a.n < ITEMS_MAX ? a.n : ITEMS_MAX;
	a.texts = malloc((a.n + 1) * TEXT);
	if (!a.texts)
		return ERR_NO_MEMORY;
	rc = a.kind->form == 'f' ? read_floats(p, &a) : a.kind->form == 'o' ? 0 : read_others(p, &a);
	if (rc == 0 && repr_enter(p, object, "array(", ")", a.total)) {
		repr_put(p, strcmp(t->name, "numpy.ndarray") == 0 ? "array" : repr_short_name(t));
		repr_put(p, "(");
		if (a.total)
			rc = show_level(p, &a, 0);
		else
			repr_put(p, "[]");
		if (rc >= 0 && a.shown < a.total)
			repr_format(p, " \xe2\x80\xa6 %llu more", (unsigned long long)(a.total - a.shown));
		for (unsigned d = 0; a.total == 0 && a.n_dimensions > 1 && d < a.n_dimensions; d++)
			repr_format(p, "%s%lld%s", d ? ", " : ", shape=(", (long long)a.dimensions[d],
			            d + 1 == a.n_dimensions ? ")" : "");
		if (!a.kind->is_default || a.total == 0)
			repr_format(p, ", dtype=%s", a.kind->name);
		repr_put(p, ")");
		repr_leave(p);
	}
	free(a.texts);
	return rc < 0 ? rc : 0;
}
