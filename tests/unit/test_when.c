/* Times and ranges as people write them, and what they mean of a recording. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libcommon/err.h"
#include "pyspy-report/query/when.h"

#define S SPAN_WHOLE

static void points(void **state)
{
	static const struct {
		const char *text;
		enum span_kind kind;
		int64_t ns;
	} cases[] = {
	    {"0", SPAN_OFFSET, 0},
	    {"90", SPAN_OFFSET, 90 * S},
	    {"1.5", SPAN_OFFSET, 3 * S / 2},
	    {".25s", SPAN_OFFSET, S / 4},
	    {"10s", SPAN_OFFSET, 10 * S},
	    {"500ms", SPAN_OFFSET, S / 2},
	    {"7us", SPAN_OFFSET, 7000},
	    {"8ns", SPAN_OFFSET, 8},
	    {"1m30.5s", SPAN_OFFSET, 90 * S + S / 2},
	    {"2min", SPAN_OFFSET, 120 * S},
	    {"1h2m3s4ms", SPAN_OFFSET, 3723 * S + 4000000},
	    {"1d", SPAN_OFFSET, 86400 * S},
	    {"0.1234567899s", SPAN_OFFSET, 123456789},
	    {"-10s", SPAN_FROM_END, 10 * S},
	    {"0%", SPAN_SHARE, 0},
	    {"12.5%", SPAN_SHARE, S / 8},
	    {"100%", SPAN_SHARE, S},
	    {"1970-01-01T00:00:00Z", SPAN_CLOCK, 0},
	    {"2026-11-28T07:13:44Z", SPAN_CLOCK, 1795850024 * S},
	    {"2026-11-28 07:13:44.25Z", SPAN_CLOCK, 1795850024 * S + S / 4},
	    {"2026-11-28t08:13:44+01:00", SPAN_CLOCK, 1795850024 * S},
	    {"2026-11-28T01:43:44-0530", SPAN_CLOCK, 1795850024 * S},
	    {"2026-11-28T07:13Z", SPAN_CLOCK, 1795849980 * S},
	    {"2024-02-29Z", SPAN_CLOCK, 1709164800 * S},
	    /* without a zone: TZ=XYZ-02, two hours ahead */
	    {"2026-11-28T09:13:44", SPAN_CLOCK, 1795850024 * S},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct span_point p;
		char message[300] = "";

		if (when_parse(cases[i].text, &p, message, sizeof message))
			fail_msg("%s: %s", cases[i].text, message);
		assert_int_equal(p.kind, cases[i].kind);
		if (p.ns != cases[i].ns)
			fail_msg("%s: %lld", cases[i].text, (long long)p.ns);
	}
}

static void spans(void **state)
{
	struct span s;
	char message[300];

	assert_int_equal(when_parse_span("..", &s, message, sizeof message), 0);
	assert_true(span_is_open(&s));
	assert_int_equal(when_parse_span("10s..1m", &s, message, sizeof message), 0);
	assert_int_equal(s.from.ns, 10 * S);
	assert_int_equal(s.to.ns, 60 * S);
	assert_false(span_needs_end(&s));
	assert_int_equal(when_parse_span("..-1s", &s, message, sizeof message), 0);
	assert_int_equal(s.from.kind, SPAN_OPEN);
	assert_true(span_needs_end(&s));
	assert_int_equal(when_parse_span("1.5..2.5", &s, message, sizeof message), 0);
	assert_int_equal(s.from.ns, 3 * S / 2);
	assert_int_equal(when_parse_span("-2s..-1s", &s, message, sizeof message), 0);
	assert_int_equal(when_parse_span("25%..2026-11-28T07:13:44Z", &s, message, sizeof message), 0);
}

static void wrong_ones(void **state)
{
	static const char *const cases[][2] = {
	    {"", "no '..': a range is A..B, A.. or ..B; at the end, behind character 0"},
	    {"10s", "no '..'"},
	    {"10s.20s", "no '..'"},
	    {"x..", "not a time; at character 1: 'x..'"},
	    {"1s...", "not a time; at character 5: '.'"},
	    {"..1..2", "no unit of time (ms, s, m, h); at character 4: '..2'"},
	    {"1s2..", "no unit of time (ms, s, m, h); at character 4"},
	    {"..1e3", "no unit of time (ms, s, m, h); at character 4: 'e3'"},
	    {"..--1s", "not a time; at character 4: '-1s'"},
	    {"2s..2s", "ends before it begins; at character 5: '2s'"},
	    {"50%..10%", "ends before it begins; at character 6"},
	    {"-1s..-2s", "ends before it begins"},
	    {"..100.1%", "more than 100 %; at character 3"},
	    {"..5%%", "not part of a percentage; at character 5: '%'"},
	    {"..-5%", "not a time; at character 3"},
	    {"99999999999999999999s..", "a number that is too large; at character"},
	    {"3651000d..", "longer than 100 years"},
	    {"2026-1-1..", "no month; at character 6"},
	    {"2026-00-10..", "no month; at character 6"},
	    {"2026-11-31..", "no such day; at character 1"},
	    {"2023-02-29..", "no such day"},
	    {"0099-01-01..", "no year from 1970 to 2200; at character 1"},
	    {"2026-11-28T24:00..", "no hour; at character 12"},
	    {"2026-11-28T10..", "':' and minutes expected; at character 14"},
	    {"2026-11-28T10:60..", "no minute; at character 15"},
	    {"2026-11-28T10:10:61..", "more than 60 seconds before here; at character 20"},
	    {"2026-11-28T10:10:10X..", "not part of a time; at character 20: 'X..'"},
	    {"2026-11-28T10:10:10+1..", "no time zone (Z, +01:00); at character 21"},
	};

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct span s;
		char message[300] = "";

		assert_int_equal(when_parse_span(cases[i][0], &s, message, sizeof message), ERR_USAGE);
		if (!strstr(message, cases[i][1]))
			fail_msg("%s: %s", cases[i][0], message);
	}
}

static void resolved(void **state)
{
	const struct span_of of = {.begin_ns = 100, .end_ns = 1100, .anchor_ns = -50};
	static const struct {
		struct span span;
		uint64_t from, until;
	} cases[] = {
	    {{{0}, {0}}, 0, UINT64_MAX},
	    /* events may be older than their recording: from its begin is from everywhere */
	    {{{SPAN_OFFSET, 0}, {SPAN_OFFSET, 10}}, 0, 110},
	    {{{SPAN_OFFSET, 10}, {SPAN_OFFSET, INT64_MAX}}, 110, UINT64_C(100) + INT64_MAX},
	    {{{SPAN_SHARE, 0}, {SPAN_SHARE, S}}, 0, UINT64_MAX},
	    {{{SPAN_SHARE, S / 4}, {SPAN_SHARE, S / 2}}, 350, 600},
	    {{{SPAN_FROM_END, 10}, {SPAN_FROM_END, 0}}, 1090, UINT64_MAX},
	    {{{SPAN_FROM_END, 5000}, {0}}, 100, UINT64_MAX},
	    {{{SPAN_CLOCK, 200}, {SPAN_CLOCK, 300}}, 250, 350},
	    {{{SPAN_CLOCK, -5000}, {SPAN_CLOCK, INT64_MAX}}, 0, UINT64_C(50) + INT64_MAX},
	};
	const struct span_of none = {.begin_ns = 100, .end_ns = 0}, late = {.begin_ns = UINT64_MAX - 5};
	uint64_t from, until;

	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		span_resolve(&cases[i].span, &of, &from, &until);
		assert_int_equal(from, cases[i].from);
		assert_int_equal(until, cases[i].until);
	}
	/* an end before the begin, and sums that are too large: damaged headers */
	span_resolve(&(struct span){{SPAN_SHARE, S / 2}, {SPAN_FROM_END, 1}}, &none, &from, &until);
	assert_int_equal(from, 100);
	assert_int_equal(until, 100);
	span_resolve(&(struct span){{SPAN_OFFSET, 100}, {0}}, &late, &from, &until);
	assert_int_equal(from, UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(points), cmocka_unit_test(spans),
	                                   cmocka_unit_test(wrong_ones), cmocka_unit_test(resolved)};

	setenv("TZ", "XYZ-02", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
