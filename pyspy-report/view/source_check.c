#include "pyspy-report/view/source_check.h"

#include <ctype.h>
#include <string.h>

enum { DECORATORS_MAX = 500 }; /* lines between a first decorator and its def */

enum verdict { PROVES_NOTHING, RIGHT, WRONG };

static bool is_word(char c)
{
	return isalnum((unsigned char)c) || c == '_' || (c & 0x80);
}

static size_t skip_blanks(const char *s, size_t i, size_t n)
{
	while (i < n && (s[i] == ' ' || s[i] == '\t' || s[i] == '\f'))
		i++;
	return i;
}

/* Behind `word` and the blanks that follow it; 0: it does not stand there. */
static size_t skip_word(const char *s, size_t i, size_t n, const char *word)
{
	size_t len = strlen(word);

	if (n - i <= len || memcmp(s + i, word, len) != 0 || is_word(s[i + len]))
		return 0;
	return skip_blanks(s, i + len, n);
}

/* Does a definition begin here, and of this name? */
static enum verdict definition(const char *s, size_t n, const char *name, size_t len)
{
	static const char *const words[] = {"def", "class", "type"};
	size_t i = skip_blanks(s, 0, n), at = skip_word(s, i, n, "async");

	i = at ? at : i;
	for (size_t k = 0; k < sizeof words / sizeof *words; k++) {
		at = skip_word(s, i, n, words[k]);
		if (!at)
			continue;
		if (at >= n || s[at] == '\\')
			return RIGHT;
		for (size_t c = 0; c < len; c++)
			if (name[c] & 0x80) /* the source may have another encoding, or another form of it */
				return RIGHT;
		return at + len <= n && memcmp(s + at, name, len) == 0 && (at + len == n || !is_word(s[at + len]))
		           ? RIGHT
		           : WRONG;
	}
	return PROVES_NOTHING;
}

static enum verdict begins(const struct source_file *f, uint32_t line, const char *name, size_t len)
{
	size_t n, i;
	const char *s = source_file_line(f, line, &n);
	enum verdict v;

	if (!s)
		return WRONG;
	if (len == 8 && memcmp(name, "<lambda>", 8) == 0)
		return memmem(s, n, "lambda", 6) ? RIGHT : WRONG;
	i = skip_blanks(s, 0, n);
	if (i == n || s[i] != '@') {
		v = definition(s, n, name, len);
		return v == PROVES_NOTHING ? WRONG : v;
	}
	for (uint32_t k = 1; k < DECORATORS_MAX; k++) {
		s = source_file_line(f, line + k, &n);
		if (!s)
			return WRONG;
		v = definition(s, n, name, len);
		if (v != PROVES_NOTHING)
			return v;
	}
	return WRONG;
}

static enum verdict function(const struct source_file *f, const struct profile *p, const struct line_function *k)
{
	size_t n, from = 0;
	const char *name = profile_text(p, k->name, &n);

	for (size_t i = 0; i < n; i++)
		from = name[i] == '.' ? i + 1 : from;
	name += from;
	n -= from;
	if (!n || !k->first_line || (name[0] == '<' && (n != 8 || memcmp(name, "<lambda>", 8) != 0)) ||
	    (n == 12 && memcmp(name, "__annotate__", 12) == 0))
		return PROVES_NOTHING;
	return begins(f, k->first_line, name, n);
}

static int64_t recording_began_ns(const struct profile *p)
{
	int64_t first = INT64_MAX;

	for (size_t i = 0; i < p->recordings.n; i++) {
		const struct profile_recording *r = &p->recordings.v[i];
		int64_t ns = r->has_file_header ? r->file.realtime_ns
		             : r->n_blocks      ? (int64_t)(r->begin_ns + (uint64_t)r->anchor_ns)
		                                : INT64_MAX;
		first = ns < first ? ns : first;
	}
	return first;
}

struct source_check source_check(const struct source_file *s, const struct profile *p, const struct line_shares *l,
                                 const struct line_file *f)
{
	struct source_check c = {.is_short = f->last_line > source_file_lines(s),
	                         .is_newer = s->changed_ns > recording_began_ns(p)};

	for (size_t i = 0; i < f->n_functions; i++) {
		const struct line_function *k = &l->functions.v[f->function + i];
		enum verdict v = function(s, p, k);

		c.n_right += v == RIGHT;
		if (v != WRONG)
			continue;
		if (!c.n_wrong++) {
			c.wrong_name = k->name;
			c.wrong_line = k->first_line;
		}
	}
	return c;
}

void source_check_words(struct buf *out, const struct profile *p, const struct source_check *c,
                        const struct source_file *s, const struct line_file *f)
{
	size_t len;
	const char *name = profile_text(p, c->wrong_name, &len);

	if (c->n_wrong) {
		buf_printf(out, "%u of %u functions do not begin where they did (line %u: ", c->n_wrong,
		           c->n_wrong + c->n_right, c->wrong_line);
		buf_put(out, name, len);
		buf_str(out, ")");
	}
	if (c->is_short)
		buf_printf(out, "%sit has %zu lines, line %u was recorded", out->len ? "; " : "", source_file_lines(s),
		           f->last_line);
	if (c->is_newer)
		buf_printf(out, "%sit is newer than the recording", out->len ? "; " : "");
}
