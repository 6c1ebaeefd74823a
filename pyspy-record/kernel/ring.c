#include "pyspy-record/kernel/ring.h"

#include <errno.h>
#include <linux/bpf.h>
#include <stdlib.h>
#include <string.h>
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

/* Pages of the map: the consumer's, the producer's, the data, the data again (which is not mapped here). */
int ring_open(struct ring *r, int fd, size_t size)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	*r = (struct ring){.size = size};
	if (size < page || size & (size - 1) || size > SIZE_MAX / 4)
		return ERR_USAGE;
	void *consumer = mmap(NULL, page, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (consumer == MAP_FAILED)
		return failed();
	void *producer = mmap(NULL, page + size, PROT_READ, MAP_SHARED, fd, (off_t)page);
	if (producer == MAP_FAILED) {
		int rc = failed();
		munmap(consumer, page);
		return rc;
	}
	r->consumer = consumer;
	r->producer = producer;
	r->data = (const unsigned char *)producer + page;
	return 0;
}

void ring_close(struct ring *r)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	if (r->consumer)
		munmap(r->consumer, page);
	if (r->producer)
		munmap((void *)(uintptr_t)r->producer, page + r->size);
	free(r->whole);
	*r = (struct ring){0};
}

size_t ring_waiting(const struct ring *r)
{
	return __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) - *r->consumer;
}

/* The n bytes that begin at `at`, in one piece. */
static const unsigned char *in_one_piece(struct ring *r, uint64_t at, size_t n)
{
	size_t from = at & (r->size - 1), first = r->size - from;
	if (n <= first)
		return r->data + from;
	if (n > r->whole_room) {
		unsigned char *room = realloc(r->whole, n);
		if (!room)
			return NULL;
		r->whole = room;
		r->whole_room = n;
	}
	memcpy(r->whole, r->data + from, first);
	memcpy(r->whole + first, r->data, n - first);
	return r->whole;
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
		const unsigned char *record = r->data + (at & (r->size - 1));
		uint32_t length = __atomic_load_n((const uint32_t *)(const void *)record, __ATOMIC_ACQUIRE);
		if (length & BPF_RINGBUF_BUSY_BIT)
			return 0;
		size_t n = length & ~(uint32_t)BPF_RINGBUF_DISCARD_BIT;
		size_t whole = (n + sizeof(struct header) + 7) & ~(size_t)7;
		if (whole > __atomic_load_n(r->producer, __ATOMIC_ACQUIRE) - at)
			return ERR_DAMAGED;
		const unsigned char *body = in_one_piece(r, at + sizeof(struct header), n);
		if (!body)
			return ERR_NO_MEMORY;
		int rc = length & BPF_RINGBUF_DISCARD_BIT ? 0 : visit(ctx, body, n);
		at += whole;
		__atomic_store_n(r->consumer, at, __ATOMIC_RELEASE);
		if (rc)
			return rc;
	}
	return 0;
}
