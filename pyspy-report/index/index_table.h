/* index_table: the virtual table `sample` over the blocks of an index, and the functions that go with it.
 *
 * Flow:    SQL -> constraints on recording, block, time_ns, thread, pid, tid, gil -> blocks that cannot match are not
 * read -> [index_table] -> rows, one a sample.
 * Reading only; nothing of it can be used from a schema (SQLITE_DIRECTONLY).
 */
#pragma once
#include "pyspy-report/index/index_load.h"

/* The dictionaries of x are in p; both outlive the connection's statements. SQLITE_OK or an SQLite error. */
int index_table_register(struct index *x, struct profile *p);
/* Columns of `sample` and functions, as SCHEMA.md has them. */
void index_table_print(FILE *out);
