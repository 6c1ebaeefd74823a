/* What is JSON and what is not: jansson reads the same texts, and has the last word. */
#include <jansson.h>
#include <sys/mman.h>
#include <unistd.h>

#include "pyspy-report/exchange/json_pull.h"
#include "tests/unit/support_mutate.h"
#include "tests/unit/support_test.h"

/* The tokens of a text, as a text; "BAD" at the end of a wrong one. */
static void tokens(const char *json, size_t n, struct buf *out)
{
	static const char *const names[] = {"", "{", "}", "[", "]", "k:", "s:", "n:", "true", "false", "null", "BAD"};
	int fd = memfd_create("json", MFD_CLOEXEC);
	struct intake from;
	struct json_pull j;
	enum json_token t;

	assert_true(fd >= 0);
	assert_int_equal(write(fd, json, n), n);
	lseek(fd, 0, SEEK_SET);
	assert_int_equal(intake_open(&from, fd), 0);
	json_pull_init(&j, &from);
	do {
		t = json_pull_next(&j);
		buf_str(out, names[t]);
		if (t == PULL_KEY || t == PULL_STRING)
			buf_put(out, j.text.data, j.text.len);
		if (t == PULL_NUMBER)
			buf_printf(out, "%.17g", j.number);
		buf_str(out, " ");
	} while (t != PULL_END && t != PULL_BAD);
	if (t == PULL_BAD)
		assert_non_null(j.wrong);
	json_pull_done(&j);
	intake_done(&from);
	close(fd);
}

static void check(const char *json, const char *want)
{
	struct buf out;

	buf_init(&out, 0);
	tokens(json, strlen(json), &out);
	assert_string_equal(buf_cstr(&out), want);
	buf_done(&out);
}

static void test_tokens(void **state)
{
	check("{}", "{ }  ");
	check(" [ ] ", "[ ]  ");
	check("{\"a\": [1, -2.5e3, true], \"b\":{\"c\":null}}", "{ k:a [ n:1 n:-2500 true ] k:b { k:c null } }  ");
	check("\"\\u00e9\\ud83d\\ude00\\n\\/\"", "s:\xC3\xA9\xF0\x9F\x98\x80\n/  ");
	check("\"\\ud800x\"", "s:\xED\xA0\x80x  "); /* alone: generalised UTF-8 */
	check("\"\\ud800\\ud800\\udc00\"", "s:\xED\xA0\x80\xF0\x90\x80\x80  ");
	check("123456789", "n:123456789  ");
	check("[1234567890123]", "[ n:1234567890123 ]  ");
}

static void test_wrong(void **state)
{
	static const char *const wrong[] = {"",        "{",    "[1,]", "[,1]",       "{\"a\"}",   "{\"a\":}", "{a:1}",
	                                    "[1 2]",   "]",    "[}",   "{\"a\":1]",  "tru",       "[01]",     "[+1]",
	                                    "[1.2.3]", "[.5]", "[-]",  "\"\\x\"",    "\"\t\"",    "\"abc",    "[1]]",
	                                    "[1] 2",   "NaN",  "[1e]", "{\"a\":1,}", "\"\\u12\"", "[--1]",    "{1:2}"};

	for (size_t i = 0; i < N_OF(wrong); i++) {
		struct buf out;

		buf_init(&out, 0);
		tokens(wrong[i], strlen(wrong[i]), &out);
		if (!strstr(buf_cstr(&out), "BAD"))
			fail_msg("taken for JSON: %s", wrong[i]);
		buf_done(&out);
	}
}

/* Mutated texts: what jansson reads is read, what it refuses is refused. Left out: what both may judge as they like
 * (lone surrogates, bytes that are no UTF-8, doubled keys, NUL, numbers beyond a double or an integer of 64 bits). */
static void test_as_jansson(void **state)
{
	static const char json[] =
	    "{\"a\":[1,2.5,-3e2,true,false,null,[],{}],\"b\":{\"c\":\"x\\n\\u00e9y\"},\"d\":\"\"}";
	unsigned n_good = 0;

	for (int i = 0; i < 20000; i++) {
		struct buf b, out;
		bool plain = true;
		json_error_t error;

		buf_init(&b, 0);
		buf_init(&out, 0);
		buf_put(&b, json, sizeof json - 1);
		support_mutate(&b);
		for (size_t k = 0; k < b.len; k++)
			plain &= b.data[k] > 0 && b.data[k] < 0x80;
		plain &= !memmem(b.data, b.len, "\\ud", 3) && !memmem(b.data, b.len, "\\u0000", 6);
		json_t *tree = plain && b.len ? json_loadb((const char *)b.data, b.len, JSON_DECODE_ANY, &error) : NULL;
		tokens((const char *)b.data, b.len, &out);
		if (plain && !(tree == NULL && (strstr(error.text, "too big") || strstr(error.text, "overflow")))) {
			bool is_good = !strstr(buf_cstr(&out), "BAD");

			if (is_good != (tree != NULL))
				fail_msg("%.*s: jansson says %s", (int)b.len, b.data, tree ? "good" : error.text);
			n_good += is_good;
		}
		json_decref(tree);
		buf_done(&b);
		buf_done(&out);
	}
	assert_true(n_good > 100);
}

static void test_depth(void **state)
{
	size_t n = 3000000;
	char *deep = malloc(n);
	struct buf out;

	assert_non_null(deep);
	memset(deep, '[', n);
	buf_init(&out, 0);
	tokens(deep, n, &out);
	assert_true(out.len < 2 * (PULL_DEPTH_MAX + 8));
	assert_string_equal(buf_cstr(&out) + out.len - 4, "BAD ");
	buf_done(&out);
	free(deep);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_tokens), cmocka_unit_test(test_wrong),
	                                   cmocka_unit_test(test_as_jansson), cmocka_unit_test(test_depth)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
