#include "pyspy-record/memory/core_reader.h"

#include <errno.h>

static ssize_t core_readv(struct reader *r, const struct iovec *local, const struct iovec *remote, size_t n)
{
	size_t total = 0;
	for (size_t i = 0; i < n; i++) {
		size_t got = corefile_read(r->core, (uintptr_t)remote[i].iov_base, local[i].iov_base, local[i].iov_len);
		total += got;
		if (got < local[i].iov_len)
			break;
	}
	if (total == 0 && n > 0 && local[0].iov_len > 0) {
		errno = EFAULT;
		return -1;
	}
	return (ssize_t)total;
}

void reader_core(struct reader *r, struct corefile *core)
{
	*r = (struct reader){.readv = core_readv, .pid = core->process.pid, .core = core};
}
