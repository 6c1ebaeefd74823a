#include <stdio.h>

#include "pyspy-report/index/index_query.h"

#include <string.h>
#include <strings.h>

#include "libcommon/err.h"
#include "pyspy-report/index/index_db.h"
#include "pyspy-report/index/index_table.h"

#define QUERY_HEAP_MAX (INT64_C(2) << 30) /* bytes that SQLite may take */

/* Pragmas that tell and change nothing. */
static bool query_allows_pragma(const char *name, const char *value)
{
	static const char *const asking[] = {"table_info",      "table_xinfo", "index_list",
	                                     "function_list",   "module_list", "table_list",
	                                     "integrity_check", "quick_check", "compile_options"};
	static const char *const numbers[] = {"application_id", "user_version", "page_count", "page_size"};

	for (size_t i = 0; i < sizeof asking / sizeof *asking; i++)
		if (name && strcasecmp(name, asking[i]) == 0)
			return true;
	for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
		if (name && strcasecmp(name, numbers[i]) == 0)
			return !value;
	return false;
}

static int query_authorize(void *ctx, int action, const char *a, const char *b, const char *db, const char *trigger)
{
	(void)ctx, (void)db, (void)trigger;
	switch (action) {
	case SQLITE_SELECT:
	case SQLITE_READ:
	case SQLITE_RECURSIVE:
		return SQLITE_OK;
	case SQLITE_FUNCTION:
		return b && strcasecmp(b, "load_extension") == 0 ? SQLITE_DENY : SQLITE_OK;
	case SQLITE_PRAGMA:
		return query_allows_pragma(a, b) ? SQLITE_OK : SQLITE_DENY;
	default:
		return SQLITE_DENY;
	}
}

static int query_touch(sqlite3 *db, const char *sql)
{
	sqlite3_stmt *s = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &s, NULL);

	sqlite3_finalize(s);
	return rc;
}

int index_query_begin(struct index *x, struct profile *p)
{
	int rc;

	TRY(index_load_dictionaries(x, p));
	rc = index_table_register(x, p);
	/* a virtual table declares itself with CREATE TABLE when it is first used: before that is forbidden */
	query_touch(x->db, "SELECT 1 FROM json_each('[]'), json_tree('[]')");
	if (rc == SQLITE_OK)
		rc = query_touch(x->db, "SELECT 1 FROM sample");
	if (rc == SQLITE_OK)
		rc = sqlite3_set_authorizer(x->db, query_authorize, NULL);
	sqlite3_hard_heap_limit64(QUERY_HEAP_MAX);
	return index_db_error(x->db, rc, &x->error_number);
}

/* Only spaces, comments and semicolons are left. */
static bool query_is_over(sqlite3 *db, const char *rest)
{
	sqlite3_stmt *s = NULL;
	bool is_over = true;

	while (*rest && is_over) {
		is_over = sqlite3_prepare_v2(db, rest, -1, &s, &rest) == SQLITE_OK && !s;
		sqlite3_finalize(s);
		s = NULL;
	}
	return is_over;
}

enum index_query_result index_query_prepare(struct index *x, const char *sql, sqlite3_stmt **s)
{
	const char *rest;
	int rc = sqlite3_prepare_v2(x->db, sql, -1, s, &rest);

	if (rc == SQLITE_AUTH)
		return INDEX_QUERY_WRITES;
	if (rc != SQLITE_OK)
		return INDEX_QUERY_WRONG;
	if (!*s)
		return INDEX_QUERY_EMPTY;
	if (!query_is_over(x->db, rest))
		return INDEX_QUERY_SEVERAL;
	return sqlite3_stmt_readonly(*s) ? INDEX_QUERY_OK : INDEX_QUERY_WRITES;
}
