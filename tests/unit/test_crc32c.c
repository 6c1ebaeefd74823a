#include "libcommon/crc32c.h"
#include "tests/unit/support_test.h"

/* RFC 3720, appendix B.4 */
static void test_vectors(void **state)
{
	uint8_t b[32];

	assert_int_equal(crc32c(0, "123456789", 9), 0xE3069283);
	assert_int_equal(crc32c(0, "", 0), 0);
	memset(b, 0, sizeof b);
	assert_int_equal(crc32c(0, b, 32), 0x8A9136AA);
	memset(b, 0xFF, sizeof b);
	assert_int_equal(crc32c(0, b, 32), 0x62A8AB43);
	for (unsigned i = 0; i < 32; i++)
		b[i] = (uint8_t)i;
	assert_int_equal(crc32c(0, b, 32), 0x46DD794E);
	for (unsigned i = 0; i < 32; i++)
		b[i] = (uint8_t)(31 - i);
	assert_int_equal(crc32c(0, b, 32), 0x113FDB5C);
}

static void test_portable_and_chained(void **state)
{
	uint8_t b[301];

	for (unsigned i = 0; i < sizeof b; i++)
		b[i] = (uint8_t)(i * 167 + (i >> 3));
	for (unsigned from = 0; from < 9; from++) {
		for (unsigned n = 0; from + n <= sizeof b; n++) {
			uint32_t whole = crc32c(0, b + from, n);

			assert_int_equal(crc32c_portable(0, b + from, n), whole);
			assert_int_equal(crc32c(crc32c(0, b + from, n / 3), b + from + n / 3, n - n / 3), whole);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_portable_and_chained)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
