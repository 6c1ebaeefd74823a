/* escape: one function per place that names of the profiled program end up in.
 *
 * Input is generalised UTF-8 (utf8.h) of any content; output is valid UTF-8, appended to `out`.
 * What is unsafe (utf8_is_unsafe) becomes visible: newline, tab and return as \n \t \r; other ASCII controls and bad
 * bytes as \xNN; other code points as \uNNNN (so a lone surrogate shows as \udc80), above U+FFFF as \UNNNNNNNN. Hex
 * digits are lower case.
 */
#pragma once
#include "libcommon/buf.h"

/* A line of text on a terminal or in a log: unsafe code points as above; `\` itself stays. */
void escape_text(struct buf *out, const char *s, size_t n);
/* A frame name inside a folded stack: as escape_text, and ';' becomes "\x3b"; spaces stay (the count is after the
 * last space). */
void escape_folded(struct buf *out, const char *s, size_t n);
/* XML/HTML text and double- or single-quoted attribute values: & < > " ' as entities, unsafe ones as in escape_text. */
void escape_xml(struct buf *out, const char *s, size_t n);
/* The inside of a JSON string (without the quotes), also safe inside <script>: < > & and unsafe code points as \uNNNN
 * (pairs above U+FFFF); lone surrogates and bad bytes become U+FFFD. */
void escape_json(struct buf *out, const char *s, size_t n);
