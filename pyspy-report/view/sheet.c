#include "pyspy-report/view/sheet.h"

#include <inttypes.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "pyspy-report/view/json_text.h"

static int sheet_append(const char *bytes, size_t n, void *to)
{
	struct buf *b = to;

	buf_put(b, bytes, n);
	return b->err ? -1 : 0;
}

/* `value` is taken. */
static void sheet_json(struct buf *b, json_t *value, size_t flags)
{
	if (!value || json_dump_callback(value, sheet_append, b, JSON_ENCODE_ANY | JSON_ENSURE_ASCII | flags))
		b->err = b->err ? b->err : ERR_NO_MEMORY;
	json_decref(value);
}

static void sheet_flush(struct sheet *s)
{
	if (s->row.len && !s->row.err)
		fwrite(s->row.data, 1, s->row.len, s->out);
	s->row.len = 0; /* not buf_reset: an error stays */
}

static void sheet_quoted(struct buf *out, const char *text, size_t n)
{
	bool quotes = false;

	for (size_t i = 0; i < n && !quotes; i++)
		quotes = text[i] == '"' || text[i] == ',' || text[i] == ' ';
	if (!quotes) {
		buf_put(out, text, n);
		return;
	}
	buf_u8(out, '"');
	for (size_t i = 0, from = 0; i <= n; i++) {
		if (i < n && text[i] != '"')
			continue;
		buf_put(out, text + from, i - from);
		if (i < n)
			buf_str(out, "\"\"");
		from = i + 1;
	}
	buf_u8(out, '"');
}

static void sheet_head(struct sheet *s, json_t *head)
{
	json_t *columns = json_array();

	for (size_t i = 0; i < s->n_columns; i++) {
		json_t *one = json_object();

		json_object_set_new(one, "name", json_text_bytes(s->columns[i].name, strlen(s->columns[i].name)));
		if (s->columns[i].unit)
			json_object_set_new(one, "unit", json_string(s->columns[i].unit));
		json_array_append_new(columns, one);
	}
	json_object_set_new(head, "columns", columns);
	buf_u8(&s->row, '{');
	sheet_json(&s->row, head, JSON_EMBED);
	buf_str(&s->row, ",\n\"rows\": [");
}

int sheet_begin(struct sheet *s, FILE *out, enum sheet_format format, const struct sheet_column *columns,
                size_t n_columns, json_t *head)
{
	memset(s, 0, sizeof *s);
	s->out = out;
	s->format = format;
	s->columns = columns;
	s->n_columns = n_columns;
	buf_init(&s->row, 0);
	buf_init(&s->safe, 0);
	if (format == SHEET_JSON)
		sheet_head(s, head ? head : json_object());
	else
		json_decref(head);
	for (size_t i = 0; i < n_columns && format == SHEET_CSV; i++) {
		buf_str(&s->row, i ? "," : "");
		sheet_quoted(&s->row, columns[i].name, strlen(columns[i].name));
	}
	if (format == SHEET_CSV)
		buf_str(&s->row, "\r\n");
	sheet_flush(s);
	return s->row.err;
}

static bool sheet_is_json(const struct sheet *s)
{
	return s->format == SHEET_JSON || s->format == SHEET_JSON_LINES;
}

/* Most names are plain; those of `sql` are whatever was asked for. */
static void sheet_key(struct sheet *s, const char *name)
{
	bool is_plain = true;

	for (const char *c = name; *c && is_plain; c++)
		is_plain = *c >= ' ' && *c <= '~' && *c != '"' && *c != '\\';
	if (is_plain)
		buf_printf(&s->row, "\"%s\": ", name);
	else {
		sheet_json(&s->row, json_text_bytes(name, strlen(name)), 0);
		buf_str(&s->row, ": ");
	}
}

/* What stands before a cell. */
static void sheet_cell(struct sheet *s)
{
	bool is_first = s->at == 0;

	if (!sheet_is_json(s)) {
		buf_str(&s->row, is_first ? "" : s->format == SHEET_TABS ? "\t" : ",");
	} else {
		if (is_first && s->format == SHEET_JSON)
			buf_str(&s->row, s->n_rows ? ",\n" : "\n");
		buf_str(&s->row, is_first ? "{" : ", ");
		sheet_key(s, s->columns[s->at].name);
	}
	s->at++;
}

void sheet_number(struct sheet *s, uint64_t n)
{
	sheet_cell(s);
	buf_printf(&s->row, "%" PRIu64, n);
}

void sheet_number_or_none(struct sheet *s, uint64_t n)
{
	if (n)
		sheet_number(s, n);
	else
		sheet_none(s);
}

void sheet_signed(struct sheet *s, int64_t n)
{
	sheet_cell(s);
	buf_printf(&s->row, "%" PRId64, n);
}

void sheet_percent(struct sheet *s, uint64_t part, uint64_t whole)
{
	if (!whole) {
		sheet_none(s);
		return;
	}
	sheet_cell(s);
	buf_printf(&s->row, "%.4f", 100.0 * (double)part / (double)whole);
}

void sheet_bool(struct sheet *s, bool yes)
{
	sheet_cell(s);
	buf_str(&s->row, yes ? "true" : "false");
}

void sheet_none(struct sheet *s)
{
	sheet_cell(s);
	buf_str(&s->row, sheet_is_json(s) ? "null" : s->format == SHEET_TABS ? "-" : "");
}

void sheet_text(struct sheet *s, const char *text, size_t n)
{
	if (!n && s->format == SHEET_TABS) {
		sheet_none(s);
		return;
	}
	sheet_cell(s);
	if (sheet_is_json(s)) {
		sheet_json(&s->row, json_text_bytes(text, n), 0);
		return;
	}
	s->safe.len = 0;
	if (s->format == SHEET_TABS) {
		escape_text(&s->row, text, n);
		return;
	}
	if (n && text[0] && strchr("=+-@", text[0])) {
		buf_printf(&s->safe, "\\x%02x", (unsigned char)text[0]);
		escape_text(&s->safe, text + 1, n - 1);
	} else {
		escape_text(&s->safe, text, n);
	}
	s->row.err = s->row.err ? s->row.err : s->safe.err;
	sheet_quoted(&s->row, buf_cstr(&s->safe), s->safe.len);
}

void sheet_made(struct sheet *s, const void *bytes, size_t n)
{
	sheet_cell(s);
	buf_put(&s->row, bytes, n);
}

void sheet_more(struct sheet *s, const void *bytes, size_t n)
{
	buf_put(&s->row, bytes, n);
}

int sheet_row(struct sheet *s)
{
	static const char *const ends[] = {
	    [SHEET_CSV] = "\r\n", [SHEET_JSON] = "}", [SHEET_JSON_LINES] = "}\n", [SHEET_TABS] = "\n"};

	buf_str(&s->row, ends[s->format]);
	sheet_flush(s);
	s->at = 0;
	s->n_rows++;
	if (s->row.err)
		return s->row.err;
	return ferror(s->out) ? ERR_IO : 0;
}

int sheet_end(struct sheet *s)
{
	int err;

	if (s->format == SHEET_JSON)
		buf_str(&s->row, "\n]}\n");
	sheet_flush(s);
	err = s->row.err;
	buf_done(&s->row);
	buf_done(&s->safe);
	return err;
}
