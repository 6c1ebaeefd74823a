#include "pyspy-record/sample/hold.h"

#include <stdio.h>
#include <sys/utsname.h>

#include "libcommon/clock.h"
#include "pyspy-record/sample/priority.h"
#include "pyspy-record/sample/schedattr.h"

enum {
	SLICE_NS = 100 * 1000,
	LATE_NS = 300 * 1000,
	WAKES_WEIGHED = 32,
	LATE_PART = 4,
	PLACED_EACH = 32,
	WORK_WEIGHED = 16,
	LEAVE_NS = 30 * 1000, /* to leave a CPU and to come back to it */
};
#define PAUSE_NS (UINT64_C(3) * 1000 * 1000 * 1000)

/* With the priority we stay where we are, whoever runs there: sleep until then without it, so that the scheduler moves
 * us. */
static void be_placed(struct hold *h, uint64_t until_ns)
{
	h->sleeps = 0;
	if (h->keeps_off)
		sched_setaffinity(0, sizeof h->allowed, &h->allowed);
	h->keeps_off = false;
	hold_after();
	clock_sleep_until(until_ns);
}

/* Not on a CPU that is held: its thread is to run there until the tick. The only one that we may run on (-1 is not said
 * of it) may be another than the program's. */
static bool stays_awake(const struct hold *h, uint64_t now_ns, uint64_t gap_ns)
{
	return (h->cpu < 0 || !h->may_move) && awake_wants(&h->awake, now_ns, gap_ns);
}

bool hold_before(struct hold *h, uint64_t now_ns, uint64_t tick_ns, uint64_t gap_ns)
{
	bool is_over = false, is_due = ++h->sleeps >= PLACED_EACH && tick_ns - now_ns >= gap_ns;
	if (h->cpu < 0 && is_due && priority_is_had()) {
		be_placed(h, now_ns + (tick_ns - now_ns) / 2);
		is_over = clock_mono_ns() >= tick_ns;
	}
	priority_want(PRIORITY_TICK, h->work_ns <= gap_ns && !stays_awake(h, now_ns, gap_ns));
	return !is_over;
}

void hold_sleep_until(struct hold *h, uint64_t tick_ns, uint64_t gap_ns)
{
	h->gap_ns = gap_ns;
	if (stays_awake(h, clock_mono_ns(), gap_ns)) {
		awake_until(&h->awake, tick_ns);
		return;
	}
	if (h->keeps_off && h->cpu < 0 && !priority_is_had()) {
		sched_setaffinity(0, sizeof h->allowed, &h->allowed);
		h->keeps_off = false;
	}
	clock_sleep_until(tick_ns);
}

void hold_after(void)
{
	priority_want(PRIORITY_TICK, false);
}

static void weigh(uint64_t *mean, uint64_t ns)
{
	*mean += ns / WORK_WEIGHED - *mean / WORK_WEIGHED;
}

void hold_worked(struct hold *h, uint64_t begin_ns, uint64_t end_ns)
{
	weigh(&h->work_ns, end_ns - begin_ns);
	if (h->read_ns)
		weigh(&h->after_ns, end_ns - h->read_ns);
	h->read_ns = h->left_ns = 0;
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
	struct schedattr a;
	if (version < 6012 || !schedattr_get(&a) || a.policy != SCHED_OTHER)
		return false;
	a.runtime = SLICE_NS;
	return schedattr_set(&a);
}

void hold_init(struct hold *h, bool may_stay_awake)
{
	*h = (struct hold){.cpu = -1};
	awake_init(&h->awake, may_stay_awake);
	if (sched_getaffinity(0, sizeof h->allowed, &h->allowed) < 0)
		return;
	bool fits = scheduler_fits();
	if (CPU_COUNT(&h->allowed) > 1) {
		h->may_move = fits;
		return;
	}
	for (int i = 0; i < CPU_SETSIZE; i++)
		if (CPU_ISSET(i, &h->allowed))
			h->cpu = i;
}

void hold_done(struct hold *h)
{
	hold_release(h);
	awake_done(&h->awake);
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
	cpu_set_t others = h->allowed;
	h->keeps_off = priority_is_had() || awake_wants(&h->awake, clock_mono_ns(), h->gap_ns);
	if (h->keeps_off)
		CPU_CLR(h->cpu, &others);
	sched_setaffinity(0, sizeof others, &others);
	h->cpu = -1;
}

bool hold_would_leave(struct hold *h)
{
	h->read_ns = h->may_move && h->cpu >= 0 ? clock_mono_ns() : 0;
	return h->read_ns && h->after_ns >= LEAVE_NS;
}

void hold_leave(struct hold *h)
{
	/* the thread goes on when we are taken off its CPU, long before the next one, which sleeps, has us */
	h->left_ns = clock_mono_ns() + LEAVE_NS / 3;
	hold_release(h);
	h->read_ns = clock_mono_ns(); /* to move is no part of the work */
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
