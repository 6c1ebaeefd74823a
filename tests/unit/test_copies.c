/* copies: where a thread's own copy of the instructions begins, whatever becomes of it. */
#include "pyspy-record/python/copies.h"

#include <errno.h>

#include "libcommon/err.h"
#include "tests/unit/support_memory.h"
#include "tests/unit/support_test.h"

enum { SIZE = 40, N = 200 };
#define CODE  UINT64_C(0x20000000)
#define ARRAY UINT64_C(0x30000000)
#define OTHER UINT64_C(0x40000000)
#define HEAP  UINT64_C(0x50000000)

static const uint32_t versions[] = {0x030e09f0, 0x030f01f0};
static struct support_memory m;
static struct copies c;
static const struct layout *l;

static void entry(raddr_t array, uint64_t index, raddr_t start)
{
	support_memory_u64(&m, array + 8 + 8 * index, start);
}

static void begin(uint32_t version)
{
	support_memory_init(&m);
	l = layout_find(version, LAYOUT_FREETHREADED);
	assert_non_null(l);
	assert_true(l->code.tlbc && l->frame.tlbc_index);
	copies_init(&c, &m.reader, l);
	support_memory_map(&m, CODE, l->code.size + SIZE);
	support_memory_map(&m, ARRAY, 8 + 8 * N);
	support_memory_u64(&m, CODE + l->code.tlbc, ARRAY);
	support_memory_u64(&m, ARRAY, N);
	entry(ARRAY, 0, CODE + l->code.code_adaptive);
	for (uint64_t i = 1; i < 4; i++)
		entry(ARRAY, i, HEAP + i * 0x1000);
}

static void in_all(void (*test)(void))
{
	for (size_t i = 0; i < N_OF(versions); i++) {
		begin(versions[i]);
		test();
		copies_done(&c);
		support_memory_done(&m);
	}
}

static raddr_t start;
static bool known;
static int find(uint32_t index, raddr_t instr, uint64_t generation)
{
	struct copies_wanted w = {7, CODE, SIZE, index, instr, generation};
	start = 0;
	return copies_find(&c, &w, &start, &known);
}

static void expect(uint32_t index, raddr_t instr, uint64_t generation, raddr_t want, bool is_known)
{
	assert_int_equal(find(index, instr, generation), 0);
	assert_true(start == want);
	assert_int_equal(known, is_known);
}

static void expect_read(uint32_t index, raddr_t instr, uint64_t generation, raddr_t want, bool is_known)
{
	uint64_t calls = m.reader.calls;
	expect(index, instr, generation, want, is_known);
	assert_true(m.reader.calls > calls);
}

static void expect_unread(uint32_t index, raddr_t instr, uint64_t generation, raddr_t want)
{
	uint64_t calls = m.reader.calls;
	expect(index, instr, generation, want, true);
	assert_true(m.reader.calls == calls);
}

/* Each index has its own; what was read in a generation is good in it. */
static void each(void)
{
	for (uint32_t i = 1; i < 4; i++) {
		expect_read(i, HEAP + i * 0x1000, 5, HEAP + i * 0x1000, false);
		expect_unread(i, HEAP + i * 0x1000 + 10, 5, HEAP + i * 0x1000);
		expect_unread(i, HEAP + i * 0x1000 + SIZE - 2, 5, HEAP + i * 0x1000);
		assert_int_equal(find(i, HEAP + i * 0x1000 + SIZE, 5), ERR_TORN);
		assert_int_equal(find(i, HEAP + i * 0x1000 - 2, 5), ERR_TORN);
	}
	struct copies_wanted other = {8, CODE, SIZE, 1, HEAP + 0x1000, 5}; /* another object */
	assert_int_equal(copies_find(&c, &other, &start, &known), 0);
	assert_false(known);
	copies_clear(&c);
	expect_read(1, HEAP + 0x1000, 5, HEAP + 0x1000, false);
	/* one that could not be read is never good */
	expect_read(2, HEAP + 0x2000, COPIES_UNKNOWN, HEAP + 0x2000, false);
	expect_read(2, HEAP + 0x2000, COPIES_UNKNOWN, HEAP + 0x2000, true);
}
static void test_each(void **state)
{
	in_all(each);
}

/* Threads came and went: it is looked at again; the array may have been replaced, the copies stay. */
static void threads(void)
{
	expect_read(1, HEAP + 0x1002, 5, HEAP + 0x1000, false);
	expect_read(1, HEAP + 0x1002, 6, HEAP + 0x1000, true);
	expect_unread(1, HEAP + 0x1004, 6, HEAP + 0x1000);
	support_memory_map(&m, OTHER, 8 + 8 * (2 * N));
	support_memory_u64(&m, OTHER, 2 * N);
	entry(OTHER, 1, HEAP + 0x1000);
	entry(OTHER, 2 * N - 1, HEAP + 0x9000);
	support_memory_u64(&m, CODE + l->code.tlbc, OTHER);
	support_memory_unmap(&m, ARRAY);
	expect_read(1, HEAP + 0x1002, 7, HEAP + 0x1000, true);
	expect_read(2 * N - 1, HEAP + 0x9002, 7, HEAP + 0x9000, false);
	/* freed, and made anew for the next thread with this index */
	entry(OTHER, 1, 0);
	expect_read(1, HEAP + 0x1002, 8, HEAP + 0x1000, true); /* a frame of before */
	entry(OTHER, 1, HEAP + 0xa000);
	expect_read(1, HEAP + 0x1002, 9, HEAP + 0x1000, true); /* still one of before */
	expect_unread(1, HEAP + 0xa006, 9, HEAP + 0xa000);
	expect_unread(1, HEAP + 0xa008, 9, HEAP + 0xa000);
	assert_int_equal(find(1, HEAP + 0x1002, 9), ERR_TORN); /* nobody runs there any more */
	/* at a place that the old one reached into: nobody can tell */
	entry(OTHER, 1, HEAP + 0xa000 + SIZE / 2);
	assert_int_equal(find(1, HEAP + 0xa000 + SIZE / 2 + 4, 10), ERR_TORN);
}
static void test_threads(void **state)
{
	in_all(threads);
}

/* A generator that goes on in another thread: the new index, and still the instruction in the old copy. */
static void on_the_way(void)
{
	expect_read(2, HEAP + 0x1006, 5, HEAP + 0x1000, false);
	expect_read(3, CODE + l->code.code_adaptive + 4, 5, CODE + l->code.code_adaptive, false);
	entry(ARRAY, 150, HEAP + 0x7000);
	expect_read(2, HEAP + 0x7000, 5, HEAP + 0x7000, false);
	expect_unread(2, HEAP + 0x2000, 5, HEAP + 0x2000);        /* its own is remembered */
	expect_read(100, HEAP + 0x3000, 5, HEAP + 0x3000, false); /* it has none yet */
}
static void test_on_the_way(void **state)
{
	in_all(on_the_way);
}

/* No array, a torn one, one that is too long, unreadable memory: nothing is found, and nothing is read out of bounds.
 */
static void nonsense(void)
{
	static const uint64_t arrays[] = {0, 8, ARRAY + 4, UINT64_C(1) << 47, UINT64_MAX - 7, OTHER};
	for (size_t i = 0; i < N_OF(arrays); i++) {
		support_memory_u64(&m, CODE + l->code.tlbc, arrays[i]);
		assert_true(find(1, HEAP + 0x1000, 5) < 0);
	}
	support_memory_u64(&m, CODE + l->code.tlbc, ARRAY);
	static const uint64_t sizes[] = {COPIES_ARRAY_MAX + 1, UINT64_MAX, UINT64_C(1) << 61};
	for (size_t i = 0; i < N_OF(sizes); i++) {
		support_memory_u64(&m, ARRAY, sizes[i]);
		assert_int_equal(find(1, HEAP + 0x1000, 5), ERR_TORN);
	}
	support_memory_u64(&m, ARRAY, 0);
	assert_int_equal(find(1, HEAP + 0x1000, 5), ERR_TORN);
	support_memory_u64(&m, ARRAY, N);
	assert_int_equal(find(UINT32_MAX, HEAP + 0x8000, 5), ERR_TORN);
	assert_int_equal(find(N, HEAP + 0x8000, 5), ERR_TORN);
	assert_int_equal(find(5, 0, 5), ERR_TORN);
	assert_int_equal(find(5, UINT64_MAX, 5), ERR_TORN);
	expect(1, HEAP + 0x1000, 5, HEAP + 0x1000, false);
	m.error = ESRCH;
	assert_int_equal(find(2, HEAP + 0x2000, 5), ERR_GONE);
	expect(1, HEAP + 0x1000, 5, HEAP + 0x1000, true);
}
static void test_nonsense(void **state)
{
	in_all(nonsense);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_each),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_on_the_way),
	    cmocka_unit_test(test_nonsense),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
