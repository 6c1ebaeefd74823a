/* index_functions: what SQL over an index can ask beside tables: tally(), path(), frame(), within(). */
#pragma once
#include <sqlite3.h>
#include <stdio.h>

#include "pyspy-report/profile/profile.h"

/* `p` outlives the connection's statements. SQLITE_OK or an SQLite error. */
int index_functions_register(sqlite3 *db, struct profile *p);
/* As SCHEMA.md has them. */
void index_functions_print(FILE *out);
