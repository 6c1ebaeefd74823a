#include "libcommon/spool.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/err.h"

void spool_done(struct spool *s)
{
	free(s->bytes);
	if (s->has_file)
		close(s->fd);
	memset(s, 0, sizeof *s);
}

void spool_clear(struct spool *s)
{
	if (s->has_file && s->n > SPOOL_IN_MEMORY && ftruncate(s->fd, 0) < 0)
		s->error_number = errno; /* only disk space is kept longer than needed */
	s->n = 0;
}

static int spool_open_in(const char *folder)
{
	char path[PATH_MAX];
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	if (snprintf(path, sizeof path, "%s/pyspy-XXXXXX", folder) >= (int)sizeof path) {
		errno = ENAMETOOLONG;
		return -1;
	}
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static int spool_open(struct spool *s)
{
	const char *named = getenv("TMPDIR");
	const char *folders[] = {named && *named ? named : "/tmp", "/var/tmp"};

	for (size_t i = 0; i < sizeof folders / sizeof *folders && !s->has_file; i++) {
		s->fd = spool_open_in(folders[i]);
		s->has_file = s->fd >= 0;
		if (!i && !s->has_file)
			s->error_number = errno;
	}
	return s->has_file ? 0 : ERR_IO;
}

static int spool_grow(struct spool *s, size_t want)
{
	size_t cap = s->cap ? s->cap : 4096;

	while (cap < want)
		cap *= 2;
	if (cap > s->cap) {
		unsigned char *p = realloc(s->bytes, cap);

		if (!p)
			return ERR_NO_MEMORY;
		s->bytes = p;
		s->cap = cap;
	}
	return 0;
}

int spool_write(struct spool *s, const void *p, size_t n, uint64_t *at)
{
	const unsigned char *from = p;
	uint64_t place = s->n, end = s->n + n;
	size_t here = place < SPOOL_IN_MEMORY ? SPOOL_IN_MEMORY - (size_t)place : 0;

	here = here < n ? here : n;
	if (here) {
		int rc = spool_grow(s, (size_t)place + here);
		if (rc)
			return rc;
		memcpy(s->bytes + place, from, here);
	}
	if (here < n && !s->has_file && spool_open(s) < 0)
		return ERR_IO;
	for (place += here, from += here; place < end;) {
		ssize_t k = pwrite(s->fd, from, (size_t)(end - place), (off_t)(place - SPOOL_IN_MEMORY));

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			s->error_number = k < 0 ? errno : EIO;
			return ERR_IO;
		}
		place += (uint64_t)k;
		from += k;
	}
	if (at)
		*at = s->n;
	s->n = end;
	return 0;
}

int spool_read(struct spool *s, uint64_t at, void *p, size_t n)
{
	unsigned char *to = p;
	size_t here = at < SPOOL_IN_MEMORY ? SPOOL_IN_MEMORY - (size_t)at : 0;

	if (at > s->n || n > s->n - at)
		return ERR_DAMAGED;
	here = here < n ? here : n;
	if (here)
		memcpy(to, s->bytes + at, here);
	for (size_t done = here; done < n;) {
		ssize_t k = pread(s->fd, to + done, n - done, (off_t)(at + done - SPOOL_IN_MEMORY));

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			s->error_number = k < 0 ? errno : EIO;
			return ERR_IO;
		}
		done += (size_t)k;
	}
	return 0;
}
