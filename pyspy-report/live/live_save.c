#include "pyspy-report/live/live_save.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/path.h"

enum { NAMES_TRIED = 100 };

/* Under a name that nobody has. */
static int appear(const char *part, const char *program, char *name, size_t size)
{
	char base[128];

	path_default_name(base, sizeof base - 8, program, clock_real_ns());
	base[strlen(base) - strlen(".pyspy")] = 0;
	for (int i = 0; i < NAMES_TRIED; i++) {
		if (i)
			snprintf(name, size, "%s-%d.pyspy", base, i);
		else
			snprintf(name, size, "%s.pyspy", base);
		if (link(part, name) == 0)
			return 0;
		if (errno != EEXIST)
			break;
	}
	if (errno != EEXIST && access(name, F_OK) < 0 && rename(part, name) == 0)
		return 0; /* a file system without links */
	return ERR_SYSTEM;
}

int live_save(struct live_source *s, const char *program, char *name, size_t size)
{
	char part[64];
	int rc, error_number, fd;

	if (!live_sums_bytes(&s->sums))
		return ERR_GONE;
	snprintf(part, sizeof part, ".pyspy-top-%d.part", (int)getpid());
	fd = open(part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return ERR_SYSTEM;
	rc = live_source_copy(s, fd);
	error_number = errno;
	if (close(fd) < 0 && !rc) {
		rc = ERR_SYSTEM;
		error_number = errno;
	}
	if (!rc) {
		rc = appear(part, program, name, size);
		error_number = errno;
	}
	unlink(part);
	errno = error_number;
	return rc;
}
