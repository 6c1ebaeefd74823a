/* Records of the kernel's program -> events: whose, which stack, in which state. Their weights: events_weights.c. */
#include "pyspy-record/sample/events.h"

#include <string.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-record/sample/gil.h"
#include "pyspy-record/sample/target.h"

enum { UNMET_NS = 1000 * 1000 * 1000 }; /* a census is taken oftener */

/* --- a sample */

/* The pieces that follow a sample's head, of one thread state; they end where the next one's begin. */
struct pieces {
	const unsigned char *p, *end;
	bool is_cut;
};

static bool begin_pieces(const struct kernel_sample *m, size_t n, struct pieces *left)
{
	if (n < sizeof *m || m->n_bytes > n - sizeof *m)
		return false;
	left->p = (const unsigned char *)(m + 1);
	left->end = left->p + m->n_bytes;
	left->is_cut = m->cut != 0;
	return true;
}

/* Of a thread state that was not sent as a whole: its words in their places. False: they are not what was asked for. */
static bool place_words(const struct kernel_process *rules, struct walk_copy *c)
{
	static unsigned char image[KERNEL_TSTATE_MAX]; /* one thread uses it, until the next sample */
	if (c->tstate_len != rules->n_tstate_words * sizeof(uint64_t) || rules->tstate_size > sizeof image)
		return false;
	for (uint32_t i = 0; i < rules->n_tstate_words; i++)
		memcpy(image + rules->tstate_words[i], c->tstate + i * sizeof(uint64_t), sizeof(uint64_t));
	c->tstate = image;
	c->tstate_len = rules->tstate_size;
	return true;
}

/* The next thread state's, all of which is there, and its address. False: there is none, or it makes no sense. */
static bool take_apart(struct pieces *left, const struct kernel_process *rules, struct walk_copy *c, raddr_t *tstate)
{
	c->tstate = NULL;
	c->n_chunks = c->n_extras = c->n_objects = c->n_listed = 0;
	c->is_list = false;
	c->is_cut = left->is_cut;
	while ((size_t)(left->end - left->p) >= sizeof(struct kernel_piece)) {
		const struct kernel_piece *k = (const void *)left->p;
		const unsigned char *p = left->p + sizeof *k;
		if (k->len > (size_t)(left->end - p))
			return false;
		struct walk_piece piece = {k->at, k->len, p};
		if (k->kind == KERNEL_PIECE_TSTATE) {
			if (c->tstate)
				break;
			c->tstate = p;
			c->tstate_len = k->len;
			*tstate = k->at;
		} else if (k->kind == KERNEL_PIECE_CHUNK && k->len && c->n_chunks < WALK_COPY_CHUNKS) {
			c->chunks[c->n_chunks++] = piece;
		} else if (k->kind == KERNEL_PIECE_EXTRA && c->n_extras < WALK_COPY_EXTRAS) {
			c->extras[c->n_extras++] = piece;
		} else if (k->kind == KERNEL_PIECE_OBJECTS) {
			_Static_assert(sizeof(struct kernel_object) == sizeof(struct walk_object), "one is the other");
			c->objects = (const struct walk_object *)(const void *)p;
			c->n_objects = k->len / sizeof *c->objects;
		} else if (k->kind == KERNEL_PIECE_FRAMES) {
			_Static_assert(sizeof(struct kernel_frame) == sizeof(struct walk_listed), "one is the other");
			c->is_list = true;
			c->listed = (const struct walk_listed *)(const void *)p;
			c->n_listed = k->len / sizeof *c->listed;
		}
		size_t fill = (k->len + 7) / 8 * 8;
		left->p = p + (fill < (size_t)(left->end - p) ? fill : (size_t)(left->end - p));
	}
	if (c->tstate && c->is_list)
		return place_words(rules, c);
	return c->tstate && c->tstate_len >= rules->tstate_size;
}

/* The whole list, of which the sample brought only what is new. */
static bool complete_list(struct target *t, const struct kernel_sample *m, struct walk_copy *c)
{
	const struct kernel_frame *frames;
	if (!c->is_list)
		return true;
	c->next = m->next;
	if (kernel_frames(t->events.kernel, m, (const struct kernel_frame *)(const void *)c->listed, c->n_listed,
	                  &frames, &c->n_listed) < 0) {
		struct events_thread *et = events_find(&t->events, (pid_t)m->head.tid);
		if (et) {
			et->bound_n = 0;
			if (et->thread)
				events_bind_thread(t, et);
		}
		return false;
	}
	c->listed = (const struct walk_listed *)(const void *)frames;
	return true;
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

/* The thread as of the sample, when the state is one of its own. */
static struct sample_thread *thread_of(const struct events_thread *et, raddr_t tstate)
{
	for (size_t i = 0; et && et->thread && i < et->thread->states.n; i++)
		if (et->thread->states.v[i]->tstate == tstate)
			return et->thread;
	return NULL;
}

/* Whose sample is it? A thread that is not known, or not with this state, is looked for once a drain; one that is over
 * already is made up from what the sample tells. */
static struct sample_thread *whose(struct target *t, struct writer *w, const struct kernel_sample *m,
                                   const struct walk_copy *c, struct events_thread **et)
{
	struct events *e = &t->events;
	struct sample_thread *th;
	uint32_t interp;
	if ((th = thread_of(*et = events_find(e, (pid_t)m->head.tid), m->tstate)))
		return th;
	if (!e->census_made) {
		e->census_made = true;
		e->news++;
		target_census(t, w, clock_boot_ns());
		events_bind(t);
		*et = events_find(e, (pid_t)m->head.tid);
	}
	if (*et && (*et)->thread && !(*et)->has_ended) /* it had another state then */
		return (*et)->thread;
	if (!find_interp(t, m->interp, &interp))
		return NULL;
	if (!target_add_ghost(t, w, c->tstate, m->tstate, interp, (pid_t)m->head.tid))
		return NULL;
	events_bind(t);
	*et = events_find(e, (pid_t)m->head.tid);
	return *et ? (*et)->thread : NULL;
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
	if (v->length)
		et->slept_raw[v->length - 1] += v->raw;
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

/* The thread entered an interpreter that the kernel's program was not told of yet, then or later: where its stack
 * ended is not known. */
static bool may_lack_state(const struct sample_thread *th, const struct kernel_sample *m, raddr_t first,
                           size_t n_states)
{
	const struct sample_state *own = th->states.v[0];
	/* only the state that has the GIL was known to the kernel's program then */
	if (th->states.n > 1 && first != own->tstate && own->found_ns < m->head.time_ns && !own->is_empty)
		return true;
	if (th->states.n <= n_states)
		return false;
	for (size_t i = 0; i < th->states.n; i++)
		if (!th->states.v[i]->is_empty && th->states.v[i]->tstate != m->tstate &&
		    th->states.v[i]->found_ns > m->head.time_ns)
			return true;
	return false;
}

/* The frames of all states that the sample holds (the first one's are in `copy`): as target_walk. *image: the one's
 * that m names; *n: how many there are. */
static int walk_sample(struct target *t, struct sample_thread *th, const struct kernel_sample *m, struct pieces *left,
                       struct walk_copy *copy, raddr_t tstate, const unsigned char **image, size_t *n)
{
	uint32_t interp = target_interp(th);
	find_interp(t, m->interp, &interp);
	*image = copy->tstate;
	*n = 1;
	if (left->p == left->end && tstate == m->tstate) {
		th->top = (struct sample_top){tstate, interp, copy->tstate, false};
		return walk_copied(&t->walk, copy);
	}
	int rc = 0, joined;
	bool has_more = true;
	target_join_begin(t, m->tstate);
	for (*n = 0; *n < KERNEL_STATES_MAX && has_more && rc == 0; ++*n) {
		struct sample_top top = {tstate, interp, copy->tstate, false};
		find_interp(t, walk_u64(copy->tstate, t->interpreter.layout.tstate.interp), &top.interp);
		if (tstate == m->tstate)
			*image = copy->tstate;
		rc = target_join_add(t, th, &top, walk_copied(&t->walk, copy));
		has_more = take_apart(left, &t->events.rules, copy, &tstate);
	}
	joined = target_join_end(t, th);
	return rc < 0 ? rc : joined;
}

static struct events_basis basis_of(const struct target *t, const struct kernel_sample *m, uint32_t interp)
{
	const struct sample_interp *in = &t->interps[interp];
	return (struct events_basis){
	    .tstate = m->tstate,
	    .interp = m->interp,
	    .next = m->next,
	    .generation_before = in->words.generation_before,
	    .generation_after = t->codes.has_generation ? in->words.generation_after : t->events.stamp,
	    .cut = m->cut,
	    .codes_epoch = t->codes.epoch,
	    .trie_epoch = t->trie.epoch,
	    .has_generation = t->codes.has_generation,
	};
}

/* The very list that was known, right after it: nothing new, and nothing gone. Who waits for the GIL comes back with
 * the same stack again and again. */
static bool is_known(const struct target *t, const struct events_known *k, const struct kernel_sample *m,
                     const struct walk_copy *c, uint32_t interp)
{
	if (!c->is_list || !m->slot || m->same != c->n_listed || m->same != k->n)
		return false;
	if (k->slot != m->slot || k->round != m->round || k->serial + 1 != m->serial || !k->serial)
		return false;
	struct events_basis basis = basis_of(t, m, interp);
	return memcmp(&k->basis, &basis, sizeof basis) == 0 && m->head.time_ns >= t->interps_changed_ns;
}

static void note_known(const struct target *t, const struct sample_thread *th, struct events_known *k,
                       const struct kernel_sample *m, const struct walk_copy *c, uint32_t interp, node_id node)
{
	_Static_assert(sizeof k->basis == 5 * 8 + 4 * 4, "it is compared as a whole");
	k->serial = 0;
	/* copies of code are looked for anew; so is what was gone, which the path ends before */
	if (!c->is_list || !m->slot || t->interpreter.layout.code.tlbc || th->path.n != t->walk.frames.n)
		return;
	*k = (struct events_known){
	    m->slot, m->round, m->serial, t->walk.is_cut, basis_of(t, m, interp), node, (uint32_t)c->n_listed};
}

static int take_sample(struct target *t, struct writer *w, const struct kernel_sample *m, size_t n)
{
	static struct walk_copy copy; /* large; one thread uses it */
	struct events_thread *et;
	struct pieces left;
	const unsigned char *image;
	raddr_t tstate;
	size_t n_states;
	node_id node = 0;
	uint32_t interp;
	bool unproved = false, is_switch = m->head.trigger == KERNEL_ON_SWITCH;
	struct sample_thread *th = begin_pieces(m, n, &left) && take_apart(&left, &t->events.rules, &copy, &tstate) &&
	                                   complete_list(t, m, &copy)
	                               ? whose(t, w, m, &copy, &et)
	                               : NULL;
	if (!th) {
		t->events.counts.lost++;
		return 0;
	}
	interp = target_interp(th);
	find_interp(t, m->interp, &interp);
	take_words(t, m, interp);
	t->sampled_ns = m->head.time_ns;
	uint64_t codes = t->codes.v.n, gone = t->codes.gone_met;
	raddr_t first = tstate;
	bool is_cut, as_before = is_known(t, &et->known, m, &copy, interp);
	int rc = 0;
	if (as_before) {
		et->known.serial = m->serial;
		node = et->known.node;
		is_cut = et->known.is_cut;
		image = copy.tstate;
		n_states = 1;
	} else {
		rc = walk_sample(t, th, m, &left, &copy, tstate, &image, &n_states);
		is_cut = t->walk.is_cut;
		if (rc == 0)
			rc = target_resolve(t, th, &node, &unproved);
		et->known.serial = 0;
		if (rc == 0 && !unproved)
			note_known(t, th, &et->known, m, &copy, interp, node);
	}
	uint32_t gil = gil_state_flags(t, m->tstate, interp, image);
	t->sampled_ns = 0;
	t->events.news += t->codes.v.n != codes;
	t->events.code_news += t->codes.v.n != codes || t->codes.gone_met != gone;
	if (may_lack_state(th, m, first, n_states)) {
		t->counts.reads_failed++;
		return 0;
	}
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
	v.flags = gil | (is_cut ? WIRE_FLAG_CUT : 0) | (unproved ? WIRE_FLAG_UNPROVED : 0) |
	          WIRE_WAY_KERNEL << WIRE_FLAG_WAY_SHIFT;
	if (!v.stack && node) { /* the dictionaries are full */
		t->counts.limit++;
		return 0;
	}
	if (rc == 0 && !is_switch && events_compare(t, et, m, node))
		return 0;
	count_sample(t, m, v.flags);
	if (events_is_first_sleep(&et->sleep))
		events_tell_sleep(t, w, et, m->head.time_ns);
	if (!is_switch) {
		v.flags |= WIRE_STATE_ON_CPU;
		v.raw = events_worth(&t->events, et, &m->head);
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

static void note_length(struct events_thread *et, uint32_t length)
{
	const struct events_sleep *s = &et->sleep;
	et->last_slept[length] = (struct events_last){s->node, s->trie_epoch, s->flags, s->id};
}

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
	if (!s->is_seen && events_class(s->flags) == EVENTS_OFF) { /* told once, when it is over */
		v.length = (uint8_t)(1 + kernel_length(until_ns - s->told_ns));
		v.sleeps = s->chance / 256.0;
	}
	events_add(t, et, &v);
	s->told_ns = until_ns;
	if (v.length)
		note_length(et, v.length - 1);
}

void events_sleep_over(struct events_thread *et, uint64_t slept_ns)
{
	struct events_sleep *s = &et->sleep;
	if (s->is_seen && s->switches && events_class(s->flags) == EVENTS_OFF) {
		et->slept_due_ns[kernel_length(slept_ns)] -= (int64_t)slept_ns;
		note_length(et, kernel_length(slept_ns));
	}
	s->goes_on = false;
}

static void woke(struct target *t, struct writer *w, const struct kernel_record *r)
{
	struct events_thread *et = events_find(&t->events, (pid_t)r->tid);
	if (!et || !et->sleep.goes_on || et->sleep.switches != r->switches)
		return;
	events_tell_sleep(t, w, et, r->time_ns);
	events_sleep_over(et, r->slept_ns);
}

/* A thread ended that was never met. One that lived long and yet was never met is none of Python's. */
static void unmet_exited(struct events *e, const struct kernel_record *r)
{
	uint64_t off = r->slept_ns - (r->cpu_ns + r->ready_ns < r->slept_ns ? r->cpu_ns + r->ready_ns : r->slept_ns);
	if (r->slept_ns > UNMET_NS)
		return;
	e->brief.due_ns[EVENTS_ON] += (int64_t)r->cpu_ns;
	e->brief.due_ns[EVENTS_READY] += (int64_t)r->ready_ns;
	e->brief.due_ns[EVENTS_OFF] += (int64_t)off;
}

static void exited(struct target *t, struct writer *w, const struct kernel_record *r)
{
	struct events_thread *et = events_find(&t->events, (pid_t)r->tid);
	t->census_due = true;
	if (!et) {
		unmet_exited(&t->events, r);
		return;
	}
	if (!et->task.tid) /* no snapshot has met it */
		et->task.first_ns = r->time_ns - r->slept_ns;
	et->has_ended = true;
	if (et->thread)
		et->thread->look = LOOK_GONE;
	et->end_ns = r->time_ns;
	et->end_cpu_ns = r->cpu_ns;
	et->end_ready_ns = r->ready_ns;
	if (events_is_first_sleep(&et->sleep))
		events_tell_sleep(t, w, et, r->time_ns - (r->cpu_ns < r->slept_ns ? r->cpu_ns : r->slept_ns));
	et->sleep.goes_on = false;
}

/* What it was bound to, if to anything, the kernel's program has dropped: it could not read it, or it was not this
 * thread's. */
static void unknown(struct target *t, const struct kernel_record *r)
{
	struct events_thread *et = events_find(&t->events, (pid_t)r->tid);
	t->census_due = true;
	if (!et)
		return;
	t->census_partial |= et->thread != NULL; /* what is known of it is wrong */
	et->bound_n = 0;
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
		exited(t, w, r);
		break;
	case KERNEL_UNKNOWN:
		unknown(t, r);
		break;
	default:
		break;
	}
	return 0;
}
