#include "pyspy-report/profile/feed.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "libcommon/err.h"

enum { FEED_CHUNK = 256 << 10 };

static int feed_chunks(const struct feed_to *to, int fd, uint64_t most, unsigned char *chunk, struct feed_result *r)
{
	r->is_empty = true;
	for (;;) {
		uint64_t left = most - r->bytes;
		ssize_t n = left ? read(fd, chunk, left < FEED_CHUNK ? (size_t)left : FEED_CHUNK) : 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			r->error_number = errno;
			return ERR_SYSTEM;
		}
		if (n == 0)
			return to->finish(to->ctx);
		r->is_empty = false;
		r->bytes += (uint64_t)n;
		int rc = to->feed(to->ctx, chunk, (size_t)n);
		if (rc)
			return rc;
		if (to->progress)
			to->progress(r->bytes);
	}
}

int feed_fd(const struct feed_to *to, int fd, uint64_t most, struct feed_result *r)
{
	unsigned char *chunk = malloc(FEED_CHUNK);
	int rc = ERR_NO_MEMORY;

	*r = (struct feed_result){0};
	if (chunk)
		rc = feed_chunks(to, fd, most, chunk, r);
	free(chunk);
	return rc;
}
