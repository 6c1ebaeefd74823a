#include "libcommon/idset.h"
#include "libcommon/map.h"
#include "tests/unit/support_test.h"

enum { KEYS = 20000 };

static struct idset_key key_of(const void *owner, uint32_t id)
{
	return ((const struct idset_key *)owner)[id];
}

/* Ids by random keys, many of which come again, beside what a map says. */
static void test_as_a_map(void **state)
{
	(void)state;
	static struct idset_key keys[KEYS];
	struct idset s = {0};
	struct map m;
	uint64_t draw = 1;
	uint32_t n = 0;
	map_init(&m, 0);
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < 3 * KEYS; i++) {
			draw = map_hash(draw, (uint64_t)i);
			struct idset_key k = {draw % 200, draw >> 32 & 63};
			uint32_t *known = map_get(&m, k.a, k.b), id = idset_find(&s, k, key_of, keys);
			assert_int_equal(id, known ? *known : 0);
			if (id || n + 1 == KEYS)
				continue;
			bool is_new;
			assert_true(idset_room(&s, key_of, keys));
			keys[++n] = k;
			idset_add(&s, k, n);
			*map_put(&m, k.a, k.b, &is_new) = n;
		}
		assert_int_equal(s.n, m.n);
		assert_true(s.n > 10000 && s.n <= s.cap / 4 * 3);
		idset_clear(&s);
		map_clear(&m);
		assert_int_equal(idset_find(&s, keys[1], key_of, keys), 0);
		n = 0;
	}
	idset_done(&s);
	assert_int_equal(idset_find(&s, keys[1], key_of, keys), 0);
	map_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_as_a_map),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
