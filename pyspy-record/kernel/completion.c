#include "pyspy-record/kernel/completion.h"

#include <sched.h>
#include <signal.h>
#include <string.h>

#include "libcommon/log.h"

static void *load(void *arg)
{
	struct completion *c = arg;
	c->rc = loading_rest(&c->loading, c->why, sizeof c->why);
	atomic_store(&c->is_over, true);
	return NULL;
}

/* False: there is no thread to be had. */
static bool begin(struct completion *c, const struct loading *l)
{
	sigset_t all, before;
	pthread_attr_t attr;
	c->loading = *l;
	if (pthread_attr_init(&attr) != 0)
		return false;
	pthread_attr_setinheritsched(&attr, PTHREAD_EXPLICIT_SCHED);
	pthread_attr_setschedpolicy(&attr, SCHED_OTHER);
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before); /* our handlers break off a sleep of the recorder's own thread */
	c->has_thread = pthread_create(&c->thread, &attr, load, c) == 0;
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	pthread_attr_destroy(&attr);
	return c->has_thread;
}

void completion_end(struct completion *c, struct loading *l)
{
	if (!c->has_thread)
		return;
	pthread_join(c->thread, NULL);
	c->has_thread = false;
	memcpy(l->programs, c->loading.programs, sizeof l->programs);
}

bool completion_go(struct completion *c, struct loading *l, bool wait)
{
	if (c->is_done)
		return false;
	if (!c->has_thread && (wait || l->has_loop || !begin(c, l)))
		c->rc = loading_rest(l, c->why, sizeof c->why);
	else if (!wait && !atomic_load(&c->is_over))
		return false;
	completion_end(c, l);
	c->is_done = true;
	if (c->rc < 0)
		log_info("some of the kernel engine is missing: %s", c->why);
	return true;
}
