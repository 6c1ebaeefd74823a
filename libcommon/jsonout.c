#include "libcommon/jsonout.h"

#include <string.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"

enum { DIGITS = 20 }; /* of 2^64 */

void jsonout_init(struct jsonout *j, FILE *out)
{
	memset(j, 0, sizeof *j);
	j->out = out;
	buf_init(&j->text, 0);
}

int jsonout_done(struct jsonout *j)
{
	int rc = j->text.err;

	buf_done(&j->text);
	return rc;
}

/* A value or a key begins. */
static void jsonout_next(struct jsonout *j)
{
	if (j->comma)
		putc_unlocked(',', j->out);
	j->comma = true;
}

void jsonout_open(struct jsonout *j, char bracket)
{
	jsonout_next(j);
	putc_unlocked(bracket, j->out);
	j->comma = false;
}

void jsonout_close(struct jsonout *j, char bracket)
{
	putc_unlocked(bracket, j->out);
	j->comma = true;
}

void jsonout_key(struct jsonout *j, const char *name)
{
	jsonout_next(j);
	putc_unlocked('"', j->out);
	fputs_unlocked(name, j->out);
	fputs_unlocked("\":", j->out);
	j->comma = false;
}

void jsonout_string(struct jsonout *j, const char *s, size_t n)
{
	jsonout_next(j);
	if (!j->text.err)
		j->text.len = 0;
	escape_json(&j->text, s, n);
	putc_unlocked('"', j->out);
	if (!j->text.err && j->text.len)
		fwrite_unlocked(j->text.data, 1, j->text.len, j->out);
	putc_unlocked('"', j->out);
}

void jsonout_word(struct jsonout *j, const char *s)
{
	jsonout_string(j, s, strlen(s));
}

/* The digits of n, at least `least` of them, at the end of `to`; returns where they begin. */
static char *jsonout_digits(char *end, uint64_t n, unsigned least)
{
	char *at = end;

	for (; n || (unsigned)(end - at) < least; n /= 10)
		*--at = (char)('0' + n % 10);
	return at;
}

void jsonout_number(struct jsonout *j, uint64_t n)
{
	char digits[DIGITS], *at = jsonout_digits(digits + DIGITS, n, 1);

	jsonout_bytes(j, at, (size_t)(digits + DIGITS - at));
}

void jsonout_decimal(struct jsonout *j, uint64_t n, unsigned places)
{
	char digits[DIGITS + 1], *end = digits + DIGITS, *at = jsonout_digits(end, n, places + 1),
	                         *point = end - places;

	while (end > point && end[-1] == '0')
		end--;
	jsonout_bytes(j, at, (size_t)(point - at));
	if (end == point)
		return;
	putc_unlocked('.', j->out);
	fwrite_unlocked(point, 1, (size_t)(end - point), j->out);
}

void jsonout_plain(struct jsonout *j, const char *json)
{
	jsonout_bytes(j, json, strlen(json));
}

void jsonout_bytes(struct jsonout *j, const void *json, size_t n)
{
	jsonout_next(j);
	fwrite_unlocked(json, 1, n, j->out);
}

void jsonout_line(struct jsonout *j)
{
	if (j->comma)
		putc_unlocked(',', j->out);
	putc_unlocked('\n', j->out);
	j->comma = false;
}

void jsonout_key_word(struct jsonout *j, const char *name, const char *s)
{
	jsonout_key(j, name);
	jsonout_word(j, s);
}

void jsonout_key_number(struct jsonout *j, const char *name, uint64_t n)
{
	jsonout_key(j, name);
	jsonout_number(j, n);
}
