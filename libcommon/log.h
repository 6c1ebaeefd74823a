/* log: messages for people, on stderr, never on stdout. Each is one line "PROGRAM: text"; a progress line, if one is on
 * the screen, is cleared first. What comes from the profiled program must be escaped by the caller (escape_text). */
#pragma once
#include <stdbool.h>

void log_init(const char *program, bool quiet);
/* Not shown with -q. */
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Always shown. */
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
/* Is a progress line shown at all? */
bool log_has_screen(void);
/* Replace the progress line (only when stderr is a terminal and not quiet); "" removes it. */
void log_progress(const char *line);
