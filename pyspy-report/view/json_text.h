/* json_text: what goes into JSON documents of any view, by jansson.
 *
 * Texts of the profiled program that are no UTF-8 have U+FFFD in place of each bad byte and lone surrogate: readers of
 * JSON disagree about anything else. Dump with JSON_ENSURE_ASCII: all but ASCII is written as \uNNNN then.
 * All return NULL without memory; jansson's *_new functions take that, so one missing piece only shows at the end.
 */
#pragma once
#include <jansson.h>

#include "pyspy-report/profile/profile.h"

json_t *json_text_bytes(const char *s, size_t n);
json_t *json_text_string(const struct profile *p, uint32_t string);
/* As many as a JSON integer can hold: 2^63 - 1. */
json_t *json_text_number(uint64_t n);
/* "2025-11-22T07:13:44Z"; NULL when there is no such time. */
json_t *json_text_time(int64_t realtime_ns);
