#include "libcommon/human.h"

#include <inttypes.h>
#include <math.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "libcommon/err.h"

#define NS_PER_S  UINT64_C(1000000000)
#define YEARS_100 (UINT64_C(100) * 36525 / 100 * 86400 * NS_PER_S)

const char *human_count(char *out, uint64_t n)
{
	char digits[24];
	int len = snprintf(digits, sizeof digits, "%" PRIu64, n);
	char *to = out;

	for (int i = 0; i < len; i++) {
		if (i > 0 && (len - i) % 3 == 0)
			*to++ = ',';
		*to++ = digits[i];
	}
	*to = 0;
	return out;
}

static uint64_t rounded(uint64_t v, uint64_t unit)
{
	return v / unit + (v % unit >= unit - unit / 2);
}

/* v / unit with two digits or more: one decimal below ten. */
static void put_scaled(char *out, uint64_t v, uint64_t unit, const char *name)
{
	uint64_t tenths = v / unit * 10 + (v % unit * 10 + unit / 2) / unit;

	if (unit > 1 && tenths < 100)
		snprintf(out, HUMAN_SIZE, "%" PRIu64 ".%" PRIu64 " %s", tenths / 10, tenths % 10, name);
	else
		snprintf(out, HUMAN_SIZE, "%" PRIu64 " %s", rounded(v, unit), name);
}

const char *human_bytes(char *out, uint64_t bytes)
{
	static const char *const NAMES[] = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
	uint64_t unit = 1;
	unsigned i = 0;

	/* rounded: 999,500 must not become "1000 kB" */
	while (i < 6 && rounded(bytes, unit) >= 1000) {
		unit *= 1000;
		i++;
	}
	put_scaled(out, bytes, unit, NAMES[i]);
	return out;
}

static const char *minutes_and_hours(char *out, uint64_t ns)
{
	uint64_t s = rounded(ns, NS_PER_S);

	if (s < 3600) {
		snprintf(out, HUMAN_SIZE, "%" PRIu64 " m %02" PRIu64 " s", s / 60, s % 60);
	} else {
		uint64_t m = rounded(s, 60);

		snprintf(out, HUMAN_SIZE, "%" PRIu64 " h %02" PRIu64 " m", m / 60, m % 60);
	}
	return out;
}

const char *human_duration(char *out, uint64_t ns)
{
	if (ns == 0)
		snprintf(out, HUMAN_SIZE, "0 s");
	else if (ns < 1000)
		put_scaled(out, ns, 1, "ns");
	else if (ns < 999500)
		put_scaled(out, ns, 1000, "us");
	else if (ns < 999500000)
		put_scaled(out, ns, 1000000, "ms");
	else if (ns < 59 * NS_PER_S + NS_PER_S / 2)
		put_scaled(out, ns, NS_PER_S, "s");
	else
		minutes_and_hours(out, ns);
	return out;
}

const char *human_percent(char *out, double part, double whole)
{
	double p = part / whole * 100;

	if (whole == 0 || !isfinite(p))
		snprintf(out, HUMAN_SIZE, "-");
	else if (p == 0)
		snprintf(out, HUMAN_SIZE, "0 %%");
	else if (p > 0 && p < 0.1)
		snprintf(out, HUMAN_SIZE, "<0.1 %%");
	else if (p < 0 && p > -0.1)
		snprintf(out, HUMAN_SIZE, ">-0.1 %%");
	else
		snprintf(out, HUMAN_SIZE, "%.1f %%", p);
	return out;
}

/* A decimal number without sign and exponent, not depending on the locale. */
struct decimal {
	uint64_t whole, part, scale; /* whole + part / scale */
};

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

/* Returns what follows the number, NULL when there is none or it has more than 18 digits. */
static const char *read_decimal(const char *s, struct decimal *d)
{
	const char *begin = s;

	*d = (struct decimal){.scale = 1};
	while (*s == '0')
		s++;
	for (int n = 0; is_digit(*s); s++, n++) {
		if (n == 18)
			return NULL;
		d->whole = d->whole * 10 + (uint64_t)(*s - '0');
	}
	if (*s == '.' && (is_digit(s[1]) || s > begin)) {
		for (s++; is_digit(*s); s++) {
			if (d->scale < UINT64_C(1000000000000)) {
				d->part = d->part * 10 + (uint64_t)(*s - '0');
				d->scale *= 10;
			}
		}
	}
	return s == begin ? NULL : s;
}

struct unit {
	const char *name;
	uint64_t factor;
};

static bool find_unit(const struct unit *u, const char *name, bool ignore_case, uint64_t *factor)
{
	for (; u->name; u++) {
		if ((ignore_case ? strcasecmp : strcmp)(u->name, name) == 0) {
			*factor = u->factor;
			return true;
		}
	}
	return false;
}

/* number x unit, rounded down; false above `max` */
static bool scale(const struct decimal *d, uint64_t factor, uint64_t max, uint64_t *out)
{
	unsigned __int128 v = (unsigned __int128)d->whole * factor + (unsigned __int128)d->part * factor / d->scale;

	if (v > max)
		return false;
	*out = (uint64_t)v;
	return true;
}

int human_parse_duration(const char *s, uint64_t *ns)
{
	static const struct unit UNITS[] = {
	    {"", NS_PER_S},       {"s", NS_PER_S},        {"ms", 1000000},         {"us", 1000}, {"ns", 1},
	    {"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S}, {"d", 86400 * NS_PER_S}, {0}};
	struct decimal d;
	uint64_t factor;
	const char *rest = read_decimal(s, &d);

	if (!rest || !find_unit(UNITS, rest, false, &factor) || !scale(&d, factor, YEARS_100, ns))
		return ERR_USAGE;
	return 0;
}

int human_parse_rate(const char *s, double *hz)
{
	static const struct unit UNITS[] = {{"", 1}, {"hz", 1}, {"k", 1000}, {"khz", 1000}, {0}};
	struct decimal d;
	uint64_t factor;
	const char *rest = read_decimal(s, &d);
	double v;

	if (!rest || !find_unit(UNITS, rest, true, &factor))
		return ERR_USAGE;
	v = ((double)d.whole + (double)d.part / (double)d.scale) * (double)factor;
	if (!(v > 0))
		return ERR_USAGE;
	*hz = v;
	return 0;
}

int human_parse_bytes(const char *s, uint64_t *bytes)
{
	static const struct unit UNITS[] = {{"", 1},
	                                    {"k", UINT64_C(1) << 10},
	                                    {"M", UINT64_C(1) << 20},
	                                    {"G", UINT64_C(1) << 30},
	                                    {"T", UINT64_C(1) << 40},
	                                    {0}};
	struct decimal d;
	uint64_t factor;
	const char *rest = read_decimal(s, &d);

	if (!rest || !find_unit(UNITS, rest, true, &factor) || !scale(&d, factor, UINT64_MAX, bytes))
		return ERR_USAGE;
	return 0;
}

int human_parse_pid(const char *s, int *pid)
{
	bool is_hex = s[0] == '0' && (s[1] == 'x' || s[1] == 'X');
	const char *digits = is_hex ? s + 2 : s;
	char *end;
	unsigned long v;

	/* strtoul would take a sign, spaces and a second "0x" */
	if (!*digits || strspn(digits, is_hex ? "0123456789abcdefABCDEF" : "0123456789") != strlen(digits))
		return ERR_USAGE;
	v = strtoul(digits, &end, is_hex ? 16 : 10);
	if (v < 1 || v > 4194304)
		return ERR_USAGE;
	*pid = (int)v;
	return 0;
}
