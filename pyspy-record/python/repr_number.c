/* None, bool, int, float, complex and their like. */
#include <float.h>
#include <math.h>
#include <stdio.h>

#include "pyspy-record/python/repr_parts.h"

enum { BITS_MAX = 1 << 15, LIMBS_MAX = BITS_MAX / 9 * 3 / 10 + 8, CHUNK = 9 };

int repr_show_none(struct repr *p, raddr_t object, const struct repr_type *t)
{
	repr_put(p, "None");
	return 0;
}

int repr_show_ellipsis(struct repr *p, raddr_t object, const struct repr_type *t)
{
	repr_put(p, "Ellipsis");
	return 0;
}

int repr_show_not_implemented(struct repr *p, raddr_t object, const struct repr_type *t)
{
	repr_put(p, "NotImplemented");
	return 0;
}

/* --- ints */

struct digits {
	uint64_t n; /* of digit_bits each, lowest first */
	bool is_negative;
	raddr_t at;
};

static int read_digits(struct repr *p, raddr_t object, struct digits *d)
{
	const struct layout *l = p->layout;
	unsigned char raw[8] = {0};
	TRY(reader_read(p->reader, object + l->integer.tag, raw, l->object.wide_sizes ? 8 : 4));
	uint64_t tag = (uint64_t)object_size(l, raw, 0);
	d->is_negative = l->integer.tag_has_count ? (tag & 3) == 2 : tag >> 63;
	d->n = l->integer.tag_has_count ? tag >> 3 : d->is_negative ? 0 - tag : tag;
	d->at = object + l->integer.digit;
	return d->n > (uint64_t)1 << 40 ? ERR_TORN : 0;
}

/* value = value * 2^bits + digit, in base 10^9. Returns the new number of limbs. */
static size_t multiply_add(uint32_t *limbs, size_t n, unsigned bits, uint32_t digit)
{
	uint64_t carry = digit;
	for (size_t i = 0; i < n; i++) {
		carry += (uint64_t)limbs[i] << bits;
		limbs[i] = (uint32_t)(carry % 1000000000);
		carry /= 1000000000;
	}
	while (carry) {
		limbs[n++] = (uint32_t)(carry % 1000000000);
		carry /= 1000000000;
	}
	return n;
}

static void put_limbs(struct repr *p, const uint32_t *limbs, size_t n, bool is_negative)
{
	char text[LIMBS_MAX * CHUNK + 2];
	size_t used = (size_t)snprintf(text, sizeof text, "%u", n ? limbs[n - 1] : 0);
	for (size_t i = n; i-- > 1;)
		used += (size_t)snprintf(text + used, sizeof text - used, "%09u", limbs[i - 1]);
	size_t room = repr_room(p) < 40 ? 40 : repr_room(p);
	if (is_negative)
		repr_put(p, "-");
	if (used > room) {
		text[room] = 0;
		repr_put(p, text);
		repr_format(p, "\xe2\x80\xa6 %zu more", used - room);
	} else {
		repr_put(p, text);
	}
}

int repr_show_long(struct repr *p, raddr_t object, const struct repr_type *t)
{
	const struct layout *l = p->layout;
	struct digits d;
	unsigned char raw[BITS_MAX / 15 * 2 + 16];
	uint32_t limbs[LIMBS_MAX];
	size_t n = 0;
	TRY(read_digits(p, object, &d));
	unsigned long long bits = (unsigned long long)d.n * l->integer.digit_bits;
	if (bits > BITS_MAX) {
		repr_format(p, "<%sint of %llu bits>", d.is_negative ? "negative " : "", bits);
		return 0;
	}
	if (d.n)
		TRY(reader_read(p->reader, d.at, raw, d.n * l->integer.digit_size));
	for (size_t i = d.n; i-- > 0;) {
		uint32_t digit =
		    l->integer.digit_size == 2 ? (uint32_t)(raw[2 * i] | raw[2 * i + 1] << 8) : object_u32(raw, 4 * i);
		if (digit >> l->integer.digit_bits)
			return ERR_TORN;
		n = multiply_add(limbs, n, l->integer.digit_bits, digit);
	}
	put_limbs(p, limbs, n, d.is_negative && n);
	if (l->is_python2)
		repr_put(p, "L");
	return 0;
}

/* 3.x: int; 2.x: the int of one word */
int repr_show_int(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t value;
	if (!p->layout->is_python2)
		return repr_show_long(p, object, t);
	TRY(repr_word(p, object + p->layout->integer.value, &value));
	repr_format(p, "%lld", (long long)value);
	return 0;
}

int repr_show_bool(struct repr *p, raddr_t object, const struct repr_type *t)
{
	uint64_t value;
	TRY(object_int(p->reader, p->layout, object, &value, NULL));
	repr_put(p, value ? "True" : "False");
	return 0;
}

void repr_integer(struct repr *p, int64_t value, struct buf *out)
{
	buf_printf(out, "%lld", (long long)value);
}

int repr_int(struct repr *p, raddr_t object, int64_t *value)
{
	int rc;
	const struct repr_type *t = repr_type_of(p, object, &rc);
	if (!t)
		return rc;
	const char *name = t->storage->name;
	if (strcmp(name, "int") != 0 && strcmp(name, "bool") != 0 && strcmp(name, "long") != 0)
		return ERR_TORN;
	return object_int(p->reader, p->layout, object, (uint64_t *)value, NULL);
}

int repr_int128(struct repr *p, raddr_t object, unsigned __int128 *value)
{
	const struct layout *l = p->layout;
	unsigned char raw[64] = {0};
	struct digits d;
	uint64_t word;
	int rc;
	const struct repr_type *t = repr_type_of(p, object, &rc);
	if (!t)
		return rc;
	*value = 0;
	if (l->is_python2 && strcmp(t->storage->name, "int") == 0) {
		TRY(repr_word(p, object + l->integer.value, &word));
		*value = word;
		return 0;
	}
	if (strcmp(t->storage->name, "int") != 0 && strcmp(t->storage->name, "long") != 0)
		return ERR_TORN;
	TRY(read_digits(p, object, &d));
	if (d.n * l->integer.digit_bits > 150 || d.n * l->integer.digit_size > sizeof raw)
		return ERR_TORN;
	if (d.n)
		TRY(reader_read(p->reader, d.at, raw, d.n * l->integer.digit_size));
	for (size_t i = d.n; i-- > 0;)
		*value = *value << l->integer.digit_bits |
		         (l->integer.digit_size == 2 ? (uint32_t)(raw[2 * i] | raw[2 * i + 1] << 8)
		                                     : object_u32(raw, 4 * i));
	return 0;
}

/* --- floats */

/* "d.ddde±xx" with the last digit one larger; false: it carries into another digit in front. */
static bool next_decimal(char *text)
{
	char *e = strchr(text, 'e');
	for (char *c = e; c-- > text;) {
		if (*c == '.' || *c == '-')
			continue;
		if (*c != '9') {
			++*c;
			return true;
		}
		*c = '0';
	}
	return false;
}

/* The shortest digits that give v when read, the nearest of these: "d.ddde±xx". Where a power of two lies the gap below
 * is half as wide: the nearest of so few digits may lie outside of it, and the next one inside. */
static void shortest(double v, char *text, size_t room)
{
	int first = fabs(v) < DBL_MIN ? 1 : 15;
	for (int digits = first; digits <= 17; digits++) {
		snprintf(text, room, "%.*e", digits - 1, v);
		if (strtod(text, NULL) == v)
			return;
		if (digits < 17 && next_decimal(text) && strtod(text, NULL) == v)
			return;
	}
}

void repr_double(struct repr *p, double v, bool dot, bool sign)
{
	char text[64], digits[64];
	if (sign && (isnan(v) || !signbit(v)))
		repr_put(p, "+");
	if (isnan(v) || isinf(v)) {
		repr_put(p, isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
		return;
	}
	if (layout_minor(p->layout) < 0x207) { /* 2.3 to 2.6: 17 digits always */
		snprintf(text, sizeof text, "%.17g", v);
		repr_put(p, text);
		if (dot && !strpbrk(text, ".en"))
			repr_put(p, ".0");
		return;
	}
	if (signbit(v))
		repr_put(p, "-");
	v = fabs(v);
	shortest(v, text, sizeof text);
	char *e = strchr(text, 'e');
	int exponent = atoi(e + 1);
	size_t n = 0;
	for (char *c = text; c < e; c++)
		if (*c != '.')
			digits[n++] = *c;
	while (n > 1 && digits[n - 1] == '0')
		n--;
	digits[n] = 0;
	if (exponent < -4 || exponent >= 16) {
		repr_format(p, "%c%s%se%c%02d", digits[0], n > 1 ? "." : "", digits + 1, exponent < 0 ? '-' : '+',
		            abs(exponent));
	} else if (exponent < 0) {
		repr_format(p, "0.%.*s%s", -exponent - 1, "0000", digits);
	} else if (n <= (size_t)exponent + 1) {
		repr_format(p, "%s%.*s%s", digits, (int)((size_t)exponent + 1 - n), "0000000000000000",
		            dot ? ".0" : "");
	} else {
		repr_format(p, "%.*s.%s", exponent + 1, digits, digits + exponent + 1);
	}
}

int repr_show_float(struct repr *p, raddr_t object, const struct repr_type *t)
{
	double v;
	TRY(reader_read(p->reader, object + p->shape->floating.value, &v, sizeof v));
	repr_double(p, v, true, false);
	return 0;
}

int repr_show_complex(struct repr *p, raddr_t object, const struct repr_type *t)
{
	double v[2];
	TRY(reader_read(p->reader, object + p->shape->complex.value, v, sizeof v));
	if (v[0] == 0 && !signbit(v[0])) {
		repr_double(p, v[1], false, false);
		repr_put(p, "j");
		return 0;
	}
	repr_put(p, "(");
	repr_double(p, v[0], false, false);
	repr_double(p, v[1], false, true);
	repr_put(p, "j)");
	return 0;
}
