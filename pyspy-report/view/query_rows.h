/* query_rows: the rows of a statement -> a table for people, or a sheet. */
#pragma once
#include <sqlite3.h>

#include "pyspy-report/view/sheet.h"

/* Run it to its end. 0; ERR_NO_MEMORY; ERR_IO (the output failed); ERR_FORMAT: SQLite failed (sqlite3_errmsg). */
int query_rows_write(FILE *out, sqlite3_stmt *s, enum sheet_format format);
