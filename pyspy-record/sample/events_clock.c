/* What makes the kernel's program take samples: clocks of threads' own, the tick beside them, and how often at
 * switches. */
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/log.h"
#include "pyspy-record/sample/events.h"
#include "pyspy-record/sample/target.h"

enum {
	CLOCK_LACKS = 5, /* a thread that ran for so many periods without a sample has no clock */
	SWITCHES_TIMES =
	    1, /* as many stacks at switches, of all threads of a process, as one running thread gives ... */
	SWITCHES_LEAST = 200, /* ... or so many a second */
	PACE_NS = 100 * 1000 * 1000,
	GAP_MOST_NS = 1000 * 1000 * 1000,
	COMPARED_MOST = 64,   /* threads whose clocks the tick is compared with */
	COMPARED_SLOWLY = 10, /* times the period, once the tick is trusted */
	COMPARED_VARY = 3,    /* samples, after which such a clock gets another period: what it met is evidence */
	CALLERS_MOST = 32,    /* of a sample that is compared */
	OFF_SOON = 4,   /* a thread that left its CPU so many times since the last look is off it soon again, ... */
	LOOKS_MOST = 3, /* ... or so it is taken to be for so many looks */
};

unsigned events_clock_times(const struct events *e)
{
	return !e->own_clock && e->lockstep.verdict == LOCKSTEP_NO ? COMPARED_SLOWLY : 1;
}

/* Samples, after which a clock gets another period. */
static uint64_t vary_after(const struct events *e)
{
	uint64_t by_time = EVENTS_VARY_NS / kernel_period_ns(e->kernel);
	if (!e->own_clock)
		return COMPARED_VARY;
	return by_time > EVENTS_VARY_EACH ? by_time : EVENTS_VARY_EACH;
}

/* A clock that samples the thread, or one that the tick is compared with. */
void events_open_clock(struct events *e, struct events_thread *et)
{
	if (!kernel_has_clocks(e->kernel)) /* in the first moments: events_bind will try again */
		return;
	if (!e->own_clock && (e->n_clocks >= COMPARED_MOST || e->lockstep.verdict != LOCKSTEP_UNKNOWN))
		return;
	/* Threads that it starts do not inherit it: each would begin a period anew, and the kernel swaps events between
	 * threads that inherited the same, so that one that starts many others loses its own samples. */
	/* no two alike, and none that a program may have for its own timers */
	uint64_t period = kernel_clock_draw(kernel_clock_ns(e->kernel, events_clock_times(e)),
	                                    map_hash(clock_mono_ns(), (uint64_t)et->tid));
	int fd = kernel_clock_open(e->kernel, et->tid, period, NULL);
	e->n_clocks += fd >= 0;
	et->compared_cpu_ns = et->task.cpu_ns;
	et->has_clock = true; /* once tried: without one its time goes to what else is seen of it */
	et->clock_fd = fd >= 0 ? fd : -1;
	et->vary_at = et->n_clock + vary_after(e);
	et->period_ns = kernel_period_ns(e->kernel);
	et->lacks_clock = e->own_clock && fd < 0 && fd != ERR_GONE;
	if (et->lacks_clock && e->counts.no_clock++ == 0)
		log_info("no clocks for more threads (%s); they are sampled on the CPU's timer tick", err_words(fd));
}

/* The tick beside the clock. True: this sample was taken for that only. */
bool events_compare(struct target *t, struct events_thread *et, const struct kernel_sample *m, node_id node)
{
	struct events *e = &t->events;
	bool by_clock = m->head.trigger == KERNEL_ON_CLOCK;
	if (et->clock_fd < 0 || e->own_clock)
		return false;
	lockstep_count(&e->lockstep, trie_code(&t->trie, node), by_clock);
	for (int i = 0; i < CALLERS_MOST && node; i++) {
		node = t->trie.nodes.v[node].parent;
		lockstep_count_caller(&e->lockstep, trie_code(&t->trie, node), by_clock);
	}
	return !by_clock && e->lockstep.verdict == LOCKSTEP_UNKNOWN;
}

static void open_clock_now(struct target *t, struct events_thread *et)
{
	events_open_clock(&t->events, et);
	if (et->thread) /* does it want the tick? */
		events_bind_thread(t, et);
}

/* The rate has grown meanwhile. One that does not run gets no other period: that costs. */
static bool is_too_slow(const struct events *e, const struct events_thread *et)
{
	return et->n_clock > et->varied_n && et->period_ns > 2 * kernel_period_ns(e->kernel);
}

/* Another period for a thread on its CPU interrupts that CPU, and we wait for it, 30 us: so one that leaves it often
 * gets it when it is off. */
static bool is_put_off(const struct events *e, struct events_thread *et, const struct kernel_task *task)
{
	if (!e->own_clock || !task->in_ns || task->switches - et->task.switches < OFF_SOON)
		return false;
	return et->vary_looks++ < LOOKS_MOST;
}

/* `draw`: a random number. */
static void vary(struct events *e, struct events_thread *et, uint64_t draw)
{
	et->varied_n = et->n_clock;
	et->vary_looks = 0;
	et->period_ns = kernel_period_ns(e->kernel);
	et->vary_at = et->n_clock + vary_after(e);
	kernel_clock_vary(e->kernel, et->clock_fd, events_clock_times(e),
	                  draw ^ (uint64_t)et->tid * UINT64_C(0x9e3779b97f4a7c15));
}

double events_worth(const struct events *e, const struct events_thread *et, const struct kernel_record *r)
{
	double worth = r->time_ns < e->worth_ns ? e->worth_before : e->worth;
	uint32_t hz = kernel_tick_hz(e->kernel);
	double own = r->trigger == KERNEL_ON_CLOCK ? (double)et->period_ns : hz ? 1e9 / hz : 0;
	return worth > own ? worth : own; /* the trigger itself may be slower */
}

void events_task(struct target *t, const struct kernel_task *task, uint64_t draw)
{
	struct events *e = &t->events;
	struct events_thread *et = events_find(e, (pid_t)task->tid);
	if (!et)
		return;
	bool is_due = et->n_clock >= et->vary_at && !is_put_off(e, et, task);
	et->task = *task;
	if (!e->own_clock && et->clock_fd >= 0) {
		if (task->cpu_ns > et->compared_cpu_ns) /* an entry that was made anew begins at 0 */
			e->lockstep.expected +=
			    (double)(task->cpu_ns - et->compared_cpu_ns) / (double)kernel_period_ns(e->kernel);
		et->compared_cpu_ns = task->cpu_ns;
	}
	if (et->has_ended)
		return;
	if (e->own_clock && !et->has_clock && et->n_clock == 0 &&
	    task->cpu_ns > CLOCK_LACKS * kernel_period_ns(e->kernel))
		open_clock_now(t, et);
	else if (et->clock_fd >= 0 && (is_due || is_too_slow(e, et)))
		vary(e, et, draw);
}

void events_judge(struct target *t)
{
	struct events *e = &t->events;
	if (!e->kernel || e->own_clock || !lockstep_weigh(&e->lockstep))
		return;
	e->own_clock = e->lockstep.verdict == LOCKSTEP_YES;
	for (size_t i = 0; i < e->threads.n; i++) {
		struct events_thread *et = &e->threads.v[i];
		if (!e->own_clock && et->clock_fd >= 0) {
			vary(e, et, map_hash(clock_mono_ns(), i));
		} else if (e->own_clock && et->thread && !et->has_ended) {
			events_thread_done(et); /* the one that it has is not inherited */
			open_clock_now(t, et);
		}
	}
	events_watch(t);
}

void events_pace(struct target *t, uint64_t now_ns)
{
	struct events *e = &t->events;
	uint64_t period = kernel_period_ns(e->kernel), gap = e->rules.switch_gap_ns;
	if (now_ns < e->paced_ns + PACE_NS)
		return;
	double slowest = GAP_MOST_NS * kernel_stretch(e->kernel);
	double most = SWITCHES_TIMES * 1e9 / (double)period, seconds = (double)(now_ns - e->paced_ns) * 1e-9;
	double least = SWITCHES_LEAST / kernel_stretch(e->kernel);
	if (most < least)
		most = least;
	double times = (double)(e->counts.at_switch - e->switches_told) / seconds / most;
	e->switches_told = e->counts.at_switch;
	e->paced_ns = now_ns;
	if (times > 1.2)
		gap = (uint64_t)((double)gap * (times < 16 ? times : 16));
	else if (times < 0.5)
		gap /= 2;
	gap = gap < period ? period : (double)gap > slowest ? (uint64_t)slowest : gap;
	if (gap == e->rules.switch_gap_ns)
		return;
	e->rules.switch_gap_ns = gap;
	events_watch(t);
}

void events_rate(struct target *t)
{
	struct events *e = &t->events;
	double period = (double)kernel_period_ns(e->kernel), gap = (double)e->rules.switch_gap_ns * period / e->worth;
	e->worth_before = e->worth;
	e->worth = period;
	e->worth_ns = clock_mono_ns();
	e->rules.switch_gap_ns = (uint64_t)(gap < period ? period : gap);
	events_watch(t);
}
