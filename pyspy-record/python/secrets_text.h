/* secrets_text: what must not be shown within a text: passwords in URLs, `password=...`, bearer tokens, keys.
 *
 * What is looked for (README.md says it to users):
 *   scheme://user:PASSWORD@host
 *   NAME=VALUE, NAME: VALUE, "NAME": "VALUE", where the name ends in password, passwd, passphrase, secret, token, api
 * key, access key, private key, secret key, credentials, or (of `=` only) pwd; or matches the user's own expression
 *   Authorization: SCHEME VALUE, Proxy-Authorization, Cookie, Set-Cookie: to the end of the line
 *   Bearer VALUE, Basic VALUE, where the value looks made, not written
 *   JSON web tokens, PEM private keys, key ids of AWS, tokens of GitHub, GitLab, Slack, Stripe, OpenAI, Google
 * What stands for a value (%s, {name}, ${NAME}, ***, None) and words of prose behind a colon are shown.
 * Memory: none. Time: linear, but for names, which are at most 64 characters.
 * Trust: any text, also one that was cut: what may go on as a secret behind the end is one.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "pyspy-record/python/secrets.h"

struct secrets_span {
	size_t from, to; /* characters [from, to) */
};

/* The next place at or behind `from` to hide in the n characters (code points, or bytes). is_cut: the text goes on.
 * False: there is none. */
bool secrets_next(const struct secrets *s, const uint32_t *text, size_t n, bool is_cut, size_t from,
                  struct secrets_span *span);
/* Does this name have a value that is a secret? Of a text's `name=value`, an option, a header. */
bool secrets_is_name(const struct secrets *s, const char *name, size_t n);
