#include "pyspy-record/sample/awake.h"

#include <unistd.h>

#include "libcommon/clock.h"

enum {
	GAP_NS = 50 * 1000,  /* shorter ones are waited for awake ... */
	MOST_NS = 80 * 1000, /* ... for so long at most */
	LOOK_EACH_NS = 4 * 1000 * 1000,
	WAITED_PART = 4, /* of that time: somebody else wants this CPU ... */
	WANTED_MOST = 2, /* ... still, after the scheduler had time to part us */
};
#define PAUSE_NS      (UINT64_C(50) * 1000 * 1000)
#define PAUSE_MOST_NS (UINT64_C(60) * 1000 * 1000 * 1000)

void awake_init(struct awake *a, bool may)
{
	*a = (struct awake){
	    .may = may && sysconf(_SC_NPROCESSORS_ONLN) > 1, .self = TASKSTATE_NONE, .pause_ns = PAUSE_NS};
	if (a->may)
		taskstate_open(&a->self, getpid(), getpid());
}

void awake_done(struct awake *a)
{
	taskstate_close(&a->self);
	a->may = false;
}

bool awake_wants(const struct awake *a, uint64_t now_ns, uint64_t gap_ns)
{
	return a->may && gap_ns < GAP_NS && now_ns >= a->paused_until_ns;
}

/* Does somebody else want the CPU that we have? */
static void look(struct awake *a, uint64_t now_ns)
{
	struct taskstate_run run;
	if (taskstate_run(&a->self, &run) < 0 || run.count == 0) { /* a kernel that does not count it */
		a->may = false;
		return;
	}
	uint64_t time = now_ns - a->looked_ns, waited = run.wait_ns - a->waited_ns;
	bool is_first = a->looked_ns == 0, is_wanted = waited >= time / WAITED_PART;
	a->looked_ns = now_ns;
	a->waited_ns = run.wait_ns;
	if (is_first)
		return;
	a->n_wanted = is_wanted ? a->n_wanted + 1 : 0;
	if (a->n_wanted == WANTED_MOST) {
		a->n_wanted = 0;
		a->looked_ns = 0;
		a->paused_until_ns = now_ns + a->pause_ns;
		a->pause_ns = 2 * a->pause_ns < PAUSE_MOST_NS ? 2 * a->pause_ns : PAUSE_MOST_NS;
	} else if (!is_wanted) {
		a->pause_ns = a->pause_ns / 2 > PAUSE_NS ? a->pause_ns / 2 : PAUSE_NS;
	}
}

void awake_until(struct awake *a, uint64_t tick_ns)
{
	uint64_t now = clock_mono_ns();
	if (now - a->looked_ns >= LOOK_EACH_NS)
		look(a, now);
	if (now + MOST_NS < tick_ns && clock_sleep_until(tick_ns - MOST_NS) < 0)
		return;
	while (clock_mono_ns() < tick_ns)
		;
}
