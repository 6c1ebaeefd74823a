#include "pyspy-record/emit/sink.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/emit/owner.h"

static int fail(struct sink *s)
{
	s->error_number = errno;
	return ERR_IO;
}

/* Under sudo the file belongs to who typed the command; a failure leaves it root's. */
static void give_to_sudo_user(int fd)
{
	uid_t uid;
	gid_t gid;
	if (owner_behind_sudo(&uid, &gid) && fchown(fd, uid, gid) < 0)
		errno = 0;
}

int sink_open(struct sink *s, const char *path, bool exclusive)
{
	struct stat st;
	int flags = O_WRONLY | O_CLOEXEC | O_NOCTTY;

	memset(s, 0, sizeof *s);
	s->fd = -1;
	if ((size_t)snprintf(s->path, sizeof s->path, "%s", path) >= sizeof s->path) {
		errno = ENAMETOOLONG;
		return fail(s);
	}
	if (!strcmp(path, "-")) {
		s->fd = STDOUT_FILENO;
	} else if (exclusive) {
		s->fd = open(path, flags | O_CREAT | O_EXCL | O_NOFOLLOW, 0600);
		s->is_new = s->fd >= 0;
	} else {
		s->fd = open(path, flags);
		if (s->fd < 0 && errno == ENOENT) {
			s->fd = open(path, flags | O_CREAT, 0600);
			s->is_new = s->fd >= 0;
		}
	}
	if (s->fd < 0 || fstat(s->fd, &st) < 0)
		return fail(s);
	s->is_regular = S_ISREG(st.st_mode);
	if (s->is_new)
		give_to_sudo_user(s->fd);
	return 0;
}

/* An existing file loses its contents now; standard output goes on where it is (">>"). */
static int start(struct sink *s)
{
	if (s->is_regular && strcmp(s->path, "-") && ftruncate(s->fd, 0) < 0)
		return fail(s);
	s->started = true;
	return 0;
}

/* Where the next bytes of a regular file will stand. */
static off_t position(const struct sink *s)
{
	int flags = fcntl(s->fd, F_GETFL);
	return lseek(s->fd, 0, flags >= 0 && (flags & O_APPEND) ? SEEK_END : SEEK_CUR);
}

int sink_write(struct sink *s, const void *p, size_t n)
{
	if (!s->started && start(s) < 0)
		return ERR_IO;
	off_t begin = s->is_regular ? position(s) : -1;
	for (size_t done = 0; done < n;) {
		ssize_t put = write(s->fd, (const char *)p + done, n - done);
		if (put >= 0) {
			done += (size_t)put;
		} else if (errno == EAGAIN || errno == EWOULDBLOCK) {
			struct pollfd wait = {.fd = s->fd, .events = POLLOUT};
			poll(&wait, 1, -1);
		} else if (errno != EINTR) {
			fail(s);
			if (begin >= 0 && ftruncate(s->fd, begin) == 0)
				lseek(s->fd, begin, SEEK_SET);
			return ERR_IO;
		}
	}
	s->bytes += n;
	return 0;
}

/* The file at our path is still the one that we made. */
static bool is_ours(const struct sink *s)
{
	struct stat here, there;
	return fstat(s->fd, &here) == 0 && lstat(s->path, &there) == 0 && here.st_dev == there.st_dev &&
	       here.st_ino == there.st_ino;
}

int sink_reopen(const struct sink *s)
{
	char name[64];
	snprintf(name, sizeof name, "/proc/self/fd/%d", s->fd);
	return open(name, O_RDONLY | O_CLOEXEC);
}

int sink_close(struct sink *s)
{
	int rc = 0;
	if (s->fd < 0)
		return 0;
	if (s->is_new && s->bytes == 0 && is_ours(s))
		unlink(s->path);
	else if (s->is_regular && s->bytes && fsync(s->fd) < 0 && errno != EINVAL && errno != EROFS)
		rc = fail(s);
	if (s->fd != STDOUT_FILENO && close(s->fd) < 0 && errno != EINTR && rc == 0)
		rc = fail(s);
	s->fd = -1;
	return rc;
}
