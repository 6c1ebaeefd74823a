/* Which version is it? Source: Python/getversion.c, Include/patchlevel.h. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "pyspy-record/python/interpreter_parts.h"

enum { TEXT_MAX = 24, BUILD_MAX = 160, SPAN = 512 };

/* Letters, digits and what a serious version may end in. */
static bool is_version_byte(char c)
{
	return isalnum((unsigned char)c) || c == '.' || c == '+' || c == '-' || c == '~' || c == '_';
}

/* What stands between the version and the build: nothing, or words of free-threaded builds and vendors ("experimental
 * free-threading build", "| packaged by conda-forge |", "|Anaconda, Inc.|"). */
static bool is_plain(const char *p, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (((unsigned char)p[i] < ' ' && p[i] != '\n') || (unsigned char)p[i] > '~' || p[i] == '(' ||
		    p[i] == '[')
			return false;
	return true;
}

bool version_parse(const char *p, size_t n, char out[INTERPRETER_VERSION_TEXT])
{
	size_t i = 0;
	if (n < 16 || (p[0] != '2' && p[0] != '3') || p[1] != '.' || !isdigit((unsigned char)p[2]))
		return false;
	while (i < TEXT_MAX && i < n && is_version_byte(p[i]))
		i++;
	if (i >= TEXT_MAX || i + 8 >= n || p[i] != ' ')
		return false;
	char text[TEXT_MAX + 1];
	memcpy(text, p, i);
	text[i] = '\0';
	if (!version_hex(text))
		return false;
	size_t rest = n - i < BUILD_MAX ? n - i : BUILD_MAX;
	const char *paren = memchr(p + i, '(', rest);
	if (!paren || !is_plain(p + i, (size_t)(paren - p) - i))
		return false;
	rest = n - (size_t)(paren - p) - 1;
	rest = rest < BUILD_MAX ? rest : BUILD_MAX;
	const char *bracket = memchr(paren + 1, '[', rest);
	/* the build may have parentheses of its own: "(tags/v2.7:1234M, Jan  1 2020, 00:00:00) \n[GCC 9 (Debian)]" */
	if (!bracket || memchr(paren, '\0', (size_t)(bracket - paren)) ||
	    !memchr(paren, ')', (size_t)(bracket - paren)) || bracket - paren < 6)
		return false;
	snprintf(out, INTERPRETER_VERSION_TEXT, "%s", text);
	return true;
}

static const char *number(const char *p, unsigned most, unsigned *v)
{
	if (!isdigit((unsigned char)*p))
		return NULL;
	for (*v = 0; isdigit((unsigned char)*p); p++)
		if ((*v = *v * 10 + (unsigned)(*p - '0')) > most)
			return NULL;
	return p;
}

uint32_t version_hex(const char *text)
{
	unsigned major, minor, micro = 0, level = 0xf, serial = 0;
	const char *p = number(text, 3, &major);
	if (!p || major < 2 || *p != '.' || !(p = number(p + 1, 63, &minor)))
		return 0;
	if (*p == '.' && !(p = number(p + 1, 255, &micro)))
		return 0;
	if (*p == 'a' || *p == 'b' || *p == 'c' || *p == 'r') {
		level = *p == 'a' ? 0xa : *p == 'b' ? 0xb : 0xc;
		if (*p == 'r' && *++p != 'c')
			return 0;
		if (!(p = number(p + 1, 15, &serial)))
			return 0;
	}
	/* "+": from a repository, after that release; behind it, or a dash, what vendors add */
	if (*p && *p != '+' && *p != '-' && *p != '~' && *p != '_' && *p != '.')
		return 0;
	return major << 24 | minor << 16 | micro << 8 | level << 4 | serial;
}

void version_text(uint32_t hex, char out[INTERPRETER_VERSION_TEXT])
{
	static const char *const levels[16] = {[0xa] = "a", [0xb] = "b", [0xc] = "rc"};
	const char *level = levels[hex >> 4 & 15];
	int n = snprintf(out, INTERPRETER_VERSION_TEXT, "%u.%u.%u", hex >> 24, hex >> 16 & 255, hex >> 8 & 255);
	if (level)
		snprintf(out + n, INTERPRETER_VERSION_TEXT - (size_t)n, "%s%u", level, hex & 15);
}

struct version_search {
	char *out;
	uint64_t bytes_left;
};

static bool visit(void *ctx, raddr_t at, const char *bytes, size_t n)
{
	struct version_search *v = ctx;
	for (const char *p = bytes, *end = bytes + n; (p = memchr(p, '.', (size_t)(end - p))); p++)
		if (p > bytes && (p[-1] == '2' || p[-1] == '3') && (p - 1 == bytes || !is_version_byte(p[-2])) &&
		    version_parse(p - 1, (size_t)(end - p) + 1, v->out)) {
			v->bytes_left = UINT64_MAX;
			return true;
		}
	v->bytes_left -= n < v->bytes_left ? n : v->bytes_left;
	return v->bytes_left == 0;
}

bool version_scan(struct reader *r, const struct mapped_object *f, uint64_t most, char out[INTERPRETER_VERSION_TEXT])
{
	struct version_search v = {.out = out, .bytes_left = most};
	return segments_walk(r, f, SPAN, visit, &v) && v.bytes_left == UINT64_MAX;
}
