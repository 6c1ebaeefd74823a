/* numpy's numbers and times as texts. */
#include <math.h>
#include <stdio.h>

#include "pyspy-record/python/repr_numpy.h"

enum { PRECISION = 8 };

static double half(unsigned h)
{
	int exponent = h >> 10 & 31;
	double m = h & 1023, v = exponent == 31  ? (m != 0 ? NAN : INFINITY)
	                         : exponent == 0 ? ldexp(m, -24)
	                                         : ldexp(m + 1024, exponent - 25);
	return h >> 15 ? -v : v;
}

long double numpy_float_of(const unsigned char *raw, uint64_t size)
{
	long double l = 0;
	double d;
	float f;
	if (size == 16) {
		memcpy(&l, raw, 10);
		return l;
	}
	if (size == 8) {
		memcpy(&d, raw, sizeof d);
		return d;
	}
	if (size == 4) {
		memcpy(&f, raw, sizeof f);
		return f;
	}
	return half((unsigned)(raw[0] | raw[1] << 8));
}

static void reverse(unsigned char *p, uint64_t n)
{
	for (uint64_t i = 0; i < n / 2; i++) {
		unsigned char c = p[i];
		p[i] = p[n - 1 - i];
		p[n - 1 - i] = c;
	}
}

int numpy_item_read(struct repr *p, raddr_t at, const struct numpy_dtype *d, unsigned char *raw)
{
	if (d->size > NUMPY_ITEM_MAX)
		return ERR_TORN;
	TRY(reader_read(p->reader, at, raw, d->size));
	if (d->is_swapped && d->form == NUMPY_COMPLEX) {
		reverse(raw, d->size / 2);
		reverse(raw + d->size / 2, d->size / 2);
	} else if (d->is_swapped) {
		reverse(raw, d->size);
	}
	return 0;
}

/* --- digits */

/* Is this text the number, in a float of so many bytes? */
static bool is_same(const char *text, long double v, uint64_t size)
{
	if (size == 16)
		return strtold(text, NULL) == v;
	if (size == 4)
		return strtof(text, NULL) == (float)v;
	if (size == 2) { /* nearer to it than to its neighbours */
		double x = (double)v, step = ldexp(1, (fabs(x) < ldexp(1, -14) ? -14 : ilogb(x)) - 10);
		return fabs(strtod(text, NULL) - x) < step / 2;
	}
	return strtod(text, NULL) == (double)v;
}

/* The fewest digits "d.ddde±xx" that a float of so many bytes is told by. */
static void shortest(long double v, uint64_t size, char *text)
{
	for (int n = 0; n < 21; n++) {
		snprintf(text, NUMPY_NUMBER, "%.*Le", n, v);
		if (is_same(text, v, size))
			return;
	}
}

static bool put_unusual(long double v, char *text)
{
	if (isfinite(v))
		return false;
	strcpy(text, isnan(v) ? "nan" : v > 0 ? "inf" : "-inf");
	return true;
}

/* From where on a float of so many bytes has an exponent. */
static long double limit_of(struct repr *p, uint64_t size)
{
	bool is_new = numpy_version(p) >= 203;
	return size == 2 && is_new ? 1e3L : size == 4 && is_new ? 1e6L : 1e16L;
}

void numpy_float_put(struct repr *p, long double v, uint64_t size, bool dot, bool sign)
{
	char text[NUMPY_NUMBER], plain[NUMPY_NUMBER + 16];
	if (size == 8) {
		repr_double(p, (double)v, dot, sign);
		return;
	}
	if (sign && (isnan(v) || !signbit(v)))
		repr_put(p, "+");
	if (put_unusual(v, text)) {
		repr_put(p, text);
		return;
	}
	shortest(v, size, text);
	if (v != 0 && (fabsl(v) < 1e-4L || fabsl(v) >= limit_of(p, size))) {
		repr_put(p, text);
		return;
	}
	char *e = strchr(text, 'e');
	int behind = (int)(e - text) - (text[0] == '-') - (strchr(text, '.') != NULL) - 1 - atoi(e + 1);
	snprintf(plain, sizeof plain, "%.*Lf%s", behind > 0 ? behind : 0, strtold(text, NULL),
	         behind > 0 || !dot ? "" : ".0");
	repr_put(p, plain);
}

void numpy_complex_put(struct repr *p, const unsigned char *raw, uint64_t size, const char *open, const char *close)
{
	long double real = numpy_float_of(raw, size / 2), imaginary = numpy_float_of(raw + size / 2, size / 2);
	bool is_whole = real != 0 || signbit(real);
	repr_put(p, is_whole ? open : "");
	if (is_whole)
		numpy_float_put(p, real, size / 2, false, false);
	numpy_float_put(p, imaginary, size / 2, false, is_whole);
	repr_put(p, "j");
	repr_put(p, is_whole ? close : "");
}

void numpy_integer_put(struct repr *p, const unsigned char *raw, uint64_t size, bool is_signed)
{
	uint64_t u = 0;
	memcpy(&u, raw, size < 8 ? size : 8);
	if (is_signed)
		repr_format(p, "%lld", (long long)((int64_t)(u << (64 - 8 * size)) >> (64 - 8 * size)));
	else
		repr_format(p, "%llu", (unsigned long long)u);
}

/* --- floats of an array */

/* At most 8 digits behind the point, "1." and not "1" */
static void positional(long double v, uint64_t size, char *text)
{
	char digits[NUMPY_NUMBER];
	if (put_unusual(v, text))
		return;
	shortest(v, size, digits);
	char *e = strchr(digits, 'e');
	int significant = (int)(e - digits) - (digits[0] == '-') - (strchr(digits, '.') != NULL);
	int behind = significant - 1 - atoi(e + 1);
	behind = behind < 0 ? 0 : behind > PRECISION ? PRECISION : behind;
	snprintf(text, NUMPY_NUMBER - 2, "%.*Lf", behind, behind == PRECISION ? v : strtold(digits, NULL));
	if (!behind)
		strcat(text, ".");
	for (size_t n = strlen(text); behind && text[n - 1] == '0'; n--)
		text[n - 1] = 0;
}

/* "d.ddde±xx" with at most 8 digits behind the point, none of them 0 at the end */
static void scientific(long double v, uint64_t size, char *text)
{
	char digits[NUMPY_NUMBER];
	if (put_unusual(v, text))
		return;
	shortest(v, size, digits);
	if (strchr(digits, 'e') - digits > PRECISION + 2 + (digits[0] == '-'))
		snprintf(digits, NUMPY_NUMBER, "%.*Le", PRECISION, v);
	char *e = strchr(digits, 'e'), *end = e;
	while (strchr(digits, '.') && end[-1] == '0')
		end--;
	snprintf(text, NUMPY_NUMBER, "%.*s%s%s", (int)(end - digits), digits, strchr(digits, '.') ? "" : ".", e);
}

/* So that the points lie below each other. */
static bool align(const long double *v, char (*texts)[NUMPY_NUMBER], size_t n, bool is_scientific, bool sign,
                  struct numpy_texts *out)
{
	size_t left = 0, right = 0, unusual = 0;
	for (size_t i = 0; i < n; i++) {
		char *dot = strchr(texts[i], '.'), *e = is_scientific && dot ? strchr(texts[i], 'e') : NULL;
		size_t l = dot ? (size_t)(dot - texts[i]) : 0, r = !dot ? 0 : e ? (size_t)(e - dot) : strlen(dot);
		left = l > left ? l : left;
		right = r > right ? r : right;
		size_t u = dot ? 0 : strlen(texts[i]);
		unusual = u > unusual ? u : unusual;
	}
	size_t tail = 0; /* e+00 counts where numbers stand beside inf and nan */
	for (size_t i = 0; i < n && is_scientific; i++) {
		char *e = strchr(texts[i], '.') ? strchr(texts[i], 'e') : NULL;
		tail = e && strlen(e) > tail ? strlen(e) : tail;
	}
	if (unusual > left + right + tail)
		left = unusual - right - tail;
	for (size_t i = 0; i < n; i++) {
		char text[4 * NUMPY_NUMBER], *dot = strchr(texts[i], '.');
		char *e = is_scientific && dot ? strchr(texts[i], 'e') : NULL;
		if (e && (size_t)(e - dot) < right) { /* as many digits as the longest has, and right ones */
			bool wants_plus = sign && !signbit(v[i]);
			snprintf(texts[i] + wants_plus, NUMPY_NUMBER - 1, "%.*Le", (int)right - 1, v[i]);
			dot = strchr(texts[i], '.');
			e = strchr(texts[i], 'e');
		}
		if (!dot)
			snprintf(text, sizeof text, "%*s", (int)(left + right + tail), texts[i]);
		else if (e)
			snprintf(text, sizeof text, "%*.*s%s", (int)left, (int)(dot - texts[i]), texts[i], dot);
		else
			snprintf(text, sizeof text, "%*.*s%-*s", (int)left, (int)(dot - texts[i]), texts[i], (int)right,
			         dot);
		if (!numpy_texts_add(out, text, strlen(text)))
			return false;
	}
	return true;
}

/* To a float of so many bytes. */
static long double rounded(long double v, uint64_t size)
{
	if (size == 2 && v < 65504)
		return rintl(v / ldexpl(1, ilogbl(v) - 10)) * ldexpl(1, ilogbl(v) - 10);
	return size == 2 ? INFINITY : size == 4 ? (float)v : size == 8 ? (double)v : v;
}

int numpy_floats_put(const long double *v, size_t n, uint64_t size, bool sign, struct numpy_texts *out)
{
	char(*texts)[NUMPY_NUMBER] = malloc((n + 1) * sizeof *texts);
	long double least = INFINITY, most = 0;
	if (!texts)
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < n; i++)
		if (isfinite(v[i]) && v[i] != 0) {
			least = fminl(least, fabsl(v[i]));
			most = fmaxl(most, fabsl(v[i]));
		}
	bool is_scientific = most > 0 && (most >= 1e8L || least < 1e-4L || rounded(most / least, size) > 1000);
	for (size_t i = 0; i < n; i++) {
		bool wants_plus = sign && !signbit(v[i]);
		texts[i][0] = '+';
		(is_scientific ? scientific : positional)(v[i], size, texts[i] + wants_plus);
	}
	bool fits = align(v, texts, n, is_scientific, sign, out);
	free(texts);
	return fits ? 0 : ERR_NO_MEMORY;
}

/* --- times */

static const struct {
	const char *name;
	int64_t per_second; /* 0: longer than a second */
	int64_t seconds;
} units[] = {{"Y", 0, 0},
             {"M", 0, 0},
             {"W", 0, 604800},
             {"", 0, 0},
             {"D", 0, 86400},
             {"h", 0, 3600},
             {"m", 0, 60},
             {"s", 1, 1},
             {"ms", 1000, 0},
             {"us", 1000000, 0},
             {"ns", 1000000000, 0},
             {"ps", 1000000000000, 0},
             {"fs", 1000000000000000, 0},
             {"as", 1000000000000000000, 0},
             {"", 0, 0}};
enum { UNIT_Y, UNIT_M, UNIT_W, UNIT_D = 4, UNIT_HOUR, UNIT_MINUTE, UNIT_S, UNIT_GENERIC = 14, UNITS };

void numpy_unit_text(int unit, int multiple, char *text, size_t n)
{
	*text = 0;
	if (unit < 0 || unit >= UNIT_GENERIC)
		return;
	if (multiple == 1)
		snprintf(text, n, "%s", units[unit].name);
	else
		snprintf(text, n, "%d%s", multiple, units[unit].name);
}

/* Days since 1970 to a date of the Gregorian calendar, which is taken to hold for all times. */
static void civil(__int128 days, int64_t *year, int *month, int *day)
{
	days += 719468;
	__int128 era = (days >= 0 ? days : days - 146096) / 146097;
	int64_t doe = (int64_t)(days - era * 146097), yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
	int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
	*day = (int)(doy - (153 * mp + 2) / 5 + 1);
	*month = (int)(mp < 10 ? mp + 3 : mp - 9);
	*year = (int64_t)(era * 400) + yoe + (*month <= 2);
}

static __int128 floor_div(__int128 a, __int128 b)
{
	return a / b - (a % b < 0);
}

void numpy_datetime_text(int64_t v, int unit, int multiple, char *text)
{
	int month = 1, day = 1, digits = 0;
	int64_t year;
	__int128 n = (__int128)v * (multiple < 1 ? 1 : multiple);
	if (v == NUMPY_NAT || unit < 0 || unit >= UNIT_GENERIC) {
		strcpy(text, "NaT");
		return;
	}
	if (unit == UNIT_Y || unit == UNIT_M) {
		__int128 y = unit == UNIT_Y ? n : floor_div(n, 12);
		year = (int64_t)y + 1970;
		if (unit == UNIT_M)
			month = (int)(n - y * 12) + 1;
		snprintf(text, NUMPY_NUMBER, unit == UNIT_Y ? "%s%04lld" : "%s%04lld-%02d", year < 0 ? "-" : "",
		         (long long)(year < 0 ? -year : year), month);
		return;
	}
	int64_t per_second = units[unit].per_second ? units[unit].per_second : 1, fraction;
	__int128 seconds = units[unit].per_second ? floor_div(n, per_second) : n * units[unit].seconds;
	fraction = units[unit].per_second ? (int64_t)(n - seconds * per_second) : 0;
	__int128 days = floor_div(seconds, 86400);
	int in_day = (int)(seconds - days * 86400);
	civil(days, &year, &month, &day);
	int k = snprintf(text, NUMPY_NUMBER, "%s%04lld-%02d-%02d", year < 0 ? "-" : "",
	                 (long long)(year < 0 ? -year : year), month, day);
	if (unit >= UNIT_HOUR)
		k += snprintf(text + k, NUMPY_NUMBER - (size_t)k, "T%02d", in_day / 3600);
	if (unit >= UNIT_MINUTE)
		k += snprintf(text + k, NUMPY_NUMBER - (size_t)k, ":%02d", in_day / 60 % 60);
	if (unit >= UNIT_S)
		k += snprintf(text + k, NUMPY_NUMBER - (size_t)k, ":%02d", in_day % 60);
	for (int64_t x = per_second; x > 1; x /= 10)
		digits++;
	if (digits)
		snprintf(text + k, NUMPY_NUMBER - (size_t)k, ".%0*lld", digits, (long long)fraction);
}
