/* utf8: looking at names that come from the profiled program.
 *
 * Recorded strings are "generalised UTF-8": UTF-8 in which lone surrogates (U+D800..U+DFFF) may stand as their
 * three-byte form. Anything else that is not UTF-8 is a bad byte.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Decode one code point at p (n > 0 bytes there). Returns its length 1..4 and sets *cp; a lone surrogate gives
 * cp in D800..DFFF; a bad byte gives length 1 and *cp = 0xFFFFFFFF. */
size_t utf8_next(const char *p, size_t n, uint32_t *cp);
/* Append cp (surrogates allowed) to out (room for 4); returns the length. */
size_t utf8_put(char *out, uint32_t cp);
/* Terminal columns of a code point: 0 combining, 2 wide, else 1 (control: 0). */
int utf8_width(uint32_t cp);
/* Columns of a string, bad bytes counting 1. */
size_t utf8_columns(const char *s, size_t n);
/* True for code points that must not reach a terminal, a log line or a page as they are: C0, DEL, C1, bidi controls
 * (U+061C, 200E/F, 202A-E, 2066-9), line and paragraph separators, U+FEFF, surrogates, noncharacters, bad bytes. */
bool utf8_is_unsafe(uint32_t cp);
