/* jsonout: JSON written piece by piece, for documents that need not fit into memory.
 *
 * Commas come by themselves. Strings are of any bytes and leave through escape_json, so that the document is valid
 * UTF-8. The caller closes what it opened; nothing is checked. Write errors stay in `out` (ferror).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "libcommon/buf.h"

struct jsonout {
	FILE *out;
	bool comma; /* one is due before the next value or key */
	struct buf text;
};

void jsonout_init(struct jsonout *j, FILE *out);
int jsonout_done(struct jsonout *j); /* 0, or ERR_NO_MEMORY: a string was left out */

void jsonout_open(struct jsonout *j, char bracket);    /* { or [ */
void jsonout_close(struct jsonout *j, char bracket);   /* } or ] */
void jsonout_key(struct jsonout *j, const char *name); /* a constant: not escaped */
void jsonout_string(struct jsonout *j, const char *s, size_t n);
void jsonout_word(struct jsonout *j, const char *s); /* NUL-terminated */
void jsonout_number(struct jsonout *j, uint64_t n);
void jsonout_decimal(struct jsonout *j, uint64_t n, unsigned places); /* n / 10^places, without zeros at its end */
void jsonout_plain(struct jsonout *j, const char *json);              /* null, true, false, -1, ready-made JSON */
void jsonout_bytes(struct jsonout *j, const void *json, size_t n);    /* the same */
void jsonout_line(struct jsonout *j);                                 /* what comes next stands on a line of its own */

/* Key and value in one. */
void jsonout_key_word(struct jsonout *j, const char *name, const char *s);
void jsonout_key_number(struct jsonout *j, const char *name, uint64_t n);
