/* index_query: an index for SQL of its users: prepared for reading only, whatever the statement says.
 *
 * Trust: the statement is the user's own, the index may be anybody's (index_db). Writing, attaching, pragmas that
 * change anything and extensions are refused by an authorizer, before anything runs.
 */
#pragma once
#include "pyspy-report/index/index_load.h"

/* Load x's dictionaries into p, make `sample` and the functions, set the bounds. Errors as index_load. */
int index_query_begin(struct index *x, struct profile *p);
enum index_query_result {
	INDEX_QUERY_OK,
	INDEX_QUERY_EMPTY,   /* there is no statement in it */
	INDEX_QUERY_SEVERAL, /* more than one */
	INDEX_QUERY_WRITES,  /* it would do more than read */
	INDEX_QUERY_WRONG,   /* sqlite3_errmsg says why, sqlite3_error_offset where */
};
enum index_query_result index_query_prepare(struct index *x, const char *sql, sqlite3_stmt **s);
