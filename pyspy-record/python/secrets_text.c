#include "pyspy-record/python/secrets_text.h"

#include <string.h>

enum { NAME_MAX_CHARS = 64, URL_MAX = 2048, JWT_PART = 10, BEARER_LEAST = 8 };

struct scan {
	const struct secrets *secrets;
	const uint32_t *text;
	size_t n;
	bool is_cut;
};

/* --- characters */

static bool is_letter(uint32_t c)
{
	return (c | 32) >= 'a' && (c | 32) <= 'z';
}

static bool is_digit(uint32_t c)
{
	return c >= '0' && c <= '9';
}

static bool is_word(uint32_t c)
{
	return is_letter(c) || is_digit(c) || c == '_' || c == '-';
}

static bool is_space(uint32_t c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == 0;
}

static bool is_quote(uint32_t c)
{
	return c == '"' || c == '\'' || c == '`';
}

/* ASCII, without regard to case */
static bool is_at(const struct scan *k, size_t i, const char *word)
{
	for (; *word; word++, i++)
		if (i >= k->n || (is_letter((uint32_t)*word) ? k->text[i] | 32 : k->text[i]) != (uint32_t)*word)
			return false;
	return true;
}

static bool begins_word(const struct scan *k, size_t i)
{
	return i == 0 || !is_word(k->text[i - 1]);
}

static size_t skip_words(const struct scan *k, size_t i)
{
	while (i < k->n && is_word(k->text[i]))
		i++;
	return i;
}

static size_t skip_blanks(const struct scan *k, size_t i)
{
	while (i < k->n && (k->text[i] == ' ' || k->text[i] == '\t'))
		i++;
	return i;
}

static size_t end_of_line(const struct scan *k, size_t i, uint32_t quote)
{
	while (i < k->n && k->text[i] != '\n' && k->text[i] != '\r' && k->text[i] != quote)
		i++;
	return i;
}

/* --- what a value looks like */

/* Of digits, or of both cases, as no written word is. */
static bool looks_made(const struct scan *k, size_t from, size_t to, size_t least)
{
	bool small = false, large_within = false, other = false;
	for (size_t i = from; i < to; i++) {
		uint32_t c = k->text[i];
		small |= c >= 'a' && c <= 'z';
		large_within |= i > from && c >= 'A' && c <= 'Z';
		other |=
		    is_digit(c) || c == '=' || c == '+' || c == '/' || c == '_' || c == '$' || c == '!' || c == '#';
	}
	return to - from >= least && (other || (small && large_within));
}

/* It stands for a value: %s, {name}, ${NAME}, <hidden>, ***; or is none. */
static bool is_placeholder(const struct scan *k, size_t from, size_t to)
{
	static const char *const none[] = {"none", "null", "true", "false", "undefined"};
	uint32_t first = k->text[from], last = k->text[to - 1];
	bool only_stars = true;
	for (size_t i = from; i < to; i++)
		only_stars &= k->text[i] == '*';
	for (size_t i = 0; i < sizeof none / sizeof *none; i++)
		if (to - from == strlen(none[i]) && is_at(k, from, none[i]))
			return true;
	return only_stars || (first == '%' && (to - from == 2 || k->text[from + 1] == '(')) ||
	       (first == '{' && last == '}') || (first == '<' && last == '>') ||
	       (first == '$' && to - from > 1 && k->text[from + 1] == '{');
}

/* --- names */

static bool ends_with(const char *name, size_t n, const char *end)
{
	size_t k = strlen(end);
	return n >= k && memcmp(name + n - k, end, k) == 0;
}

/* In lower case, _ and - left out. */
static size_t plain_name(const char *name, size_t n, char *plain)
{
	size_t k = 0;
	for (size_t i = 0; i < n && k < NAME_MAX_CHARS; i++)
		if (name[i] != '_' && name[i] != '-')
			plain[k++] = (char)(is_letter((unsigned char)name[i]) ? name[i] | 32 : name[i]);
	return k;
}

static bool is_password(const char *plain, size_t n)
{
	return ends_with(plain, n, "password") || ends_with(plain, n, "passwd") || ends_with(plain, n, "passphrase");
}

bool secrets_is_name(const struct secrets *s, const char *name, size_t n)
{
	static const char *const ends[] = {"secret",    "token",      "apikey",      "accesskey",     "privatekey",
	                                   "secretkey", "credential", "credentials", "authorization", "accountkey"};
	char plain[NAME_MAX_CHARS];
	size_t k = plain_name(name, n, plain);
	bool yes = is_password(plain, k);
	for (size_t i = 0; i < sizeof ends / sizeof *ends && !yes; i++)
		yes = ends_with(plain, k, ends[i]);
	return yes || (s && s->is_own && secrets_hides(s, name, n));
}

/* The name that ends in front of character `end` (a quote and blanks may be between): its length, its text. */
static size_t name_before(const struct scan *k, size_t end, char *name, bool *is_quoted, size_t *from)
{
	size_t i = end, n = 0;
	while (i > 0 && (k->text[i - 1] == ' ' || k->text[i - 1] == '\t'))
		i--;
	*is_quoted = i > 0 && is_quote(k->text[i - 1]);
	i -= *is_quoted;
	i -= *is_quoted && i > 0 && k->text[i - 1] == '\\'; /* JSON in a text of JSON */
	size_t last = i;
	while (i > 0 && is_word(k->text[i - 1]) && last - i < NAME_MAX_CHARS)
		i--;
	for (*from = i; i < last; i++)
		name[n++] = (char)k->text[i];
	return n;
}

/* --- what is looked for, each from the character at which it is noticed */

/* scheme://user:PASSWORD@host, at the `://` */
static bool find_url(const struct scan *k, size_t i, struct secrets_span *span)
{
	size_t colon = 0, at = 0, slash = 0, j = i + 3;
	if (i == 0 || !is_word(k->text[i - 1]))
		return false;
	for (; j < k->n && j < i + URL_MAX && !is_space(k->text[j]) && !is_quote(k->text[j]) && k->text[j] != '<' &&
	       k->text[j] != '>';
	     j++) {
		uint32_t c = k->text[j];
		if (c == ':' && !colon && !slash)
			colon = j;
		else if (c == '@' && colon && !slash)
			at = j;
		else if ((c == '/' || c == '?' || c == '#') && !slash)
			slash = j;
		else if (c == '@' && colon && !at)
			at = j; /* behind a slash: one that should have been escaped, if no port is in front of it */
	}
	if (!colon || colon + 1 >= k->n)
		return false;
	if (!at && k->is_cut && j == k->n && !slash)
		at = j;
	if (slash && at > slash) {
		bool is_port = true;
		for (size_t x = colon + 1; x < slash; x++)
			is_port &= is_digit(k->text[x]);
		at = is_port ? 0 : at;
	}
	if (!at || at == colon + 1 || is_placeholder(k, colon + 1, at))
		return false;
	*span = (struct secrets_span){colon + 1, at};
	return true;
}

/* Header: everything to the end of the line, but for the scheme */
static bool find_header(const struct scan *k, size_t value, uint32_t quote, struct secrets_span *span)
{
	size_t end = end_of_line(k, value, quote), word = skip_words(k, value);
	if (word < end && k->text[word] == ' ' && word - value <= 16)
		value = skip_blanks(k, word);
	if (value >= end || is_placeholder(k, value, end))
		return false;
	*span = (struct secrets_span){value, end};
	return true;
}

static bool is_header(const char *plain, size_t n)
{
	return (n == 13 && !memcmp(plain, "authorization", 13)) ||
	       (n == 18 && !memcmp(plain, "proxyauthorization", 18)) || (n == 6 && !memcmp(plain, "cookie", 6)) ||
	       (n == 9 && !memcmp(plain, "setcookie", 9));
}

static bool ends_value(uint32_t c)
{
	return is_space(c) || is_quote(c) || c == ',' || c == ';' || c == '&' || c == ')' || c == ']' || c == '<' ||
	       c == '>' || c == '\\';
}

/* NAME=VALUE and so on, at the `=` or `:` */
static bool find_value(const struct scan *k, size_t i, struct secrets_span *span)
{
	char name[NAME_MAX_CHARS], plain[NAME_MAX_CHARS];
	bool is_quoted, is_colon = k->text[i] == ':';
	size_t from, n = name_before(k, i, name, &is_quoted, &from), value = i + 1, end;
	if (n < 3)
		return false;
	size_t length = plain_name(name, n, plain);
	bool is_pwd = !is_colon && ends_with(plain, length, "pwd");
	if (!is_pwd && !is_header(plain, length) && !secrets_is_name(k->secrets, name, n))
		return false;
	while (value < k->n && (k->text[value] == '=' || k->text[value] == '>')) /* == is no assignment; => is one */
		value++;
	if (value == i + 2 && k->text[i + 1] == '=')
		return false;
	value = skip_blanks(k, value);
	if (value < k->n && (k->text[value] | 32) == 'b' && value + 1 < k->n && is_quote(k->text[value + 1]))
		value++;
	bool is_escaped = value + 1 < k->n && k->text[value] == '\\' && is_quote(k->text[value + 1]);
	value += is_escaped;
	uint32_t quote = value < k->n && is_quote(k->text[value]) ? k->text[value] : 0;
	value += quote != 0;
	if (value >= k->n)
		return false;
	if (is_header(plain, length))
		return (is_colon || quote || plain[0] != 'c') && find_header(k, value, quote, span);
	for (end = value; end < k->n && k->text[end] != '\n'; end++)
		if (quote ? k->text[end] == quote : ends_value(k->text[end]))
			break;
	if (is_escaped && end > value && k->text[end - 1] == '\\')
		end--;
	if (!quote && end > value && k->text[end - 1] == '}' && k->text[value] != '{')
		end--;
	if (end <= value || is_placeholder(k, value, end) ||
	    (is_pwd && (k->text[value] == '/' || k->text[value] == '~')))
		return false;
	if (is_colon && !quote && !is_quoted) { /* prose? */
		size_t behind = skip_blanks(k, end);
		bool is_alone = behind >= k->n || k->text[behind] == '\n' || k->text[behind] == '\r';
		if (!looks_made(k, value, end, 4) && !(is_alone && is_password(plain, length)))
			return false;
	}
	*span = (struct secrets_span){value, end};
	return true;
}

/* Bearer VALUE, Basic VALUE */
static bool find_bearer(const struct scan *k, size_t i, struct secrets_span *span)
{
	size_t value = i + (is_at(k, i, "bearer ") ? 7 : is_at(k, i, "basic ") ? 6 : 0), end;
	if (value == i || !begins_word(k, i))
		return false;
	for (end = value = skip_blanks(k, value);
	     end < k->n && (is_word(k->text[end]) || strchr(".~+/=", (int)(k->text[end] < 128 ? k->text[end] : 'x')));
	     end++)
		if (k->text[end] == 0)
			break;
	bool may_go_on = k->is_cut && end == k->n;
	if (end <= value || !(looks_made(k, value, end, BEARER_LEAST) || may_go_on))
		return false;
	*span = (struct secrets_span){value, end};
	return true;
}

/* header.payload.signature, each in base64; the first two begin with a brace */
static bool find_jwt(const struct scan *k, size_t i, struct secrets_span *span)
{
	if (!begins_word(k, i) || k->text[i] != 'e' || i + 2 >= k->n || k->text[i + 1] != 'y' || k->text[i + 2] != 'J')
		return false;
	size_t one = skip_words(k, i), two = one;
	if (one < k->n && k->text[one] == '.')
		two = skip_words(k, one + 1);
	bool may_go_on = k->is_cut && (one == k->n || two == k->n) && one - i >= JWT_PART;
	if (!may_go_on && (one - i < JWT_PART || two < one + 1 + JWT_PART || two >= k->n || k->text[two] != '.'))
		return false;
	*span = (struct secrets_span){i, two < k->n && k->text[two] == '.' ? skip_words(k, two + 1)
	                                 : two > one                       ? two
	                                                                   : one};
	return true;
}

/* -----BEGIN ... PRIVATE KEY-----, and all to its end */
static bool find_pem(const struct scan *k, size_t i, struct secrets_span *span)
{
	size_t j = i + 11;
	if (!is_at(k, i, "-----begin "))
		return false;
	for (; j < k->n && j < i + 64 && k->text[j] != '-' && k->text[j] != '\n'; j++)
		if (is_at(k, j, "private key"))
			break;
	if (!is_at(k, j, "private key"))
		return false;
	while (j < k->n && k->text[j] != '-')
		j++;
	while (j < k->n && k->text[j] == '-')
		j++;
	size_t end = j;
	while (end < k->n && !is_at(k, end, "-----end "))
		end++;
	*span = (struct secrets_span){j, end};
	return end > j;
}

/* Keys that say what they are. */
static bool find_prefixed(const struct scan *k, size_t i, struct secrets_span *span)
{
	static const struct {
		const char *prefix;
		unsigned least; /* characters behind it */
		bool is_exact;
	} kinds[] = {{"AKIA", 16, true},        {"ASIA", 16, true},      {"ghp_", 30, false},  {"gho_", 30, false},
	             {"ghu_", 30, false},       {"ghs_", 30, false},     {"ghr_", 30, false},  {"glpat-", 18, false},
	             {"xoxb-", 18, false},      {"xoxp-", 18, false},    {"xoxa-", 18, false}, {"xoxs-", 18, false},
	             {"sk_live_", 16, false},   {"rk_live_", 16, false}, {"sk-", 32, false},   {"AIza", 35, true},
	             {"github_pat_", 30, false}};
	if (!begins_word(k, i))
		return false;
	for (size_t x = 0; x < sizeof kinds / sizeof *kinds; x++) {
		size_t n = strlen(kinds[x].prefix), end;
		for (end = 0; end < n && i + end < k->n && k->text[i + end] == (uint32_t)kinds[x].prefix[end]; end++)
			;
		if (end < n)
			continue;
		end = skip_words(k, i + n);
		size_t behind = end - i - n;
		bool may_go_on = k->is_cut && end == k->n && behind >= 4;
		if (!may_go_on && (kinds[x].is_exact ? behind != kinds[x].least : behind < kinds[x].least))
			return false;
		if (!looks_made(k, i + n, end, 4) && !kinds[x].is_exact)
			return false;
		*span = (struct secrets_span){i, end};
		return true;
	}
	return false;
}

bool secrets_next(const struct secrets *s, const uint32_t *text, size_t n, bool is_cut, size_t from,
                  struct secrets_span *span)
{
	struct scan k = {s, text, n, is_cut};
	if (!s || !s->is_on)
		return false;
	for (size_t i = from; i < n; i++) {
		bool found = false;
		switch (text[i]) {
		case ':':
			found = (i + 3 < n && text[i + 1] == '/' && text[i + 2] == '/') ? find_url(&k, i, span)
			                                                                : find_value(&k, i, span);
			break;
		case '=':
			found = find_value(&k, i, span);
			break;
		case '-':
			found = find_pem(&k, i, span);
			break;
		case 'B':
		case 'b':
			found = find_bearer(&k, i, span);
			break;
		case 'e':
			found = find_jwt(&k, i, span);
			break;
		case 'A':
		case 'g':
		case 'x':
		case 's':
		case 'r':
			found = find_prefixed(&k, i, span);
			break;
		default:
			break;
		}
		if (found && span->to > span->from && span->to > from) {
			span->from = span->from < from ? from : span->from;
			return true;
		}
	}
	return false;
}
