#include "pyspy-report/view/query_rows.h"

#include <stdbool.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/utf8.h"
#include "libcommon/vec.h"

enum { KNOWN_ROWS = 1000, WIDE = 60 }; /* rows that columns are as wide as; no cell makes a column wider */

/* The table for people: the first rows wait until it is known how wide columns have to be. */
struct table_text {
	FILE *out;
	int n_columns;
	VEC(char *) cells; /* escaped; NULL: NULL */
	VEC(bool) numbers; /* is to stand right, by cell */
	size_t *widths;
	bool has_widths;
};

static size_t width_of(const char *cell)
{
	return cell ? utf8_columns(cell, strlen(cell)) : 0;
}

static void print_row(struct table_text *t, char *const *cells, const bool *numbers)
{
	for (int i = 0; i < t->n_columns; i++) {
		const char *cell = cells[i] ? cells[i] : "";
		size_t have = width_of(cell), pad = have < t->widths[i] ? t->widths[i] - have : 0;
		bool is_last = i + 1 == t->n_columns;

		if (i)
			fputs("  ", t->out);
		if (numbers[i])
			fprintf(t->out, "%*s%s", (int)pad, "", cell);
		else
			fprintf(t->out, "%s%*s", cell, is_last ? 0 : (int)pad, "");
	}
	fputc('\n', t->out);
}

static void print_known(struct table_text *t)
{
	size_t n = (size_t)t->n_columns;

	for (size_t i = 0; i < t->cells.n; i++) {
		size_t w = width_of(t->cells.v[i]);

		w = w < WIDE || i < n ? w : WIDE;
		t->widths[i % n] = w > t->widths[i % n] ? w : t->widths[i % n];
	}
	t->has_widths = true;
	for (size_t i = 0; i < n && t->cells.n > n; i++) /* a name stands where its numbers do */
		t->numbers.v[i] = t->numbers.v[n + i];
	for (size_t at = 0; at < t->cells.n; at += n) /* NOLINT(clang-analyzer-unix.Malloc): write_table frees */
		print_row(t, t->cells.v + at, t->numbers.v + at);
}

static void forget(struct table_text *t)
{
	for (size_t i = 0; i < t->cells.n; i++)
		free(t->cells.v[i]);
	t->cells.n = t->numbers.n = 0;
}

static int keep(struct table_text *t, const char *s, size_t n, bool is_number, bool is_null)
{
	struct buf b;
	char *cell = NULL;

	buf_init(&b, 0);
	escape_text(&b, s ? s : "", s ? n : 0);
	if (!b.err && !is_null)
		cell = strdup(buf_cstr(&b));
	bool ok = !b.err && (is_null || cell) && vec_push(&t->cells, cell);
	buf_done(&b);
	if (!ok)
		free(cell);
	return ok && vec_push(&t->numbers, is_number) ? 0 : ERR_NO_MEMORY;
}

static int keep_row(struct table_text *t, sqlite3_stmt *s)
{
	for (int i = 0; i < t->n_columns; i++) {
		int type = sqlite3_column_type(s, i);
		const char *text =
		    type == SQLITE_BLOB ? sqlite3_column_blob(s, i) : (const char *)sqlite3_column_text(s, i);

		TRY(keep(t, text, (size_t)sqlite3_column_bytes(s, i), type == SQLITE_INTEGER || type == SQLITE_FLOAT,
		         type == SQLITE_NULL));
	}
	return 0;
}

static int write_text(struct table_text *t, sqlite3_stmt *s)
{
	int step;

	for (int i = 0; i < t->n_columns; i++) {
		const char *name = sqlite3_column_name(s, i);

		TRY(name ? keep(t, name, strlen(name), false, false) : ERR_NO_MEMORY);
	}
	while ((step = sqlite3_step(s)) == SQLITE_ROW) {
		TRY(keep_row(t, s));
		if (!t->has_widths && t->cells.n / (size_t)t->n_columns > KNOWN_ROWS)
			print_known(t);
		else if (t->has_widths)
			print_row(t, t->cells.v, t->numbers.v);
		if (t->has_widths)
			forget(t);
		if (ferror(t->out))
			return ERR_IO;
	}
	if (!t->has_widths)
		print_known(t);
	return step == SQLITE_DONE ? 0 : ERR_FORMAT;
}

static int write_table(FILE *out, sqlite3_stmt *s)
{
	struct table_text t = {.out = out, .n_columns = sqlite3_column_count(s)};
	int rc;

	t.widths = calloc((size_t)t.n_columns + 1, sizeof *t.widths);
	rc = t.widths ? write_text(&t, s) : ERR_NO_MEMORY;
	forget(&t);
	vec_free(&t.cells);
	vec_free(&t.numbers);
	free(t.widths);
	return rc;
}

/* ---- for programs */

static void sheet_value(struct sheet *to, sqlite3_stmt *s, int i)
{
	const char *text;

	switch (sqlite3_column_type(s, i)) {
	case SQLITE_INTEGER:
		sheet_signed(to, sqlite3_column_int64(s, i));
		break;
	case SQLITE_FLOAT:
		text = (const char *)sqlite3_column_text(s, i);
		if (text && strpbrk(text, "0123456789"))
			sheet_made(to, text, strlen(text));
		else
			sheet_none(to); /* infinite: JSON has no word for it */
		break;
	case SQLITE_NULL:
		sheet_none(to);
		break;
	default:
		text = sqlite3_column_type(s, i) == SQLITE_BLOB ? sqlite3_column_blob(s, i)
		                                                : (const char *)sqlite3_column_text(s, i);
		sheet_text(to, text ? text : "", text ? (size_t)sqlite3_column_bytes(s, i) : 0);
		break;
	}
}

/* Names of columns, none of them twice: JSON's objects would lose one. Owned; NULL: no memory. */
static struct sheet_column *sheet_names(sqlite3_stmt *s, int n)
{
	struct sheet_column *c = calloc((size_t)n + 1, sizeof *c);

	for (int i = 0; i < n && c; i++) {
		const char *name = sqlite3_column_name(s, i);
		unsigned times = 1;
		char *own;

		if (!name || !(own = malloc(strlen(name) + 16)))
			return c;
		strcpy(own, name);
		for (int k = 0; k < i; k++)
			if (strcmp(c[k].name, own) == 0) {
				sprintf(own, "%s_%u", name, ++times);
				k = -1;
			}
		c[i].name = own;
	}
	return c;
}

static int write_sheet(FILE *out, sqlite3_stmt *s, enum sheet_format format, const struct sheet_column *columns, int n)
{
	json_t *head = json_object();
	struct sheet to;
	int rc, step = SQLITE_DONE;

	json_object_set_new(head, "schema_version", json_integer(1));
	rc = sheet_begin(&to, out, format, columns, (size_t)n, head);
	while (!rc && (step = sqlite3_step(s)) == SQLITE_ROW) {
		for (int i = 0; i < n; i++)
			sheet_value(&to, s, i);
		rc = sheet_row(&to);
	}
	int end = sheet_end(&to);
	rc = rc ? rc : step == SQLITE_DONE ? 0 : ERR_FORMAT;
	return rc ? rc : end;
}

int query_rows_write(FILE *out, sqlite3_stmt *s, enum sheet_format format)
{
	int n = sqlite3_column_count(s), rc = 0;
	struct sheet_column *columns;

	if (format == SHEET_TEXT)
		return write_table(out, s);
	columns = sheet_names(s, n);
	for (int i = 0; i < n && !rc; i++)
		rc = columns && columns[i].name ? 0 : ERR_NO_MEMORY;
	if (!rc)
		rc = write_sheet(out, s, format, columns, n);
	for (int i = 0; columns && i < n; i++)
		free((char *)columns[i].name);
	free(columns);
	return rc;
}
