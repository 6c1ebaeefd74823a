/* codes: an object that was freed keeps its contents for a while; its names may be others' by then. */
#include "pyspy-record/python/codes.h"

#include "libcommon/err.h"
#include "tests/unit/support_objects.h"
#include "tests/unit/support_test.h"

static const struct support_objects_code plain = {.qualname = "f",
                                                  .file = "a.py",
                                                  .version = 7,
                                                  .units = 20,
                                                  .first_line = 3,
                                                  .linetable = "\xf8\x01\x02",
                                                  .linetable_len = 3};
static const struct codes_generation later = {1000, 1000, 0};
static struct support_memory m;
static struct support_objects o;
static struct codes c;
static raddr_t globals, at;
static uint64_t at_call, word;

static raddr_t references(void)
{
	return at + (layout_is_freethreaded(o.l) ? 0 : o.l->object.type - 8);
}

/* What is left of the count when the object is torn down, and what the allocator writes then. */
static void put_references(uint64_t value)
{
	support_memory_u64(&m, references(), value);
	if (layout_is_freethreaded(o.l)) {
		support_memory_u64(&m, at + 8, 0);
		support_memory_u64(&m, at + 16, value ? 1 : 3);
	}
}

static void while_it_is_read(struct support_memory *memory, uint64_t call)
{
	if (call == at_call)
		put_references(word);
}

static void freed(void)
{
	code_id id;
	bool proved;
	assert_int_equal(codes_init(&c, &m.reader, o.l), 0);
	globals = support_objects_globals(&o, "app");
	at = support_objects_code(&o, &plain);
	put_references(3);
	assert_int_equal(codes_read(&c, at, globals, later, &id, &proved),
	                 0); /* the type of code objects is known now */
	uint64_t before = m.reader.calls;
	assert_int_equal(codes_read(&c, at, globals, later, &id, &proved), 0);
	uint64_t calls = m.reader.calls - before;
	put_references(0);
	assert_int_equal(codes_read(&c, at, globals, later, &id, &proved), ERR_TORN);
	if (!layout_is_freethreaded(o.l)) {
		put_references(UINT64_C(0x7f12aabbcce0)); /* the next free block */
		assert_int_equal(codes_read(&c, at, globals, later, &id, &proved), ERR_TORN);
		put_references(UINT64_C(0xdddddddddddddddd));
		assert_int_equal(codes_read(&c, at, globals, later, &id, &proved), ERR_TORN);
	}
	/* at any moment before the last look at it */
	unsigned n_torn = 0;
	for (uint64_t k = 2; k <= calls; k++) {
		put_references(3);
		at_call = m.reader.calls + k;
		word = 0;
		m.before = while_it_is_read;
		n_torn += codes_read(&c, at, globals, later, &id, &proved) == ERR_TORN;
		m.before = NULL;
	}
	assert_true(n_torn + 8 >= calls); /* some come when all was read already */
	assert_true(n_torn > 3);
	codes_done(&c);
}

static void test_freed(void **state)
{
	support_objects_in_all(&o, &m, freed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(test_freed)};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
