#include "pyspy-report/cmd.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/log.h"
#include "libcommon/path.h"
#include "pyspy-report/index/index_build.h"
#include "pyspy-report/index/index_db.h"
#include "pyspy-report/index/index_functions.h"
#include "pyspy-report/index/index_key.h"
#include "pyspy-report/index/index_query.h"
#include "pyspy-report/index/index_schema.h"
#include "pyspy-report/index/index_table.h"
#include "pyspy-report/report_index.h"
#include "pyspy-report/report_output.h"
#include "pyspy-report/report_progress.h"
#include "pyspy-report/report_trouble.h"
#include "pyspy-report/view/query_rows.h"

enum { OPTION_SCHEMA = REPORT_OWN, OPTION_CSV, OPTION_JSON, SQL_MAX = 1 << 20 };

static const struct arg_option own[] = {
    {OPTION_SCHEMA, 0, "schema", NULL, "print the schema: tables, the virtual table, functions"},
    {OPTION_CSV, 0, "csv", NULL, "for programs: CSV, as RFC 4180 has it"},
    {OPTION_JSON, 0, "json", NULL, "for programs: one JSON document"},
    {0},
};

static struct {
	bool schema;
	enum sheet_format format;
} asked;

static int own_option(int id, const char *value, char *message, size_t size)
{
	(void)value, (void)message, (void)size;
	if (id == OPTION_SCHEMA)
		asked.schema = true;
	else
		asked.format = id == OPTION_CSV ? SHEET_CSV : SHEET_JSON;
	return 0;
}

struct sql_job {
	struct report_options options;
	struct report_output output;
	struct profile profile;
	struct index index;
	char newest[PATH_MAX];
	const char *file;
	struct buf sql;
	sqlite3_stmt *statement;
	bool has_output;
};

static int print_schema(struct sql_job *j)
{
	index_schema_print(j->output.file);
	fprintf(j->output.file, "\n## sample\n\nA virtual table that only `pyspy-report sql` has: one row for each "
	                        "sample of `block`. Conditions on\n"
	                        "`recording`, `block`, `time_ns`, `thread`, `pid`, `tid` and `gil = 1` pass over "
	                        "blocks that cannot match.\n\n");
	index_table_print(j->output.file);
	fprintf(j->output.file, "\n## Functions\n\nOf `pyspy-report sql`, beside all of SQLite's own.\n\n");
	index_functions_print(j->output.file);
	return REPORT_OK;
}

/* ---- the index */

static void quiet_begin(const char *name, uint64_t all)
{
	report_progress_begin("indexing", name, all);
}

static int temporary_failed(const char *folder, int error_number)
{
	log_error("cannot make an index in %s for this question: %s; free some space, set TMPDIR, or use `pyspy-report "
	          "index`",
	          folder, strerror(error_number));
	return REPORT_ERROR;
}

/* For this one question: nobody asked for a file beside the recording. */
static int open_temporary(struct sql_job *j)
{
	const struct index_progress progress = {quiet_begin, report_progress_bytes, report_progress_end};
	const char *folder = getenv("TMPDIR");
	struct index_built built;
	char path[PATH_MAX];
	int fd, rc, error_number;

	folder = folder && *folder ? folder : "/tmp";
	if (snprintf(path, sizeof path, "%s/pyspy-report-XXXXXX", folder) >= (int)sizeof path)
		return temporary_failed(folder, ENAMETOOLONG);
	fd = mkostemp(path, O_CLOEXEC);
	if (fd < 0)
		return temporary_failed(folder, errno);
	close(fd);
	rc = index_build(path, false, &j->file, 1, &progress, &built);
	if (rc) {
		unlink(path);
		if (!built.failed && rc == ERR_SYSTEM)
			return temporary_failed(folder, built.error_number);
		return report_trouble_unreadable(j->file, rc, built.error_number, built.is_empty);
	}
	rc = index_open(&j->index, path, &error_number);
	unlink(path);
	return rc ? report_index_failed(path, rc, error_number) : 0;
}

static int open_any(struct sql_job *j)
{
	char beside[PATH_MAX + sizeof REPORT_INDEX_SUFFIX];
	struct stat st;
	int is = index_db_is(j->file), error_number, rc;

	if (is < 0 || stat(j->file, &st) < 0)
		return report_trouble_unreadable(j->file, ERR_SYSTEM, errno, false);
	if (is) {
		rc = index_open(&j->index, j->file, &error_number);
		return rc ? report_index_failed(j->file, rc, error_number) : 0;
	}
	snprintf(beside, sizeof beside, "%s%s", j->file, REPORT_INDEX_SUFFIX);
	if (!j->options.no_index && index_db_is(beside) == 1) {
		rc = index_open(&j->index, beside, &error_number);
		if (!rc && j->index.inputs.n == 1 && index_key_is(&j->index.inputs.v[0], j->file) == 1)
			return 0;
		index_close(&j->index);
		report_index_passed_over(beside, rc);
	}
	if (!S_ISREG(st.st_mode)) {
		log_error("SQL needs a file; save the recording and name it");
		return REPORT_ERROR;
	}
	return open_temporary(j);
}

/* ---- the statement */

static int read_statement(struct buf *b)
{
	char chunk[4096];
	size_t n;

	while ((n = fread(chunk, 1, sizeof chunk, stdin)) > 0)
		buf_put(b, chunk, n);
	if (ferror(stdin)) {
		log_error("cannot read the statement from standard input: %s", strerror(errno));
		return REPORT_ERROR;
	}
	if (b->err || memchr(buf_cstr(b), 0, b->len)) {
		log_error("the statement on standard input is %s", b->err ? "too long" : "no text: it holds a NUL");
		return REPORT_ERROR;
	}
	return 0;
}

/* FILE 'SQL'; 'SQL' alone is about the newest recording; - reads it from standard input. */
static int choose(struct sql_job *j)
{
	size_t n = j->options.files.n;
	const char *sql = n ? j->options.files.v[n - 1] : NULL;

	if (n < 1 || n > 2) {
		log_error("sql takes a file and one statement: pyspy-report sql FILE 'select ...'; see pyspy-report "
		          "sql --help");
		return REPORT_USAGE;
	}
	if (n == 1 && access(sql, F_OK) == 0) {
		log_error("no statement: pyspy-report sql FILE 'select ...'; --schema says what there is");
		return REPORT_USAGE;
	}
	j->file = n == 2 ? j->options.files.v[0] : j->newest;
	if (n == 1) {
		int rc = path_newest(".", j->newest, sizeof j->newest);
		struct buf b;

		if (rc < 0) {
			log_error("no recording named and no *.pyspy file in this folder; name one: pyspy-report sql "
			          "FILE 'select ...'");
			return REPORT_ERROR;
		}
		buf_init(&b, 0);
		escape_text(&b, j->newest, strlen(j->newest));
		log_info("reading %s, the newest recording here", buf_cstr(&b));
		buf_done(&b);
	}
	if (strcmp(j->file, "-") == 0) {
		log_error("SQL needs a file; save standard input and name it");
		return REPORT_USAGE;
	}
	if (strcmp(sql, "-") == 0)
		return read_statement(&j->sql);
	buf_str(&j->sql, sql);
	return j->sql.err ? report_trouble_failed("cannot take the statement", ERR_NO_MEMORY) : 0;
}

/* What SQLite says may quote names of the recording. */
static int say_sqlite(struct sql_job *j)
{
	struct buf b;

	buf_init(&b, 0);
	escape_text(&b, sqlite3_errmsg(j->index.db), strlen(sqlite3_errmsg(j->index.db)));
	log_error("the statement cannot be run: %s; `pyspy-report sql --schema` says what there is", buf_cstr(&b));
	buf_done(&b);
	return REPORT_ERROR;
}

static int prepare(struct sql_job *j)
{
	switch (index_query_prepare(&j->index, buf_cstr(&j->sql), &j->statement)) {
	case INDEX_QUERY_OK:
		return 0;
	case INDEX_QUERY_EMPTY:
		log_error("there is no statement; pyspy-report sql FILE 'select ...'");
		return REPORT_USAGE;
	case INDEX_QUERY_SEVERAL:
		log_error("there is more than one statement; ask one at a time");
		return REPORT_USAGE;
	case INDEX_QUERY_WRITES:
		log_error(
		    "sql only reads an index: the statement would do more; `pyspy-report index` makes and changes one");
		return REPORT_ERROR;
	default:
		return say_sqlite(j);
	}
}

static int run(struct sql_job *j)
{
	int rc, status = choose(j);

	if (!status)
		status = open_any(j);
	if (status)
		return status;
	rc = index_query_begin(&j->index, &j->profile);
	if (rc)
		return report_index_failed(j->file, rc, j->index.error_number);
	status = prepare(j);
	if (status)
		return status;
	rc = query_rows_write(j->output.file, j->statement, asked.format);
	if (rc == ERR_FORMAT)
		return say_sqlite(j);
	return rc && rc != ERR_IO ? report_trouble_failed("cannot write the rows", rc) : 0;
}

static int cmd_sql(const struct report_verb *verb, int argc, char **argv)
{
	struct sql_job *j = calloc(1, sizeof *j);
	int rc, status;

	if (!j || profile_init(&j->profile))
		return report_trouble_failed("cannot start", ERR_NO_MEMORY);
	buf_init(&j->sql, SQL_MAX);
	rc = report_options_parse(&j->options, verb, argc, argv);
	status = rc < 0 ? REPORT_USAGE : REPORT_OK;
	if (!rc) {
		struct report_options to = j->options;

		if (to.files.n > 1)
			to.files.n = 1; /* the other one is the statement */
		j->has_output = report_output_open(&j->output, &to) == 0;
		status = !j->has_output ? REPORT_ERROR : asked.schema ? print_schema(j) : run(j);
	}
	if (j->has_output && status == REPORT_OK)
		status = report_output_close(&j->output);
	else if (j->has_output)
		report_output_drop(&j->output);
	sqlite3_finalize(j->statement);
	index_close(&j->index);
	profile_done(&j->profile);
	buf_done(&j->sql);
	report_options_done(&j->options);
	free(j);
	return status;
}

const struct report_verb cmd_sql_verb = {
    .name = "sql",
    .summary = "SQL over a recording or an index.",
    .examples = "  pyspy-report sql app.pyspy 'select tid, name, is_main from thread where id > 0'\n"
                "  pyspy-report sql app.pyspy 'select state, count(*) as samples, sum(weight_ns) / 1e9 as s from "
                "sample group by 1'\n"
                "  pyspy-report sql app.pyspy 'select frame(location) as line, count(*) as samples from sample\n"
                "      where not idle group by location order by 2 desc limit 10'\n"
                "  pyspy-report sql app.pyspy \"select json_extract(value, '\\$[1]') as samples, "
                "path(json_extract(value, '\\$[0]')) as\n"
                "      stack from json_each((select tally(stack) from sample where not idle)) limit 10\"\n"
                "  pyspy-report sql --csv app.pyspy 'select (time_ns - start_ns) / 1000000000 as second, sum(gil_wait) "
                "as waits\n"
                "      from sample join recording on recording.id = recording group by 1'\n"
                "  pyspy-report sql app.pyspy \"select count(*) as samples from sample where within(stack, 'main')\"\n"
                "  pyspy-report sql --schema\n",
    .about =
        "FILE is an index or a recording (one that has no index gets one for the question; keep it with pyspy-report\n"
        "index). The statement is one `select`; - reads it from standard input. Beside the documented tables "
        "(--schema)\n"
        "there is the virtual table `sample`, one row for each sample, and tally(), path(), frame(), within().\n"
        "Nothing can be changed so. Any SQLite program reads an index too, but for `sample` and these functions.",
    .own = own,
    .own_option = own_option,
    .run = cmd_sql,
};
