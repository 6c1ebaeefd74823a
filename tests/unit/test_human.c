#include "libcommon/err.h"
#include "libcommon/human.h"
#include "tests/unit/support_test.h"

struct printed {
	uint64_t n;
	const char *want;
};

static void check(const char *(*print)(char *, uint64_t), const struct printed *rows, unsigned n)
{
	char out[HUMAN_SIZE];

	for (unsigned i = 0; i < n; i++)
		assert_string_equal(print(out, rows[i].n), rows[i].want);
}

static void test_print(void **state)
{
	static const struct printed COUNTS[] = {
	    {0, "0"}, {999, "999"}, {1000, "1,000"}, {12034, "12,034"}, {UINT64_MAX, "18,446,744,073,709,551,615"}};
	static const struct printed BYTES[] = {
	    {0, "0 B"},         {999, "999 B"},     {1000, "1.0 kB"},   {9949, "9.9 kB"},    {9950, "10 kB"},
	    {412000, "412 kB"}, {999499, "999 kB"}, {999500, "1.0 MB"}, {1300000, "1.3 MB"}, {UINT64_MAX, "18 EB"},
	};
	static const struct printed DURATIONS[] = {
	    {0, "0 s"},
	    {1, "1 ns"},
	    {999, "999 ns"},
	    {1500, "1.5 us"},
	    {350000, "350 us"},
	    {999499, "999 us"},
	    {999500, "1.0 ms"},
	    {12000000, "12 ms"},
	    {999499999, "999 ms"},
	    {999500000, "1.0 s"},
	    {4200000000, "4.2 s"},
	    {59499999999, "59 s"},
	    {59500000000, "1 m 00 s"},
	    {192000000000, "3 m 12 s"},
	    {3599500000000, "1 h 00 m"},
	    {7380000000000, "2 h 03 m"},
	    {UINT64_MAX, "5124095 h 35 m"},
	};

	check(human_count, COUNTS, N_OF(COUNTS));
	check(human_bytes, BYTES, N_OF(BYTES));
	check(human_duration, DURATIONS, N_OF(DURATIONS));
}

static void test_percent(void **state)
{
	char out[HUMAN_SIZE];

	assert_string_equal(human_percent(out, 123, 1000), "12.3 %");
	assert_string_equal(human_percent(out, 0, 10), "0 %");
	assert_string_equal(human_percent(out, 1, 100000), "<0.1 %");
	assert_string_equal(human_percent(out, -1, 100000), ">-0.1 %");
	assert_string_equal(human_percent(out, 1, 1), "100.0 %");
	assert_string_equal(human_percent(out, -1, 2), "-50.0 %");
	assert_string_equal(human_percent(out, 1, 0), "-");
	assert_string_equal(human_percent(out, 0, 0), "-");
	assert_true(strlen(human_percent(out, 1e300, 1)) < HUMAN_SIZE);
}

struct parsed {
	const char *s;
	uint64_t want; /* UINT64_MAX = ERR_USAGE */
};

static void check_parse(int (*parse)(const char *, uint64_t *), const struct parsed *rows, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t v = 0;
		int rc = parse(rows[i].s, &v);

		if ((rc == 0) != (rows[i].want != UINT64_MAX) || (rc == 0 && v != rows[i].want))
			fail_msg("\"%s\" gave %d, %llu", rows[i].s, rc, (unsigned long long)v);
		assert_true(rc == 0 || rc == ERR_USAGE);
	}
}

static void test_parse(void **state)
{
	static const struct parsed DURATIONS[] = {
	    {"1.5", 1500000000},
	    {"10s", 10000000000},
	    {"500ms", 500000000},
	    {"2m", 120000000000},
	    {"1h", 3600000000000},
	    {"1d", 86400000000000},
	    {"0", 0},
	    {".5s", 500000000},
	    {"1.", 1000000000},
	    {"3us", 3000},
	    {"7ns", 7},
	    {"0.000000001", 1},
	    {"0001", 1000000000},
	    {"36525d", 36525 * UINT64_C(86400000000000)},
	    {"36525.1d", UINT64_MAX},
	    {"", UINT64_MAX},
	    {"-1", UINT64_MAX},
	    {"+1", UINT64_MAX},
	    {"1 s", UINT64_MAX},
	    {"1x", UINT64_MAX},
	    {"s", UINT64_MAX},
	    {".", UINT64_MAX},
	    {"1e3", UINT64_MAX},
	    {"nan", UINT64_MAX},
	    {"inf", UINT64_MAX},
	    {"0x10", UINT64_MAX},
	    {"1S", UINT64_MAX},
	    {"1..5", UINT64_MAX},
	    {" 1", UINT64_MAX},
	    {"99999999999999999999", UINT64_MAX},
	};
	static const struct parsed BYTES[] = {
	    {"64", 64},
	    {"64k", 65536},
	    {"64M", 67108864},
	    {"1G", 1073741824},
	    {"1.5k", 1536},
	    {"0", 0},
	    {"64K", 65536},
	    {"1T", UINT64_C(1) << 40},
	    {"99999999999T", UINT64_MAX},
	    {"", UINT64_MAX},
	    {"k", UINT64_MAX},
	    {"1kB", UINT64_MAX},
	    {"-5", UINT64_MAX},
	};

	check_parse(human_parse_duration, DURATIONS, N_OF(DURATIONS));
	check_parse(human_parse_bytes, BYTES, N_OF(BYTES));
}

static void test_parse_rate(void **state)
{
	static const struct {
		const char *s;
		double want; /* 0 = ERR_USAGE */
	} ROWS[] = {{"100", 100},   {"2.5", 2.5},   {"1k", 1000},   {"1khz", 1000}, {"10kHz", 10000},
	            {"100hz", 100}, {"100Hz", 100}, {"0.01", 0.01}, {"0", 0},       {"", 0},
	            {"-1", 0},      {"1m", 0},      {"hz", 0},      {"1 khz", 0}};

	for (unsigned i = 0; i < N_OF(ROWS); i++) {
		double hz = 0;

		assert_int_equal(human_parse_rate(ROWS[i].s, &hz), ROWS[i].want > 0 ? 0 : ERR_USAGE);
		assert_true(hz == ROWS[i].want);
	}
}

static void test_parse_pid(void **state)
{
	static const struct {
		const char *s;
		int want; /* 0 = ERR_USAGE */
	} ROWS[] = {{"1", 1},
	            {"4194304", 4194304},
	            {"0x10", 16},
	            {"0X1f", 31},
	            {"007", 7},
	            {"0", 0},
	            {"4194305", 0},
	            {"", 0},
	            {"0x", 0},
	            {"-1", 0},
	            {"+1", 0},
	            {" 1", 0},
	            {"1 ", 0},
	            {"12a", 0},
	            {"99999999999999999999999", 0},
	            {"0x0x1", 0}};

	for (unsigned i = 0; i < N_OF(ROWS); i++) {
		int pid = 0;

		assert_int_equal(human_parse_pid(ROWS[i].s, &pid), ROWS[i].want ? 0 : ERR_USAGE);
		assert_int_equal(pid, ROWS[i].want);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_print),      cmocka_unit_test(test_percent),   cmocka_unit_test(test_parse),
	    cmocka_unit_test(test_parse_rate), cmocka_unit_test(test_parse_pid),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
