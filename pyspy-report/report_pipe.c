#include "pyspy-report/report_pipe.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/escape.h"
#include "libcommon/log.h"
#include "pyspy-report/report_trouble.h"

static void no_copy(const char *name, const char *folder, int error_number)
{
	struct buf shown;

	name = strcmp(name, "-") == 0 ? "standard input" : name;
	buf_init(&shown, 0);
	escape_text(&shown, name, strlen(name));
	log_error(
	    "cannot copy %s to %s to read it twice: %s; free some space, set TMPDIR, or save it and name the file",
	    buf_cstr(&shown), folder, strerror(error_number));
	buf_done(&shown);
}

static int open_unnamed(const char *folder)
{
	char path[PATH_MAX];
	int fd = open(folder, O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);

	if (fd >= 0)
		return fd;
	snprintf(path, sizeof path, "%s/pyspy-report-XXXXXX", folder); /* file systems without O_TMPFILE */
	fd = mkostemp(path, O_CLOEXEC);
	if (fd >= 0)
		unlink(path);
	return fd;
}

static bool write_all(int fd, const char *p, size_t n)
{
	while (n > 0) {
		ssize_t k = write(fd, p, n);

		if (k < 0 && errno != EINTR)
			return false;
		p += k > 0 ? k : 0;
		n -= k > 0 ? (size_t)k : 0;
	}
	return true;
}

int report_pipe_keep(int from, const char *name)
{
	const char *folder = getenv("TMPDIR");
	char chunk[64 << 10];
	int fd;

	folder = folder && *folder ? folder : "/tmp";
	fd = open_unnamed(folder);
	if (fd < 0) {
		no_copy(name, folder, errno);
		return -1;
	}
	for (;;) {
		ssize_t n = read(from, chunk, sizeof chunk);

		if (n == 0)
			return fd;
		if (n < 0 && errno != EINTR) {
			report_trouble_unreadable(name, ERR_SYSTEM, errno, false);
			break;
		}
		if (n > 0 && !write_all(fd, chunk, (size_t)n)) {
			no_copy(name, folder, errno);
			break;
		}
	}
	close(fd);
	return -1;
}
