#include "pyspy-report/report_build.h"

#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "libcommon/buf.h"
#include "libcommon/escape.h"
#include "libcommon/log.h"
#include "pyspy-report/report_trouble.h"
#include "pyspy-report/report_unfinished.h"

int report_build_failed(const struct report_build *b, int error_number)
{
	const char *what = "choose another place with -o";
	struct buf name;

	if (error_number == ENOSPC || error_number == EDQUOT)
		what = "free some space, or choose another place with -o; what was there is untouched";
	else if (error_number == EISDIR)
		what = "name a file in it";
	buf_init(&name, 0);
	escape_text(&name, b->path, strlen(b->path));
	log_error("cannot write %s: %s; %s", buf_cstr(&name), strerror(error_number), what);
	buf_done(&name);
	return REPORT_ERROR;
}

/* What a killed build may leave: the begin of an SQLite file, or a hole where it will be. */
static bool is_ours(int fd)
{
	static const char magic[16] = "SQLite format 3";
	char head[sizeof magic], zero[sizeof magic] = {0};
	ssize_t n = pread(fd, head, sizeof head, 0);

	return n == 0 || (n == (ssize_t)sizeof head &&
	                  (memcmp(head, magic, sizeof head) == 0 || memcmp(head, zero, sizeof head) == 0));
}

/* Locked, and still the file of that name. 1, 0: try again, -1: errno. */
static int lock(struct report_build *b)
{
	struct stat mine, now;

	b->fd = open(b->temporary, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
	if (b->fd < 0 || fstat(b->fd, &mine) < 0)
		return -1;
	if (!S_ISREG(mine.st_mode) || !is_ours(b->fd)) {
		errno = EEXIST;
		return -1;
	}
	if (flock(b->fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return -1;
		log_info("another pyspy-report builds this index: waiting for it (Ctrl-C to end)");
		while (flock(b->fd, LOCK_EX) < 0)
			if (errno != EINTR)
				return -1;
	}
	if (stat(b->temporary, &now) == 0 && now.st_dev == mine.st_dev && now.st_ino == mine.st_ino)
		return 1;
	close(b->fd);
	b->fd = -1;
	return 0;
}

int report_build_begin(struct report_build *b, const char *path)
{
	struct stat st;
	int rc;

	b->fd = -1;
	b->temporary[0] = 0;
	if (strlen(path) >= sizeof b->path)
		return log_error("the name of the index is too long"), REPORT_ERROR;
	strcpy(b->path, path);
	if (stat(path, &st) == 0) {
		char real[PATH_MAX];

		if (S_ISDIR(st.st_mode))
			return report_build_failed(b, EISDIR);
		if (!S_ISREG(st.st_mode)) {
			struct buf name;

			buf_init(&name, 0);
			escape_text(&name, path, strlen(path));
			log_error("cannot write %s: an index is a regular file; choose another name with -o",
			          buf_cstr(&name));
			buf_done(&name);
			return REPORT_ERROR;
		}
		if (access(path, W_OK) < 0) /* a rename would not ask */
			return report_build_failed(b, errno);
		if (realpath(path, real)) /* a link stays a link */
			strcpy(b->path, real);
	}
	snprintf(b->temporary, sizeof b->temporary, "%s.tmp", b->path);
	while ((rc = lock(b)) == 0)
		;
	if (rc < 0) {
		int error_number = errno;

		if (b->fd >= 0)
			close(b->fd);
		b->fd = -1;
		b->temporary[0] = 0; /* not ours to remove */
		return report_build_failed(b, error_number);
	}
	report_unfinished(b->temporary);
	return 0;
}

int report_build_empty(struct report_build *b)
{
	return ftruncate(b->fd, 0) < 0 ? report_build_failed(b, errno) : 0;
}

int report_build_copy(struct report_build *b)
{
	static char chunk[256 << 10];
	int from = open(b->path, O_RDONLY | O_CLOEXEC), error_number = 0;
	off_t at = 0;
	ssize_t n;

	if (from < 0)
		return report_build_failed(b, errno);
	if (ftruncate(b->fd, 0) < 0)
		error_number = errno;
	while (!error_number && (n = pread(from, chunk, sizeof chunk, at)) != 0) {
		for (ssize_t done = 0, k; done < n && !error_number; done += k > 0 ? k : 0) {
			k = pwrite(b->fd, chunk + done, (size_t)(n - done), at + done);
			if (k < 0 && errno != EINTR)
				error_number = errno;
		}
		if (n < 0 && errno != EINTR)
			error_number = errno;
		at += n > 0 ? n : 0;
	}
	close(from);
	return error_number ? report_build_failed(b, error_number) : 0;
}

int report_build_end(struct report_build *b)
{
	char folder[PATH_MAX];
	int fd, error_number = 0;

	if (fsync(b->fd) < 0 || rename(b->temporary, b->path) < 0)
		error_number = errno;
	if (error_number) {
		report_build_drop(b);
		return report_build_failed(b, error_number);
	}
	report_finished(b->temporary);
	b->temporary[0] = 0;
	close(b->fd);
	b->fd = -1;
	strcpy(folder, b->path);
	fd = open(dirname(folder), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd >= 0) {
		fsync(fd); /* the index is there; that it is there after a power cut is the folder's to say */
		close(fd);
	}
	return 0;
}

void report_build_drop(struct report_build *b)
{
	if (b->temporary[0])
		unlink(b->temporary);
	report_finished(b->temporary);
	b->temporary[0] = 0;
	if (b->fd >= 0)
		close(b->fd);
	b->fd = -1;
}
