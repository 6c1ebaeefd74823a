#include "pyspy-record/view_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "pyspy-record/emit/owner.h"

/* A name beside it that is never too long. */
#define TEMPORARY ".pyspy-XXXXXX.tmp"
enum { TEMPORARY_SUFFIX = 4 };

static int copy(char *to, size_t size, const char *from)
{
	return (size_t)snprintf(to, size, "%s", from) < size ? 0 : ENAMETOOLONG;
}

static int open_stream(struct view_file *v, int fd)
{
	v->is_stream = true;
	v->fd = fd;
	return fd < 0 ? errno : 0;
}

/* A descriptor that we were started with, by the name that shells give it (process substitution): -1 = it is none. */
static int number_of(const char *path)
{
	static const char *const folders[] = {"/dev/fd/", "/proc/self/fd/", NULL};
	for (const char *const *folder = folders; *folder; folder++) {
		size_t n = strlen(*folder);
		if (!strncmp(path, *folder, n) && path[n] && strspn(path + n, "0123456789") == strlen(path + n) &&
		    strlen(path + n) < 8)
			return atoi(path + n);
	}
	return strcmp(path, "/dev/stderr") ? -1 : STDERR_FILENO;
}

int view_file_check(struct view_file *v, const char *path)
{
	struct stat st;

	memset(v, 0, sizeof *v);
	v->fd = -1;
	if (copy(v->path, sizeof v->path, path))
		return ENAMETOOLONG;
	if (!strcmp(path, "-"))
		return open_stream(v, fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3));
	if (number_of(path) >= 0)
		return open_stream(v, fcntl(number_of(path), F_DUPFD_CLOEXEC, 3));
	strcpy(v->real, v->path);
	if (stat(path, &st) < 0)
		return errno == ENOENT ? 0 : errno;
	if (S_ISDIR(st.st_mode))
		return EISDIR;
	if (!S_ISREG(st.st_mode))
		return open_stream(v, open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY));
	if (access(path, W_OK) < 0) /* a rename would not ask */
		return errno;
	char real[PATH_MAX];
	if (realpath(path, real) && copy(v->real, sizeof v->real, real))
		return ENAMETOOLONG;
	v->has_old = true;
	v->uid = st.st_uid;
	v->gid = st.st_gid;
	return 0;
}

int view_file_begin(struct view_file *v)
{
	const char *slash = strrchr(v->real, '/');
	mode_t mask = umask(0);

	umask(mask);
	if (v->is_stream)
		return 0;
	int n = slash ? (int)(slash + 1 - v->real) : 0;
	if ((size_t)snprintf(v->temporary, sizeof v->temporary, "%.*s" TEMPORARY, n, v->real) >= sizeof v->temporary) {
		v->temporary[0] = 0;
		return ENAMETOOLONG;
	}
	v->fd = mkostemps(v->temporary, TEMPORARY_SUFFIX, O_CLOEXEC);
	if (v->fd < 0) {
		int error_number = errno;
		v->temporary[0] = 0;
		return error_number;
	}
	bool is_theirs = v->has_old || owner_behind_sudo(&v->uid, &v->gid);
	if (is_theirs && geteuid() == 0 && fchown(v->fd, v->uid, v->gid) < 0)
		errno = 0; /* it stays ours */
	fchmod(v->fd, 0666 & ~mask);
	return 0;
}

int view_file_end(struct view_file *v, uint64_t *bytes)
{
	struct stat st;
	int error_number = 0;

	*bytes = fstat(v->fd, &st) == 0 && S_ISREG(st.st_mode) && !v->is_stream ? (uint64_t)st.st_size : 0;
	/* the recording may be dropped after this */
	if (!v->is_stream && fsync(v->fd) < 0 && errno != EINVAL && errno != EROFS)
		error_number = errno;
	if (close(v->fd) < 0 && errno != EINTR && !error_number)
		error_number = errno;
	v->fd = -1;
	if (!error_number && v->temporary[0] && rename(v->temporary, v->real) < 0)
		error_number = errno;
	if (error_number)
		view_file_drop(v);
	v->temporary[0] = 0;
	return error_number;
}

void view_file_drop(struct view_file *v)
{
	if (v->fd >= 0)
		close(v->fd);
	v->fd = -1;
	if (v->temporary[0])
		unlink(v->temporary);
	v->temporary[0] = 0;
}
