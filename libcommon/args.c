#include "libcommon/args.h"

#include <string.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/utf8.h"

enum { HELP_COLUMNS = 100, LEFT_MAX = 34, LEFT_GAP = 2 };

void args_init(struct args *a, const struct arg_option *table, int argc, char **argv, bool stop_at_positional)
{
	*a = (struct args){
	    .table = table, .argv = argv, .argc = argc, .index = 1, .stop_at_positional = stop_at_positional};
}

/* Cut where a code point ends: half of one is not safe to print. */
static void keep(char *out, size_t size, const char *s)
{
	size_t n = strlen(s), i = 0;
	uint32_t cp;

	while (i < n) {
		size_t len = utf8_next(s + i, n - i, &cp);

		if (i + len >= size)
			break;
		i += len;
	}
	memcpy(out, s, i);
	out[i] = 0;
}

static int usage(struct args *a, const char *before, const char *word, size_t n, const char *after)
{
	struct buf b;

	buf_init(&b, 0);
	buf_str(&b, before);
	escape_text(&b, word, n);
	buf_str(&b, after);
	keep(a->message, sizeof a->message, buf_cstr(&b));
	buf_done(&b);
	return ERR_USAGE;
}

static int needs_value(struct args *a, const struct arg_option *o, const char *word, size_t n)
{
	char after[80];

	snprintf(after, sizeof after, " needs a value (%.50s)", o->value_name);
	return usage(a, "option ", word, n, after);
}

static const struct arg_option *find_long(const struct args *a, const char *name, size_t n)
{
	for (const struct arg_option *o = a->table; o->id; o++) {
		if (o->long_name && strlen(o->long_name) == n && memcmp(o->long_name, name, n) == 0)
			return o;
	}
	return NULL;
}

static const struct arg_option *find_short(const struct args *a, char c)
{
	for (const struct arg_option *o = a->table; o->id; o++) {
		if (o->short_name && o->short_name == c)
			return o;
	}
	return NULL;
}

static int next_long(struct args *a, const char *word, const char **value)
{
	const char *name = word + 2;
	size_t n = strcspn(name, "=");
	const struct arg_option *o = find_long(a, name, n);

	if (!o)
		return usage(a, "unknown option ", word, n + 2, "");
	if (name[n] == '=') {
		if (!o->value_name)
			return usage(a, "option ", word, n + 2, " takes no value");
		*value = name + n + 1;
	} else if (o->value_name) {
		if (a->index >= a->argc)
			return needs_value(a, o, word, n + 2);
		*value = a->argv[a->index++];
	}
	return o->id;
}

/* a->bundle is at a letter. */
static int next_short(struct args *a, const char **value)
{
	uint32_t cp;
	size_t len = utf8_next(a->bundle, strlen(a->bundle), &cp);
	char name[8] = "-";
	const struct arg_option *o = len == 1 ? find_short(a, a->bundle[0]) : NULL;
	const char *rest = a->bundle + len;

	memcpy(name + 1, a->bundle, len);
	a->bundle = NULL;
	if (!o)
		return usage(a, "unknown option ", name, len + 1, "");
	if (!o->value_name) {
		a->bundle = *rest ? rest : NULL;
	} else if (*rest) {
		*value = rest;
	} else if (a->index < a->argc) {
		*value = a->argv[a->index++];
	} else {
		return needs_value(a, o, name, len + 1);
	}
	return o->id;
}

static int next_positional(struct args *a, const char **value)
{
	if (a->stop_at_positional)
		return ARGS_END;
	*value = a->argv[a->index++];
	return ARGS_POSITIONAL;
}

int args_next(struct args *a, const char **value)
{
	const char *word;

	*value = NULL;
	if (a->bundle)
		return next_short(a, value);
	if (a->index >= a->argc)
		return ARGS_END;
	word = a->argv[a->index];
	/* "-" alone is a file name */
	if (a->seen_dashes || word[0] != '-' || word[1] == 0)
		return next_positional(a, value);
	a->index++;
	if (strcmp(word, "--") == 0) {
		a->seen_dashes = true;
		return args_next(a, value);
	}
	if (word[1] == '-')
		return next_long(a, word, value);
	a->bundle = word + 1;
	return next_short(a, value);
}

static int put_left(char *out, size_t size, const struct arg_option *o)
{
	char short_part[8] = "    ";

	if (o->short_name)
		snprintf(short_part, sizeof short_part, "-%c%s", o->short_name, o->long_name ? ", " : "");
	return snprintf(out, size, "  %s%s%s%s%s", short_part, o->long_name ? "--" : "",
	                o->long_name ? o->long_name : "", o->value_name ? " " : "", o->value_name ? o->value_name : "");
}

/* One line of help, broken at spaces; the cursor is at column `left`. */
static void put_wrapped(FILE *out, const char *s, size_t n, int left)
{
	size_t width = (size_t)(HELP_COLUMNS - left);

	while (utf8_columns(s, n) > width) {
		size_t cut = 0;

		for (size_t i = 0; i < n && utf8_columns(s, i) <= width; i++) {
			if (s[i] == ' ')
				cut = i;
		}
		if (cut == 0)
			break;
		fprintf(out, "%.*s\n%*s", (int)cut, s, left, "");
		s += cut + 1;
		n -= cut + 1;
	}
	fprintf(out, "%.*s\n", (int)n, s);
}

static void put_help(FILE *out, const char *help, int left)
{
	for (;;) {
		size_t n = strcspn(help, "\n");

		put_wrapped(out, help, n, left);
		if (help[n] == 0)
			return;
		help += n + 1;
		fprintf(out, "%*s", left, "");
	}
}

void args_help(FILE *out, const struct arg_option *table)
{
	char text[256];
	int left = 0;

	for (const struct arg_option *o = table; o->id; o++) {
		int n = o->help ? put_left(text, sizeof text, o) + LEFT_GAP : 0;

		if (n > left && n <= LEFT_MAX)
			left = n;
	}
	for (const struct arg_option *o = table; o->id; o++) {
		int n;

		if (!o->help)
			continue;
		n = put_left(text, sizeof text, o);
		if (n + LEFT_GAP <= left)
			fprintf(out, "%-*s", left, text);
		else
			fprintf(out, "%s\n%*s", text, left, "");
		put_help(out, o->help, left);
	}
}
