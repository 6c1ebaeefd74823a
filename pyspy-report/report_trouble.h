/* report_trouble: words for what goes wrong with the input, on stderr, and the exit statuses that follow from it. */
#pragma once
#include "pyspy-report/profile/profile.h"
#include "pyspy-report/report_options.h"

enum { REPORT_OK = 0, REPORT_ERROR = 1, REPORT_USAGE = 2, REPORT_DAMAGED = 4 }; /* exit statuses */

/* Why a recording cannot be read (load_file's errors). REPORT_ERROR. */
int report_trouble_unreadable(const char *file, int code, int error_number, bool is_empty);
/* That something failed, with err_words. REPORT_ERROR. */
int report_trouble_failed(const char *what, int code);
/* Damage, if any; the exit status that follows from it. */
int report_trouble_damage(const struct profile *p, const struct report_options *o);
