/* Records of the kernel's program -> events: whose, which stack, in which state. Their weights: events_weights.c. */
#include "pyspy-record/sample/events.h"

#include <string.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/log.h"
#include "pyspy-record/sample/gil.h"
#include "pyspy-record/sample/target.h"

enum {
	CLOCK_LACKS = 5,     /* a thread that ran for so many periods without a sample has no clock */
	SWITCHES_TIMES = 2,  /* as many stacks at switches, of all threads of a process, as one running thread gives, ... */
	SWITCHES_LEAST = 200, /* ... or so many a second */
	PACE_NS = 100 * 1000 * 1000,
	GAP_MOST_NS = 1000 * 1000 * 1000,
	COMPARED_MOST = 64,  /* threads whose clocks the tick is compared with */
	VARY_EACH = 50,      /* samples: to set a period interrupts the thread's CPU, and loses the one that runs */
	COMPARED_SLOWLY = 10 /* times the period, once the tick is trusted */
};

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
	    .native_thread_id = l->tstate.native_thread_id,
	    .state_word = l->gil_kind == LAYOUT_GIL_STATE ? l->tstate.state : l->tstate.status,
	    .state_mask = l->gil_kind == LAYOUT_GIL_STATE ? 1 : l->tstate.status_active,
	    .cframe_size = l->cframe.size,
	    .cframe_current_frame = l->cframe.current_frame,
	    .cframe_previous = l->cframe.previous,
	    .frame_size = (uint32_t)((walk_frame_bytes(l) + 7) / 8 * 8),
	    .frame_previous = l->frame.previous,
	    .frame_owner = l->frame.owner,
	    .gil_last_holder = l->gil.last_holder,
	    .interp_gc = l->interp.gc_collecting,
	    .interp_generation = t->codes.has_generation ? l->interp.next_version : 0,
	    .gil_current = l->gil_kind == LAYOUT_GIL_RUNTIME ? t->interpreter.runtime + l->runtime.gil_current : 0,
	};
}

/* The GILs where the program looks for the state of a thread that it does not know. */
static int watch(struct target *t)
{
	struct kernel_process *p = &t->events.rules;
	p->n_gils = 0;
	for (size_t i = t->n_interps; i-- > 0 && p->n_gils < KERNEL_GILS_MAX;) { /* the main one is the last */
		const struct sample_interp *in = &t->interps[i];
		if (p->n_gils && !in->own_gil)
			continue;
		p->gils[p->n_gils].gil = in->gil;
		p->gils[p->n_gils++].interp = in->at;
	}
	return kernel_watch(t->events.kernel, t->facts.pid, p, t->events.own_clock);
}

struct events_thread *events_find(struct events *e, pid_t tid)
{
	const uint32_t *slot = map_get(&e->by_tid, (uint64_t)tid, 0);
	return slot && *slot ? &e->threads.v[*slot - 1] : NULL;
}

static struct events_thread *add_thread(struct events *e, pid_t tid)
{
	bool is_new;
	struct events_thread fresh = {.tid = tid, .clock_fd = -1, .vary_at = VARY_EACH};
	if (!vec_push(&e->threads, fresh))
		return NULL;
	uint32_t *slot = map_put(&e->by_tid, (uint64_t)tid, 0, &is_new);
	if (!slot) {
		e->threads.n--;
		return NULL;
	}
	*slot = (uint32_t)e->threads.n;
	return &e->threads.v[e->threads.n - 1];
}

/* A clock that samples the thread, or one that the tick is compared with. */
static void open_clock(struct events *e, struct events_thread *et)
{
	bool inherits = false;
	if (!e->own_clock && (e->n_clocks >= COMPARED_MOST || e->lockstep.verdict != LOCKSTEP_UNKNOWN))
		return;
	int fd = kernel_clock_open(e->kernel, et->tid, 0, e->own_clock ? &inherits : NULL);
	e->n_clocks += fd >= 0;
	et->compared_cpu_ns = et->task.cpu_ns;
	et->has_clock = true; /* once tried: without one its time goes to what else is seen of it */
	et->clock_fd = fd >= 0 ? fd : -1;
	e->clocks_inherit |= fd >= 0 && inherits;
	et->lacks_clock = e->own_clock && fd < 0 && fd != ERR_GONE;
	if (et->lacks_clock && e->counts.no_clock++ == 0)
		log_info("no clocks for more threads (%s); they are sampled on the CPU's timer tick", err_words(fd));
}

static void bind(struct target *t, struct events_thread *et)
{
	struct kernel_binding b = {.ns_tid = (uint64_t)et->threads[0]->ns_tid, .wants_tick = et->lacks_clock};
	for (uint32_t i = 0; i < et->n_threads; i++) {
		const struct sample_interp *in = &t->interps[et->threads[i]->interp];
		b.states[b.n].tstate = et->threads[i]->tstate;
		b.states[b.n].interp = in->at;
		b.states[b.n++].gil = in->gil;
	}
	if (et->bound_n == b.n && et->bound_tick == et->lacks_clock && memcmp(et->bound, b.states, sizeof et->bound) == 0)
		return;
	if (kernel_bind(t->events.kernel, et->tid, &b) < 0)
		return;
	et->bound_n = b.n;
	et->bound_tick = et->lacks_clock;
	memcpy(et->bound, b.states, sizeof et->bound);
}

/* Which thread states each thread has now. */
static void join_threads(struct target *t, uint64_t now)
{
	struct events *e = &t->events;
	for (size_t i = 0; i < e->threads.n; i++)
		e->threads.v[i].n_threads = 0;
	for (size_t i = 0; i < t->threads.n; i++) {
		struct sample_thread *th = t->threads.v[i];
		struct events_thread *et = events_find(e, th->tid);
		if (et && et->has_ended && et->end_ns + CLOCK_NS_PER_S < now)
			et = NULL; /* its number was given to another one */
		if (!et && !(et = add_thread(e, th->tid)))
			continue;
		if (et->n_threads < KERNEL_STATES_MAX)
			et->threads[et->n_threads++] = th;
	}
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
		if (et->current >= et->n_threads)
			et->current = 0;
		if (et->n_threads) {
			if (!et->has_clock && !e->clocks_inherit)
				open_clock(e, et);
			bind(t, et);
		} else if (!et->has_ended) {
			et->has_ended = true;
			et->end_ns = now;
			et->end_cpu_ns = et->task.cpu_ns;
			et->end_ready_ns = et->task.ready_ns;
			kernel_unbind(e->kernel, et->tid);
		}
	}
	watch(t);
}

int events_begin(struct target *t, struct writer *w, struct kernel *k)
{
	struct events *e = &t->events;
	uint64_t now = clock_mono_ns();
	*e = (struct events){.kernel = k, .begin_ns = now, .own_clock = kernel_clock(k) == KERNEL_CLOCK_OWN};
	map_init(&e->by_tid, 0);
	fill_rules(t);
	e->rules.switch_gap_ns = kernel_period_ns(k);
	e->paced_ns = now;
	int rc = watch(t);
	if (rc < 0) {
		e->kernel = NULL;
		return rc;
	}
	target_census(t, w, clock_boot_ns());
	join_threads(t, now);
	now = clock_mono_ns(); /* wall time and CPU time begin together: to open the clocks may take its time */
	for (size_t i = 0; i < e->threads.n; i++) {
		struct events_thread *et = &e->threads.v[i];
		struct taskstate_run run;
		et->told_ns = now;
		if (taskstate_run(&et->threads[0]->task, &run) == 0)
			et->cpu_start_ns = run.cpu_ns;
	}
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

void events_before_drain(struct target *t)
{
	struct events *e = &t->events;
	e->census_made = false;
	e->stamp++;
	t->codes.now_ns = clock_mono_ns();
	for (uint32_t i = 0; t->codes.has_generation && i < t->n_interps; i++)
		target_weigh_generation(t, i);
}

/* --- a sample */

/* The pieces that follow a sample's head. */
static bool take_apart(const struct kernel_sample *m, size_t n, struct walk_copy *c)
{
	const unsigned char *p = (const unsigned char *)(m + 1), *end = p + m->n_bytes;
	c->tstate = NULL;
	c->n_chunks = c->n_extras = 0;
	if (n < sizeof *m || m->n_bytes > n - sizeof *m)
		return false;
	while ((size_t)(end - p) >= sizeof(struct kernel_piece)) {
		const struct kernel_piece *k = (const void *)p;
		p += sizeof *k;
		if (k->len > (size_t)(end - p))
			return false;
		struct walk_piece piece = {k->at, k->len, p};
		if (k->kind == KERNEL_PIECE_TSTATE) {
			c->tstate = p;
			c->tstate_len = k->len;
		} else if (k->kind == KERNEL_PIECE_CHUNK && k->len && c->n_chunks < WALK_COPY_CHUNKS) {
			c->chunks[c->n_chunks++] = piece;
		} else if (k->kind == KERNEL_PIECE_EXTRA && c->n_extras < WALK_COPY_EXTRAS) {
			c->extras[c->n_extras++] = piece;
		}
		size_t fill = (k->len + 7) / 8 * 8;
		p += fill < (size_t)(end - p) ? fill : (size_t)(end - p);
	}
	return c->tstate != NULL && c->tstate_len >= sizeof(uint64_t);
}

/* The interpreter of this thread state. */
static bool find_interp(const struct target *t, raddr_t at, uint32_t *interp)
{
	for (uint32_t i = 0; i < t->n_interps; i++)
		if (t->interps[i].at == at) {
			*interp = i;
			return true;
		}
	return false;
}

static struct sample_thread *state_of(struct events_thread *et, raddr_t tstate)
{
	for (uint32_t i = 0; et && i < et->n_threads; i++)
		if (et->threads[i]->tstate == tstate) {
			et->current = i;
			return et->threads[i];
		}
	return NULL;
}

/* Whose sample is it? A thread that is not known is looked for once a drain; one that is over already is made up from
 * what the sample tells. */
static struct sample_thread *whose(struct target *t, struct writer *w, const struct kernel_sample *m,
                                   const struct walk_copy *c, struct events_thread **et)
{
	struct events *e = &t->events;
	struct sample_thread *th;
	uint32_t interp;
	if ((th = state_of(*et = events_find(e, (pid_t)m->head.tid), m->tstate)))
		return th;
	if (!e->census_made) {
		e->census_made = true;
		e->news++;
		target_census(t, w, clock_boot_ns());
		events_bind(t);
		if ((th = state_of(*et = events_find(e, (pid_t)m->head.tid), m->tstate)))
			return th;
	}
	if (!find_interp(t, m->interp, &interp) || c->tstate_len < t->events.rules.tstate_size)
		return NULL;
	if (!target_add_ghost(t, w, c->tstate, m->tstate, interp, (pid_t)m->head.tid))
		return NULL;
	events_bind(t);
	return state_of(*et = events_find(e, (pid_t)m->head.tid), m->tstate);
}

static void take_words(struct target *t, const struct kernel_sample *m, uint32_t interp)
{
	struct sample_interp *in = &t->interps[interp];
	t->words.gil_current = m->gil_current;
	in->words.gil.last_holder = m->gil_last_holder;
	in->words.gil.locked = m->gil_locked;
	in->words.gc = m->gc;
	in->words.generation_before = m->generation;
}

uint32_t events_off_flags(uint32_t off_state)
{
	static const uint32_t states[] = {[KERNEL_OFF_SLEEPS] = WIRE_STATE_SLEEPING,
	                                  [KERNEL_OFF_RUNNABLE] = WIRE_STATE_RUNNABLE,
	                                  [KERNEL_OFF_DISK] = WIRE_STATE_DISK,
	                                  [KERNEL_OFF_STOPPED] = WIRE_STATE_STOPPED};
	return off_state < sizeof states / sizeof *states ? states[off_state] : WIRE_STATE_UNKNOWN;
}

/* An event of the thread whose stack is known; raw: off the CPU, how long. */
bool events_add(struct target *t, struct events_thread *et, const struct events_event *v)
{
	struct events *e = &t->events;
	if (e->list.n >= EVENTS_MAX || !vec_push(&e->list, *v)) {
		e->counts.lost++;
		return false;
	}
	e->list.v[e->list.n - 1].thread = (uint32_t)(et - e->threads.v);
	et->last_node = v->node;
	et->last_trie_epoch = t->trie.epoch;
	et->last_flags = v->flags;
	et->last_id = v->id;
	et->raw[events_class(v->flags)] += v->raw;
	t->counts.samples++;
	return true;
}

static void begin_sleep(struct target *t, struct events_thread *et, const struct kernel_sample *m,
                        const struct events_event *v)
{
	et->sleep = (struct events_sleep){
	    .goes_on = true,
	    .is_known = true,
	    .switches = m->head.switches,
	    .told_ns = m->head.time_ns,
	    .chance = m->head.off_chance,
	    .node = v->node,
	    .trie_epoch = t->trie.epoch,
	    .flags = v->flags,
	    .id = v->id,
	};
}

static void count_sample(struct target *t, const struct kernel_sample *m, uint32_t flags)
{
	struct events_counts *c = &t->events.counts;
	*(m->head.trigger == KERNEL_ON_TICK    ? &c->tick
	  : m->head.trigger == KERNEL_ON_CLOCK ? &c->clock
	                                       : &c->at_switch) += 1;
	c->cut += (flags & WIRE_FLAG_CUT) != 0;
	t->counts.unproved += (flags & WIRE_FLAG_UNPROVED) != 0;
}

/* The tick beside the clock. True: this sample was taken for that only. */
static bool compare(struct target *t, struct events_thread *et, const struct kernel_sample *m, node_id node)
{
	struct events *e = &t->events;
	bool by_clock = m->head.trigger == KERNEL_ON_CLOCK;
	if (et->clock_fd < 0 || e->own_clock)
		return false;
	lockstep_count(&e->lockstep, trie_code(&t->trie, node), by_clock);
	return !by_clock && e->lockstep.verdict == LOCKSTEP_UNKNOWN;
}

static int take_sample(struct target *t, struct writer *w, const struct kernel_sample *m, size_t n)
{
	static struct walk_copy copy; /* large; one thread uses it */
	struct events_thread *et;
	node_id node = 0;
	bool unproved = false, is_switch = m->head.trigger == KERNEL_ON_SWITCH;
	struct sample_thread *th = take_apart(m, n, &copy) ? whose(t, w, m, &copy, &et) : NULL;
	if (!th) {
		t->events.counts.lost++;
		return 0;
	}
	take_words(t, m, th->interp);
	t->sampled_ns = m->head.time_ns;
	uint64_t codes = t->codes.v.n;
	int rc = walk_copied(&t->walk, &copy);
	bool is_cut = t->walk.is_cut;
	if (rc == 0)
		rc = target_resolve(t, th, &node, &unproved);
	t->sampled_ns = 0;
	t->events.news += t->codes.v.n != codes;
	if (rc == ERR_TORN && m->cut & KERNEL_CUT_ABSENT) { /* a part that was not there, not a wrong one */
		t->counts.reads_failed++;
		return 0;
	}
	if (rc == ERR_FULL || rc == ERR_NO_MEMORY) {
		t->counts.limit++;
		return 0;
	}
	t->counts.torn += rc < 0;
	if (rc == 0)
		trie_certify(&t->trie, w, node);
	struct events_event v = {.time_ns = m->head.time_ns, .id = th->id, .node = node};
	v.stack = rc < 0 ? target_torn_stack(w) : trie_stack(&t->trie, &t->codes, w, node);
	v.flags = gil_flags(t, th, copy.tstate) | (is_cut ? WIRE_FLAG_CUT : 0) | (unproved ? WIRE_FLAG_UNPROVED : 0) |
	          WIRE_WAY_KERNEL << WIRE_FLAG_WAY_SHIFT;
	if (!v.stack && node) { /* the dictionaries are full */
		t->counts.limit++;
		return 0;
	}
	if (rc == 0 && !is_switch && compare(t, et, m, node))
		return 0;
	count_sample(t, m, v.flags);
	if (!is_switch) {
		v.flags |= WIRE_STATE_ON_CPU;
		v.raw = 1;
		et->sleep.goes_on = false;
		et->n_clock += m->head.trigger == KERNEL_ON_CLOCK;
		events_add(t, et, &v);
		return 0;
	}
	v.flags |= events_off_flags(m->head.off_state);
	if (m->head.off_state != KERNEL_OFF_RUNNABLE && gil_is_awaited(t, th, m->syscall, m->syscall_arg))
		v.flags |= WIRE_FLAG_GIL_WAIT;
	begin_sleep(t, et, m, &v);
	return 0;
}

/* --- the end of a sleep, of a thread */

void events_tell_sleep(struct target *t, struct writer *w, struct events_thread *et, uint64_t until_ns)
{
	struct events_sleep *s = &et->sleep;
	if (!s->is_known || until_ns <= s->told_ns)
		return;
	if (s->trie_epoch != t->trie.epoch) { /* its stack is forgotten: it is looked at again */
		s->is_known = false;
		return;
	}
	struct events_event v = {.time_ns = s->told_ns, .id = s->id, .node = s->node, .flags = s->flags};
	v.stack = trie_stack(&t->trie, &t->codes, w, s->node);
	if (!v.stack && v.node) { /* the dictionaries are full: later */
		t->counts.limit++;
		return;
	}
	v.raw = (double)(until_ns - s->told_ns) * (s->is_seen ? 1 : s->chance / 256.0);
	events_add(t, et, &v);
	s->told_ns = until_ns;
}

static void woke(struct target *t, struct writer *w, const struct kernel_record *r)
{
	struct events_thread *et = events_find(&t->events, (pid_t)r->tid);
	if (!et || !et->sleep.goes_on || et->sleep.switches != r->switches)
		return;
	events_tell_sleep(t, w, et, r->time_ns);
	et->sleep.goes_on = false;
}

static void exited(struct target *t, const struct kernel_record *r)
{
	struct events_thread *et = events_find(&t->events, (pid_t)r->tid);
	t->census_due = true;
	if (!et)
		return;
	et->has_ended = true;
	et->end_ns = r->time_ns;
	et->end_cpu_ns = r->cpu_ns;
	et->end_ready_ns = r->ready_ns;
	et->sleep.goes_on = false;
}

int events_record(struct target *t, struct writer *w, const struct kernel_record *r, size_t n)
{
	switch (r->kind) {
	case KERNEL_SAMPLE:
		return n < sizeof(struct kernel_sample) ? 0 : take_sample(t, w, (const struct kernel_sample *)r, n);
	case KERNEL_WOKE:
		woke(t, w, r);
		break;
	case KERNEL_EXITED:
		exited(t, r);
		break;
	case KERNEL_UNKNOWN:
		t->census_due = true;
		break;
	default:
		break;
	}
	return 0;
}

void events_task(struct target *t, const struct kernel_task *task, uint64_t stamp, uint64_t draw)
{
	struct events *e = &t->events;
	struct events_thread *et = events_find(e, (pid_t)task->tid);
	if (!et)
		return;
	et->task = *task;
	et->task_stamp = stamp;
	if (!e->own_clock && et->clock_fd >= 0) {
		e->lockstep.expected += (double)(task->cpu_ns - et->compared_cpu_ns) / (double)kernel_period_ns(e->kernel);
		et->compared_cpu_ns = task->cpu_ns;
	}
	if (!e->own_clock || et->has_ended)
		return;
	if (!et->has_clock && et->n_clock == 0 && task->cpu_ns > CLOCK_LACKS * kernel_period_ns(e->kernel))
		open_clock(e, et);
	else if (et->clock_fd >= 0 && et->n_clock >= et->vary_at) {
		et->vary_at = et->n_clock + VARY_EACH;
		kernel_clock_vary(e->kernel, et->clock_fd, draw ^ (uint64_t)et->tid * UINT64_C(0x9e3779b97f4a7c15));
	}
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
			kernel_clock_slow(e->kernel, et->clock_fd, COMPARED_SLOWLY);
		} else if (e->own_clock && et->n_threads && !et->has_ended) {
			events_thread_done(et); /* the one that it has is not inherited */
			open_clock(e, et);
		}
	}
	watch(t);
}

void events_pace(struct target *t, uint64_t now_ns)
{
	struct events *e = &t->events;
	uint64_t period = kernel_period_ns(e->kernel), gap = e->rules.switch_gap_ns;
	if (now_ns < e->paced_ns + PACE_NS)
		return;
	double most = SWITCHES_TIMES * 1e9 / (double)period, seconds = (double)(now_ns - e->paced_ns) * 1e-9;
	if (most < SWITCHES_LEAST)
		most = SWITCHES_LEAST;
	double times = (double)(e->counts.at_switch - e->switches_told) / seconds / most;
	e->switches_told = e->counts.at_switch;
	e->paced_ns = now_ns;
	if (times > 1.2)
		gap = (uint64_t)((double)gap * (times < 16 ? times : 16));
	else if (times < 0.5)
		gap /= 2;
	gap = gap < period ? period : gap > GAP_MOST_NS ? GAP_MOST_NS : gap;
	if (gap == e->rules.switch_gap_ns)
		return;
	e->rules.switch_gap_ns = gap;
	watch(t);
}
