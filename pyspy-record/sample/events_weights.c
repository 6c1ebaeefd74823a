/* What the events of a flush weigh: the thread's time on the CPU, exact, in equal parts; its time off the CPU by how
 * long each sleep was. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-record/sample/events.h"
#include "pyspy-record/sample/target.h"

enum { TIME_UNIT_NS = 1000, WEIGHT_UNIT_NS = 1000 };
enum { EARLY_MOST_NS = 100 * 1000, EARLY_PART = 64, EARLY_EVENTS = 8 };
enum { BRIEF = UINT32_MAX }; /* in events_event.thread: all threads that came and went */

/* What the kernel accounts to the thread beyond the sum of our program (cpu_ns, at `now`): what it used before it was
 * seen, and the first few us of each run, before our program is called: 4 % where threads hand the GIL on 20,000 times
 * a second. schedstat tells it: exact while the thread is off its CPU, else up to a tick old, so that it tells the
 * least that it can be. */
static void find_base(struct events_thread *et, uint64_t cpu_ns, uint64_t now)
{
	struct taskstate_run run;
	bool is_on = et->task.in_ns != 0;
	/* nobody may have told that it came back (kernel/README) */
	bool may_run =
	    et->task.out_ns < et->told_ns && (et->task.off_state == KERNEL_OFF_RUNNABLE || et->raw[EVENTS_ON] > 0);
	if (!et->task.tid || (!is_on && !may_run && et->base_switches && et->base_switches == et->task.switches))
		return;
	if (!et->thread || taskstate_run(&et->thread->task, &run) < 0)
		return;
	int64_t base = (int64_t)(run.cpu_ns - et->cpu_start_ns - cpu_ns);
	if (is_on) {
		uint64_t later = clock_mono_ns();
		int64_t least = base - (later > now ? (int64_t)(later - now) : 0); /* it may have run since */
		int64_t most = base + (int64_t)clock_tick_ns();
		/* less than was missed: a run that nobody told us of was taken for longer than it was */
		if (et->cpu_base_ns < least)
			et->cpu_base_ns = least;
		else if (et->cpu_base_ns > most && clock_ticks_everywhere())
			et->cpu_base_ns = most;
		return;
	}
	et->cpu_base_ns = base;
	et->base_switches = et->task.switches;
}

static void weigh_sleeps(struct events_thread *et)
{
	for (int k = 0; k < KERNEL_LENGTHS; k++) {
		et->slept_due_ns[k] += (int64_t)(et->task.slept_ns[k] - et->slept_told_ns[k]);
		et->slept_told_ns[k] = et->task.slept_ns[k];
	}
}

/* What is to be told of a thread: time on and off its CPU since the last flush. */
static void weigh_thread(struct events *e, struct events_thread *et, uint64_t now)
{
	const struct kernel_task *task = &et->task;
	uint64_t until = et->has_ended ? et->end_ns : now, cpu = et->has_ended ? et->end_cpu_ns : task->cpu_ns,
	         ready = et->has_ended ? et->end_ready_ns : task->ready_ns;
	if (!et->has_ended && task->in_ns && now > task->in_ns)
		cpu += now - task->in_ns;
	if (!et->has_ended && !task->in_ns && task->off_state == KERNEL_OFF_RUNNABLE && now > task->out_ns)
		ready += now - task->out_ns;
	et->is_brief = et->has_ended && !et->told_ns;
	if (!et->told_ns) /* it came after us */
		et->told_ns = task->first_ns > e->begin_ns ? task->first_ns : until;
	et->early_ns = 0;
	if (until <= et->told_ns)
		return;
	if (!et->has_ended)
		find_base(et, cpu, now);
	et->early_ns = (double)(et->cpu_base_ns - et->base_told_ns);
	et->base_told_ns = et->cpu_base_ns;
	cpu += (uint64_t)et->cpu_base_ns;
	uint64_t left = until - et->told_ns, on = cpu > et->cpu_told_ns ? cpu - et->cpu_told_ns : 0;
	on = on < left ? on : left;
	left -= on;
	ready = ready > et->ready_told_ns ? ready - et->ready_told_ns : 0;
	ready = ready < left ? ready : left;
	et->told_ns = until;
	et->cpu_told_ns += on;
	et->ready_told_ns += ready;
	int64_t *due_ns = et->is_brief ? e->brief.due_ns : et->due_ns;
	due_ns[EVENTS_ON] += (int64_t)on;
	due_ns[EVENTS_READY] += (int64_t)ready;
	due_ns[EVENTS_OFF] += (int64_t)(left - ready);
	weigh_sleeps(et);
}

/* Of time that has no sample of its own: as much as flags can tell of it. */
static uint32_t rest_flags(uint32_t last_flags, enum events_class c)
{
	static const uint32_t states[] = {WIRE_STATE_ON_CPU, WIRE_STATE_RUNNABLE, WIRE_STATE_SLEEPING};
	uint32_t flags = (last_flags & ~(uint32_t)WIRE_FLAG_STATE) | states[c];
	if (c == EVENTS_OFF)
		return flags & ~(uint32_t)(WIRE_FLAG_GIL | WIRE_FLAG_GC);
	flags &= ~(uint32_t)(WIRE_FLAG_GIL_WAIT | WIRE_FLAG_WAY);
	return flags | WIRE_WAY_KERNEL << WIRE_FLAG_WAY_SHIFT;
}

/* --- sleeps that were sampled by chance, by their length */

/* So that those of a length add up to what the kernel's program knows of it. */
static void correct_sleep(const struct events_thread *et, struct events_event *v)
{
	if (!v->length)
		return;
	int64_t due = et->slept_due_ns[v->length - 1];
	double all = et->slept_raw[v->length - 1];
	if (due <= 0 || all <= 0)
		return;
	v->raw *= (double)due / all;
	v->sleeps *= (double)due / all;
}

static bool is_sleep(const struct events *e, const struct events_event *v)
{
	return v->thread != BRIEF && !e->threads.v[v->thread].is_brief && events_class(v->flags) == EVENTS_OFF;
}

/* Time of lengths of which there is no sample yet is held back. */
static void hold_back(struct events_thread *et, bool is_last)
{
	et->held_ns = 0;
	for (int k = 0; k < KERNEL_LENGTHS; k++) {
		if (et->slept_raw[k] > 0 && et->slept_due_ns[k] > 0)
			et->slept_due_ns[k] = 0;
		et->slept_raw[k] = 0;
		et->held_ns += et->slept_due_ns[k] > 0 ? et->slept_due_ns[k] : 0;
	}
	if (is_last || et->has_ended || et->held_ns > et->due_ns[EVENTS_OFF])
		et->held_ns = 0;
}

/* What the sleeps have more than there is: their ends, which the kernel accounts as time on the CPU. Where it is much
 * of that, some of the sleeps tell of it: every `early_step`th, beginning at a random one. */
static void find_early(struct events_thread *et, double drawn)
{
	double more = et->raw[EVENTS_OFF] - (double)(et->due_ns[EVENTS_OFF] - et->held_ns),
	       on = (double)et->due_ns[EVENTS_ON], raw_on = et->raw[EVENTS_ON];
	if (et->early_ns > more)
		et->early_ns = more;
	if (et->early_ns > EARLY_MOST_NS * et->sleeps)
		et->early_ns = EARLY_MOST_NS * et->sleeps;
	et->early_step = 0;
	if (raw_on <= 0 || et->early_ns <= 0 || et->early_ns * EARLY_PART < on || et->early_ns >= on)
		return;
	et->early_step = et->sleeps / EARLY_EVENTS;
	et->early_next = et->early_step * drawn;
	et->early_raw = raw_on * et->early_ns / (on - et->early_ns) / EARLY_EVENTS;
}

/* The time on the CPU in which the thread's clock never ticks: that of the call in which it slept. */
static void add_early(struct target *t, struct events_thread *et, const struct events_event *v)
{
	if (et->early_step <= 0)
		return;
	struct events_event early = *v;
	early.raw = 0;
	for (et->early_next -= v->sleeps; et->early_next < 0; et->early_next += et->early_step)
		early.raw += et->early_raw;
	if (early.raw <= 0)
		return;
	early.flags = rest_flags(v->flags, EVENTS_ON);
	early.sleeps = early.length = 0;
	events_add(t, et, &early);
}

/* The raw weights of sleeps by their length, without their ends: many short ones of a thread would else take time from
 * its long ones. The sum is made anew, in the order in which it will be shared out, so that it fits to the last bit. */
static void correct_sleeps(struct target *t, uint64_t draw, bool is_last)
{
	struct events *e = &t->events;
	for (size_t i = 0; i < e->threads.n; i++)
		e->threads.v[i].raw[EVENTS_OFF] = e->threads.v[i].sleeps = 0;
	for (size_t i = 0; i < e->list.n; i++) {
		struct events_event *v = &e->list.v[i];
		if (!is_sleep(e, v))
			continue;
		struct events_thread *et = &e->threads.v[v->thread];
		correct_sleep(et, v);
		et->raw[EVENTS_OFF] += v->raw;
		et->sleeps += v->sleeps;
	}
	for (size_t i = 0; i < e->threads.n; i++) {
		hold_back(&e->threads.v[i], is_last);
		find_early(&e->threads.v[i], (double)(draw >> 11) * 0x1p-53);
		e->threads.v[i].raw[EVENTS_OFF] = 0;
	}
	for (size_t i = 0, n = e->list.n; i < n; i++) {
		struct events_event *v = &e->list.v[i];
		if (!is_sleep(e, v))
			continue;
		struct events_thread *et = &e->threads.v[v->thread];
		double early = et->early_ns > 0 ? et->early_ns * v->sleeps / et->sleeps : 0;
		v->raw -= early < v->raw / 2 ? early : v->raw / 2;
		et->raw[EVENTS_OFF] += v->raw;
		add_early(t, et, v);
	}
}

/* The end: sleeps of a length of which there is no sample in this flush go to the last one that there was. */
static void add_sleeps(struct target *t, struct writer *w, struct events_thread *et)
{
	for (uint32_t k = 0; k < KERNEL_LENGTHS; k++) {
		const struct events_last *last = &et->last_slept[k];
		if (et->is_brief || et->slept_due_ns[k] < WEIGHT_UNIT_NS || et->slept_raw[k] > 0 || !last->id ||
		    last->trie_epoch != t->trie.epoch)
			continue;
		struct events_event v = {.time_ns = et->told_ns,
		                         .id = last->id,
		                         .node = last->node,
		                         .flags = last->flags,
		                         .raw = (double)et->slept_due_ns[k],
		                         .length = (uint8_t)(k + 1)};
		v.stack = trie_stack(&t->trie, &t->codes, w, v.node);
		events_add(t, et, &v);
	}
}

/* The end: what has no event of its own yet goes to what was seen last. */
static void add_rest(struct target *t, struct writer *w, struct events_thread *et)
{
	struct events_event v = {.time_ns = et->told_ns, .id = et->last_id, .node = et->last_node, .raw = 1};
	uint32_t last_flags = et->last_flags;
	if (!v.id && et->thread) {
		v.id = et->thread->id;
		last_flags = WIRE_WAY_KERNEL << WIRE_FLAG_WAY_SHIFT;
	}
	if (!v.id || et->is_brief)
		return;
	if (et->last_trie_epoch == t->trie.epoch)
		v.stack = trie_stack(&t->trie, &t->codes, w, v.node);
	for (int c = 0; c < EVENTS_CLASSES; c++) {
		if (et->due_ns[c] < WEIGHT_UNIT_NS || et->raw[c] > 0)
			continue;
		v.flags = rest_flags(last_flags, c);
		events_add(t, et, &v);
	}
}

/* --- threads that came and went */

static void gather_brief(struct target *t, struct events_thread *et)
{
	struct events_brief *b = &t->events.brief;
	if (!et->is_brief)
		return;
	for (int c = 0; c < EVENTS_CLASSES; c++)
		b->raw[c] += et->raw[c];
	if (et->last_id) {
		b->last = (struct events_event){.id = et->last_id, .node = et->last_node, .flags = et->last_flags};
		b->last_trie_epoch = et->last_trie_epoch;
	}
}

static void add_rest_of_brief(struct target *t, struct writer *w, uint64_t now)
{
	struct events *e = &t->events;
	struct events_event v = e->brief.last;
	v.time_ns = now;
	v.thread = BRIEF;
	v.raw = 1;
	if (!v.id)
		return;
	if (e->brief.last_trie_epoch == t->trie.epoch)
		v.stack = trie_stack(&t->trie, &t->codes, w, v.node);
	for (int c = 0; c < EVENTS_CLASSES; c++) {
		if (e->brief.due_ns[c] < WEIGHT_UNIT_NS || e->brief.raw[c] > 0)
			continue;
		v.flags = rest_flags(e->brief.last.flags, c);
		if (!vec_push(&e->list, v))
			return;
		e->brief.raw[c] = v.raw;
		t->counts.samples++;
	}
}

/* Shares of what there is to tell, so that their sum is exact. */
struct share {
	double given, of; /* of the raw weights */
	uint64_t ns, told;
};

static uint64_t next_share(struct share *s, double raw)
{
	if (s->of <= 0) /* nothing to go by: it waits, see begin_anew */
		return 0;
	s->given += raw;
	uint64_t until = s->given >= s->of ? s->ns : (uint64_t)(s->given / s->of * (double)s->ns);
	until -= until % WEIGHT_UNIT_NS;
	if (until < s->told)
		until = s->told;
	uint64_t ns = until - s->told;
	s->told = until;
	return ns;
}

static int weigh_events(struct events *e, uint64_t boot_minus_mono)
{
	size_t n = e->threads.n;
	/* one a class, of each thread; then of all brief ones */
	struct share *shares = calloc(n + 1, EVENTS_CLASSES * sizeof *shares);
	if (!shares || !vec_room(&e->out, e->list.n + 1)) {
		free(shares);
		return ERR_NO_MEMORY;
	}
	for (size_t i = 0; i <= n; i++)
		for (int c = 0; c < EVENTS_CLASSES; c++) {
			double raw = i < n ? e->threads.v[i].raw[c] : e->brief.raw[c];
			int64_t due = i < n ? e->threads.v[i].due_ns[c] : e->brief.due_ns[c];
			if (i < n && c == EVENTS_OFF)
				due -= e->threads.v[i].held_ns;
			shares[EVENTS_CLASSES * i + (size_t)c] =
			    (struct share){.of = raw, .ns = due > 0 ? (uint64_t)due : 0};
		}
	e->out.n = 0;
	for (size_t i = 0; i < e->list.n; i++) {
		const struct events_event *v = &e->list.v[i];
		size_t who = v->thread == BRIEF || e->threads.v[v->thread].is_brief ? n : v->thread;
		e->out.v[e->out.n++] = (struct rec_event){
		    .time_ns = v->time_ns + boot_minus_mono,
		    .thread = v->id,
		    .stack = v->stack,
		    .flags = v->flags,
		    .weight_ns = next_share(&shares[EVENTS_CLASSES * who + events_class(v->flags)], v->raw),
		};
	}
	free(shares);
	return 0;
}

static void begin_anew_with(double raw[EVENTS_CLASSES], int64_t due_ns[EVENTS_CLASSES], int64_t held_ns)
{
	for (int c = 0; c < EVENTS_CLASSES; c++) {
		int64_t held = c == EVENTS_OFF ? held_ns : 0;
		if (raw[c] > 0)
			due_ns[c] = held + (due_ns[c] - held) % WEIGHT_UNIT_NS; /* was rounded down */
		raw[c] = 0;
	}
}

/* Those that have ended are told; the others begin anew. */
static void begin_anew(struct events *e)
{
	size_t kept = 0;
	begin_anew_with(e->brief.raw, e->brief.due_ns, 0);
	for (size_t i = 0; i < e->threads.n; i++) {
		struct events_thread *et = &e->threads.v[i];
		begin_anew_with(et->raw, et->due_ns, et->held_ns);
		if (!et->has_ended || et->thread)
			e->threads.v[kept++] = *et;
		else
			events_thread_done(et);
	}
	if (kept != e->threads.n) {
		e->threads.n = kept;
		map_clear(&e->by_tid);
		for (size_t i = 0; i < kept; i++) {
			bool is_new;
			uint32_t *slot = map_put(&e->by_tid, (uint64_t)e->threads.v[i].tid, 0, &is_new);
			if (slot)
				*slot = (uint32_t)(i + 1);
		}
	}
	e->list.n = 0;
}

void events_flush(struct target *t, struct writer *w, uint64_t now_ns, bool is_last)
{
	struct events *e = &t->events;
	uint64_t boot_minus_mono = clock_boot_ns() - clock_mono_ns();
	for (size_t i = 0; i < e->threads.n; i++) {
		struct events_thread *et = &e->threads.v[i];
		if (et->sleep.goes_on && et->sleep.is_seen && !et->has_ended)
			events_tell_sleep(t, w, et, now_ns);
		weigh_thread(e, et, now_ns);
		if (is_last || et->has_ended) {
			add_sleeps(t, w, et);
			add_rest(t, w, et);
		}
		gather_brief(t, et);
	}
	if (is_last)
		add_rest_of_brief(t, w, now_ns);
	correct_sleeps(t, map_hash(now_ns, e->begin_ns), is_last);
	if (weigh_events(e, boot_minus_mono) < 0) {
		e->counts.lost += e->list.n;
		e->out.n = 0;
	}
	if (e->out.n)
		writer_events(w, &(struct rec_events){.unit_ns = TIME_UNIT_NS,
		                                      .weight_unit_ns = WEIGHT_UNIT_NS,
		                                      .events = e->out.v,
		                                      .n_events = (uint32_t)e->out.n});
	begin_anew(e);
}
