#include "format/idtable.h"
#include "tests/unit/support_test.h"

static void test_idtable(void **state)
{
	static struct idtable t;
	const uint32_t ids[] = {0, 1, IDTABLE_PAGE - 1, IDTABLE_PAGE, 1234567, WIRE_IDS_MAX - 1, WIRE_IDS_MAX};

	for (int round = 0; round < 2; round++) {
		for (unsigned i = 0; i < N_OF(ids); i++) {
			assert_int_equal(idtable_get(&t, ids[i]), 0);
			assert_true(idtable_set(&t, ids[i], UINT32_MAX - i));
		}
		for (unsigned i = 0; i < N_OF(ids); i++)
			assert_int_equal(idtable_get(&t, ids[i]), UINT32_MAX - i);
		assert_int_equal(idtable_get(&t, 2), 0);
		assert_int_equal(idtable_get(&t, 2000000), 0);
		idtable_clear(&t);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_idtable)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
