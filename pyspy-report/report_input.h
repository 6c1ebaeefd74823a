/* report_input: the files of the command line -> profile, with words for whatever goes wrong. */
#pragma once
#include "pyspy-report/profile/load.h"
#include "pyspy-report/report_options.h"

enum { REPORT_OK = 0, REPORT_ERROR = 1, REPORT_USAGE = 2, REPORT_DAMAGED = 4 }; /* exit statuses */

/* Load o->files (or the newest recording here, named on stderr) into p, which is initialised here; profile_done in any
 * case. `on_sample` may be NULL. 0; REPORT_ERROR (said on stderr), or what on_sample returned when that is negative. */
int report_input_load(struct profile *p, const struct report_options *o, const struct load_options *load);
/* Damage, if any, said on stderr; the exit status that follows from it. */
int report_input_damage(const struct profile *p, const struct report_options *o);
/* Say on stderr that something failed, with err_words; returns REPORT_ERROR. */
int report_input_failed(const char *what, int code);
