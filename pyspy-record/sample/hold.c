#include "pyspy-record/sample/hold.h"

#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

enum { SLICE_NS = 100 * 1000, LATE_NS = 300 * 1000, WAKES_WEIGHED = 32, LATE_PART = 4 };
#define PAUSE_NS (UINT64_C(3) * 1000 * 1000 * 1000)

/* struct sched_attr of linux/sched/types.h, first version */
struct attr {
	uint32_t size, policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime, deadline, period;
};

static bool attr_get(struct attr *a)
{
	*a = (struct attr){.size = sizeof *a};
	return syscall(SYS_sched_getattr, 0, a, sizeof *a, 0) == 0;
}

static bool attr_set(struct attr *a)
{
	return syscall(SYS_sched_setattr, 0, a, 0) == 0;
}

void hold_hurry(bool on)
{
	static struct attr usual;
	static int slack_ns;
	static enum { UNTRIED, MAY, MAY_NOT } state;
	struct attr first = {.size = sizeof first, .policy = SCHED_FIFO, .priority = 1};
	if (state == UNTRIED)
		state = attr_get(&usual) && usual.policy == SCHED_OTHER ? MAY : MAY_NOT;
	if (state != MAY)
		return;
	if (on)
		slack_ns = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
	if (!attr_set(on ? &first : &usual))
		state = MAY_NOT;
	if (!on && slack_ns > 0) /* the kernel gives back what we were born with */
		prctl(PR_SET_TIMERSLACK, slack_ns, 0, 0, 0);
}

void hold_before(struct hold *h)
{
	if (!h->may_move || h->cpu < 0 || h->is_ready)
		return;
	h->is_ready = true;
	hold_hurry(true);
}

void hold_after(struct hold *h)
{
	if (!h->is_ready)
		return;
	h->is_ready = false;
	hold_hurry(false);
}

static bool scheduler_fits(void)
{
	struct utsname u;
	unsigned major = 0, minor = 0;
	if (uname(&u) < 0 || sscanf(u.release, "%u.%u", &major, &minor) != 2)
		return false;
	unsigned version = major * 1000 + minor;
	if (version <= 6005)
		return true;
	struct attr a;
	if (version < 6012 || !attr_get(&a) || a.policy != SCHED_OTHER)
		return false;
	a.runtime = SLICE_NS;
	return attr_set(&a);
}

void hold_init(struct hold *h)
{
	*h = (struct hold){.cpu = -1};
	if (sched_getaffinity(0, sizeof h->allowed, &h->allowed) < 0)
		return;
	if (CPU_COUNT(&h->allowed) > 1) {
		h->may_move = scheduler_fits();
		return;
	}
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &h->allowed))
			h->cpu = i;
}

bool hold_take(struct hold *h, int cpu)
{
	if (!h->may_move || cpu < 0 || cpu >= CPU_SETSIZE || !CPU_ISSET(cpu, &h->allowed))
		return false;
	if (cpu == h->cpu)
		return true;
	cpu_set_t one;
	CPU_ZERO(&one);
	CPU_SET(cpu, &one);
	if (sched_setaffinity(0, sizeof one, &one) < 0) {
		h->may_move = false;
		return false;
	}
	h->cpu = cpu;
	return true;
}

void hold_release(struct hold *h)
{
	if (!h->may_move || h->cpu < 0)
		return;
	sched_setaffinity(0, sizeof h->allowed, &h->allowed);
	h->cpu = -1;
}

bool hold_may(const struct hold *h, uint64_t now_ns)
{
	return h->may_move && now_ns >= h->paused_until_ns;
}

void hold_woke(struct hold *h, uint64_t now_ns, uint64_t late_ns)
{
	if (!h->may_move || h->cpu < 0)
		return;
	h->wakes++;
	h->late += late_ns > LATE_NS;
	if (h->wakes < WAKES_WEIGHED)
		return;
	if (h->late > h->wakes / LATE_PART) {
		hold_release(h);
		h->paused_until_ns = now_ns + PAUSE_NS;
	}
	h->wakes = h->late = 0;
}
