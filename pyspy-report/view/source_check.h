/* source_check: is a file the source that was recorded? As far as can be told from it.
 *
 * A code object's first line (co_firstlineno) is that of its first decorator, `def`, `class` or `lambda`: so in the
 * source that was recorded this line says so, with its name. Comprehensions, modules and what else has a name in <>
 * prove nothing.
 */
#pragma once
#include "pyspy-report/query/line_shares.h"
#include "pyspy-report/view/source_file.h"

struct source_check {
	uint32_t n_right, n_wrong; /* functions that begin where they did, or do not */
	uint32_t wrong_name, wrong_line;
	bool is_short; /* a line that was recorded is behind its end */
	bool is_newer; /* changed after the recording began: by itself no proof */
};

struct source_check source_check(const struct source_file *s, const struct profile *p, const struct line_shares *l,
                                 const struct line_file *f);
/* Nothing speaks against it. */
static inline bool source_check_is_right(const struct source_check *c)
{
	return !c->n_wrong && !c->is_short;
}
/* In words, or "" when there is nothing to say: "2 of 5 functions do not begin where they did (line 10: work); ...".
 * Raw. */
void source_check_words(struct buf *out, const struct profile *p, const struct source_check *c,
                        const struct source_file *s, const struct line_file *f);
