/* ring: a ring buffer in ordinary memory, written as the kernel writes it; and one of the kernel's own. */
#include "tests/unit/support_test.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/kernel/bpf.h"
#include "pyspy-record/kernel/ring.h"

enum { SIZE = 4096 };

/* As the kernel lays it out: a page of the consumer, one of the producer, the data, the data again. */
struct fake {
	struct ring ring;
	unsigned char *pages;
	uint64_t *producer;
	int fd;
};

static void fake_open(struct fake *f)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	assert_int_equal(page, SIZE);
	f->fd = memfd_create("ring", MFD_CLOEXEC);
	assert_true(f->fd >= 0);
	assert_int_equal(ftruncate(f->fd, 3 * SIZE), 0);
	f->pages = mmap(NULL, 4 * SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	assert_true(f->pages != MAP_FAILED);
	void *again = mmap(f->pages + 3 * SIZE, SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED, f->fd, 2 * SIZE);
	assert_ptr_equal(again, f->pages + 3 * SIZE);
	f->producer = (uint64_t *)(f->pages + SIZE);
	assert_int_equal(ring_open(&f->ring, f->fd, SIZE), 0);
}

static void fake_close(struct fake *f)
{
	ring_close(&f->ring);
	munmap(f->pages, 4 * SIZE);
	close(f->fd);
}

static uint32_t *header_at(struct fake *f, uint64_t at)
{
	return (uint32_t *)(f->pages + 2 * SIZE + at % SIZE);
}

/* A record of n bytes, each `byte`. Returns where. Fails when there is no room, as the kernel does. */
static uint64_t put(struct fake *f, size_t n, int byte, uint32_t bits)
{
	uint64_t at = *f->producer, whole = (n + BPF_RINGBUF_HDR_SZ + 7) / 8 * 8;
	assert_true(at + whole - *f->ring.consumer < SIZE);
	uint32_t *header = header_at(f, at);
	header[0] = (uint32_t)n | bits;
	header[1] = 0xdeadbeef;
	memset(header + 2, byte, n);
	*f->producer = at + whole;
	return at;
}

struct seen {
	size_t n, bytes;
	int last, stop_at;
	bool mixed;
};

static int visit(void *ctx, const void *record, size_t n)
{
	struct seen *s = ctx;
	const unsigned char *b = record;
	assert_int_equal((uintptr_t)record % 8, 0);
	for (size_t i = 1; i < n; i++)
		s->mixed |= b[i] != b[0];
	s->last = n ? b[0] : -1;
	s->bytes += n;
	s->n++;
	return s->stop_at && s->n == (size_t)s->stop_at ? 42 : 0;
}

static void test_in_order(void **state)
{
	struct fake f;
	struct seen s = {0};
	fake_open(&f);
	assert_int_equal(ring_drain(&f.ring, visit, &s, 0), 0);
	assert_int_equal(s.n, 0);
	size_t bytes = 0;
	for (int n = 0; n < 40; n++) { /* odd sizes, and none at all */
		put(&f, (size_t)n, n, 0);
		bytes += (size_t)n;
	}
	assert_int_equal(ring_waiting(&f.ring), *f.producer);
	assert_int_equal(ring_drain(&f.ring, visit, &s, 0), 0);
	assert_int_equal(s.n, 40);
	assert_int_equal(s.bytes, bytes);
	assert_int_equal(s.last, 39);
	assert_false(s.mixed);
	assert_int_equal(*f.ring.consumer, *f.producer);
	assert_int_equal(ring_waiting(&f.ring), 0);
	fake_close(&f);
}

static void test_around_the_end(void **state)
{
	struct fake f;
	fake_open(&f);
	/* from just below 2^32 on, so that positions are wider than a length */
	*f.producer = *f.ring.consumer = (UINT64_C(1) << 32) - 5 * SIZE;
	unsigned at_the_end = 0;
	for (int i = 0; i < 1000; i++) {
		struct seen s = {0};
		size_t n = (size_t)(i * 37 % 1500);
		uint64_t at = put(&f, n, i & 0xff, 0);
		at_the_end += at % SIZE + n + BPF_RINGBUF_HDR_SZ > SIZE;
		put(&f, 3, 7, 0);
		assert_int_equal(ring_drain(&f.ring, visit, &s, 0), 0);
		assert_int_equal(s.n, 2);
		assert_int_equal(s.bytes, n + 3);
		assert_false(s.mixed);
	}
	assert_true(at_the_end > 100);
	assert_true(*f.producer > UINT64_C(1) << 32);
	fake_close(&f);
}

static void test_busy_and_discarded(void **state)
{
	struct fake f;
	struct seen s = {0};
	fake_open(&f);
	put(&f, 8, 1, 0);
	put(&f, 100, 2, BPF_RINGBUF_DISCARD_BIT);
	put(&f, 8, 3, 0);
	uint64_t busy = put(&f, 24, 4, BPF_RINGBUF_BUSY_BIT);
	put(&f, 8, 5, 0);
	assert_int_equal(ring_drain(&f.ring, visit, &s, 0), 0);
	assert_int_equal(s.n, 2);
	assert_int_equal(s.last, 3);
	assert_int_equal(*f.ring.consumer, busy);
	assert_int_equal(ring_drain(&f.ring, visit, &s, 0), 0); /* it waits there */
	assert_int_equal(s.n, 2);
	*header_at(&f, busy) = 24;
	assert_int_equal(ring_drain(&f.ring, visit, &s, 0), 0);
	assert_int_equal(s.n, 4);
	assert_int_equal(s.last, 5);
	busy = put(&f, 24, 6, BPF_RINGBUF_BUSY_BIT);
	*header_at(&f, busy) = 24 | BPF_RINGBUF_DISCARD_BIT;
	assert_int_equal(ring_drain(&f.ring, visit, &s, 0), 0);
	assert_int_equal(s.n, 4);
	assert_int_equal(ring_waiting(&f.ring), 0);
	fake_close(&f);
}

static void test_visit_stops(void **state)
{
	struct fake f;
	struct seen s = {.stop_at = 2};
	fake_open(&f);
	for (int i = 1; i <= 4; i++)
		put(&f, 16, i, 0);
	assert_int_equal(ring_drain(&f.ring, visit, &s, 0), 42);
	assert_int_equal(s.n, 2);
	assert_int_equal(*f.ring.consumer, 2 * 24); /* the second one is read */
	assert_int_equal(ring_drain(&f.ring, visit, &s, 0), 0);
	assert_int_equal(s.n, 4);
	assert_int_equal(s.last, 4);
	fake_close(&f);
}

static int write_more(void *ctx, const void *record, size_t n)
{
	struct fake *f = ctx;
	put(f, 16, 1, 0);
	return 0;
}

static void test_bounded(void **state)
{
	struct fake f;
	struct seen s = {0};
	fake_open(&f);
	for (int i = 1; i <= 10; i++)
		put(&f, 16, i, 0);
	assert_int_equal(ring_drain(&f.ring, visit, &s, 50), 0); /* the third begins within 50 bytes */
	assert_int_equal(s.n, 3);
	assert_int_equal(ring_drain(&f.ring, visit, &s, 24), 0);
	assert_int_equal(s.n, 4);
	/* a writer as fast as the reader: what was there when it began */
	assert_int_equal(ring_drain(&f.ring, write_more, &f, 0), 0);
	assert_int_equal(ring_waiting(&f.ring), 6 * 24);
	fake_close(&f);
}

static void test_lies(void **state)
{
	struct fake f;
	struct seen s = {0};
	fake_open(&f);
	put(&f, 8, 1, 0);
	uint64_t at = put(&f, 8, 2, 0);
	for (uint32_t n = 9; n < 1u << 30; n = n * 3 / 2) { /* longer than what was written */
		*header_at(&f, at) = n;
		assert_int_equal(ring_drain(&f.ring, visit, &s, 0), ERR_DAMAGED);
		assert_int_equal(*f.ring.consumer, at);
	}
	*header_at(&f, at) = 0x3fffffff | BPF_RINGBUF_DISCARD_BIT;
	assert_int_equal(ring_drain(&f.ring, visit, &s, 0), ERR_DAMAGED);
	assert_int_equal(s.n, 1);
	*f.producer = *f.ring.consumer + SIZE + 8;
	assert_int_equal(ring_drain(&f.ring, visit, &s, 0), ERR_DAMAGED);
	*f.producer = *f.ring.consumer - 8;
	assert_int_equal(ring_drain(&f.ring, visit, &s, 0), ERR_DAMAGED);
	assert_int_equal(s.n, 1);
	fake_close(&f);
}

/* A ring of 4 MB with records up to 700 KB: what is mapped of it stays small. */
static void test_window(void **state)
{
	enum { LARGE = 4 << 20, ROUNDS = 400 };
	struct ring r;
	int fd = memfd_create("ring", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, 2 * SIZE + LARGE), 0);
	unsigned char *pages = mmap(NULL, 2 * SIZE + LARGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	assert_true(pages != MAP_FAILED);
	uint64_t *producer = (uint64_t *)(pages + SIZE);
	assert_int_equal(ring_open(&r, fd, LARGE), 0);
	size_t over_the_end = 0;
	for (size_t i = 0; i < ROUNDS; i++) {
		struct seen s = {0};
		size_t n = i % 10 == 0 ? 700000 - 8 * i : i % 3 == 0 ? 250000 : 5000 + i;
		for (size_t part = 0; part < 2; part++) {
			uint64_t at = *producer;
			uint32_t header[2] = {(uint32_t)n, 0};
			memcpy(pages + 2 * SIZE + at % LARGE, header, sizeof header);
			for (size_t k = 0; k < n; k++)
				pages[2 * SIZE + (at + 8 + k) % LARGE] = (unsigned char)i;
			over_the_end += at / LARGE != (at + 8 + n) / LARGE;
			*producer = at + (8 + n + 7) / 8 * 8;
		}
		assert_int_equal(ring_drain(&r, visit, &s, 0), 0);
		assert_int_equal(s.n, 2);
		assert_int_equal(s.bytes, 2 * n);
		assert_int_equal(s.last, i & 0xff);
		assert_false(s.mixed);
		assert_true(r.window_room <= (n <= 250000 ? 256 << 10 : n + 2 * SIZE));
	}
	assert_true(over_the_end > 10);
	ring_close(&r);
	munmap(pages, 2 * SIZE + LARGE);
	close(fd);
}

static void test_open_refuses(void **state)
{
	struct ring r;
	assert_int_equal(ring_open(&r, -1, 4096), ERR_SYSTEM);
	assert_int_equal(errno, EBADF);
	ring_close(&r);
	assert_int_equal(ring_open(&r, -1, 0), ERR_USAGE);
	assert_int_equal(ring_open(&r, -1, 100), ERR_USAGE);
	assert_int_equal(ring_open(&r, -1, 5000), ERR_USAGE);
	ring_close(&r);
}

static void test_the_kernels(void **state)
{
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, 0, 0, 2 * SIZE, 0, "test ring");
	if (fd == ERR_PERMISSION || fd == ERR_UNSUPPORTED)
		skip();
	assert_true(fd >= 0);
	struct ring r;
	struct seen s = {0};
	assert_int_equal(ring_open(&r, fd, 2 * SIZE), 0);
	assert_int_equal(ring_drain(&r, visit, &s, 0), 0);
	assert_int_equal(s.n, 0);
	assert_int_equal(ring_waiting(&r), 0);
	ring_close(&r);
	close(fd);
	assert_null(r.consumer);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_in_order),
	    cmocka_unit_test(test_around_the_end),
	    cmocka_unit_test(test_busy_and_discarded),
	    cmocka_unit_test(test_visit_stops),
	    cmocka_unit_test(test_bounded),
	    cmocka_unit_test(test_lies),
	    cmocka_unit_test(test_window),
	    cmocka_unit_test(test_open_refuses),
	    cmocka_unit_test(test_the_kernels),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
