/* --blocking: each thread that runs is stopped for its sample, at each tick. For comparison only: a stop comes to rest
 * late, and in system calls where there are any, so that what stands in one is seen too often. A thread that sleeps is
 * read as it stands and never sent a stop.
 */
#include "libcommon/err.h"
#include "libcommon/log.h"
#include "pyspy-record/sample/stop.h"
#include "pyspy-record/sample/target.h"

enum {
	TRIES = 4,                   /* it fell asleep, it woke up, ... */
	WAIT_NS = 100 * 1000 * 1000, /* on a busy host it may wait for a CPU itself */
};

static void tell_traced(struct target *t)
{
	if (!t->is_traced)
		log_info(
		    "pid %d: its threads cannot be stopped, another program traces it; only those that sleep are seen",
		    (int)t->facts.pid);
	t->is_traced = true;
}

/* What became of an attempt. */
enum { AGAIN, TOLD, FAILED /* and counted */ };

/* It ran when it was looked at. */
static int take_stopped(struct target *t, struct writer *w, struct sample_thread *th)
{
	int rc;
	bool stood = stops_one(t->stops, t, th, WAIT_NS, &rc);
	if (!stood && rc == ERR_PERMISSION)
		tell_traced(t);
	t->counts.unstopped += !stood;
	t->counts.reads_failed += stood && rc < 0 && rc != ERR_TORN;
	if (!stood || (rc < 0 && rc != ERR_TORN))
		return FAILED;
	th->stopped = true;
	target_take(t, w, th, rc);
	th->stopped = false;
	return TOLD;
}

/* It slept when it was looked at. */
static int take_still(struct target *t, struct writer *w, struct sample_thread *th)
{
	if (target_read(t, &th, 1) < 0) {
		t->counts.reads_failed++;
		return FAILED;
	}
	return th->look == LOOK_READ && target_take(t, w, th, target_walk(t, th)) ? TOLD : AGAIN;
}

static int take(struct target *t, struct writer *w, struct sample_thread *th)
{
	target_look(t, th); /* the look of the pass may be old by now: it may have gone to sleep */
	if (th->look != LOOK_READ)
		return TOLD;                                 /* it is gone: the pass tells */
	bool is_asked = stops_is_pending(t->stops, th->tid); /* it may stand because of us, and looks as if it slept */
	if (th->blocked && !is_asked)
		return take_still(t, w, th);
	if (is_asked || stops_has_room(t->stops))
		return take_stopped(t, w, th);
	t->counts.unstopped++;
	return FAILED;
}

void target_take_each(struct target *t, struct writer *w)
{
	bool may = stops_begin(t->stops);
	for (size_t i = 0; i < t->active.n; i++) {
		struct sample_thread *th = t->active.v[i];
		int got = AGAIN;
		for (int tries = 0; may && got == AGAIN && tries < TRIES; tries++)
			got = take(t, w, th);
		t->counts.unstopped += got == AGAIN;
		if (got != TOLD)
			target_take_absent(t, w, th);
	}
	if (may)
		stops_end(t->stops);
}
