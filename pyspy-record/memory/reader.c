#include "pyspy-record/memory/reader.h"

#include <errno.h>
#include <sys/resource.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"

enum {
	SLOW_NS = 8000,
	SLOW_PIECE_NS = 1000,
	SLOW_TIMES = 2,       /* as slow as is usual here, ... */
	USUAL_OF = 16,        /* ... a running mean of so many reads that did not wait */
	WATCHED_READS = 1024, /* after one that waited */
	SUSPECT_READS = 64,   /* after one that was slow and may have */
	PROBE_EACH = 16,
};

/* How often we lost the CPU, waiting for something or put aside. */
static long switches(void)
{
	struct rusage u;
	return getrusage(RUSAGE_THREAD, &u) == 0 ? u.ru_nvcsw + u.ru_nivcsw : 0;
}

/* The kernel reads under the lock of the target's mappings, and we sleep while one of its threads changes them: each
 * read of a socket by asyncio maps and unmaps its buffer of 256 KB. Counting costs something: one read in 16 tells
 * whether it is worth while, and so does one that was slow, for this machine (whose every read may take longer). */
static ssize_t live_readv(struct reader *r, const struct iovec *local, const struct iovec *remote, size_t n)
{
	if (!r->tells_delays)
		return process_vm_readv(r->pid, local, n, remote, n, 0);
	bool counts = r->watched_reads > 0 || r->calls % PROBE_EACH == 0;
	long before = counts ? switches() : 0;
	uint64_t begin = clock_mono_ns();
	ssize_t got = process_vm_readv(r->pid, local, n, remote, n, 0);
	int error = errno;
	double slowness = (double)(clock_mono_ns() - begin) / (double)(SLOW_NS + n * SLOW_PIECE_NS);
	bool is_slow = slowness > 1 && slowness > SLOW_TIMES * r->usual_slowness;
	bool has_waited = counts ? switches() != before : is_slow;
	if (counts && !has_waited)
		r->usual_slowness += (slowness - r->usual_slowness) / USUAL_OF;
	r->is_delayed |= has_waited;
	if (has_waited)
		r->watched_reads = counts ? WATCHED_READS : SUSPECT_READS;
	else if (r->watched_reads > 0)
		r->watched_reads--;
	errno = error;
	return got;
}

void reader_live(struct reader *r, pid_t pid)
{
	*r = (struct reader){.readv = live_readv, .pid = pid};
}

static int reader_failed(struct reader *r)
{
	r->last_errno = errno;
	switch (errno) {
	case ESRCH:
		return ERR_GONE;
	case EPERM:
	case EACCES:
	case ENOSYS: /* a seccomp filter may say so */
		return ERR_PERMISSION;
	default:
		return ERR_MEMORY_READ;
	}
}

int reader_read(struct reader *r, raddr_t from, void *to, size_t n)
{
	struct iovec local = {to, n}, remote = {(void *)(uintptr_t)from, n};
	r->calls++;
	ssize_t got = r->readv(r, &local, &remote, 1);
	if (got == (ssize_t)n)
		return 0;
	if (got >= 0)
		errno = EFAULT;
	return reader_failed(r);
}

int reader_word(struct reader *r, raddr_t from, uint64_t *value)
{
	return reader_read(r, from, value, sizeof *value);
}

int reader_batch_read(struct reader *r, const struct reader_batch *b)
{
	if (b->n == 0)
		return 0;
	r->calls++;
	ssize_t got = r->readv(r, b->local, b->remote, b->n);
	if (got == (ssize_t)b->bytes)
		return (int)b->n;
	if (got <= 0) {
		if (got == 0)
			errno = EFAULT;
		return reader_failed(r);
	}
	size_t left = (size_t)got, i = 0;
	while (i < b->n && left >= b->local[i].iov_len)
		left -= b->local[i++].iov_len;
	r->last_errno = EFAULT;
	return (int)i;
}
