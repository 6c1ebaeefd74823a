/* index_db: SQLite, as an index needs it: files that are built once and then only read.
 *
 * Reading: an index is never changed in place (it is replaced as a whole), so it is opened as immutable: no locks, no
 * journal of anybody's is looked at, a folder may be read-only.
 * Trust:   the file may be from anybody. Application id and version are read from its first bytes before SQLite sees
 * it; defensive mode, no triggers, no views, no functions from the schema, no extensions, no attached files, bounded
 * lengths; a schema that is not ours to the letter is refused (index_schema).
 */
#pragma once
#include <sqlite3.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { INDEX_DB_LENGTH_MAX = 80 << 20 }; /* bytes of a row or BLOB */

/* Is it an SQLite file? 1, 0; -1: it cannot be read (errno). */
int index_db_is(const char *path);
/* 0; ERR_SYSTEM (*error_number), ERR_FORMAT (no index), ERR_VERSION (another version's), ERR_DAMAGED (another schema,
 * or not to be read), ERR_NO_MEMORY. */
int index_db_open(const char *path, sqlite3 **db, int *error_number);
/* A new file, or one that goes on: no journal, one writer. The same, and ERR_IO. */
int index_db_create(const char *path, bool is_new, sqlite3 **db, int *error_number);
/* An SQLite error -> ERR_*; *error_number: of the system, where there is one. */
int index_db_error(sqlite3 *db, int rc, int *error_number);
/* A number without sign: what is beyond SQLite's is its largest. */
void index_db_bind(sqlite3_stmt *s, int column, uint64_t v);
/* Text that nobody vouches for: TEXT when it is UTF-8 without NULs, else a BLOB. Copied. */
void index_db_bind_text(sqlite3_stmt *s, int column, const char *text, size_t n);
bool index_db_is_text(const char *text, size_t n);
