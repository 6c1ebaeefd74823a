#include "pyspy-report/query/pattern.h"

#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"

/* regcomp copies what is repeated: {255}{255}{255} would fill the memory. */
enum { PATTERN_MAX = 2000, PATTERN_MAX_COPIES = 2000, PATTERN_SHOWN = 30 };

static int pattern_wrong(const char *text, size_t at, const char *what, char *message, size_t size)
{
	struct buf b;

	buf_init(&b, 0);
	escape_text(&b, text + at, strnlen(text + at, PATTERN_SHOWN));
	if (text[at])
		snprintf(message, size, "%s; at character %zu: '%s'", what, at + 1, buf_cstr(&b));
	else
		snprintf(message, size, "%s; at the end, behind character %zu", what, at);
	buf_done(&b);
	return ERR_USAGE;
}

/* What regcomp takes, but we do not. */
static int pattern_check(const char *text, const char *s, char *message, size_t size)
{
	unsigned long copies = 1, open = 0;
	bool in_brackets = false;

	if (strlen(s) > PATTERN_MAX)
		return pattern_wrong(text, 0, "longer than 2000 bytes", message, size);
	for (size_t i = 0; s[i]; i++) {
		size_t at = (size_t)(s + i - text);

		if (in_brackets) {
			in_brackets = s[i] != ']';
		} else if (s[i] == '[') {
			in_brackets = true;
			i += s[i + 1] == '^';
			i += s[i + 1] == ']'; /* stands for itself there */
		} else if (s[i] == '\\' && s[i + 1]) {
			if (s[++i] >= '1' && s[i] <= '9')
				return pattern_wrong(text, at, "back-references are not known here", message, size);
		} else if (s[i] == '(') {
			open++;
		} else if (s[i] == ')' && open-- == 0) {
			return pattern_wrong(text, at, "Unmatched )", message, size);
		} else if (s[i] == '{') {
			unsigned long most = 0;

			for (size_t k = i + 1; s[k] && s[k] != '}'; k++) {
				most = s[k] >= '0' && s[k] <= '9' ? most * 10 + (unsigned long)(s[k] - '0') : 0;
				if (most > PATTERN_MAX_COPIES)
					return pattern_wrong(text, at, "repeats too often", message, size);
			}
			copies *= most ? most : 1;
			if (copies > PATTERN_MAX_COPIES)
				return pattern_wrong(text, at, "repeats too often", message, size);
		}
	}
	return 0;
}

static int pattern_try(const char *s, size_t n, int flags)
{
	char part[PATTERN_MAX + 1];
	regex_t r;
	int rc;

	memcpy(part, s, n);
	part[n] = 0;
	rc = regcomp(&r, part, flags);
	if (!rc)
		regfree(&r);
	return rc;
}

/* regcomp does not tell the place: it is where the shortest beginning ends from which on everything is wrong in the
 * same way. */
static size_t pattern_place(const char *s, int error, int flags)
{
	size_t n = strlen(s);

	for (; n > 0; n--) {
		int rc = pattern_try(s, n - 1, flags);

		if (rc != error && !(rc && error == REG_EBRACK)) /* "[" alone is wrong in another way than "[a" */
			break;
	}
	return n ? n - 1 : 0;
}

static const char *pattern_scope(const char *s, enum pattern_of *of)
{
	static const struct {
		const char *word;
		enum pattern_of of;
	} scopes[] = {{"function:", PATTERN_FUNCTION}, {"module:", PATTERN_MODULE}, {"file:", PATTERN_FILE}};

	for (size_t i = 0; i < sizeof scopes / sizeof *scopes; i++)
		if (strncmp(s, scopes[i].word, strlen(scopes[i].word)) == 0) {
			*of = scopes[i].of;
			return s + strlen(scopes[i].word);
		}
	return s;
}

int pattern_init(struct pattern *p, const char *text, bool scoped, char *message, size_t size)
{
	int flags = REG_EXTENDED | REG_NOSUB, error;
	char words[128];
	const char *s;

	p->text = text;
	p->of = PATTERN_ANY;
	s = scoped ? pattern_scope(text, &p->of) : text;
	if (strncmp(s, "(?i)", 4) == 0) {
		flags |= REG_ICASE;
		s += 4;
	}
	TRY(pattern_check(text, s, message, size));
	error = regcomp(&p->regex, s, flags);
	if (error == REG_ESPACE)
		return ERR_NO_MEMORY;
	if (!error)
		return 0;
	regerror(error, NULL, words, sizeof words);
	return pattern_wrong(text, (size_t)(s - text) + pattern_place(s, error, flags), words, message, size);
}

void pattern_done(struct pattern *p)
{
	regfree(&p->regex);
}

bool pattern_finds(const struct pattern *p, const char *s, size_t n)
{
	regmatch_t part = {.rm_so = 0, .rm_eo = n > INT_MAX ? INT_MAX : (regoff_t)n};

	return regexec(&p->regex, s, 1, &part, REG_STARTEND) == 0;
}
