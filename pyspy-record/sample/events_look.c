/* Sleeps that go on while the ring is drained: their stacks are read from outside, once. */
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-record/sample/events.h"
#include "pyspy-record/sample/gil.h"
#include "pyspy-record/sample/target.h"

/* A sleep counts as seen when it is so old at a drain: a rule that does not ask what was known of it, so that the
 * others can be weighed by their chance alone. Waiting for the GIL is done in pieces of 5 ms. */
enum { SEEN_AFTER_NS = 10 * 1000 * 1000 };

/* A thread that was not seen on a CPU since we came: its stack, proved by /proc. One of which nothing was told yet came
 * after us, and the kernel's table had no room for it: its time begins now. */
static void look_at_first_sleep(struct target *t, struct writer *w, struct events_thread *et, uint64_t now_ns)
{
	struct sample_thread *th = et->thread;
	node_id node;
	if (!target_take_still(t, w, th, &node))
		return;
	et->sleep = (struct events_sleep){
	    .goes_on = true,
	    .is_known = true,
	    .is_seen = true,
	    .told_ns = et->told_ns ? et->told_ns : now_ns,
	    .chance = 256,
	    .node = node,
	    .trie_epoch = t->trie.epoch,
	    .flags = target_sleep_flags(t, th) | gil_flags(t, th) | WIRE_WAY_STILL << WIRE_FLAG_WAY_SHIFT,
	    .id = th->id,
	};
	t->events.counts.still++;
}

static bool is_off(const struct events_thread *et)
{
	return et->task.tid && !et->task.in_ns && !et->task.is_dead;
}

static bool knows_sleep(const struct target *t, const struct events_thread *et)
{
	const struct events_sleep *s = &et->sleep;
	return s->goes_on && s->is_known && s->switches == et->task.switches && s->trie_epoch == t->trie.epoch;
}

/* With the tables stacks are forgotten; then it is looked at again. */
static bool knows_first_sleep(const struct target *t, const struct events_sleep *s)
{
	return s->goes_on && s->is_known && s->trie_epoch == t->trie.epoch;
}

/* The snapshot knows more than the records so far: the thread woke since, or was seen for the first time. */
static void end_sleep(struct target *t, struct writer *w, struct events_thread *et)
{
	struct events_sleep *s = &et->sleep;
	const struct kernel_task *task = &et->task;
	if (!s->goes_on)
		return;
	if (!is_off(et) && s->switches == task->switches && task->in_ns) {
		events_tell_sleep(t, w, et, task->in_ns);
		events_sleep_over(et, task->in_ns - task->out_ns);
	} else if (events_is_first_sleep(s) && task->switches)
		events_tell_sleep(t, w, et, task->first_ns);
	else if (is_off(et))
		return;
	s->goes_on = false;
}

/* The stack of a thread that was read while it slept, as it seems. */
static void take_asleep(struct target *t, struct events_thread *et, struct sample_thread *th)
{
	node_id node;
	bool unproved;
	et->sleep.goes_on = false;
	if (target_walk(t, th) < 0)
		return;
	bool is_cut = t->walk.is_cut;
	if (target_resolve(t, th, &node, &unproved) < 0)
		return;
	uint32_t flags = events_off_flags(et->task.off_state) | gil_flags(t, th) | (is_cut ? WIRE_FLAG_CUT : 0) |
	                 WIRE_WAY_STILL << WIRE_FLAG_WAY_SHIFT;
	if (taskstate_blocked(&th->task, &th->block) == 1 && gil_is_awaited(t, th, th->block.number, th->block.args[0]))
		flags = (flags & ~(uint32_t)(WIRE_FLAG_GIL | WIRE_FLAG_GC)) | WIRE_FLAG_GIL_WAIT;
	et->sleep = (struct events_sleep){
	    .is_seen = true,
	    .is_proving = true,
	    .switches = et->task.switches,
	    .told_ns = et->task.out_ns > et->told_ns ? et->task.out_ns : et->told_ns,
	    .chance = 256,
	    .node = node,
	    .trie_epoch = t->trie.epoch,
	    .flags = flags,
	    .id = th->id,
	};
}

static void read_sleepers(struct target *t)
{
	struct events *e = &t->events;
	for (size_t done = 0; done < e->to_read.n;) {
		int taken = target_read_some(t, e->to_read.v + done, e->to_read.n - done);
		if (taken <= 0)
			return;
		for (int i = 0; i < taken; i++) {
			struct sample_thread *th = e->to_read.v[done + (size_t)i];
			struct events_thread *et = events_find(e, th->tid);
			if (et && th->look == LOOK_READ)
				take_asleep(t, et, th);
		}
		done += (size_t)taken;
	}
}

bool events_look(struct target *t, struct writer *w, uint64_t now_ns)
{
	struct events *e = &t->events;
	e->to_read.n = 0;
	for (size_t i = 0; i < e->threads.n; i++) {
		struct events_thread *et = &e->threads.v[i];
		if (et->has_ended || !et->thread)
			continue;
		if (!et->task.tid) {
			if (!knows_first_sleep(t, &et->sleep))
				look_at_first_sleep(t, w, et, now_ns);
			continue;
		}
		end_sleep(t, w, et);
		if (!is_off(et))
			continue;
		if (now_ns < et->task.out_ns + SEEN_AFTER_NS)
			continue;
		if (knows_sleep(t, et)) {
			et->sleep.is_seen = true;
			continue;
		}
		et->thread->look = LOOK_READ;
		if (!vec_push(&e->to_read, et->thread))
			break;
	}
	e->stamp++; /* what was looked at for the kernel's samples is to be looked at again */
	t->codes.now_ns = clock_mono_ns();
	read_sleepers(t);
	return e->to_read.n > 0;
}

void events_look_proved(struct target *t, struct writer *w)
{
	struct events *e = &t->events;
	for (size_t i = 0; i < e->to_read.n; i++) {
		struct events_thread *et = events_find(e, e->to_read.v[i]->tid);
		if (!et || !et->sleep.is_proving)
			continue;
		et->sleep.is_proving = false;
		if (!is_off(et) || et->task.switches != et->sleep.switches)
			continue; /* it ran meanwhile */
		et->sleep.goes_on = et->sleep.is_known = true;
		trie_certify(&t->trie, w, et->sleep.node);
		e->counts.still++;
	}
}
