/* pagecache: what it brings, keeps, and refuses to bring. */
#include "pyspy-record/memory/pagecache.h"

#include <errno.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "tests/unit/support_memory.h"
#include "tests/unit/support_test.h"

enum { PAGE = PAGECACHE_PAGE, N = 6 };
static const raddr_t AT = 0x7f0000000000;
static struct support_memory m;
static struct pagecache c;

static int setup(void **state)
{
	support_memory_init(&m);
	support_memory_map(&m, AT, N * PAGE + 100); /* the last page is not whole */
	unsigned char *p = support_memory_at(&m, AT, N * PAGE + 100);
	for (size_t i = 0; i < N * PAGE + 100; i++)
		p[i] = (unsigned char)(i * 7 + i / PAGE);
	pagecache_init(&c, &m.reader);
	c.bytes_left = 1 << 20;
	return 0;
}
static int teardown(void **state)
{
	pagecache_done(&c);
	support_memory_done(&m);
	return 0;
}

static void assert_read(raddr_t from, size_t n)
{
	static unsigned char got[N * PAGE + 100];
	memset(got, 0xee, sizeof got);
	assert_int_equal(reader_read(&c.reader, from, got, n), 0);
	for (size_t i = 0; i < n; i++)
		assert_int_equal(got[i], (unsigned char)((from - AT + i) * 7 + (from - AT + i) / PAGE));
}

static void test_reads(void **state)
{
	assert_read(AT, 1);
	assert_read(AT + 3, 5000);
	assert_read(AT + PAGE - 1, 2);
	assert_read(AT, N * PAGE + 100);
	assert_read(AT + N * PAGE + 99, 1);
	unsigned char b[16];
	assert_int_equal(reader_read(&c.reader, AT + N * PAGE + 95, b, 6), ERR_MEMORY_READ);
	assert_int_equal(reader_read(&c.reader, AT - 8, b, 8), ERR_MEMORY_READ);
	assert_int_equal(reader_read(&c.reader, UINT64_MAX - 3, b, 8), ERR_MEMORY_READ);
	assert_false(c.is_spent || c.is_late);
	struct reader_batch *batch = calloc(1, sizeof *batch);
	unsigned char more[3][16];
	for (int i = 0; i < 3; i++)
		reader_batch_add(batch, i == 1 ? 0x1000 : AT + 64 * (unsigned)i, more[i], 16);
	assert_int_equal(reader_batch_read(&c.reader, batch), 1);
	free(batch);
}

static void test_keeps(void **state)
{
	assert_read(AT + 100, 8);
	uint64_t calls = c.behind->calls;
	support_memory_u64(&m, AT + 200, 0); /* the target goes on */
	assert_read(AT + 200, 8);
	assert_read(AT, PAGE);
	assert_int_equal(c.behind->calls, calls);
	pagecache_clear(&c);
	uint64_t word = 1;
	assert_int_equal(reader_word(&c.reader, AT + 200, &word), 0);
	assert_int_equal(word, 0);
	/* a long piece comes over at once */
	calls = c.behind->calls;
	assert_read(AT + PAGE, 4 * PAGE);
	assert_int_equal(c.behind->calls, calls + 1);
}

static void test_ends(void **state)
{
	unsigned char b[3 * PAGE];
	c.bytes_left = 2 * PAGE;
	assert_read(AT, 2 * PAGE);
	assert_int_equal(reader_read(&c.reader, AT + 3 * PAGE, b, 1), ERR_MEMORY_READ);
	assert_true(c.is_spent);
	c.is_spent = false;
	assert_read(AT + 8, 100); /* what is here can be had */
	c.bytes_left = PAGE;
	c.deadline_ns = clock_mono_ns() - 1;
	assert_int_equal(reader_read(&c.reader, AT + 3 * PAGE, b, 1), ERR_MEMORY_READ);
	assert_true(c.is_late);
	pagecache_clear(&c);
	c.deadline_ns = clock_mono_ns() + 20 * 1000 * 1000;
	assert_read(AT, 8);
	int rc = 0;
	for (uint64_t begin = clock_mono_ns(); rc == 0 && clock_mono_ns() - begin < CLOCK_NS_PER_S;)
		rc = reader_read(&c.reader, AT, b, 8); /* no system call, and still it ends */
	assert_int_equal(rc, ERR_MEMORY_READ);
	c.bytes_left = 1 << 20;
	m.error = ESRCH;
	pagecache_clear(&c);
	c.deadline_ns = 0;
	assert_int_equal(reader_read(&c.reader, AT, b, 8), ERR_GONE);
}

static unsigned char byte_at(raddr_t at)
{
	unsigned char b = 0;
	assert_int_equal(reader_read(&c.reader, at, &b, 1), 0);
	return b;
}

/* Pages that something was asked for in come anew, those asked for most first; others are read as they are then. */
static void test_again(void **state)
{
	unsigned char *p = support_memory_at(&m, AT, N * PAGE);
	uint64_t calls;
	c.ahead = 2; /* comes along, and is not asked for */
	assert_read(AT, 8);
	assert_read(AT + 4 * PAGE, 8);
	assert_read(AT + 4 * PAGE + 100, 8);
	assert_int_equal(c.n_used, 5);
	pagecache_note(&c);
	assert_int_equal(c.noted.n, 2);
	assert_int_equal(c.noted.v[0].number, AT / PAGE + 4);
	calls = m.reader.calls;
	c.ahead = 0;
	for (int round = 1; round <= 2; round++) {
		for (int i = 0; i < N; i++)
			p[i * PAGE + 3] = (unsigned char)(100 * round + i);
		pagecache_again(&c);
		assert_int_equal(m.reader.calls, calls + (unsigned)round); /* one for all */
		for (int i = 0; i < N; i++)                                /* what comes now is too late */
			p[i * PAGE + 3] = 7;
		assert_int_equal(byte_at(AT + 3), 100 * round);
		assert_int_equal(byte_at(AT + 4 * PAGE + 3), 100 * round + 4);
		assert_false(c.is_mixed);
		assert_int_equal(m.reader.calls, calls + (unsigned)round);
	}
	assert_int_equal(byte_at(AT + PAGE + 3), 7);
	assert_true(c.is_mixed);
	c.is_mixed = false;
	assert_int_equal(byte_at(AT + 3), 200);
	assert_false(c.is_mixed);
	support_memory_map(&m, AT + 64 * PAGE,
	                   PAGE); /* one that cannot be read any more does not keep the others away */
	pagecache_clear(&c);
	c.bytes_left = 1 << 20;
	for (int i = 0; i < 3; i++)
		byte_at(AT + 64 * PAGE);
	byte_at(AT);
	pagecache_note(&c);
	c.noted.v[0].number = AT / PAGE + 1000;
	pagecache_again(&c);
	assert_int_equal(byte_at(AT + 3), 7);
	assert_false(c.is_mixed);
	c.deadline_ns = clock_mono_ns() - 1; /* too late for all */
	pagecache_again(&c);
	assert_true(c.is_late && c.n_used == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_reads, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_keeps, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_ends, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_again, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
