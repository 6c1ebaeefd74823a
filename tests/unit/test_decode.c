#include "format/decode.h"
#include "format/encode.h"
#include "tests/unit/support_test.h"

static void test_varint(void **state)
{
	static const uint64_t VALUES[] = {0, 1, 127, 128, 16383, 16384, UINT32_MAX, UINT64_C(1) << 63, UINT64_MAX};

	for (unsigned i = 0; i < N_OF(VALUES); i++) {
		struct buf b;
		const uint8_t *p;
		uint64_t v;

		buf_init(&b, 0);
		encode_varint(&b, VALUES[i]);
		for (size_t n = 0; n < b.len; n++) {
			p = b.data;
			assert_false(decode_varint(&p, b.data + n, &v));
			assert_ptr_equal(p, b.data);
		}
		p = b.data;
		assert_true(decode_varint(&p, b.data + b.len, &v));
		assert_ptr_equal(p, b.data + b.len);
		assert_true(v == VALUES[i]);
		buf_done(&b);
	}
}

static void test_varint_overlong(void **state)
{
	static const uint8_t TOO_LARGE[] = {0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x02};
	static const uint8_t ELEVEN[] = {0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00};
	static const uint8_t PADDED[] = {0x81, 0x80, 0x00};
	const uint8_t *p = TOO_LARGE;
	uint64_t v;

	assert_false(decode_varint(&p, p + sizeof TOO_LARGE, &v));
	p = ELEVEN;
	assert_false(decode_varint(&p, p + sizeof ELEVEN, &v));
	p = PADDED;
	assert_true(decode_varint(&p, p + sizeof PADDED, &v));
	assert_int_equal(v, 1);
}

static void test_zigzag(void **state)
{
	static const int64_t VALUES[] = {0, -1, 1, -64, 63, INT32_MIN, INT32_MAX, INT64_MIN, INT64_MAX};

	for (unsigned i = 0; i < N_OF(VALUES); i++) {
		struct buf b;
		const uint8_t *p;
		int64_t v;

		buf_init(&b, 0);
		encode_zigzag(&b, VALUES[i]);
		assert_true(i > 4 || b.len == 1);
		p = b.data;
		assert_true(decode_zigzag(&p, b.data + b.len, &v));
		assert_true(v == VALUES[i]);
		p = b.data;
		assert_false(decode_zigzag(&p, b.data + b.len - 1, &v));
		buf_done(&b);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_varint),
	    cmocka_unit_test(test_varint_overlong),
	    cmocka_unit_test(test_zigzag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
