/* sheet: a table for programs, written row by row: CSV, one JSON document, JSON lines, or lines with tabs.
 *
 * CSV is RFC 4180: CRLF, a header row, quotes where needed. Names of columns say the unit (_ns, _percent, _samples).
 * Texts of the profiled program are as in the text views (escape_text: \n, \x1b, \udc80), so that a row is a line; one
 * that begins with = + - @ has \x3d and so on in place of that character, because spreadsheets would run it.
 * JSON has them as they are (json_text.h says what becomes of bad bytes): {head..., "columns": [...], "rows": [...]},
 * one row on each line, rows are objects with the columns' names. JSON lines are the rows alone. Lines with tabs have
 * no head; what is empty is - there.
 * Memory: one row. Write errors stay in `out` (ferror).
 */
#pragma once
#include <jansson.h>
#include <stdio.h>

#include "libcommon/buf.h"

enum sheet_format {
	SHEET_TEXT = 0 /* not a sheet: the view for people */,
	SHEET_CSV,
	SHEET_JSON,
	SHEET_JSON_LINES,
	SHEET_TABS
};

struct sheet_column {
	const char *name;
	const char *unit; /* for JSON's "columns": "samples", "ns", "percent of ..."; NULL = none */
};

struct sheet {
	FILE *out;
	enum sheet_format format;
	const struct sheet_column *columns;
	size_t n_columns, at; /* at: the next cell's column */
	uint64_t n_rows;
	struct buf row, safe;
};

/* `columns` must outlive the sheet. `head` (an object; NULL = none) is taken and only written to JSON documents; "rows"
 * are behind what it has. 0 or ERR_NO_MEMORY. sheet_end in any case. */
int sheet_begin(struct sheet *s, FILE *out, enum sheet_format format, const struct sheet_column *columns,
                size_t n_columns, json_t *head);
/* The next cell of the row. */
void sheet_number(struct sheet *s, uint64_t n);
void sheet_number_or_none(struct sheet *s, uint64_t n); /* of 0: none */
void sheet_signed(struct sheet *s, int64_t n);
/* 100 * part / whole with four decimals; of nothing: none. */
void sheet_percent(struct sheet *s, uint64_t part, uint64_t whole);
void sheet_text(struct sheet *s, const char *text, size_t n);
void sheet_bool(struct sheet *s, bool yes); /* true, false */
void sheet_none(struct sheet *s);           /* an empty cell; null */
/* A cell that is right for the format as it is, and more of the same. */
void sheet_made(struct sheet *s, const void *bytes, size_t n);
void sheet_more(struct sheet *s, const void *bytes, size_t n);
/* The row is complete. 0, ERR_NO_MEMORY, or ERR_IO when the output failed. */
int sheet_row(struct sheet *s);
/* 0 or ERR_NO_MEMORY (then the document is not complete). */
int sheet_end(struct sheet *s);
