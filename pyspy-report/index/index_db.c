#include "pyspy-report/index/index_db.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/utf8.h"
#include "pyspy-report/index/index_schema.h"

/* Places in the first page: https://www.sqlite.org/fileformat2.html 1.3. */
enum { HEADER = 100, AT_VERSION = 60, AT_APPLICATION = 68 };
static const char magic[16] = "SQLite format 3";

static int index_db_head(const char *path, unsigned char *head, int *error_number)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	ssize_t n = 0;

	if (fd < 0 || fstat(fd, &st) < 0 || (S_ISREG(st.st_mode) && (n = pread(fd, head, HEADER, 0)) < 0)) {
		*error_number = errno;
		if (fd >= 0)
			close(fd);
		return ERR_SYSTEM;
	}
	close(fd);
	return n >= (ssize_t)sizeof magic && memcmp(head, magic, sizeof magic) == 0 ? n == HEADER ? 0 : ERR_DAMAGED
	                                                                            : ERR_FORMAT;
}

int index_db_is(const char *path)
{
	unsigned char head[HEADER];
	int rc = index_db_head(path, head, &errno);

	return rc == ERR_SYSTEM ? -1 : rc != ERR_FORMAT;
}

static uint32_t big_endian(const unsigned char *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

int index_db_error(sqlite3 *db, int rc, int *error_number)
{
	switch (rc & 0xFF) {
	case SQLITE_OK:
	case SQLITE_DONE:
	case SQLITE_ROW:
		return 0;
	case SQLITE_NOMEM:
		return ERR_NO_MEMORY;
	case SQLITE_FULL:
		*error_number = ENOSPC;
		return ERR_SYSTEM;
	case SQLITE_IOERR:
		if (rc == SQLITE_IOERR_SHORT_READ)
			return ERR_DAMAGED;
		*error_number = sqlite3_system_errno(db) ? sqlite3_system_errno(db) : EIO;
		return ERR_SYSTEM;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_READONLY:
		*error_number = sqlite3_system_errno(db) ? sqlite3_system_errno(db) : EACCES;
		return ERR_SYSTEM;
	default:
		return ERR_DAMAGED;
	}
}

/* file: URI of a path; SQLite takes ? and # for the begin of something else. */
static void index_db_uri(struct buf *b, const char *path, const char *parameters)
{
	buf_str(b, path[0] == '/' ? "file://" : "file:./");
	for (const char *c = path; *c; c++)
		if (strchr("%?#", *c) || (unsigned char)*c <= ' ')
			buf_printf(b, "%%%02X", (unsigned char)*c);
		else
			buf_u8(b, (uint8_t)*c);
	buf_str(b, parameters);
}

/* Nothing of the file is trusted. */
static int index_db_harden(sqlite3 *db, bool writes)
{
	const struct {
		int option, value;
	} config[] = {{SQLITE_DBCONFIG_DEFENSIVE, !writes}, /* which would not let the journal be */
	              {SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0},  {SQLITE_DBCONFIG_ENABLE_TRIGGER, 0},
	              {SQLITE_DBCONFIG_ENABLE_VIEW, 0},     {SQLITE_DBCONFIG_DQS_DDL, 0},
	              {SQLITE_DBCONFIG_DQS_DML, 0},         {SQLITE_DBCONFIG_ENABLE_LOAD_EXTENSION, 0}};

	for (size_t i = 0; i < sizeof config / sizeof *config; i++)
		if (sqlite3_db_config(db, config[i].option, config[i].value, NULL) != SQLITE_OK)
			return SQLITE_ERROR;
	sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, INDEX_DB_LENGTH_MAX);
	return sqlite3_exec(db, "PRAGMA cell_size_check = ON; PRAGMA mmap_size = 0", NULL, NULL, NULL);
}

static int index_db_open_as(const char *path, const char *parameters, int flags, sqlite3 **db, int *error_number)
{
	struct buf uri;
	int rc;

	*db = NULL;
	buf_init(&uri, 0);
	index_db_uri(&uri, path, parameters);
	if (uri.err) {
		buf_done(&uri);
		return ERR_NO_MEMORY;
	}
	rc = sqlite3_open_v2(buf_cstr(&uri), db, flags | SQLITE_OPEN_URI | SQLITE_OPEN_NOMUTEX, NULL);
	buf_done(&uri);
	return rc == SQLITE_OK ? 0 : index_db_error(*db, rc, error_number);
}

static int index_db_close_bad(sqlite3 **db, int rc)
{
	sqlite3_close(*db);
	*db = NULL;
	return rc;
}

int index_db_open(const char *path, sqlite3 **db, int *error_number)
{
	unsigned char head[HEADER];
	int rc;

	*db = NULL;
	TRY(index_db_head(path, head, error_number));
	if (big_endian(head + AT_APPLICATION) != INDEX_APPLICATION_ID)
		return ERR_FORMAT;
	if (big_endian(head + AT_VERSION) != INDEX_VERSION)
		return ERR_VERSION;
	rc = index_db_open_as(path, "?immutable=1", SQLITE_OPEN_READONLY, db, error_number);
	if (!rc) {
		int sql = index_db_harden(*db, false);

		if (sql == SQLITE_OK)
			sql = index_schema_check(*db);
		rc = sql == SQLITE_MISMATCH ? ERR_DAMAGED : index_db_error(*db, sql, error_number);
	}
	return rc ? index_db_close_bad(db, rc) : 0;
}

int index_db_create(const char *path, bool is_new, sqlite3 **db, int *error_number)
{
	int rc = index_db_open_as(path, "", SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE, db, error_number), sql;
	char start[200];

	if (rc)
		return index_db_close_bad(db, rc);
	snprintf(start, sizeof start,
	         "%sPRAGMA locking_mode = EXCLUSIVE; PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; BEGIN",
	         is_new ? "PRAGMA page_size = 4096; " : "");
	sql = index_db_harden(*db, true);
	if (sql == SQLITE_OK)
		sql = sqlite3_exec(*db, start, NULL, NULL, NULL);
	if (sql == SQLITE_OK && is_new)
		sql = index_schema_make(*db);
	if (sql == SQLITE_OK && is_new) {
		snprintf(start, sizeof start, "PRAGMA application_id = %d; PRAGMA user_version = %d",
		         INDEX_APPLICATION_ID, INDEX_VERSION);
		sql = sqlite3_exec(*db, start, NULL, NULL, NULL);
	}
	rc = index_db_error(*db, sql, error_number);
	return rc ? index_db_close_bad(db, rc) : 0;
}

void index_db_bind(sqlite3_stmt *s, int column, uint64_t v)
{
	sqlite3_bind_int64(s, column, v < INT64_MAX ? (int64_t)v : INT64_MAX);
}

bool index_db_is_text(const char *text, size_t n)
{
	for (size_t at = 0; at < n;) {
		uint32_t cp;

		at += utf8_next(text + at, n - at, &cp);
		if (!cp || cp > 0x10FFFF || (cp >= 0xD800 && cp < 0xE000))
			return false;
	}
	return true;
}

void index_db_bind_text(sqlite3_stmt *s, int column, const char *text, size_t n)
{
	if (index_db_is_text(text, n))
		sqlite3_bind_text64(s, column, text, n, SQLITE_TRANSIENT, SQLITE_UTF8);
	else
		sqlite3_bind_blob64(s, column, text, n, SQLITE_TRANSIENT);
}
