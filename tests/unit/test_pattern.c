/* Regular expressions: what they find in hostile bytes, and where a wrong one is wrong. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/query/pattern.h"

static bool finds(const char *pattern, const char *s, size_t n)
{
	char message[400] = "";
	struct pattern p;
	bool found;

	assert_int_equal(pattern_init(&p, pattern, true, message, sizeof message), 0);
	found = pattern_finds(&p, s, n);
	pattern_done(&p);
	return found;
}

#define FINDS(pattern, s) finds(pattern, s, sizeof s - 1)

static void finds_bytes(void **state)
{
	assert_true(FINDS("b", "abc"));
	assert_false(FINDS("^b", "abc"));
	assert_true(FINDS("^abc$", "abc"));
	assert_true(FINDS("", ""));
	assert_true(FINDS("^$", ""));
	assert_true(FINDS("\\[in motion\\]", "[in motion]"));
	assert_true(FINDS("a|z", "xyz"));
	assert_true(FINDS("\\bfib\\b", "a fib()"));
	/* NUL, newline, half a character, none at all */
	assert_true(FINDS("after", "before\0after"));
	assert_true(FINDS("^before", "before\0after"));
	assert_false(FINDS("before$", "before\0after"));
	assert_false(FINDS("^after", "before\nafter"));
	assert_true(FINDS("before.after", "before\nafter"));
	assert_true(FINDS("\xFF\xC3$", "bad \xFF\xC3"));
	assert_true(FINDS("\xED\xB2\x80", "lone \xED\xB2\x80 surrogate"));
	assert_true(FINDS("^.$", "\xE6"));
	assert_true(FINDS("[\x80-\xFF]", "\xE6\x97\xA5"));
	/* only what it was told of: no byte behind the end */
	assert_false(finds("c", "abc", 2));
	assert_false(finds("a", "a", 0));
}

static void ignores_case(void **state)
{
	assert_false(FINDS("Fib", "a FIB"));
	assert_true(FINDS("(?i)Fib", "a FIB"));
	assert_true(FINDS("module:(?i)Fib", "a FIB"));
}

static void scopes(void **state)
{
	static const struct {
		const char *text;
		enum pattern_of of;
	} cases[] = {{"x", PATTERN_ANY},
	             {"module:x", PATTERN_MODULE},
	             {"function:x", PATTERN_FUNCTION},
	             {"file:x", PATTERN_FILE},
	             {"files:x", PATTERN_ANY},
	             {":x", PATTERN_ANY},
	             {"file:module:x", PATTERN_FILE}};
	struct pattern p;
	char message[400];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(pattern_init(&p, cases[i].text, true, message, sizeof message), 0);
		assert_int_equal(p.of, cases[i].of);
		pattern_done(&p);
	}
	assert_int_equal(pattern_init(&p, "file:x", false, message, sizeof message), 0);
	assert_int_equal(p.of, PATTERN_ANY);
	assert_true(pattern_finds(&p, "file:x", 6));
	pattern_done(&p);
}

static void places(void **state)
{
	static const struct {
		const char *text, *words;
	} cases[] = {
	    {"(", "Unmatched ( or \\(; at character 1: '('"},
	    {"ab(cd", "Unmatched ( or \\(; at character 3: '(cd'"},
	    {"a(b)c(d(e)", "Unmatched ( or \\(; at character 6: '(d(e)'"},
	    {"ab)cd", "Unmatched ); at character 3: ')cd'"},
	    {"[abc", "at character 1: '[abc'"},
	    {"x[a", "at character 2: '[a'"},
	    {"[[:nonsense:]]x", "Invalid character class name; at character"},
	    {"ok[z-a]", "Invalid range end; at character 6: 'a]'"},
	    {"ok\\", "Trailing backslash; at character 3: '\\'"},
	    {"x|*y", "Invalid preceding regular expression; at character 3: '*y'"},
	    {"a{2,1}", "Invalid content of \\{\\}; at character"},
	    {"(a)(b)\\2", "back-references are not known here; at character 7: '\\2'"},
	    {"a{2001}", "repeats too often; at character 2"},
	    {"((a{50}){50}){50}", "repeats too often; at character 9"},
	    {"file:a{99999999999999999999}", "repeats too often; at character 7"},
	    {"module:(?i)(", "Unmatched ( or \\(; at character 12: '('"},
	    {"x(\x1b", "at character 2: '(\\x1b'"},
	};
	struct pattern p;
	char message[400];

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		assert_int_equal(pattern_init(&p, cases[i].text, true, message, sizeof message), ERR_USAGE);
		if (!strstr(message, cases[i].words))
			fail_msg("%s: %s", cases[i].text, message);
	}
	/* brackets hide what is special outside of them */
	assert_true(FINDS("[)(*{]", "x*"));
	assert_true(FINDS("[]a)]", "]"));
	assert_true(FINDS("[^])]", "x"));
	assert_true(FINDS("\\(\\)\\{3000\\}", "(){3000}"));
}

static void long_ones(void **state)
{
	enum { BIG = 1 << 20 };
	char message[400], *s = malloc(BIG + 1);
	struct pattern p;

	assert_non_null(s);
	memset(s, 'a', BIG);
	s[BIG] = 0;
	assert_int_equal(pattern_init(&p, s, true, message, sizeof message), ERR_USAGE);
	assert_non_null(strstr(message, "longer than 2000 bytes"));
	/* a name of 1 MB, and what would send a backtracking one to the end of time */
	assert_true(finds("a$", s, BIG));
	assert_false(finds("(a|a)*b$", s, 1 << 16));
	assert_false(finds("(a*)*b", s, 1 << 12));
	free(s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(finds_bytes), cmocka_unit_test(ignores_case),
	                                   cmocka_unit_test(scopes), cmocka_unit_test(places),
	                                   cmocka_unit_test(long_ones)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
