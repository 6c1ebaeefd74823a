/* The test vectors of FIPS 180 (examples of NIST), and lengths around a block's. */
#include "pyspy-report/exchange/sha256.h"
#include "tests/unit/support_test.h"

static const char *hash(const void *p, size_t n, size_t piece)
{
	static char text[65];
	struct sha256 s;
	uint8_t out[32];

	sha256_init(&s);
	for (size_t i = 0; i < n; i += piece)
		sha256_add(&s, (const char *)p + i, n - i < piece ? n - i : piece);
	sha256_end(&s, out);
	for (int i = 0; i < 32; i++)
		snprintf(text + 2 * i, 3, "%02x", out[i]);
	return text;
}

static void test_vectors(void **state)
{
	static char many[1000000];

	assert_string_equal(hash("", 0, 1), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	assert_string_equal(hash("abc", 3, 3), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	assert_string_equal(hash("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq", 56, 7),
	                    "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
	memset(many, 'a', sizeof many);
	assert_string_equal(hash(many, sizeof many, 999),
	                    "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

/* However it comes in pieces. */
static void test_pieces(void **state)
{
	char bytes[200], whole[65];

	for (size_t i = 0; i < sizeof bytes; i++)
		bytes[i] = (char)(i * 7);
	for (size_t n = 1; n < sizeof bytes; n++) {
		strcpy(whole, hash(bytes, n, n));
		for (size_t piece = 1; piece < 70; piece += 13)
			assert_string_equal(hash(bytes, n, piece), whole);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_vectors), cmocka_unit_test(test_pieces)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
