#include "libcommon/fds.h"

#include <sys/resource.h>
#include <unistd.h>

enum { SPARE = 24 };

void fds_raise(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= r.rlim_max)
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

int fds_keep(int fd)
{
	struct rlimit r;
	/* the lowest free number is given: it says how many are open */
	if (fd < 0 || getrlimit(RLIMIT_NOFILE, &r) < 0 || (rlim_t)fd + SPARE < r.rlim_cur)
		return fd;
	close(fd);
	return -1;
}
