/* secrets: which names have values that must not be shown.
 *
 * A name hides when the expression (POSIX extended, without regard to case) matches anywhere in it.
 */
#pragma once
#include <regex.h>
#include <stdbool.h>
#include <stddef.h>

/* authors are none */
#define SECRETS_DEFAULT                                                                                                \
	"passw(or)?d|passphrase|secret|token|(api|access|private|account)[_-]?key|auth([^o]|$)|authori[sz]|credential"

enum { SECRETS_NAME_MAX = 2048 }; /* bytes of a name that are looked at */

struct secrets {
	regex_t expression;
	bool is_on;  /* all zero: nothing is hidden */
	bool is_own; /* the user's own: it counts within texts, too */
};

/* 0; ERR_USAGE: `pattern` is no expression, and `why` (room for n) says what is wrong with it. */
int secrets_init(struct secrets *s, const char *pattern, char *why, size_t n);
void secrets_done(struct secrets *s);
bool secrets_hides(const struct secrets *s, const char *name, size_t n);
