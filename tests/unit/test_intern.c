#include "libcommon/err.h"
#include "libcommon/intern.h"
#include "tests/unit/support_test.h"

static void test_ids(void **state)
{
	struct intern t;
	uint32_t id;
	bool is_new;
	size_t n;

	assert_int_equal(intern_init(&t, 0), 0);
	assert_int_equal(intern_get(&t, "a", 1, &id, &is_new), 0);
	assert_int_equal(id, 1);
	assert_true(is_new);
	assert_int_equal(intern_get(&t, "a\0b", 3, &id, &is_new), 0);
	assert_int_equal(id, 2);
	assert_int_equal(intern_get(&t, "a", 1, &id, &is_new), 0);
	assert_int_equal(id, 1);
	assert_false(is_new);
	assert_int_equal(intern_get(&t, "", 0, &id, &is_new), 0);
	assert_int_equal(id, 0);
	assert_false(is_new);
	assert_int_equal(intern_get(&t, NULL, 0, &id, NULL), 0);
	assert_int_equal(id, 0);
	assert_int_equal(intern_find(&t, "a\0b", 3), 2);
	assert_int_equal(intern_find(&t, "a\0c", 3), 0);
	assert_int_equal(intern_find(&t, "", 0), 0);
	assert_memory_equal(intern_bytes(&t, 2, &n), "a\0b", 4);
	assert_int_equal(n, 3);
	assert_string_equal(intern_bytes(&t, 0, &n), "");
	assert_int_equal(n, 0);
	intern_clear(&t);
	assert_int_equal(intern_find(&t, "a", 1), 0);
	assert_int_equal(intern_get(&t, "b", 1, &id, &is_new), 0);
	assert_int_equal(id, 1);
	intern_done(&t);
}

static void test_grows(void **state)
{
	struct intern t;
	char key[64];
	uint32_t id;
	bool is_new;

	assert_int_equal(intern_init(&t, 0), 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 50000; i++) {
			int n = snprintf(key, sizeof key, "%0*d", i % 40, i);

			assert_int_equal(intern_get(&t, key, (size_t)n, &id, &is_new), 0);
			if (round == 0 && is_new)
				assert_int_equal(id, t.n - 1);
			assert_true(round == 0 || !is_new);
			assert_string_equal(intern_bytes(&t, id, NULL), key);
			assert_int_equal((uintptr_t)intern_bytes(&t, id, NULL) % 8, 0);
		}
	}
	intern_done(&t);
}

static void test_limit(void **state)
{
	struct intern t;
	uint32_t id = 99, n = 0;
	char key[16];
	int rc = 0;

	assert_int_equal(intern_init(&t, 1024), 0);
	for (; rc == 0; n++) {
		snprintf(key, sizeof key, "key-%u", n);
		rc = intern_get(&t, key, strlen(key), &id, NULL);
	}
	assert_int_equal(rc, ERR_FULL);
	assert_int_equal(id, 0);
	assert_true(t.len <= 1024);
	assert_true(n > 50);
	/* what is there is still found */
	assert_int_equal(intern_get(&t, "key-0", 5, &id, NULL), 0);
	assert_int_equal(id, 1);
	intern_clear(&t);
	assert_int_equal(intern_get(&t, key, strlen(key), &id, NULL), 0);
	intern_done(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ids),
	    cmocka_unit_test(test_grows),
	    cmocka_unit_test(test_limit),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
