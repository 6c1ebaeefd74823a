#include "pyspy-report/exchange/intake.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "libcommon/err.h"

enum { INTAKE_CHUNK = 64 << 10, INTAKE_GZIP_WINDOW = 15 + 32 };

static ssize_t read_some(struct intake *s, void *p, size_t n)
{
	n = n < s->allowed ? n : (size_t)s->allowed;
	for (;;) {
		ssize_t k = n ? read(s->fd, p, n) : 0;

		s->allowed -= k > 0 ? (uint64_t)k : 0;
		if (k >= 0)
			return k;
		if (errno == EINTR)
			continue;
		s->error_number = errno;
		s->rc = ERR_SYSTEM;
		return -1;
	}
}

/* More of what is packed; false: there is no more. */
static bool refill(struct intake *s)
{
	if (s->packed_at < s->packed_n)
		return true;
	ssize_t k = read_some(s, s->packed, INTAKE_CHUNK);

	s->packed_at = 0;
	s->packed_n = k > 0 ? (size_t)k : 0;
	return k > 0;
}

static size_t unpack_gzip(struct intake *s, uint8_t *p, size_t n)
{
	z_stream *z = s->unpacker;

	z->next_out = p;
	z->avail_out = (unsigned)n;
	while (z->avail_out == n && refill(s)) {
		if (s->is_stream_end && inflateReset(z) != Z_OK) /* several, one behind the other */
			break;
		s->is_stream_end = false;
		z->next_in = s->packed + s->packed_at;
		z->avail_in = (unsigned)(s->packed_n - s->packed_at);
		int rc = inflate(z, Z_NO_FLUSH);
		s->packed_at = s->packed_n - z->avail_in;
		s->is_stream_end = rc == Z_STREAM_END;
		if (rc != Z_OK && rc != Z_STREAM_END && rc != Z_BUF_ERROR) {
			s->damage = "the gzip data is damaged";
			s->packed_at = s->packed_n = 0;
			return n - z->avail_out;
		}
	}
	if (z->avail_out == n && !s->is_stream_end && !s->rc)
		s->damage = "the gzip data ends early";
	return n - z->avail_out;
}

static size_t unpack_zstd(struct intake *s, uint8_t *p, size_t n)
{
	ZSTD_outBuffer out = {p, n, 0};

	while (out.pos == 0) {
		bool more = refill(s);
		ZSTD_inBuffer in = {s->packed, s->packed_n, s->packed_at};
		size_t rc = ZSTD_decompressStream(s->unpacker, &out, &in);

		s->packed_at = in.pos;
		if (ZSTD_isError(rc)) {
			s->damage = "the zstd data is damaged";
			break;
		}
		if (more || out.pos) {
			s->is_stream_end = rc == 0;
			continue;
		}
		if (!s->is_stream_end && !s->rc)
			s->damage = "the zstd data ends early";
		break;
	}
	return out.pos;
}

/* Up to n more bytes, unpacked; 0: it is over. */
static size_t more(struct intake *s, uint8_t *p, size_t n)
{
	if (s->rc || s->damage)
		return 0;
	if (s->packing != INTAKE_PLAIN && s->offset + s->n >= INTAKE_MAX_BYTES) {
		s->damage = "it unpacks to more than 64 GB";
		return 0;
	}
	if (s->packing == INTAKE_GZIP)
		return unpack_gzip(s, p, n);
	if (s->packing == INTAKE_ZSTD)
		return unpack_zstd(s, p, n);
	ssize_t k = read_some(s, p, n);
	return k > 0 ? (size_t)k : 0;
}

bool intake_need(struct intake *s, size_t n)
{
	while (s->n - s->at < n && !s->is_over) {
		if (s->at > 0 && (s->at >= s->cap / 2 || s->n == s->cap)) {
			memmove(s->bytes, s->bytes + s->at, s->n - s->at);
			s->offset += s->at;
			s->n -= s->at;
			s->at = 0;
		}
		if (s->n == s->cap) {
			uint8_t *p = s->cap > SIZE_MAX / 4 ? NULL : realloc(s->bytes, s->cap * 2);

			if (!p) {
				s->rc = ERR_NO_MEMORY;
				return false;
			}
			s->bytes = p;
			s->cap *= 2;
		}
		size_t k = more(s, s->bytes + s->n, s->cap - s->n);
		s->n += k;
		s->is_over = k == 0;
	}
	return s->n - s->at >= n;
}

bool intake_line(struct intake *s, const char **p, size_t *n, bool *is_long)
{
	size_t seen = 0;
	uint8_t *end = NULL;

	*is_long = false;
	for (;;) {
		end = seen < intake_left(s) ? memchr(s->bytes + s->at + seen, '\n', intake_left(s) - seen) : NULL;
		seen = intake_left(s);
		if (end || seen > INTAKE_LINE_MAX || !intake_need(s, seen + 1))
			break;
	}
	if (s->rc || (!end && seen == 0))
		return false;
	*p = (const char *)s->bytes + s->at;
	*n = end ? (size_t)(end - (s->bytes + s->at)) : intake_left(s);
	s->at += *n + (end ? 1 : 0);
	*is_long = *n > INTAKE_LINE_MAX || (!end && !s->is_over);
	while (!end && !s->is_over) { /* the rest of it */
		s->offset += s->at;
		s->n -= s->at;
		memmove(s->bytes, s->bytes + s->at, s->n);
		s->at = 0;
		if (!intake_need(s, 1))
			break;
		end = memchr(s->bytes, '\n', s->n);
		s->at = end ? (size_t)(end - s->bytes) + 1 : s->n;
		*n = 0; /* it is gone */
	}
	if (*n && (*p)[*n - 1] == '\r')
		--*n;
	return true;
}

static enum intake_packing packing_of(const uint8_t *p, size_t n)
{
	if (n >= 2 && p[0] == 0x1F && p[1] == 0x8B)
		return INTAKE_GZIP;
	return n >= 4 && p[0] == 0x28 && p[1] == 0xB5 && p[2] == 0x2F && p[3] == 0xFD ? INTAKE_ZSTD : INTAKE_PLAIN;
}

static int begin_unpacking(struct intake *s, enum intake_packing packing)
{
	s->packing = packing;
	if (s->packing == INTAKE_PLAIN)
		return 0;
	s->packed = malloc(s->n > INTAKE_CHUNK ? s->n : INTAKE_CHUNK);
	if (!s->packed)
		return ERR_NO_MEMORY;
	memcpy(s->packed, s->bytes, s->n);
	s->packed_n = s->n;
	s->n = 0;
	s->is_over = false;
	if (s->packing == INTAKE_ZSTD) {
		s->unpacker = ZSTD_createDStream();
		return s->unpacker ? 0 : ERR_NO_MEMORY;
	}
	z_stream *z = calloc(1, sizeof *z);
	s->unpacker = z;
	return z && inflateInit2(z, INTAKE_GZIP_WINDOW) == Z_OK ? 0 : ERR_NO_MEMORY;
}

int intake_open_part(struct intake *s, const struct intake *of, uint64_t offset, uint64_t n,
                     enum intake_packing packing)
{
	memset(s, 0, sizeof *s);
	s->fd = of->fd;
	s->allowed = n;
	s->base = of->base + offset;
	s->cap = INTAKE_CHUNK;
	s->bytes = malloc(s->cap);
	if (!s->bytes)
		return ERR_NO_MEMORY;
	if (lseek(s->fd, (off_t)s->base, SEEK_SET) < 0) {
		s->error_number = errno;
		return s->rc = ERR_SYSTEM;
	}
	return begin_unpacking(s, packing);
}

int intake_open(struct intake *s, int fd)
{
	memset(s, 0, sizeof *s);
	s->fd = fd;
	s->allowed = UINT64_MAX;
	s->cap = INTAKE_CHUNK;
	s->bytes = malloc(s->cap);
	if (!s->bytes)
		return ERR_NO_MEMORY;
	off_t at = lseek(fd, 0, SEEK_CUR);
	struct stat st;
	s->can_seek = at >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode);
	s->base = at >= 0 ? (uint64_t)at : 0;
	intake_need(s, 4);
	TRY(s->rc);
	TRY(begin_unpacking(s, packing_of(s->bytes, s->n)));
	s->can_seek = s->can_seek && s->packing == INTAKE_PLAIN;
	return 0;
}

void intake_done(struct intake *s)
{
	if (s->packing == INTAKE_ZSTD && s->unpacker)
		ZSTD_freeDStream(s->unpacker);
	if (s->packing == INTAKE_GZIP && s->unpacker) {
		inflateEnd(s->unpacker);
		free(s->unpacker);
	}
	if (s->is_own_fd)
		close(s->fd);
	free(s->packed);
	free(s->bytes);
	memset(s, 0, sizeof *s);
}

static int open_temporary(struct intake *s)
{
	const char *folder = getenv("TMPDIR");
	int fd;
	char path[4096];

	folder = folder && *folder ? folder : "/tmp";
	fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (fd < 0) { /* file systems without O_TMPFILE */
		snprintf(path, sizeof path, "%s/pyspy-report-XXXXXX", folder);
		fd = mkostemp(path, O_CLOEXEC);
		if (fd >= 0)
			unlink(path);
	}
	if (fd < 0)
		s->error_number = errno;
	return fd;
}

static bool write_all(struct intake *s, int fd, const uint8_t *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno != EINTR) {
			s->error_number = errno;
			return false;
		}
		p += k > 0 ? k : 0;
		n -= k > 0 ? (size_t)k : 0;
	}
	return true;
}

static int copy_to(struct intake *s, int fd, uint64_t *size)
{
	const char *damage;

	do {
		if (!write_all(s, fd, s->bytes + s->at, intake_left(s)))
			return ERR_IO;
		s->at = s->n;
	} while (intake_need(s, 1));
	TRY(s->rc);
	damage = s->damage;
	*size = intake_at(s);
	intake_done(s);
	if (lseek(fd, 0, SEEK_SET) < 0)
		return ERR_IO;
	TRY(intake_open(s, fd));
	if (s->packing != INTAKE_PLAIN) /* packed twice: not unpacked twice */
		return ERR_FORMAT;
	s->is_own_fd = true;
	s->damage = NULL;
	s->copy_damage = damage;
	return 0;
}

int intake_make_seekable(struct intake *s, uint64_t *size)
{
	struct stat st;

	if (s->can_seek) {
		*size = fstat(s->fd, &st) == 0 && (uint64_t)st.st_size > s->base ? (uint64_t)st.st_size - s->base : 0;
		return 0;
	}
	int fd = open_temporary(s);
	if (fd < 0)
		return ERR_IO;
	int rc = copy_to(s, fd, size);
	if (rc && !s->is_own_fd)
		close(fd);
	return rc;
}

int intake_seek(struct intake *s, uint64_t offset)
{
	if (lseek(s->fd, (off_t)(s->base + offset), SEEK_SET) < 0) {
		s->error_number = errno;
		return ERR_SYSTEM;
	}
	s->at = s->n = 0;
	s->offset = offset;
	s->is_over = false;
	return 0;
}
