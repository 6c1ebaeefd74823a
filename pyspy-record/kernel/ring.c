#include "pyspy-record/kernel/ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <sys/mman.h>
#include <unistd.h>

#include "libcommon/err.h"

/* Before each record: its length with two bits of state, and a place that is the kernel's own. */
struct header {
	uint32_t length, page;
};
_Static_assert(sizeof(struct header) == BPF_RINGBUF_HDR_SZ, "as in linux/bpf.h");

static int failed(void)
{
	return errno == EPERM || errno == EACCES ? ERR_PERMISSION : errno == ENOMEM ? ERR_NO_MEMORY : ERR_SYSTEM;
}

enum {
	WINDOW = 256 << 10,
	WHOLE_MOST = 1 << 20, /* so much of a ring is mapped all the time: to move a window costs 5 us a page */
};

static size_t page_size(void)
{
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Pages of the map: the consumer's, the producer's, the data, the data again. */
int ring_open(struct ring *r, int fd, size_t size)
{
	size_t page = page_size();
	*r = (struct ring){.size = size, .fd = fd};
	if (size < page || size & (size - 1) || size > SIZE_MAX / 4)
		return ERR_USAGE;
	void *consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (consumer == MAP_FAILED)
		return failed();
	void *producer = mmap(NULL, page, PROT_READ, MAP_SHARED, fd, (off_t)page);
	if (producer == MAP_FAILED) {
		int rc = failed();
		munmap(consumer, page);
		return rc;
	}
	r->consumer = consumer;
	r->producer = producer;
	if (size <= WHOLE_MOST) {
		r->whole = mmap(NULL, size, PROT_READ, MAP_SHARED, fd, (off_t)(2 * page));
		if (r->whole == MAP_FAILED)
			r->whole = NULL;
	}
	return 0;
}

static void drop_window(struct ring *r)
{
	if (r->window)
		munmap(r->window, r->window_room);
	r->window = NULL;
	r->window_len = r->window_room = 0;
}

void ring_close(struct ring *r)
{
	size_t page = page_size();
	if (r->consumer)
		munmap(r->consumer, page);
	if (r->producer)
		munmap((void *)(uintptr_t)r->producer, page);
	if (r->whole)
		munmap((void *)(uintptr_t)r->whole, r->size);
	drop_window(r);
	*r = (struct ring){.fd = -1};
}

size_t ring_waiting(const struct ring *r)
{
	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) - *r->consumer;
}

static int map_part(struct ring *r, size_t to, size_t from, size_t n)
{
	off_t offset = (off_t)(2 * page_size() + from);
	/* cppcheck-suppress leakReturnValNotUsed ; it lies in the window, and goes with that */
	if (mmap(r->window + to, n, PROT_READ, MAP_SHARED | MAP_FIXED, r->fd, offset) == MAP_FAILED)
		return failed();
	return 0;
}

/* Let the window begin at `at`'s page and hold n bytes from `at` on at least. */
static int move_window(struct ring *r, uint64_t at, size_t n)
{
	size_t page = page_size(), before = at & (page - 1), len = (before + n + page - 1) & ~(page - 1);
	if (len < WINDOW && !r->whole)
		len = WINDOW;
	if (len > r->size) /* what begins in the middle of a page may end in the same one */
		len = before + n > r->size ? r->size + page : r->size;
	if (len != r->window_room) {
		drop_window(r);
		void *room = mmap(NULL, len, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
		if (room == MAP_FAILED)
			return failed();
		r->window = room;
		r->window_room = len;
	}
	size_t from = (at - before) & (r->size - 1), first = r->size - from < len ? r->size - from : len;
	r->window_len = 0;
	TRY(map_part(r, 0, from, first));
	if (first < len)
		TRY(map_part(r, first, 0, len - first));
	r->window_at = at - before;
	r->window_len = len;
	return 0;
}

/* The n bytes that begin at position `at`, in one piece; good until the next call. */
static int in_window(struct ring *r, uint64_t at, size_t n, const unsigned char **bytes)
{
	size_t from = at & (r->size - 1);
	if (r->whole && r->size - from >= n) {
		*bytes = r->whole + from;
		return 0;
	}
	if (at - r->window_at > r->window_len || r->window_len - (at - r->window_at) < n)
		TRY(move_window(r, at, n));
	*bytes = r->window + (at - r->window_at);
	return 0;
}

/* The kernel moves the producer on when it has written a busy header, and takes the busy bit away when the record is
 * complete: so both are read with acquire. Our own position is written with release, so that we are through with the
 * bytes before they are written again. */
int ring_drain(struct ring *r, ring_visit *visit, void *ctx, size_t max_bytes)
{
	uint64_t at = *r->consumer, end = __atomic_load_n(r->producer, __ATOMIC_ACQUIRE);
	if (end - at > r->size)
		return ERR_DAMAGED;
	if (max_bytes && end - at > max_bytes)
		end = at + max_bytes;
	while (at < end) {
		const unsigned char *record, *body;
		TRY(in_window(r, at, sizeof(struct header), &record));
		uint32_t length = __atomic_load_n((const uint32_t *)(const void *)record, __ATOMIC_ACQUIRE);
		if (length & BPF_RINGBUF_BUSY_BIT)
			return 0;
		size_t n = length & ~(uint32_t)BPF_RINGBUF_DISCARD_BIT;
		size_t whole = (n + sizeof(struct header) + 7) & ~(size_t)7;
		if (whole > __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) - at)
			return ERR_DAMAGED;
		TRY(in_window(r, at + sizeof(struct header), n, &body));
		int rc = length & BPF_RINGBUF_DISCARD_BIT ? 0 : visit(ctx, body, n);
		at += whole;
		__atomic_store_n(r->consumer, at, __ATOMIC_RELEASE);
		if (rc)
			return rc;
	}
	return 0;
}
