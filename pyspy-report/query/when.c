#include "pyspy-report/query/when.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libcommon/buf.h"
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"

enum { WHEN_MAX = 200, WHEN_SHOWN = 30, WHEN_DIGITS = 9 };
#define WHEN_MAX_NS (INT64_C(100) * 365 * 86400 * (int64_t)CLOCK_NS_PER_S) /* 100 years */

/* Where reading stands. */
struct when_at {
	const char *s, *end; /* the rest of this moment */
	const char *text;    /* all of the option */
	char *message;
	size_t size;
};

static int when_wrong(const struct when_at *w, const char *what)
{
	size_t at = (size_t)(w->s - w->text), left = strnlen(w->s, WHEN_SHOWN);
	struct buf b;

	buf_init(&b, 0);
	escape_text(&b, w->s, left);
	if (left)
		snprintf(w->message, w->size, "%s; at character %zu: '%s'", what, at + 1, buf_cstr(&b));
	else
		snprintf(w->message, w->size, "%s; at the end, behind character %zu", what, at);
	buf_done(&b);
	return ERR_USAGE;
}

static bool when_is_digit(const struct when_at *w)
{
	return w->s < w->end && *w->s >= '0' && *w->s <= '9';
}

static bool when_take(struct when_at *w, const char *word)
{
	size_t n = strlen(word);

	if ((size_t)(w->end - w->s) < n || memcmp(w->s, word, n) != 0)
		return false;
	w->s += n;
	return true;
}

/* Digits and, behind a point, up to nine more: *whole and *part (of 10^9). */
static int when_number(struct when_at *w, int64_t *whole, int64_t *part)
{
	int64_t unit = SPAN_WHOLE;
	bool any = when_is_digit(w);

	*whole = *part = 0;
	for (; when_is_digit(w); w->s++) {
		if (*whole > WHEN_MAX_NS / 10)
			return when_wrong(w, "a number that is too large");
		*whole = *whole * 10 + (*w->s - '0');
	}
	if (w->s < w->end && *w->s == '.' && w->s + 1 < w->end && w->s[1] >= '0' && w->s[1] <= '9') {
		any = true;
		for (w->s++; when_is_digit(w); w->s++) {
			unit /= 10; /* digits beyond the ninth say nothing */
			*part += (*w->s - '0') * unit;
		}
	}
	return any ? 0 : when_wrong(w, "not a time");
}

/* "1m30.5s", "90", "10s" */
static int when_duration(struct when_at *w, int64_t *ns)
{
	static const struct {
		const char *word;
		int64_t ns;
	} units[] = {{"ms", 1000000},
	             {"us", 1000},
	             {"ns", 1},
	             {"s", SPAN_WHOLE},
	             {"min", 60 * SPAN_WHOLE},
	             {"m", 60 * SPAN_WHOLE},
	             {"h", 3600 * SPAN_WHOLE},
	             {"d", 86400 * SPAN_WHOLE}};
	__int128 sum = 0;

	do {
		int64_t whole, part;
		size_t u = 0;

		TRY(when_number(w, &whole, &part));
		while (u < sizeof units / sizeof *units && !when_take(w, units[u].word))
			u++;
		if (u == sizeof units / sizeof *units && (w->s < w->end || sum))
			return when_wrong(w, "no unit of time (ms, s, m, h)");
		int64_t unit = u < sizeof units / sizeof *units ? units[u].ns : SPAN_WHOLE;
		sum += (__int128)whole * unit + (__int128)part * unit / SPAN_WHOLE;
		if (sum > WHEN_MAX_NS)
			return when_wrong(w, "longer than 100 years");
	} while (w->s < w->end);
	*ns = (int64_t)sum;
	return 0;
}

static int when_field(struct when_at *w, int digits, int least, int most, const char *what, int *out)
{
	const char *first = w->s;
	int n = 0, value = 0;

	for (; n < digits && when_is_digit(w); n++)
		value = value * 10 + (*w->s++ - '0');
	if (n == digits && value >= least && value <= most) {
		*out = value;
		return 0;
	}
	w->s = first;
	return when_wrong(w, what);
}

static int when_zone(struct when_at *w, bool *has_zone, int *offset_s)
{
	int sign, hours = 0, minutes = 0;

	*offset_s = 0;
	*has_zone = true;
	if (when_take(w, "Z") || when_take(w, "z"))
		return 0;
	sign = when_take(w, "+") ? 1 : when_take(w, "-") ? -1 : 0;
	if (!sign) {
		*has_zone = false;
		return 0;
	}
	TRY(when_field(w, 2, 0, 23, "no time zone (Z, +01:00)", &hours));
	when_take(w, ":");
	if (w->s < w->end)
		TRY(when_field(w, 2, 0, 59, "no time zone (Z, +01:00)", &minutes));
	*offset_s = sign * (hours * 3600 + minutes * 60);
	return 0;
}

/* "2026-11-28", "2026-11-28T07:13", "2026-11-28 07:13:44.123Z" */
static int when_clock(struct when_at *w, int64_t *ns)
{
	struct tm t = {.tm_isdst = -1};
	int64_t whole = 0, part = 0;
	const char *begin = w->s;
	bool has_zone;
	int offset_s;
	time_t s;

	TRY(when_field(w, 4, 1970, 2200, "no year from 1970 to 2200", &t.tm_year));
	if (!when_take(w, "-"))
		return when_wrong(w, "'-' and a month expected");
	TRY(when_field(w, 2, 1, 12, "no month", &t.tm_mon));
	if (!when_take(w, "-"))
		return when_wrong(w, "'-' and a day expected");
	TRY(when_field(w, 2, 1, 31, "no day", &t.tm_mday));
	if (when_take(w, "T") || when_take(w, "t") || when_take(w, " ")) {
		TRY(when_field(w, 2, 0, 23, "no hour", &t.tm_hour));
		if (!when_take(w, ":"))
			return when_wrong(w, "':' and minutes expected");
		TRY(when_field(w, 2, 0, 59, "no minute", &t.tm_min));
		if (when_take(w, ":")) {
			TRY(when_number(w, &whole, &part));
			if (whole > 60)
				return when_wrong(w, "more than 60 seconds before here");
			t.tm_sec = (int)whole;
		}
	}
	TRY(when_zone(w, &has_zone, &offset_s));
	if (w->s < w->end)
		return when_wrong(w, "not part of a time");
	t.tm_year -= 1900;
	t.tm_mon -= 1;
	struct tm given = t;
	s = has_zone ? timegm(&t) : mktime(&t);
	if (t.tm_mday != given.tm_mday && t.tm_hour == given.tm_hour) {
		w->s = begin;
		return when_wrong(w, "no such day");
	}
	*ns = ((int64_t)s - offset_s) * SPAN_WHOLE + part;
	return 0;
}

static int when_share(struct when_at *w, int64_t *share)
{
	int64_t whole, part;
	const char *begin = w->s;

	TRY(when_number(w, &whole, &part));
	if (!when_take(w, "%") || w->s < w->end)
		return when_wrong(w, "not part of a percentage");
	if (whole > 100 || (whole == 100 && part)) {
		w->s = begin;
		return when_wrong(w, "more than 100 %");
	}
	*share = whole * (SPAN_WHOLE / 100) + part / 100;
	return 0;
}

static int when_point(struct when_at *w, struct span_point *p)
{
	const char *s = w->s;
	size_t n = (size_t)(w->end - s);

	if (memchr(s, '%', n)) {
		p->kind = SPAN_SHARE;
		return when_share(w, &p->ns);
	}
	if (n >= 5 && s[4] == '-' && when_is_digit(w)) {
		p->kind = SPAN_CLOCK;
		return when_clock(w, &p->ns);
	}
	p->kind = when_take(w, "-") ? SPAN_FROM_END : SPAN_OFFSET;
	return when_duration(w, &p->ns);
}

int when_parse(const char *text, struct span_point *p, char *message, size_t size)
{
	struct when_at w = {text, text + strlen(text), text, message, size};

	return when_point(&w, p);
}

int when_parse_span(const char *text, struct span *s, char *message, size_t size)
{
	const char *dots = strstr(text, "..");
	struct when_at w = {text, dots, text, message, size};

	*s = (struct span){0};
	if (!dots) {
		w.s += strlen(text);
		return when_wrong(&w, "no '..': a range is A..B, A.. or ..B");
	}
	if (dots > text)
		TRY(when_point(&w, &s->from));
	w.s = dots + 2;
	w.end = text + strlen(text);
	if (w.s < w.end)
		TRY(when_point(&w, &s->to));
	if (s->from.kind == s->to.kind && s->from.kind != SPAN_OPEN) {
		bool is_back = s->from.kind == SPAN_FROM_END ? s->from.ns <= s->to.ns : s->from.ns >= s->to.ns;

		w.s = dots + 2;
		if (is_back)
			return when_wrong(&w, "ends before it begins");
	}
	return 0;
}
