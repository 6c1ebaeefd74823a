/* source_page: the sources that took time as a heat map: one HTML file, complete without its script.
 *
 * What is shown, and what is said of a source that is not the one that was recorded, is as in source_lines. Trust:
 * texts leave through escape_xml; colours are classes, so that no style but the file's own is needed (view/page.h).
 */
#pragma once
#include "pyspy-report/view/source_lines.h"

/* Of a file with more lines only those near others that took time are in it, unless o->whole. */
enum { SOURCE_PAGE_WHOLE = 5000, SOURCE_PAGE_CONTEXT = 20 };

/* o->context UINT32_MAX: all lines of files that are not longer. 0 or ERR_NO_MEMORY; write errors stay in `out`. */
int source_page_write(FILE *out, const struct line_shares *l, const struct naming *n, const struct summary *s,
                      const struct filter *f, const struct source_lines_options *o);
