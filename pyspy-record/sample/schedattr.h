/* schedattr: sched_getattr and sched_setattr of ourselves, which glibc has since 2.41 only. Source: sched_setattr(2).
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/syscall.h>
#include <unistd.h>

/* struct sched_attr of linux/sched/types.h, first version */
struct schedattr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period; /* runtime: ns, with SCHED_OTHER the slice (Linux 6.12 and later) */
};

static inline bool schedattr_get(struct schedattr *a)
{
	*a = (struct schedattr){.size = sizeof *a};
	return syscall(SYS_sched_getattr, 0, a, sizeof *a, 0) == 0;
}

static inline bool schedattr_set(struct schedattr *a)
{
	return syscall(SYS_sched_setattr, 0, a, 0) == 0;
}
