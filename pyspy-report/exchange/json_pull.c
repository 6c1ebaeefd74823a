#include "pyspy-report/exchange/json_pull.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/utf8.h"

enum { PULL_NUMBER_MAX = 400 };

void json_pull_init(struct json_pull *j, struct intake *s)
{
	memset(j, 0, sizeof *j);
	j->s = s;
	j->wants_value = true;
	buf_init(&j->text, PULL_TEXT_MAX);
}

void json_pull_done(struct json_pull *j)
{
	vec_free(&j->open);
	buf_done(&j->text);
}

static enum json_token bad(struct json_pull *j, const char *what)
{
	if (!j->wrong)
		j->wrong = what;
	return PULL_BAD;
}

/* The next byte, not taken; -1: it is over. */
static int peek(struct json_pull *j)
{
	struct intake *s = j->s;

	return intake_left(s) || intake_need(s, 1) ? s->bytes[s->at] : -1;
}

static int skip_space(struct json_pull *j)
{
	int c;

	while ((c = peek(j)) == ' ' || c == '\t' || c == '\n' || c == '\r')
		j->s->at++;
	return c;
}

static bool take_hex(struct json_pull *j, uint32_t *value)
{
	*value = 0;
	for (int i = 0; i < 4; i++) {
		int c = peek(j), d = c >= '0' && c <= '9'                 ? c - '0'
		                     : (c | 32) >= 'a' && (c | 32) <= 'f' ? (c | 32) - 'a' + 10
		                                                          : -1;

		if (c < 0 || d < 0)
			return false;
		*value = *value << 4 | (uint32_t)d;
		j->s->at++;
	}
	return true;
}

static bool take_escape(struct json_pull *j)
{
	static const char names[] = "\"\\/bfnrt", meanings[] = "\"\\/\b\f\n\r\t";
	int c = peek(j);
	const char *at = c > 0 ? strchr(names, c) : NULL;
	uint32_t cp, low;
	char bytes[4];

	if (c < 0 || (!at && c != 'u'))
		return false;
	j->s->at++;
	if (at) {
		buf_u8(&j->text, (uint8_t)meanings[at - names]);
		return true;
	}
	if (!take_hex(j, &cp))
		return false;
	while (cp >= 0xD800 && cp < 0xDC00 && intake_need(j->s, 6) && j->s->bytes[j->s->at] == '\\' &&
	       j->s->bytes[j->s->at + 1] == 'u') {
		j->s->at += 2;
		if (!take_hex(j, &low))
			return false;
		if (low >= 0xDC00 && low < 0xE000) {
			cp = 0x10000 + ((cp - 0xD800) << 10) + (low - 0xDC00);
			break;
		}
		buf_put(&j->text, bytes, utf8_put(bytes, cp));
		cp = low;
	}
	buf_put(&j->text, bytes, utf8_put(bytes, cp));
	return true;
}

static bool take_text(struct json_pull *j)
{
	buf_reset(&j->text);
	j->s->at++; /* the quote */
	for (;;) {
		if (!intake_left(j->s) && !intake_need(j->s, 1))
			return bad(j, "the file ends inside a text"), false;
		const uint8_t *p = j->s->bytes + j->s->at;
		size_t n = 0, left = intake_left(j->s);

		while (n < left && p[n] != '"' && p[n] != '\\' && p[n] >= 0x20)
			n++;
		buf_put(&j->text, p, n);
		j->s->at += n;
		if (n == left)
			continue;
		if (j->text.err)
			return bad(j, "a text of more than 16 MB"), false;
		j->s->at++;
		if (p[n] == '"')
			return true;
		if (p[n] != '\\')
			return bad(j, "a control character inside a text"), false;
		if (!take_escape(j))
			return bad(j, "a wrong escape in a text"), false;
	}
}

static const char *skip_digits(const char *p)
{
	while (*p >= '0' && *p <= '9')
		p++;
	return p;
}

/* RFC 8259, 6: strtod takes more than that. */
static bool is_number(const char *p)
{
	const char *at = *p == '-' ? p + 1 : p, *end = skip_digits(at);

	if (end == at || (*at == '0' && end > at + 1))
		return false;
	if (*end == '.') {
		at = end + 1;
		end = skip_digits(at);
		if (end == at)
			return false;
	}
	if (*end == 'e' || *end == 'E') {
		at = end + (end[1] == '+' || end[1] == '-' ? 2 : 1);
		end = skip_digits(at);
		if (end == at)
			return false;
	}
	return !*end;
}

/* The usual number: few digits, and what ends it is in the window. */
static bool take_index(struct json_pull *j)
{
	const uint8_t *p = j->s->bytes + j->s->at;
	size_t left = intake_left(j->s), n = 0;
	uint32_t v = 0;

	while (n < left && n < 9 && p[n] >= '0' && p[n] <= '9')
		v = v * 10 + (p[n++] - '0');
	if (!n || n >= left || (p[n] != ',' && p[n] != ']') || (n > 1 && p[0] == '0'))
		return false;
	j->s->at += n;
	j->number = v;
	return true;
}

static enum json_token take_number(struct json_pull *j)
{
	char digits[PULL_NUMBER_MAX + 1], *end;
	size_t n = 0;
	int c;

	if (take_index(j))
		return PULL_NUMBER;
	while ((c = peek(j)) > 0 && strchr("+-.0123456789eE", c)) {
		if (n >= PULL_NUMBER_MAX)
			return bad(j, "a number of too many digits");
		digits[n++] = (char)c;
		j->s->at++;
	}
	digits[n] = 0;
	j->number = strtod(digits, &end);
	if (!is_number(digits) || end != digits + n)
		return bad(j, "a number that is none");
	return PULL_NUMBER;
}

static enum json_token take_word(struct json_pull *j, const char *word, enum json_token token)
{
	size_t n = strlen(word);

	if (!intake_need(j->s, n) || memcmp(j->s->bytes + j->s->at, word, n) != 0)
		return bad(j, "a word that JSON does not have");
	j->s->at += n;
	return token;
}

static enum json_token open_value(struct json_pull *j, bool is_object)
{
	j->s->at++;
	if (j->open.n >= PULL_DEPTH_MAX)
		return bad(j, "nested deeper than 1,048,576");
	if (!vec_push(&j->open, is_object))
		return bad(j, "out of memory");
	j->wants_value = !is_object;
	j->wants_key = is_object;
	j->may_end = true;
	return is_object ? PULL_OBJECT : PULL_ARRAY;
}

static void value_is_over(struct json_pull *j)
{
	j->wants_value = j->wants_key = j->may_end = false;
	j->after_value = true;
	j->is_done = j->open.n == 0;
}

static enum json_token close_or_bad(struct json_pull *j, int c)
{
	bool is_object = j->open.n && j->open.v[j->open.n - 1];

	if (!j->open.n || c != (is_object ? '}' : ']'))
		return bad(j, "a bracket that closes nothing");
	j->s->at++;
	j->open.n--;
	value_is_over(j);
	return is_object ? PULL_OBJECT_END : PULL_ARRAY_END;
}

static enum json_token take_value(struct json_pull *j, int c)
{
	enum json_token token;

	if (c == '{' || c == '[')
		return open_value(j, c == '{');
	if (c == '"')
		token = take_text(j) ? PULL_STRING : PULL_BAD;
	else if (c == 't')
		token = take_word(j, "true", PULL_TRUE);
	else if (c == 'f')
		token = take_word(j, "false", PULL_FALSE);
	else if (c == 'n')
		token = take_word(j, "null", PULL_NULL);
	else if (c == '-' || (c >= '0' && c <= '9'))
		token = take_number(j);
	else
		return bad(j, c < 0 ? "the file ends early" : "a value that is none");
	if (token != PULL_BAD)
		value_is_over(j);
	return token;
}

enum json_token json_pull_next(struct json_pull *j)
{
	int c = j->wrong ? -1 : skip_space(j);

	if (j->wrong)
		return PULL_BAD;
	if (j->is_done)
		return c < 0 ? PULL_END : bad(j, "something behind the document's end");
	if (c < 0)
		return bad(j, "the file ends early");
	if (j->after_value) {
		if (c == '}' || c == ']')
			return close_or_bad(j, c);
		if (c != ',')
			return bad(j, "no comma between two values");
		j->s->at++;
		j->after_value = false;
		j->wants_key = j->open.v[j->open.n - 1];
		j->wants_value = !j->wants_key;
		c = skip_space(j);
	}
	if (j->may_end && (c == '}' || c == ']'))
		return close_or_bad(j, c);
	j->may_end = false;
	if (!j->wants_key)
		return take_value(j, c);
	if (c != '"' || !take_text(j))
		return bad(j, "a key that is no text");
	if (skip_space(j) != ':')
		return bad(j, "no colon behind a key");
	j->s->at++;
	j->wants_key = false;
	j->wants_value = true;
	return PULL_KEY;
}

/* Only brackets and texts are looked at: who wants to know more does not skip. */
static bool skip_container(struct json_pull *j)
{
	uint64_t depth = 1;
	bool in_text = false, escaped = false;

	while (depth > 0) {
		if (!intake_left(j->s) && !intake_need(j->s, 1))
			return bad(j, "the file ends early"), false;
		const uint8_t *p = j->s->bytes + j->s->at;
		size_t n = 0, left = intake_left(j->s);

		for (; n < left && depth > 0; n++) {
			if (escaped)
				escaped = false;
			else if (in_text && p[n] == '\\')
				escaped = true;
			else if (p[n] == '"')
				in_text = !in_text;
			else if (!in_text && (p[n] == '{' || p[n] == '['))
				depth++;
			else if (!in_text && (p[n] == '}' || p[n] == ']'))
				depth--;
		}
		j->s->at += n;
	}
	j->open.n--;
	value_is_over(j);
	return true;
}

bool json_pull_skip(struct json_pull *j, enum json_token token)
{
	return token == PULL_OBJECT || token == PULL_ARRAY ? skip_container(j) : token != PULL_BAD;
}

bool json_pull_is(const struct json_pull *j, const char *key)
{
	size_t n = strlen(key);

	return j->text.len == n && memcmp(j->text.data ? j->text.data : (const unsigned char *)"", key, n) == 0;
}
