#include "libcommon/err.h"
#include "tests/unit/support_test.h"

static void test_words(void **state)
{
#define CHECK(name, kind, words)                                                                                       \
	assert_string_equal(err_words(name), words);                                                                   \
	assert_int_equal(err_kind(name), ERR_KIND_##kind);                                                             \
	assert_true((name) < 0);
	ERR_LIST(CHECK)
	assert_string_equal(err_words(0), "no error");
	assert_int_equal(err_kind(0), ERR_KIND_NONE);
}

static void test_unknown(void **state)
{
	const int codes[] = {1, -1, ERR_BASE_, ERR_SYSTEM + 1, INT32_MIN, INT32_MAX};

	for (unsigned i = 0; i < N_OF(codes); i++)
		assert_string_equal(err_words(codes[i]), "unknown error");
	assert_int_equal(err_kind(-1), ERR_KIND_FATAL);
	assert_int_equal(err_kind(INT32_MIN), ERR_KIND_FATAL);
}

static int forwards(int rc, int *reached)
{
	TRY(rc);
	*reached = 1;
	return 0;
}

static void test_try(void **state)
{
	int reached = 0;

	assert_int_equal(forwards(ERR_GONE, &reached), ERR_GONE);
	assert_int_equal(reached, 0);
	assert_int_equal(forwards(3, &reached), 0);
	assert_int_equal(reached, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_words),
	    cmocka_unit_test(test_unknown),
	    cmocka_unit_test(test_try),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
