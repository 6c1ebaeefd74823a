#include "pyspy-record/kernel/rings.h"

#include <linux/bpf.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/kernel/bpf.h"

enum { RECORDS = 64 };

int rings_open(struct rings *r, int fd, int outer_fd, uint32_t size, uint32_t most)
{
	*r = (struct rings){.fd = -1, .outer_fd = outer_fd, .most = most};
	TRY(ring_open(&r->ring, fd, size));
	r->fd = fd;
	return 0;
}

void rings_close(struct rings *r)
{
	ring_close(&r->ring);
	if (r->fd >= 0)
		close(r->fd);
	*r = (struct rings){.fd = -1};
}

struct visit {
	ring_visit *visit;
	void *ctx;
	size_t largest;
};

static int visit_record(void *ctx, const void *record, size_t n)
{
	struct visit *v = ctx;
	if (n > v->largest)
		v->largest = n;
	return v->visit(v->ctx, record, n);
}

/* Records come over in order: those in the new ring are later. Before Linux 5.10 it must be as large as the first one.
 */
static int replace(struct rings *r, uint32_t size, struct visit *v, bool *is_new)
{
	struct ring larger = {0};
	uint32_t zero = 0, most = r->most;
	r->most = 0; /* when this fails, so will the next time */
	int fd = bpf_map_create(BPF_MAP_TYPE_RINGBUF, 0, 0, size, 0, "ring");
	if (fd < 0)
		return 0;
	uint32_t value = (uint32_t)fd;
	if (ring_open(&larger, fd, size) < 0 || bpf_map_update(r->outer_fd, &zero, &value, BPF_ANY) < 0) {
		ring_close(&larger);
		close(fd);
		return 0;
	}
	int rc = ring_drain(&r->ring, visit_record, v, 0); /* nobody writes there any more */
	ring_close(&r->ring);
	close(r->fd);
	r->ring = larger;
	r->fd = fd;
	*is_new = true;
	r->most = most;
	return rc;
}

static uint32_t wanted(struct rings *r, size_t waited, size_t largest)
{
	uint64_t least = (uint64_t)largest * RECORDS, size = r->ring.size;
	if (waited > size / 4 * 3) {
		uint64_t n = r->lost ? r->lost(r->lost_ctx) : 0;
		if (n != r->n_lost)
			least = r->most;
		else if (least <= size)
			least = size + 1;
		r->n_lost = n;
	}
	while (size < least && size < r->most)
		size *= 2;
	return (uint32_t)size;
}

int rings_drain(struct rings *r, ring_visit *visit, void *ctx, bool *is_new)
{
	struct visit v = {.visit = visit, .ctx = ctx};
	size_t waited = ring_waiting(&r->ring);
	*is_new = false;
	TRY(ring_drain(&r->ring, visit_record, &v, 0));
	uint32_t size = wanted(r, waited, v.largest);
	return size > r->ring.size ? replace(r, size, &v, is_new) : 0;
}
