/* Which threads need no look in this tick: who waits for a GIL cannot have run Python code unless it got it, and who
 * got it since the last tick, the GIL's own words tell. With many threads that share a GIL most wait for it, and each
 * wakes every few ms to ask for it: to look at them again would be most of a tick's work, for the same stacks.
 *
 * A GIL's last_holder and switch_number are written together when another thread gets it (3.7 and later). So between
 * two looks at them: neither has changed, and only the holder can have run; both have, the number by one, and only the
 * two can have run; anything else (somebody in between, a thread state swapped under the same thread) says nothing.
 *
 * The same for those that sleep for something else, in a pool that waits for work, say: where the process has used no
 * CPU time since the last tick but what the threads have used that did not sleep, none of them can have run. (Both are
 * as of the last time that the scheduler wrote them down, so that they fit together but for a timer tick in between:
 * then all are looked at. A thread that runs at this moment, since the last timer tick at most, they leave out. With an
 * unchanged GIL nobody but its last holder can run Python code, and nobody where it is free, so whoever has it is
 * looked at; but one that works in C code without asking for the GIL would be told as sleeping in the first of these
 * milliseconds. So threads that ran lately are looked at, too, and it is the first of such moments only. Its stack is
 * right.)
 */
#include "libcommon/clock.h"
#include "pyspy-record/sample/target.h"

enum {
	SLEEPERS_LEAST = 4,
	MISSES_MOST = 8,      /* threads that are none of Python's may run all the time: then we ask ... */
	PAUSE_TICKS = 64,     /* ... seldom */
	WAITERS_LEAST = 2,    /* fewer are looked at for less than a look at the words costs */
	SKIPPED_MOST = 64,    /* ticks in a row; its CPU time moves a little, and it may end while it waits */
	SWITCHES_BEHIND = 16, /* switch_number, from last_holder on: so in each version that has one */
	WORDS = 3,            /* last_holder, locked, switch_number */
	LOCKED_WORD = 1,
	SWITCHES_WORD = SWITCHES_BEHIND / 8,
};

static raddr_t gil_of(const struct target *t, const struct sample_interp *in)
{
	const struct layout *l = &t->interpreter.layout;
	if (!l->gil.last_holder || layout_is_freethreaded(l))
		return 0;
	return l->gil_kind == LAYOUT_GIL_CURRENT ? t->interpreter.gil : in->gil;
}

void waiters_weigh(struct target *t)
{
	uint64_t words[TARGET_INTERPRETERS_MAX][WORDS];
	bool asks = t->n_idle >= SLEEPERS_LEAST && t->rest_pause == 0;
	bool worth = (t->n_waiting >= WAITERS_LEAST || asks) && !t->waiters_untrusted;
	t->rest_pause -= t->rest_pause > 0;
	t->used_ns = asks && worth ? clock_cpu_ns_of(t->facts.pid) : 0;
	t->is_idle = false;
	reader_batch_clear(&t->batch);
	for (size_t i = 0; i < t->n_interps && worth; i++)
		if (gil_of(t, &t->interps[i]))
			reader_batch_add(&t->batch, gil_of(t, &t->interps[i]) + t->interpreter.layout.gil.last_holder,
			                 words[i], sizeof words[i]);
	t->gil_stays = worth = worth && t->batch.n && reader_batch_read(&t->reader, &t->batch) == (int)t->batch.n;
	for (size_t i = 0; i < t->n_interps; i++) {
		struct gil_history *h = &t->interps[i].history;
		raddr_t gil = worth ? gil_of(t, &t->interps[i]) : 0;
		struct gil_history before = *h;
		*h = (struct gil_history){.gil = gil};
		if (!gil)
			continue;
		h->holder = words[i][0];
		h->switches = words[i][SWITCHES_WORD];
		h->was_holder = before.holder;
		uint64_t moved = h->switches - before.switches;
		h->tells = before.gil == gil &&
		           ((moved == 0 && h->holder == before.holder) || (moved == 1 && h->holder != before.holder));
		h->is_free = h->tells && (uint32_t)words[i][LOCKED_WORD] == 0;
		t->gil_stays &= h->tells && moved == 0;
	}
}

/* What the process used and no thread is known to have used: those that are none of Python's, or have ended. */
static uint64_t rest_ns(const struct target *t)
{
	uint64_t ns = t->used_ns;
	for (size_t i = 0; i < t->threads.n; i++)
		ns -= t->threads.v[i]->run.cpu_ns;
	return ns;
}

void waiters_settle(struct target *t)
{
	if (!t->used_ns || !t->knows_rest)
		return;
	t->is_idle = t->gil_stays && rest_ns(t) == t->rest_ns;
	t->rest_misses = t->is_idle ? 0 : t->rest_misses + 1;
	if (t->rest_misses < MISSES_MOST)
		return;
	t->rest_misses = 0;
	t->rest_pause = PAUSE_TICKS;
}

void waiters_keep(struct target *t)
{
	t->knows_rest = t->used_ns != 0;
	t->rest_ns = t->knows_rest ? rest_ns(t) : 0;
}

static bool may_have_run(const struct target *t, const struct sample_thread *th)
{
	const struct sample_state *s = th->states.v[0];
	const struct gil_history *h = &t->interps[s->interp].history;
	return th->states.n != 1 || !h->tells || s->tstate == h->holder || s->tstate == h->was_holder;
}

/* Has it run since the last tick, where the process has used no CPU time? Then it has got the GIL at this moment. */
static bool may_run_now(const struct target *t, const struct sample_thread *th)
{
	return !(th->states.n == 1 && t->interps[th->states.v[0]->interp].history.is_free) && may_have_run(t, th);
}

bool waiters_skip(const struct target *t, struct sample_thread *th)
{
	bool waits = th->sleep_flags & WIRE_FLAG_GIL_WAIT;
	bool rests = !waits && t->is_idle && th->lively == 0;
	bool skip = th->asleep && ((waits && !may_have_run(t, th)) || (rests && !may_run_now(t, th)));
	th->lively -= th->lively > 0;
	th->is_checked = skip && th->skipped >= SKIPPED_MOST;
	skip &= !th->is_checked;
	th->skipped = skip ? th->skipped + 1 : 0;
	return skip;
}

void waiters_count(struct target *t)
{
	t->n_waiting = t->n_idle = 0;
	for (size_t i = 0; i < t->threads.n; i++) {
		const struct sample_thread *th = t->threads.v[i];
		bool waits = th->sleep_flags & WIRE_FLAG_GIL_WAIT;
		t->n_waiting += th->asleep && waits;
		t->n_idle += th->asleep && !waits && th->lively == 0;
	}
}

void waiters_check(struct target *t, const struct sample_thread *th, node_id node)
{
	if (!th->is_checked || !th->is_shown || th->is_torn || th->node == node)
		return;
	waiters_weigh(t); /* it may have got the GIL after the look that said that it had not */
	t->waiters_untrusted |= !may_have_run(t, th);
	for (size_t i = 0; i < t->n_interps; i++) /* other threads were looked at before that */
		t->interps[i].history.gil = 0;
	t->knows_rest = false;
}
