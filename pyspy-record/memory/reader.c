#include "pyspy-record/memory/reader.h"

#include <errno.h>

#include "libcommon/err.h"

static ssize_t live_readv(struct reader *r, const struct iovec *local, const struct iovec *remote, size_t n)
{
	return process_vm_readv(r->pid, local, n, remote, n, 0);
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
