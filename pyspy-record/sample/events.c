/* Which threads of a process the kernel's program is to look at, and how to read them. */
#include "pyspy-record/sample/events.h"

#include <string.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-record/sample/target.h"

static void fill_rules(struct target *t)
{
	const struct layout *l = &t->interpreter.layout;
	struct kernel_process *p = &t->events.rules;
	*p = (struct kernel_process){
	    .root_is_cframe = l->frame_root == LAYOUT_ROOT_CFRAME,
	    .tstate_size = l->tstate.size < LAYOUT_TSTATE_MAX ? l->tstate.size : LAYOUT_TSTATE_MAX,
	    .frame_root = l->tstate.frame_root,
	    .datastack_chunk = l->tstate.datastack_chunk,
	    .datastack_top = l->tstate.datastack_top,
	    .native_thread_id = l->tstate.native_thread_id ? l->tstate.native_thread_id : l->tstate.thread_id,
	    .pthread_tid = l->tstate.native_thread_id ? 0 : t->interpreter.pthread_tid,
	    .state_word = l->gil_kind == LAYOUT_GIL_STATE ? l->tstate.state : l->tstate.status,
	    .state_mask = l->gil_kind == LAYOUT_GIL_STATE ? 1 : l->tstate.status_active,
	    .cframe_size = l->cframe.size,
	    .cframe_current_frame = l->cframe.current_frame,
	    .cframe_previous = l->cframe.previous,
	    .frame_size = (uint32_t)((walk_frame_bytes(l) + 7) / 8 * 8),
	    .frame_first = l->frame.first,
	    .frames_max = l->frame_root == LAYOUT_ROOT_FRAME ? KERNEL_OBJECTS : KERNEL_LISTED,
	    .frames_are_listed = l->frame_root != LAYOUT_ROOT_FRAME,
	    .frame_copy = l->frame.tlbc_index,
	    .owner_cstack = l->frame.owner_cstack,
	    .entry_at = l->frame.is_entry ? l->frame.is_entry : l->frame.owner,
	    .entry_least = l->frame.is_entry ? 1 : l->frame.owner_cstack,
	    .entry_is_flag = l->frame.is_entry != 0,
	    .frames_are_objects = l->frame_root == LAYOUT_ROOT_FRAME,
	    .frame_code = l->frame.code,
	    .frame_globals = l->frame.globals,
	    .frame_instr = l->frame.instr,
	    .frame_previous = l->frame.previous,
	    .frame_owner = l->frame.owner,
	    .gil_last_holder = l->gil.last_holder,
	    .interp_gc = l->interp.gc_collecting,
	    .gc = l->interp.gc_collecting ? 0 : t->interpreter.gc,
	    .interp_generation = !t->codes.has_generation                            ? 0
	                         : l->generation_kind == LAYOUT_GENERATION_DESTROYED ? l->interp.code_generation
	                                                                             : l->interp.next_version,
	    .gil_current = t->interpreter.current,
	};
	_Static_assert((int)LAYOUT_TSTATE_WORDS == (int)KERNEL_TSTATE_WORDS, "the same");
	p->n_tstate_words = (uint32_t)layout_tstate_words(l, p->tstate_words);
}

/* The GILs where the program looks for the state of a thread that it does not know. */
int events_watch(struct target *t)
{
	struct kernel_process *p = &t->events.rules;
	p->n_gils = 0;
	p->gil_current = t->interpreter.current; /* may have been told meanwhile */
	p->pthread_tid = t->interpreter.layout.tstate.native_thread_id ? 0 : t->interpreter.pthread_tid;
	for (size_t i = t->n_interps; i-- > 0 && p->n_gils < KERNEL_GILS_MAX;) { /* the main one is the last */
		const struct sample_interp *in = &t->interps[i];
		if (p->n_gils && !in->own_gil)
			continue;
		p->gils[p->n_gils].gil = in->gil;
		p->gils[p->n_gils++].interp = in->at;
	}
	return kernel_watch(t->events.kernel, t->facts.pid, p, t->events.own_clock, events_clock_times(&t->events));
}

struct events_thread *events_find(struct events *e, pid_t tid)
{
	const uint32_t *slot = map_get(&e->by_tid, (uint64_t)tid, 0);
	return slot && *slot && *slot <= e->threads.n ? &e->threads.v[*slot - 1] : NULL;
}

static struct events_thread *add_thread(struct events *e, pid_t tid)
{
	bool is_new;
	struct events_thread fresh = {.tid = tid, .clock_fd = -1};
	if (!vec_room(&e->threads, 1) || !e->threads.v)
		return NULL;
	e->threads.v[e->threads.n++] = fresh;
	uint32_t *slot = map_put(&e->by_tid, (uint64_t)tid, 0, &is_new);
	if (!slot) {
		e->threads.n--;
		return NULL;
	}
	*slot = (uint32_t)e->threads.n;
	return &e->threads.v[e->threads.n - 1];
}

/* Its clock cannot be had, or not yet. */
static bool wants_tick(const struct events *e, const struct events_thread *et)
{
	return et->lacks_clock || (e->own_clock && !et->has_clock);
}

void events_bind_thread(struct target *t, struct events_thread *et)
{
	const struct layout *l = &t->interpreter.layout;
	bool has_tid = l->tstate.native_thread_id || t->events.rules.pthread_tid; /* else its pthread_t must do */
	struct kernel_binding b = {.ns_tid = has_tid ? (uint64_t)et->thread->ns_tid : et->thread->pthread,
	                           .wants_tick = wants_tick(&t->events, et)};
	for (int empty = 0; empty < 2; empty++) /* those without frames only where there is room */
		for (size_t i = 0; i < et->thread->states.n && b.n < KERNEL_STATES_MAX; i++) {
			const struct sample_state *s = et->thread->states.v[i];
			const struct sample_interp *in = &t->interps[s->interp];
			if ((i > 0 && s->is_empty) != empty)
				continue;
			b.states[b.n].tstate = s->tstate;
			b.states[b.n].interp = in->at;
			b.states[b.n++].gil = in->gil;
		}
	if (et->bound_n == b.n && et->bound_tick == b.wants_tick && memcmp(et->bound, b.states, sizeof et->bound) == 0)
		return;
	if (kernel_bind(t->events.kernel, et->tid, &b) < 0)
		return;
	et->was_bound = true;
	et->bound_n = b.n;
	et->bound_tick = b.wants_tick;
	memcpy(et->bound, b.states, sizeof et->bound);
}

/* Which thread states each thread has now. */
static void join_threads(struct target *t, uint64_t now)
{
	struct events *e = &t->events;
	for (size_t i = 0; i < e->threads.n; i++)
		e->threads.v[i].thread = NULL;
	for (size_t i = 0; i < t->threads.n; i++) {
		struct sample_thread *th = t->threads.v[i];
		struct events_thread *et = events_find(e, th->tid);
		if (et && et->has_ended && et->end_ns + CLOCK_NS_PER_S < now)
			et = NULL; /* its number was given to another one */
		if (!et && !(et = add_thread(e, th->tid)))
			continue;
		et->thread = th;
	}
}

/* It has no thread state any more. One that was over before it was bound, the kernel's program did not let go of. */
static void end_thread(struct events *e, struct events_thread *et, uint64_t now)
{
	if (!et->has_ended) {
		et->has_ended = true;
		et->end_ns = now;
		et->end_cpu_ns = et->task.cpu_ns;
		et->end_ready_ns = et->task.ready_ns;
	}
	if (et->was_bound)
		kernel_unbind(e->kernel, et->tid);
	et->was_bound = false;
	et->bound_n = 0;
}

void events_bind(struct target *t)
{
	struct events *e = &t->events;
	uint64_t now = clock_mono_ns();
	if (!e->kernel)
		return;
	join_threads(t, now);
	for (size_t i = 0; i < e->threads.n; i++) {
		struct events_thread *et = &e->threads.v[i];
		if (et->thread) {
			if (!et->has_clock)
				events_open_clock(e, et);
			events_bind_thread(t, et);
		} else {
			end_thread(e, et, now);
		}
	}
	events_watch(t);
}

/* Wall time and CPU time of all begin together: to open the clocks may take its time, and so may it with many threads
 * to read what each has used. What one uses between two readings it used at the end, as far as that goes: most that
 * run, run all the time. */
static void begin_times(struct events *e)
{
	struct taskstate_run run;
	for (size_t i = 0; i < e->threads.n; i++)
		if (taskstate_run(&e->threads.v[i].thread->task, &run) == 0)
			e->threads.v[i].cpu_start_ns = run.cpu_ns;
	e->begin_ns = clock_mono_ns();
	for (size_t i = 0; i < e->threads.n; i++) {
		struct events_thread *et = &e->threads.v[i];
		et->told_ns = e->begin_ns;
		if (taskstate_run(&et->thread->task, &run) < 0 || run.cpu_ns <= et->cpu_start_ns)
			continue;
		uint64_t since = clock_mono_ns() - e->begin_ns, used = run.cpu_ns - et->cpu_start_ns;
		et->cpu_start_ns += used > since ? used - since : 0;
	}
}

int events_begin(struct target *t, struct writer *w, struct kernel *k)
{
	struct events *e = &t->events;
	uint64_t now = clock_mono_ns();
	*e = (struct events){.kernel = k, .begin_ns = now, .own_clock = kernel_clock(k) == KERNEL_CLOCK_OWN};
	map_init(&e->by_tid, 0);
	fill_rules(t);
	e->rules.switch_gap_ns = kernel_period_ns(k);
	e->worth = (double)kernel_period_ns(k);
	e->paced_ns = now;
	int rc = events_watch(t);
	if (rc < 0) {
		e->kernel = NULL;
		return rc;
	}
	target_census(t, w, clock_boot_ns());
	join_threads(t, now);
	begin_times(e);
	events_bind(t);
	return 0;
}

void events_thread_done(struct events_thread *et)
{
	if (et->clock_fd >= 0)
		close(et->clock_fd);
	et->clock_fd = -1;
}

void events_done(struct target *t)
{
	struct events *e = &t->events;
	if (!e->kernel)
		return;
	kernel_leave(e->kernel, t->facts.pid);
	for (size_t i = 0; i < e->threads.n; i++) {
		kernel_unbind(e->kernel, e->threads.v[i].tid);
		events_thread_done(&e->threads.v[i]);
	}
	map_done(&e->by_tid);
	vec_free(&e->threads);
	vec_free(&e->list);
	vec_free(&e->out);
	vec_free(&e->to_read);
	lockstep_done(&e->lockstep);
	e->kernel = NULL;
}

void events_give_up(struct target *t, struct writer *w, uint64_t now_ns)
{
	events_flush(t, w, now_ns, true);
	events_done(t);
	for (size_t i = 0; i < t->threads.n; i++) { /* the kernel has told of the CPU time up to now */
		struct sample_thread *th = t->threads.v[i];
		if (taskstate_run(&th->task, &th->run) == 0)
			th->cpu_told_ns = th->run.cpu_ns;
		th->asleep = false;
	}
}

void events_eager(struct target *t, bool is_eager)
{
	struct kernel_process *p = &t->events.rules;
	if (p->is_eager == is_eager)
		return;
	p->is_eager = is_eager;
	events_watch(t);
}

void events_before_drain(struct target *t)
{
	struct events *e = &t->events;
	e->census_made = false;
	e->stamp++;
	t->codes.now_ns = clock_mono_ns();
	for (uint32_t i = 0; t->codes.has_generation && i < t->n_interps; i++)
		target_weigh_generation(t, i);
}
