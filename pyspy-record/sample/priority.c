#include "pyspy-record/sample/priority.h"

#include <sched.h>
#include <sys/prctl.h>

#include "pyspy-record/sample/schedattr.h"

static bool is_had;

bool priority_is_had(void)
{
	return is_had;
}

void priority_want(enum priority_for what, bool on)
{
	static struct schedattr usual;
	static int slack_ns;
	static unsigned wanted; /* enum priority_for */
	static enum { UNTRIED, MAY, MAY_NOT } state;
	unsigned before = wanted;
	wanted = on ? wanted | what : wanted & ~(unsigned)what;
	if (!wanted == !before)
		return;
	if (state == UNTRIED)
		state = schedattr_get(&usual) && usual.policy == SCHED_OTHER ? MAY : MAY_NOT;
	if (state != MAY)
		return;
	struct schedattr first = {.size = sizeof first, .policy = SCHED_FIFO, .priority = 1};
	if (on)
		slack_ns = prctl(PR_GET_TIMERSLACK, 0, 0, 0, 0);
	is_had = schedattr_set(on ? &first : &usual) && on;
	if (on && !is_had)
		state = MAY_NOT;
	if (!on && slack_ns > 0) /* the kernel gives back what we were born with */
		prctl(PR_SET_TIMERSLACK, slack_ns, 0, 0, 0);
}
