/* report_index: words for what is wrong with an index. */
#pragma once
#include "pyspy-report/index/index_load.h"

#define REPORT_INDEX_SUFFIX ".idx" /* behind the recording's name: where `index` puts it, and where verbs look */

/* An index that was named cannot be read: said on stderr. REPORT_ERROR. */
int report_index_failed(const char *name, int code, int error_number);
/* The one beside a recording is not read: why (0: it is of another file), on stderr. */
void report_index_passed_over(const char *name, int code);
/* Why, in the middle of a sentence. */
const char *report_index_why(int code, int error_number);
/* Does an index that was named hold what is named beside it: that recording (of = NULL), or one that that index holds
 * too? Its samples would count twice. If so it is said on stderr: REPORT_ERROR; else 0. */
int report_index_twice(const char *name, const struct index *idx, const char *other, const struct index *of);
