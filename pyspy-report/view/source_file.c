#include "pyspy-report/view/source_file.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/err.h"

static bool is_special(const char *path)
{
	static const char *const folders[] = {"/proc/", "/sys/", "/dev/"};
	char *real = realpath(path, NULL);
	bool special = !real;

	for (size_t i = 0; i < sizeof folders / sizeof *folders && real; i++)
		special |= strncmp(real, folders[i], strlen(folders[i])) == 0;
	free(real);
	return special;
}

static int source_file_open(const char *path, struct stat *st)
{
	int fd;

	if (is_special(path))
		return -1;
	fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
	if (fd >= 0 && (fstat(fd, st) < 0 || !S_ISREG(st->st_mode))) {
		close(fd);
		return -1;
	}
	return fd;
}

static int source_file_bytes(struct source_file *f, int fd, size_t size)
{
	f->bytes = malloc(size + 1);
	if (!f->bytes)
		return ERR_NO_MEMORY;
	while (f->len < size) {
		ssize_t n = read(fd, f->bytes + f->len, size - f->len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return ERR_GONE;
		if (n == 0)
			break;
		f->len += (size_t)n;
	}
	f->bytes[f->len] = 0;
	return memchr(f->bytes, 0, f->len) ? ERR_FORMAT : 0;
}

static int source_file_split(struct source_file *f)
{
	size_t i = f->len >= 3 && memcmp(f->bytes, "\xEF\xBB\xBF", 3) == 0 ? 3 : 0;

	while (i < f->len) {
		if (!vec_push(&f->begins, i))
			return ERR_NO_MEMORY;
		while (i < f->len && f->bytes[i] != '\n' && f->bytes[i] != '\r')
			i++;
		i += i + 1 < f->len && f->bytes[i] == '\r' && f->bytes[i + 1] == '\n' ? 2 : i < f->len;
	}
	return vec_push(&f->begins, f->len) ? 0 : ERR_NO_MEMORY;
}

int source_file_read(struct source_file *f, const char *path)
{
	struct stat st;
	int fd, rc;

	memset(f, 0, sizeof *f);
	fd = source_file_open(path, &st);
	if (fd < 0)
		return ERR_GONE;
	f->changed_ns = (int64_t)st.st_mtim.tv_sec * 1000000000 + st.st_mtim.tv_nsec;
	rc = st.st_size > SOURCE_FILE_MAX ? ERR_FULL : source_file_bytes(f, fd, (size_t)st.st_size);
	close(fd);
	return rc ? rc : source_file_split(f);
}

void source_file_done(struct source_file *f)
{
	free(f->bytes);
	vec_free(&f->begins);
}

size_t source_file_lines(const struct source_file *f)
{
	return f->begins.n ? f->begins.n - 1 : 0;
}

const char *source_file_line(const struct source_file *f, uint32_t n, size_t *len)
{
	if (!n || n > source_file_lines(f))
		return NULL;
	size_t begin = f->begins.v[n - 1], end = f->begins.v[n];

	while (end > begin && (f->bytes[end - 1] == '\n' || f->bytes[end - 1] == '\r'))
		end--;
	*len = end - begin;
	return f->bytes + begin;
}
