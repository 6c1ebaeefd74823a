#include "pyspy-record/kernel/cpuclock.h"

#include <errno.h>
#include <limits.h>
#include <linux/perf_event.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcommon/err.h"

/* attr.inherit_thread, which linux/perf_event.h before 5.13 does not have: a bit of the word of flags. */
enum { FLAGS_AT = 40, INHERIT_THREAD_BIT = 35 };
enum { PERIOD_NS = 1000000000 }; /* of an event that is not to be */

static int failed(void)
{
	switch (errno) {
	case EACCES:
	case EPERM:
		return ERR_PERMISSION;
	case ESRCH:
		return ERR_GONE;
	case EMFILE:
	case ENFILE:
	case ENOSPC:
	case E2BIG:
	case ENOMEM:
		return ERR_FULL;
	case EINVAL:
	case ENOSYS:
	case ENOENT:
	case EOPNOTSUPP:
		return ERR_UNSUPPORTED;
	default:
		return ERR_SYSTEM;
	}
}

/* True: more files may be open now. */
static bool more_files(void)
{
	struct rlimit r;
	if (getrlimit(RLIMIT_NOFILE, &r) < 0 || r.rlim_cur >= r.rlim_max)
		return false;
	r.rlim_cur = r.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &r) == 0;
}

enum inherit { INHERIT_NONE, INHERIT_ALL, INHERIT_THREADS };

static int open_event(pid_t tid, uint64_t period_ns, enum inherit inherit, int group_fd)
{
	struct perf_event_attr a = {.type = PERF_TYPE_SOFTWARE,
	                            .size = PERF_ATTR_SIZE_VER5,
	                            .config = PERF_COUNT_SW_CPU_CLOCK,
	                            .sample_period = period_ns,
	                            .disabled = 1,
	                            .exclude_idle = 1,
	                            .inherit = inherit != INHERIT_NONE};
	if (inherit == INHERIT_THREADS) {
		uint64_t flags;
		memcpy(&flags, (char *)&a + FLAGS_AT, sizeof flags);
		flags |= UINT64_C(1) << INHERIT_THREAD_BIT;
		memcpy((char *)&a + FLAGS_AT, &flags, sizeof flags);
	}
	int fd;
	do
		fd = (int)syscall(SYS_perf_event_open, &a, tid, -1, group_fd, PERF_FLAG_FD_CLOEXEC);
	while (fd < 0 && (errno == EINTR || (errno == EMFILE && more_files())));
	return fd;
}

/* Rights are looked at before the group, which there is not. */
bool cpuclock_may_be(void)
{
	int fd = open_event(0, PERIOD_NS, INHERIT_NONE, INT_MAX);
	if (fd >= 0)
		close(fd);
	return fd >= 0 || failed() != ERR_PERMISSION;
}

int cpuclock_open(pid_t tid, uint64_t period_ns, int program_fd, bool *inherits, bool *forks)
{
	enum inherit how = inherits ? INHERIT_THREADS : INHERIT_NONE;
	int fd = open_event(tid, period_ns, how, -1);
	while (fd < 0 && errno == EINVAL && how != INHERIT_NONE)
		fd = open_event(tid, period_ns, --how, -1);
	if (fd < 0)
		return failed();
	if (ioctl(fd, PERF_EVENT_IOC_SET_BPF, program_fd) < 0 || ioctl(fd, PERF_EVENT_IOC_ENABLE, 0) < 0) {
		int reason = errno;
		close(fd);
		errno = reason;
		return failed();
	}
	if (inherits)
		*inherits = how != INHERIT_NONE;
	if (forks)
		*forks = how == INHERIT_ALL;
	return fd;
}

int cpuclock_set_period(int fd, uint64_t period_ns)
{
	return ioctl(fd, PERF_EVENT_IOC_PERIOD, &period_ns) < 0 ? failed() : 0;
}

void cpuclock_close(int fd)
{
	close(fd);
}
