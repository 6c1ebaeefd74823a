/* index_load_parts: what the files of index_load share: which chunks have to be read, and sums that are read instead.
 * Nobody else's. */
#pragma once
#include "pyspy-report/index/index_load.h"
#include "pyspy-report/profile/load_parts.h"

/* The BLOB with this id, until the statement is reset. 0, ERR_DAMAGED: it is not there; ERR_SYSTEM, ERR_NO_MEMORY. */
int index_get(struct index *x, sqlite3_stmt *s, uint64_t id, const void **bytes, size_t *n);

/* Nothing of the chunk is asked for. */
bool index_is_outside(const struct load *l, const struct facts_chunk *c);
/* They are in order, and of chunks that are there, in one epoch. */
bool index_sums_are_sound(const struct facts_recording *r);
/* The longest sum from chunk `first` on of which all is asked for; NULL: none. Asked for chunk after chunk; *at goes
 * on.
 */
const struct facts_sum *index_sum_from(const struct load *l, const struct facts_recording *r, size_t first, size_t *at);
int index_count_sum(struct index *x, struct load *l, const struct facts_recording *r, const struct facts_sum *sum);
