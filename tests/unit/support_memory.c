#include "tests/unit/support_memory.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/unit/support_test.h"

/* Index of the last region that begins at or below `at`; n_regions when there is none. */
static size_t find_region(const struct support_memory *m, raddr_t at)
{
	size_t low = 0, high = m->n_regions;
	while (low < high) {
		size_t middle = (low + high) / 2;
		if (m->regions[middle].at <= at)
			low = middle + 1;
		else
			high = middle;
	}
	return low ? low - 1 : m->n_regions;
}

/* How many of the n bytes at `at`, from the first on, can be read; they are copied when `to` is not NULL. */
static size_t copy_out(const struct support_memory *m, raddr_t at, size_t n, unsigned char *to)
{
	size_t done = 0;
	while (done < n) {
		size_t i = find_region(m, at + done);
		if (i == m->n_regions || at + done - m->regions[i].at >= m->regions[i].n)
			break;
		size_t from = (size_t)(at + done - m->regions[i].at), there = m->regions[i].n - from;
		if (there > n - done)
			there = n - done;
		if (to)
			memcpy(to + done, m->regions[i].bytes + from, there);
		done += there;
	}
	return done;
}

static ssize_t fake_readv(struct reader *r, const struct iovec *local, const struct iovec *remote, size_t n)
{
	struct support_memory *m = r->ctx;
	size_t total = 0;
	if (m->before)
		m->before(m, r->calls);
	if (m->error) {
		errno = m->error;
		return -1;
	}
	assert_true(n <= 1024); /* IOV_MAX */
	for (size_t i = 0; i < n; i++) {
		raddr_t at = (raddr_t)(uintptr_t)remote[i].iov_base;
		size_t want = remote[i].iov_len, there = copy_out(m, at, want, NULL);
		assert_int_equal(local[i].iov_len, want);
		if (there == want || m->splits_pieces)
			total += copy_out(m, at, want, local[i].iov_base);
		if (there < want)
			break;
	}
	m->bytes_read += total;
	if (total == 0 && n > 0 && remote[0].iov_len > 0) {
		errno = EFAULT;
		return -1;
	}
	return (ssize_t)total;
}

void support_memory_init(struct support_memory *m)
{
	memset(m, 0, sizeof *m);
	m->reader.readv = fake_readv;
	m->reader.pid = 4711;
	m->reader.ctx = m;
}

void support_memory_done(struct support_memory *m)
{
	for (size_t i = 0; i < m->n_regions; i++)
		free(m->regions[i].bytes);
	m->n_regions = 0;
}

void support_memory_map(struct support_memory *m, raddr_t at, size_t n)
{
	assert_true(n > 0 && m->n_regions < SUPPORT_MEMORY_REGIONS);
	size_t i = find_region(m, at);
	if (i < m->n_regions)
		assert_true(at - m->regions[i].at >= m->regions[i].n);
	i = i < m->n_regions ? i + 1 : 0;
	if (i < m->n_regions)
		assert_true(at + n <= m->regions[i].at);
	memmove(&m->regions[i + 1], &m->regions[i], (m->n_regions - i) * sizeof m->regions[0]);
	m->regions[i] = (struct support_memory_region){at, n, calloc(1, n)};
	assert_non_null(m->regions[i].bytes);
	m->n_regions++;
}

void support_memory_unmap(struct support_memory *m, raddr_t at)
{
	size_t i = find_region(m, at);
	assert_true(i < m->n_regions && m->regions[i].at == at);
	free(m->regions[i].bytes);
	m->n_regions--;
	memmove(&m->regions[i], &m->regions[i + 1], (m->n_regions - i) * sizeof m->regions[0]);
}

bool support_memory_has(struct support_memory *m, raddr_t at, size_t n)
{
	return copy_out(m, at, n, NULL) == n;
}

void *support_memory_at(struct support_memory *m, raddr_t at, size_t n)
{
	size_t i = find_region(m, at);
	if (i == m->n_regions || at - m->regions[i].at > m->regions[i].n ||
	    m->regions[i].n - (at - m->regions[i].at) < n)
		fail_msg("the test has no %zu bytes at %#llx", n, (unsigned long long)at);
	return m->regions[i].bytes + (at - m->regions[i].at);
}

void support_memory_put(struct support_memory *m, raddr_t at, const void *p, size_t n)
{
	memcpy(support_memory_at(m, at, n), p, n);
}

void support_memory_u64(struct support_memory *m, raddr_t at, uint64_t v)
{
	support_memory_put(m, at, &v, sizeof v);
}

void support_memory_u32(struct support_memory *m, raddr_t at, uint32_t v)
{
	support_memory_put(m, at, &v, sizeof v);
}

void support_memory_u8(struct support_memory *m, raddr_t at, uint8_t v)
{
	support_memory_put(m, at, &v, sizeof v);
}
