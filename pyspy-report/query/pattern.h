/* pattern: regular expressions of the command line, looked for in names.
 *
 * POSIX extended ones over bytes, as `grep -E` in the C locale; \w \s \b as GNU has them; "(?i)" in front ignores case.
 * Names may hold any byte, NUL too. No back-references: they can take for ever.
 */
#pragma once
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

struct pattern {
	const char *text; /* as given; the caller's */
	enum pattern_of { PATTERN_ANY, PATTERN_FUNCTION, PATTERN_MODULE, PATTERN_FILE } of;
	regex_t regex;
};

/* 0; ERR_USAGE with `message` ("unmatched ( or \(; at character 2: '(b'", safe to print); ERR_NO_MEMORY. With `scoped`,
 * "module:", "function:" or "file:" in front says where it is looked for. pattern_done only after 0. */
int pattern_init(struct pattern *p, const char *text, bool scoped, char *message, size_t size);
void pattern_done(struct pattern *p);
/* Somewhere in the n bytes at s. */
bool pattern_finds(const struct pattern *p, const char *s, size_t n);
