#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/vec.h"
#include "tests/unit/support_test.h"

static void test_puts(void **state)
{
	static const uint8_t WANT[] = {1, 3, 2, 7, 6, 5, 4, 15, 14, 13, 12, 11, 10, 9, 8, 'a', 'b'};
	struct buf b;

	buf_init(&b, 0);
	assert_string_equal(buf_cstr(&b), "");
	buf_u8(&b, 1);
	buf_u16(&b, 0x0203);
	buf_u32(&b, 0x04050607);
	buf_u64(&b, UINT64_C(0x08090A0B0C0D0E0F));
	buf_str(&b, "ab");
	assert_int_equal(b.len, sizeof WANT);
	assert_memory_equal(b.data, WANT, sizeof WANT);
	buf_reset(&b);
	buf_printf(&b, "%d-%s", -5, "x");
	assert_string_equal(buf_cstr(&b), "-5-x");
	assert_int_equal(b.len, 4);
	buf_done(&b);
	assert_null(b.data);
}

static void test_grows(void **state)
{
	struct buf b;

	buf_init(&b, 0);
	for (int i = 0; i < 100000; i++)
		buf_printf(&b, "%05d", i);
	assert_int_equal(b.err, 0);
	assert_int_equal(b.len, 500000);
	assert_memory_equal(b.data + 499995, "99999", 5);
	buf_done(&b);
}

static void test_limit(void **state)
{
	struct buf b;

	buf_init(&b, 4);
	buf_str(&b, "abc");
	buf_str(&b, "de");
	assert_int_equal(b.err, ERR_FULL);
	assert_int_equal(b.len, 3);
	buf_str(&b, "d"); /* would fit, but the error is sticky */
	assert_int_equal(b.len, 3);
	assert_string_equal(buf_cstr(&b), "");
	buf_reset(&b);
	buf_printf(&b, "%s", "abcd");
	assert_int_equal(b.err, 0);
	assert_string_equal(buf_cstr(&b), "abcd"); /* the NUL does not count */
	buf_printf(&b, "%s", "e");
	assert_int_equal(b.err, ERR_FULL);
	buf_done(&b);
}

static void test_reserve(void **state)
{
	struct buf b;

	buf_init(&b, 0);
	assert_non_null(buf_reserve(&b, 0));
	assert_non_null(buf_reserve(&b, 1000));
	assert_true(b.cap >= 1000);
	assert_int_equal(b.len, 0);
	assert_null(buf_reserve(&b, SIZE_MAX));
	assert_int_equal(b.err, ERR_NO_MEMORY);
	assert_null(buf_reserve(&b, 1));
	buf_done(&b);
}

static void test_vec(void **state)
{
	VEC(uint64_t) v = {0};

	for (uint64_t i = 0; i < 1000; i++)
		assert_true(vec_push(&v, i * i));
	assert_int_equal(v.n, 1000);
	assert_int_equal(v.v[999], 999 * 999);
	assert_false(vec_room(&v, SIZE_MAX / 16));
	assert_int_equal(v.n, 1000);
	vec_free(&v);
	assert_null(v.v);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_puts),    cmocka_unit_test(test_grows), cmocka_unit_test(test_limit),
	    cmocka_unit_test(test_reserve), cmocka_unit_test(test_vec),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
