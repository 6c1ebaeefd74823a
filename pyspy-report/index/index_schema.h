/* index_schema: the tables of an index. They are a promise to whoever writes SQL: SCHEMA.md is printed from here.
 *
 * The comments are part of the statements: `sqlite3 FILE .schema` shows them. An index whose schema is not exactly this
 * is not opened, so that none can bring views, triggers or expressions of its own along.
 */
#pragma once
#include <sqlite3.h>
#include <stdio.h>

enum { INDEX_APPLICATION_ID = 0x50795370 }; /* "PySp" */
#define INDEX_VERSION         2             /* user_version; any change of the schema or of a BLOB is another one */
#define INDEX_TEXT_OF(number) #number
#define INDEX_TEXT(number)    INDEX_TEXT_OF(number) /* of a macro's number */

struct index_table {
	const char *name;
	const char *sql;
	const char *about; /* for people, in SCHEMA.md */
};
extern const struct index_table index_tables[];
extern const unsigned index_n_tables;

/* 0, or an SQLite error. */
int index_schema_make(sqlite3 *db);
/* It is exactly this one: SQLITE_OK; SQLITE_MISMATCH: it is not; or an SQLite error. */
int index_schema_check(sqlite3 *db);
/* As Markdown. */
void index_schema_print(FILE *out);
