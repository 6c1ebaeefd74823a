/* when: moments and spans as people write them -> profile/span.
 *
 * A moment: "90", "10s", "1m30s", "500ms" since the recording began; "-10s" before its end; "25%" of the way;
 * "2026-11-28T07:13:44Z", "2026-11-28 07:13:44.5+01:00", without a zone in local time (TZ).
 * A span: "A..B", either may be missing.
 */
#pragma once
#include <stddef.h>

#include "pyspy-report/profile/span.h"

/* 0, or ERR_USAGE with `message`, safe to print: what is wrong and where. */
int when_parse(const char *text, struct span_point *p, char *message, size_t size);
int when_parse_span(const char *text, struct span *s, char *message, size_t size);
