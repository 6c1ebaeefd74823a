/* object_trail: what an answer depended on holds exactly as long as none of it changes. */
#include "pyspy-record/python/object_trail.h"

#include <errno.h>

#include "tests/unit/support_memory.h"
#include "tests/unit/support_test.h"

static struct support_memory m;

static void add(struct object_trail *t, raddr_t at, size_t n)
{
	object_trail_add(t, at, support_memory_at(&m, at, n), n);
}

static void test_holds(void **state)
{
	struct object_trail t = {0};
	support_memory_init(&m);
	support_memory_map(&m, 0x10000, 4096);
	assert_true(object_trail_holds(&t, &m.reader));
	for (unsigned i = 0; i < 4096; i++)
		support_memory_u8(&m, 0x10000 + i, (uint8_t)(i * 7));
	add(&t, 0x10010, 8);
	add(&t, 0x10100, 1);
	add(&t, 0x10200, 0); /* nothing */
	add(&t, 0x10300, 100);
	assert_int_equal(t.pieces.n, 3);
	assert_true(object_trail_holds(&t, &m.reader));
	for (unsigned i = 0; i < 4096; i++) {
		bool inside = (i >= 0x10 && i < 0x18) || i == 0x100 || (i >= 0x300 && i < 0x300 + 100);
		support_memory_u8(&m, 0x10000 + i, (uint8_t)(i * 7 + 1));
		assert_int_equal(object_trail_holds(&t, &m.reader), !inside);
		support_memory_u8(&m, 0x10000 + i, (uint8_t)(i * 7));
	}
	m.error = EPERM;
	assert_false(object_trail_holds(&t, &m.reader));
	m.error = 0;
	assert_true(object_trail_holds(&t, &m.reader));
	support_memory_unmap(&m, 0x10000);
	assert_false(object_trail_holds(&t, &m.reader));
	object_trail_clear(&t);
	assert_true(object_trail_holds(&t, &m.reader));
	object_trail_done(&t);
	support_memory_done(&m);
}

/* More pieces, and more bytes, than go over in one call. */
static void test_many(void **state)
{
	struct object_trail t = {0};
	support_memory_init(&m);
	support_memory_map(&m, 0x100000, 1 << 20);
	for (unsigned i = 0; i < 5000; i++)
		add(&t, 0x100000 + i * 16, 8);
	for (unsigned i = 0; i < 10; i++)
		add(&t, 0x140000 + i * 40000, 40000);
	uint64_t calls = m.reader.calls;
	assert_true(object_trail_holds(&t, &m.reader));
	assert_true(m.reader.calls - calls <= 5 + 10);
	static const raddr_t at[] = {
	    0x100000, 0x100000 + 1023 * 16,        0x100000 + 1024 * 16, 0x100000 + 4999 * 16 + 7,
	    0x140000, 0x140000 + 9 * 40000 + 39999};
	for (size_t i = 0; i < N_OF(at); i++) {
		support_memory_u8(&m, at[i], 1);
		assert_false(object_trail_holds(&t, &m.reader));
		support_memory_u8(&m, at[i], 0);
	}
	assert_true(object_trail_holds(&t, &m.reader));
	object_trail_done(&t);
	support_memory_done(&m);
}

/* One that does not hold all never holds. */
static void test_broken(void **state)
{
	struct object_trail t = {0};
	support_memory_init(&m);
	support_memory_map(&m, 0x100000, 1 << 20);
	object_trail_add(NULL, 1, "x", 1);
	object_trail_break(NULL);
	object_trail_break(&t);
	assert_false(object_trail_holds(&t, &m.reader));
	add(&t, 0x100000, 8);
	assert_int_equal(t.pieces.n, 0);
	object_trail_clear(&t);
	add(&t, 0x100000, 100000); /* larger than is compared at once */
	assert_false(object_trail_holds(&t, &m.reader));
	object_trail_clear(&t);
	for (unsigned i = 0; i < OBJECT_TRAIL_PIECES; i++)
		add(&t, 0x100000 + i, 1);
	assert_true(object_trail_holds(&t, &m.reader));
	add(&t, 0x100000, 1);
	assert_false(object_trail_holds(&t, &m.reader));
	object_trail_clear(&t);
	for (unsigned i = 0; i < 17; i++)
		add(&t, 0x100000, 1 << 20);
	assert_true(t.is_broken && t.bytes.len <= 16 << 20);
	object_trail_done(&t);
	support_memory_done(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_holds),
	    cmocka_unit_test(test_many),
	    cmocka_unit_test(test_broken),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
