/* view/sheet: CSV as RFC 4180 has it, JSON with its head, names that want to be something else. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/view/sheet.h"

static const struct sheet_column columns[] = {{"name", NULL}, {"n", "samples"}, {"share", "percent"}};

struct page {
	char *text;
	size_t size;
	FILE *out;
	struct sheet sheet;
};

static void begin(struct page *p, enum sheet_format format, json_t *head)
{
	p->text = NULL;
	p->out = open_memstream(&p->text, &p->size);
	assert_non_null(p->out);
	assert_int_equal(sheet_begin(&p->sheet, p->out, format, columns, 3, head), 0);
}

static void row(struct page *p, const char *name, size_t n)
{
	sheet_text(&p->sheet, name, n);
	sheet_number(&p->sheet, UINT64_MAX);
	sheet_percent(&p->sheet, 1, 3);
	assert_int_equal(sheet_row(&p->sheet), 0);
}

static void expect(struct page *p, const char *want)
{
	assert_int_equal(sheet_end(&p->sheet), 0);
	assert_int_equal(fclose(p->out), 0);
	assert_string_equal(p->text, want);
	free(p->text);
}

static void csv_quotes_what_it_must(void **state)
{
	static const struct {
		const char *name, *cell;
		size_t n; /* 0: strlen */
	} cases[] = {
	    {"plain", "plain", 0},
	    {"", "", 0},
	    {"a,b", "\"a,b\"", 0},
	    {"say \"x\"", "\"say \"\"x\"\"\"", 0},
	    {"\"\"", "\"\"\"\"\"\"", 0},
	    {"two\nlines\r", "two\\nlines\\r", 0},
	    {"nul\0here", "nul\\x00here", 8},
	    {"\0", "\\x00", 1},
	    {"\x1b[2J", "\\x1b[2J", 0},
	    {"\xED\xB2\x80 \xFF", "\"\\udc80 \\xff\"", 0},
	    {"=1+1", "\\x3d1+1", 0},
	    {"+1", "\\x2b1", 0},
	    {"-1", "\\x2d1", 0},
	    {"@SUM(A1,A2)", "\"\\x40SUM(A1,A2)\"", 0},
	    {"a=1", "a=1", 0},
	    {"\t=1", "\\t=1", 0},
	    {"\xE6\x97\xA5", "\xE6\x97\xA5", 0},
	};
	struct page p;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		char want[200];

		begin(&p, SHEET_CSV, NULL);
		row(&p, cases[i].name, cases[i].n ? cases[i].n : strlen(cases[i].name));
		snprintf(want, sizeof want, "name,n,share\r\n%s,18446744073709551615,33.3333\r\n", cases[i].cell);
		expect(&p, want);
	}
}

static void csv_has_empty_cells(void **state)
{
	struct page p;

	begin(&p, SHEET_CSV, json_pack("{s:i}", "ignored", 1));
	sheet_none(&p.sheet);
	sheet_number_or_none(&p.sheet, 0);
	sheet_percent(&p.sheet, 0, 0);
	assert_int_equal(sheet_row(&p.sheet), 0);
	sheet_bool(&p.sheet, true);
	sheet_signed(&p.sheet, INT64_MIN);
	sheet_made(&p.sheet, "1", 1);
	sheet_more(&p.sheet, ".5", 2);
	assert_int_equal(sheet_row(&p.sheet), 0);
	expect(&p, "name,n,share\r\n,,\r\ntrue,-9223372036854775808,1.5\r\n");
}

static void json_says_what_it_is(void **state)
{
	const char *head =
	    "{\"verb\": \"top\", \"columns\": [{\"name\": \"name\"}, {\"name\": \"n\", \"unit\": \"samples\"}, "
	    "{\"name\": \"share\", \"unit\": \"percent\"}],\n\"rows\": [";
	char want[600];
	struct page p;

	begin(&p, SHEET_JSON, json_pack("{s:s}", "verb", "top"));
	snprintf(want, sizeof want, "%s\n]}\n", head);
	expect(&p, want);
	begin(&p, SHEET_JSON, json_pack("{s:s}", "verb", "top"));
	row(&p, "=\"\0\x1b\xED\xB2\x80\xFF", 8);
	row(&p, "", 0);
	snprintf(
	    want, sizeof want,
	    "%s\n{\"name\": \"=\\\"\\u0000\\u001B\\uFFFD\\uFFFD\", \"n\": 18446744073709551615, \"share\": 33.3333},\n"
	    "{\"name\": \"\", \"n\": 18446744073709551615, \"share\": 33.3333}\n]}\n",
	    head);
	expect(&p, want);
}

static void json_lines_and_tabs(void **state)
{
	struct page p;

	begin(&p, SHEET_JSON_LINES, NULL);
	sheet_text(&p.sheet, "a", 1);
	sheet_none(&p.sheet);
	sheet_made(&p.sheet, "[1]", 3);
	assert_int_equal(sheet_row(&p.sheet), 0);
	expect(&p, "{\"name\": \"a\", \"n\": null, \"share\": [1]}\n");
	begin(&p, SHEET_TABS, NULL);
	sheet_text(&p.sheet, "a\tb, =", 6);
	sheet_none(&p.sheet);
	sheet_text(&p.sheet, "", 0);
	assert_int_equal(sheet_row(&p.sheet), 0);
	expect(&p, "a\\tb, =\t-\t-\n");
}

/* A name of a megabyte, all of it to be escaped, is one cell; a full output is told at once. */
static void long_names_and_full_outputs(void **state)
{
	enum { N = 1 << 20 };
	char *name = malloc(N);
	struct page p;
	struct sheet s;
	FILE *full = fopen("/dev/full", "w");

	assert_non_null(name);
	memset(name, '"', N);
	begin(&p, SHEET_CSV, NULL);
	row(&p, name, N);
	assert_int_equal(sheet_end(&p.sheet), 0);
	assert_int_equal(fclose(p.out), 0);
	assert_int_equal(p.size, strlen("name,n,share\r\n\"\",18446744073709551615,33.3333\r\n") + 2 * N);
	free(p.text);
	if (full) {
		assert_int_equal(sheet_begin(&s, full, SHEET_CSV, columns, 3, NULL), 0);
		sheet_text(&s, name, N);
		sheet_none(&s);
		sheet_none(&s);
		assert_int_equal(sheet_row(&s), ERR_IO);
		assert_int_equal(sheet_end(&s), 0);
		fclose(full);
	}
	free(name);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(csv_quotes_what_it_must),     cmocka_unit_test(csv_has_empty_cells),
	    cmocka_unit_test(json_says_what_it_is),        cmocka_unit_test(json_lines_and_tabs),
	    cmocka_unit_test(long_names_and_full_outputs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
