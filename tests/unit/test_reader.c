/* reader: whole, partial, nothing, gone; the fake of the other tests behaves as the kernel does. */
#include <errno.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "tests/unit/support_memory.h"
#include "tests/unit/support_test.h"

static struct reader_batch batch;
static struct support_memory m;

static int set_up(void **state)
{
	support_memory_init(&m);
	support_memory_map(&m, 0x1000, 100);
	support_memory_map(&m, 0x1064, 28); /* adjoins */
	support_memory_map(&m, 0x3000, 16);
	for (unsigned i = 0; i < 128; i++)
		support_memory_u8(&m, 0x1000 + i, (uint8_t)i);
	support_memory_u64(&m, 0x3000, 0x1122334455667788);
	reader_batch_clear(&batch);
	return 0;
}

static int tear_down(void **state)
{
	support_memory_done(&m);
	return 0;
}

static void test_one(void **state)
{
	unsigned char to[128];
	uint64_t word;
	assert_int_equal(reader_read(&m.reader, 0x1000, to, 128), 0);
	for (unsigned i = 0; i < 128; i++)
		assert_int_equal(to[i], i);
	assert_int_equal(reader_word(&m.reader, 0x3000, &word), 0);
	assert_true(word == 0x1122334455667788);
	assert_int_equal(m.reader.calls, 2);
	assert_int_equal(reader_read(&m.reader, 0x1000, to, 0), 0);
	/* a byte too many, a byte too early, nothing, and what wraps around */
	assert_int_equal(reader_read(&m.reader, 0x1001, to, 128), ERR_MEMORY_READ);
	assert_int_equal(m.reader.last_errno, EFAULT);
	assert_int_equal(reader_read(&m.reader, 0xfff, to, 2), ERR_MEMORY_READ);
	assert_int_equal(reader_word(&m.reader, 0x2000, &word), ERR_MEMORY_READ);
	assert_int_equal(reader_word(&m.reader, UINT64_MAX - 3, &word), ERR_MEMORY_READ);
	m.splits_pieces = true;
	assert_int_equal(reader_read(&m.reader, 0x1001, to, 128), ERR_MEMORY_READ);
	assert_int_equal(m.reader.last_errno, EFAULT);
}

static void test_errors(void **state)
{
	static const struct {
		int error, code;
	} cases[] = {{ESRCH, ERR_GONE},
	             {EPERM, ERR_PERMISSION},
	             {EACCES, ERR_PERMISSION},
	             {EFAULT, ERR_MEMORY_READ},
	             {ENOMEM, ERR_MEMORY_READ}};
	uint64_t word;
	reader_batch_add(&batch, 0x3000, &word, 8);
	for (size_t i = 0; i < N_OF(cases); i++) {
		m.error = cases[i].error;
		m.reader.last_errno = 0;
		assert_int_equal(reader_word(&m.reader, 0x3000, &word), cases[i].code);
		assert_int_equal(m.reader.last_errno, cases[i].error);
		m.reader.last_errno = 0;
		assert_int_equal(reader_batch_read(&m.reader, &batch), cases[i].code);
		assert_int_equal(m.reader.last_errno, cases[i].error);
	}
}

/* Pieces of a batch with the unmapped one at each place: what is in front of it has come over, and is counted. */
static void test_batch(void **state)
{
	enum { PIECES = 9 };
	for (int splits = 0; splits < 2; splits++) {
		m.splits_pieces = splits;
		for (int bad = 0; bad <= PIECES; bad++) {
			unsigned char to[PIECES][12];
			memset(to, 0xee, sizeof to);
			reader_batch_clear(&batch);
			for (int i = 0; i < PIECES; i++) /* half of the bad piece is there */
				assert_true(reader_batch_add(&batch, i == bad ? 0x300a : 0x1000 + 12u * (unsigned)i,
				                             to[i], 12));
			assert_int_equal(batch.bytes, PIECES * 12);
			uint64_t calls = m.reader.calls;
			m.reader.last_errno = 0;
			int got = reader_batch_read(&m.reader, &batch);
			assert_int_equal(m.reader.calls, calls + 1);
			if (bad == 0 && !splits)
				assert_int_equal(got, ERR_MEMORY_READ);
			else
				assert_int_equal(got, bad);
			assert_int_equal(m.reader.last_errno, bad < PIECES ? EFAULT : 0);
			for (int i = 0; i < PIECES && i < bad; i++)
				for (int k = 0; k < 12; k++)
					assert_int_equal(to[i][k], 12 * i + k);
		}
	}
}

static void test_batch_limits(void **state)
{
	static uint32_t to[READER_BATCH_MAX + 1];
	assert_int_equal(reader_batch_read(&m.reader, &batch), 0); /* nothing to read: no call */
	assert_int_equal(m.reader.calls, 0);
	for (unsigned i = 0; i < READER_BATCH_MAX; i++)
		assert_true(reader_batch_add(&batch, 0x1000 + i % 31 * 4, &to[i], 4));
	assert_false(reader_batch_add(&batch, 0x1000, &to[READER_BATCH_MAX], 4));
	assert_int_equal(batch.n, READER_BATCH_MAX);
	assert_int_equal(batch.bytes, READER_BATCH_MAX * 4);
	assert_int_equal(reader_batch_read(&m.reader, &batch), READER_BATCH_MAX);
	assert_int_equal(to[READER_BATCH_MAX], 0);
	/* empty pieces are whole, in front of what cannot be read and behind what can */
	reader_batch_clear(&batch);
	reader_batch_add(&batch, 0x1000, to, 4);
	reader_batch_add(&batch, 0x1004, to, 0);
	reader_batch_add(&batch, 0x2000, to, 4);
	assert_int_equal(reader_batch_read(&m.reader, &batch), 2);
}

/* A child that does this, closes `ready` at the latest when it is done, and waits to be killed. */
static pid_t child(void (*work)(int ready, void *at), void *at)
{
	int ready[2];
	char c;
	assert_int_equal(pipe(ready), 0);
	pid_t pid = fork();
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ready[0]);
		if (work)
			work(ready[1], at);
		close(ready[1]);
		for (;;)
			pause();
	}
	close(ready[1]);
	assert_int_equal(read(ready[0], &c, 1), 0);
	close(ready[0]);
	return pid;
}

static void set_first(int ready, void *at)
{
	*(unsigned char *)at = 99;
}

/* The kernel itself, on a child: a page that may not be read, and after its end. */
static void test_live(void **state)
{
	long page = sysconf(_SC_PAGESIZE);
	unsigned char *at = mmap(NULL, (size_t)page * 3, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(at, MAP_FAILED);
	memset(at, 7, (size_t)page * 3);
	mprotect(at + 2 * page, (size_t)page, PROT_NONE);
	pid_t pid = child(set_first, at);
	struct reader r;
	reader_live(&r, pid);
	unsigned char *to = calloc(4, (size_t)page);
	raddr_t base = (uintptr_t)at;
	uint64_t word;
	assert_int_equal(reader_read(&r, base, to, (size_t)page * 2), 0);
	assert_int_equal(to[0], 99);
	assert_int_equal(to[2 * page - 1], 7);
	assert_int_equal(reader_word(&r, base + 2 * (raddr_t)page - 4, &word), ERR_MEMORY_READ);
	assert_int_equal(r.last_errno, EFAULT);
	assert_int_equal(reader_word(&r, UINT64_MAX - 7, &word), ERR_MEMORY_READ);
	reader_batch_clear(&batch);
	reader_batch_add(&batch, base + 1, to, 8);
	reader_batch_add(&batch, base + (raddr_t)page - 4, to + 8, 8);
	reader_batch_add(&batch, base + (raddr_t)page, to + 16, (size_t)page * 2); /* its first half is there */
	reader_batch_add(&batch, base, to, 8);
	assert_int_equal(reader_batch_read(&r, &batch), 2);
	assert_int_equal(r.calls, 4);
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_int_equal(reader_word(&r, base, &word), ERR_GONE);
	assert_int_equal(reader_batch_read(&r, &batch), ERR_GONE);
	free(to);
	munmap(at, (size_t)page * 3);
}

enum { AREA = 64 << 20, READS = 400 };

static void change_mappings(int ready, void *area)
{
	memset(area, 2, AREA); /* its own pages */
	close(ready);
	for (bool writes = false;; writes = !writes)
		mprotect(area, AREA, writes ? PROT_READ | PROT_WRITE : PROT_READ);
}

/* A child that changes its mappings all the time (`busy`), the kernel under their lock; -> reads of it that waited */
static unsigned delayed(bool busy, bool asks)
{
	void *area = mmap(NULL, AREA, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	assert_ptr_not_equal(area, MAP_FAILED);
	memset(area, 1, AREA);
	pid_t pid = busy ? child(change_mappings, area) : child(NULL, area);
	struct reader r;
	reader_live(&r, pid);
	r.tells_delays = asks;
	unsigned n = 0;
	uint64_t word;
	for (int i = 0; i < READS; i++) {
		r.is_delayed = false;
		assert_int_equal(reader_word(&r, (uintptr_t)&batch, &word), 0);
		n += r.is_delayed;
		usleep(200);
	}
	kill(pid, SIGKILL);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	munmap(area, AREA);
	return n;
}

/* A read that waited for the target's mappings says so: what it brought is later than it seems. */
static void test_delayed(void **state)
{
	unsigned busy = delayed(true, true), quiet = delayed(false, true);
	if (busy <= READS / 4 || quiet >= READS / 8)
		fail_msg("waited: %u of %d reads where mappings change, %u where they do not", busy, READS, quiet);
	assert_int_equal(delayed(true, false), 0); /* nobody wants to know */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_one, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_errors, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_batch, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_batch_limits, set_up, tear_down),
	    cmocka_unit_test(test_live),
	    cmocka_unit_test(test_delayed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
