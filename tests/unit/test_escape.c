#include "libcommon/escape.h"
#include "libcommon/utf8.h"
#include "tests/unit/support_test.h"

struct row {
	const char *in;
	size_t n;
	const char *text, *folded, *xml, *json;
};
#define IN(s) s, sizeof(s) - 1

static const struct row ROWS[] = {
    {IN(""), "", "", "", ""},
    {IN("plain name"), "plain name", "plain name", "plain name", "plain name"},
    {IN("a;b\\c"), "a;b\\c", "a\\x3bb\\c", "a;b\\c", "a;b\\\\c"},
    {IN("<a href=\"x\">&'"), "<a href=\"x\">&'", "<a href=\"x\">&'", "&lt;a href=&quot;x&quot;&gt;&amp;&#39;",
     "\\u003ca href=\\\"x\\\"\\u003e\\u0026'"},
    {IN("\n\t\r"), "\\n\\t\\r", "\\n\\t\\r", "\\n\\t\\r", "\\n\\t\\r"},
    {IN("\0\x1B[31m\x7F"), "\\x00\\x1b[31m\\x7f", "\\x00\\x1b[31m\\x7f", "\\x00\\x1b[31m\\x7f",
     "\\u0000\\u001b[31m\\u007f"},
    {IN("\xC2\x9B"), "\\u009b", "\\u009b", "\\u009b", "\\u009b"},
    {IN("\xE2\x80\xAEx\xE2\x80\xA8"), "\\u202ex\\u2028", "\\u202ex\\u2028", "\\u202ex\\u2028", "\\u202ex\\u2028"},
    {IN("\xED\xB2\x80"), "\\udc80", "\\udc80", "\\udc80", "\xEF\xBF\xBD"},
    {IN("\xFF\xC3"), "\\xff\\xc3", "\\xff\\xc3", "\\xff\\xc3", "\xEF\xBF\xBD\xEF\xBF\xBD"},
    {IN("\xF0\x9F\xBF\xBE"), "\\U0001fffe", "\\U0001fffe", "\\U0001fffe", "\\ud83f\\udffe"},
    {IN("\xF4\x8F\xBF\xBF"), "\\U0010ffff", "\\U0010ffff", "\\U0010ffff", "\\udbff\\udfff"},
    {IN("\xE6\x97\xA5\xF0\x9F\x90\x8D"), "\xE6\x97\xA5\xF0\x9F\x90\x8D", "\xE6\x97\xA5\xF0\x9F\x90\x8D",
     "\xE6\x97\xA5\xF0\x9F\x90\x8D", "\xE6\x97\xA5\xF0\x9F\x90\x8D"},
};

typedef void (*escape_fn)(struct buf *, const char *, size_t);

static void check(escape_fn escape, const struct row *row, const char *want)
{
	struct buf b;

	buf_init(&b, 0);
	escape(&b, row->in, row->n);
	assert_string_equal(buf_cstr(&b), want);
	buf_done(&b);
}

static void test_rows(void **state)
{
	for (unsigned i = 0; i < N_OF(ROWS); i++) {
		check(escape_text, &ROWS[i], ROWS[i].text);
		check(escape_folded, &ROWS[i], ROWS[i].folded);
		check(escape_xml, &ROWS[i], ROWS[i].xml);
		check(escape_json, &ROWS[i], ROWS[i].json);
	}
}

/* Whatever comes in, nothing unsafe comes out, nor what has a meaning where it goes. */
static void test_any_bytes(void **state)
{
	static const struct {
		escape_fn escape;
		const char *never;
	} WAYS[] = {{escape_text, ""}, {escape_folded, ";"}, {escape_xml, "<>\"'"}, {escape_json, "<>&"}};
	uint32_t seed = 12345;

	for (int round = 0; round < 20000; round++) {
		char in[24];
		struct buf b;
		uint32_t cp;
		unsigned way = (unsigned)round % N_OF(WAYS);

		for (unsigned i = 0; i < sizeof in; i++) {
			seed = seed * 1664525 + 1013904223;
			in[i] = (char)(seed >> 24);
		}
		buf_init(&b, 0);
		WAYS[way].escape(&b, in, sizeof in);
		for (size_t i = 0; i < b.len; i += utf8_next((char *)b.data + i, b.len - i, &cp)) {
			utf8_next((char *)b.data + i, b.len - i, &cp);
			assert_false(utf8_is_unsafe(cp));
			assert_true(cp > 0x7F || !strchr(WAYS[way].never, (int)cp));
		}
		buf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_rows), cmocka_unit_test(test_any_bytes)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
