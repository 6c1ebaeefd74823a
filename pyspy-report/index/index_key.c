#include "pyspy-report/index/index_key.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/crc32c.h"
#include "libcommon/err.h"

enum { KEY_ENDS = 64 << 10 };

/* [from, until) of the file, as far as it is there. */
static int key_sum(int fd, uint64_t from, uint64_t until, uint32_t *crc)
{
	static unsigned char bytes[KEY_ENDS];

	while (from < until) {
		size_t want = until - from < sizeof bytes ? (size_t)(until - from) : sizeof bytes;
		ssize_t n = pread(fd, bytes, want, (off_t)from);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_SYSTEM;
		if (n == 0)
			return 0;
		*crc = crc32c(*crc, bytes, (size_t)n);
		from += (uint64_t)n;
	}
	return 0;
}

static int key_ends(int fd, uint64_t size, uint32_t *crc)
{
	*crc = 0;
	TRY(key_sum(fd, 0, size < KEY_ENDS ? size : KEY_ENDS, crc));
	return size > KEY_ENDS ? key_sum(fd, size - KEY_ENDS, size, crc) : 0;
}

static int64_t key_time(const struct stat *st)
{
	return (int64_t)st->st_mtim.tv_sec * 1000000000 + st->st_mtim.tv_nsec;
}

int index_key_of(int fd, struct facts_input *key)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		return ERR_SYSTEM;
	key->size = (uint64_t)st.st_size;
	key->mtime_ns = key_time(&st);
	return key_ends(fd, key->size, &key->ends_crc);
}

int index_key_is(const struct facts_input *key, const char *path)
{
	int fd, rc = ERR_SYSTEM;
	struct stat st;
	uint32_t crc = 0;

	if (stat(path, &st) == 0 && !S_ISREG(st.st_mode)) /* whoever writes into a pipe would see us come and go */
		return 0;
	fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (fd < 0)
		return ERR_SYSTEM;
	if (fstat(fd, &st) == 0)
		rc = S_ISREG(st.st_mode) && (uint64_t)st.st_size == key->size;
	if (rc == 1)
		rc = key_ends(fd, key->size, &crc) ? ERR_SYSTEM : crc == key->ends_crc;
	if (rc == 1 && key_time(&st) != key->mtime_ns) { /* touched, or a copy: look at all of it */
		crc = 0;
		rc = key_sum(fd, 0, key->size, &crc) ? ERR_SYSTEM : crc == key->whole_crc;
	}
	close(fd);
	return rc;
}
