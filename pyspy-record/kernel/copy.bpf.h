/* copy: a sample of the current thread: which thread state is its own, and what of its memory makes up its stack.
 *
 * It goes through several programs, each of which calls the next one by its place in the map `more` (kernel_more): the
 * one of the moment says whose sample it is and why it is taken; then one begins and one follows the frames. So these
 * two are there, and checked by the kernel, once and not in each moment's program.
 */
#pragma once
#include "pyspy-record/kernel/chain.bpf.h"

enum {
	FORCE_WAKEUP = 2,
	AVAILABLE_DATA = 0,
	RING_SIZE = 1,
	WAKE_PART = 4,       /* the recorder is called when one in so many bytes is in use */
	MAX_TAIL_CALLS = 33, /* as many as the kernel allows for */
};

/* Comes back only when it failed. */
static __always_inline void call_next(void *ctx, struct scratch *s, void *more, __u32 place)
{
	if (s->calls++ < MAX_TAIL_CALLS)
		bpf_tail_call(ctx, more, place);
}

/* --- which thread state */

/* The tid in a thread state, as the target counts. `word`: what stands at native_thread_id. */
static __always_inline __u64 tid_of(const struct kernel_process *p, __u64 word)
{
	__u32 tid = 0;
	if (!p->pthread_tid)
		return word;
	bpf_probe_read_user(&tid, sizeof tid, (void *)(word + p->pthread_tid));
	return tid;
}

/* A thread that nobody has told us of yet: does the state that holds a GIL belong to it? */
static __always_inline int find_holder(struct kernel_process *p, __u32 tid, struct kernel_binding *b)
{
	__u64 state = 0, interp = 0, gil = 0, ns_tid = 0;
	for (int i = 0; i < KERNEL_GILS_MAX; i++) {
		if ((__u32)i >= p->n_gils)
			break;
		gil = p->gils[i].gil;
		interp = p->gils[i].interp;
		if (p->gil_current) {
			state = read_word(p->gil_current);
		} else {
			__u32 locked = 0;
			state = read_word(gil + p->gil_last_holder);
			bpf_probe_read_user(&locked, sizeof locked, (void *)(gil + p->gil_last_holder + 8));
			if (locked != 1)
				state = 0;
		}
		if (!state)
			continue;
		ns_tid = tid_of(p, read_word(state + p->native_thread_id));
		if (ns_tid == tid) /* in another pid namespace it is not: such threads wait for the recorder */
			break;
		state = 0;
	}
	if (!state)
		return 0;
	b->n = 1;
	b->last = 0;
	b->ns_tid = ns_tid;
	b->states[0].tstate = state;
	b->states[0].interp = interp;
	b->states[0].gil = gil;
	bpf_map_update_elem(&bindings, &tid, b, 0);
	return 1;
}

/* Of several states of one thread: the one that runs, else the one that ran last. */
static __always_inline __u32 pick_state(struct kernel_process *p, struct kernel_binding *b)
{
	if (b->n < 2)
		return 0;
	for (int i = 0; i < KERNEL_STATES_MAX; i++) {
		if ((__u32)i >= b->n)
			break;
		__u32 word = 0;
		if (p->gil_current) {
			if (read_word(p->gil_current) != b->states[i].tstate)
				continue;
			b->last = (__u32)i;
			break;
		}
		bpf_probe_read_user(&word, sizeof word, (void *)(b->states[i].tstate + p->state_word));
		if ((word & p->state_mask) == 0)
			continue;
		b->last = (__u32)i;
		break;
	}
	return b->last & (KERNEL_STATES_MAX - 1);
}

/* True: it was sent. */
static __always_inline bool send(struct scratch *s, bool is_kept)
{
	if (s->is_list)
		end_list(s, is_kept);
	else
		end_objects(s);
	__u64 n = s->n;
	s->sample.next = s->frame;
	if (s->sample.cut & KERNEL_CUT_FULL)
		count(KERNEL_COUNT_CUT);
	if (s->sample.cut & KERNEL_CUT_ABSENT)
		count(KERNEL_COUNT_UNREADABLE);
	OPAQUE(n);
	if (n > KERNEL_DATA + KERNEL_COPY)
		return false;
	s->sample.n_bytes = n;
	/* The recorder comes by itself; it is called when the ring fills up faster than that, or when it asks for it.
	 */
	void *ring = current_ring();
	if (!ring)
		return false;
	bool is_much = bpf_ringbuf_query(ring, AVAILABLE_DATA) > bpf_ringbuf_query(ring, RING_SIZE) / WAKE_PART ||
	               s->process.is_eager;
	if (bpf_ringbuf_output(ring, &s->sample, sizeof s->sample + n, is_much ? FORCE_WAKEUP : NO_WAKEUP) == 0)
		return true;
	count(KERNEL_COUNT_OVERRUN);
	return false;
}

/* How far a program follows frames before it calls the next one, itself. The kernel walks each turn of a loop by itself
 * when it checks a program, but those of bpf_loop once or twice. */
enum follow_how {
	FOLLOW_LOOP, /* to the end: by bpf_loop */
	FOLLOW_ROW,  /* KERNEL_CHAIN frames, KERNEL_ROW objects */
	FOLLOW_FEW,  /* checked in a tenth of the time: where there is no bpf_loop, until the other one is there */
};

/* All of it is there. */
static __always_inline void finish(struct scratch *s, enum follow_how how)
{
	struct kernel_last *last = s->is_list ? find_last(s) : NULL;
	if (last)
		find_same(s, last, how == FOLLOW_LOOP, how == FOLLOW_FEW ? KERNEL_FEW : KERNEL_LAST);
	if (!send(s, last != NULL) || !last)
		return;
	if (s->same != last->n || s->list_end - s->list_begin != s->same * sizeof(struct kernel_frame))
		keep_list(s, last);
	else
		last->serial = s->sample.serial;
}

static __always_inline void read_words(struct scratch *s, struct kernel_process *p)
{
	struct kernel_sample *m = &s->sample;
	m->gil_last_holder = m->gil_current = 0;
	m->gil_locked = m->gil_rest = m->gc = m->generation = 0;
	if (p->gil_current)
		m->gil_current = read_word(p->gil_current);
	else if (m->gil)
		bpf_probe_read_user(&m->gil_last_holder, 16, (void *)(m->gil + p->gil_last_holder));
	if (p->interp_gc || p->gc)
		bpf_probe_read_user(&m->gc, 4, (void *)(p->interp_gc ? m->interp + p->interp_gc : p->gc));
	if (p->interp_generation)
		bpf_probe_read_user(&m->generation, 4, (void *)(m->interp + p->interp_generation));
}

/* Is there a cframe before this one, whose frame is s->frame? The thread state's own has none: nothing was called yet.
 * Where that was freed, by a thread that ends, malloc has put the size of the block there. */
static __always_inline bool has_previous(const struct scratch *s, __u64 previous)
{
	return previous >= PAGE || (previous && s->frame);
}

/* 3.11, 3.12: the innermost call of the evaluator, and what the one before it says that this must lead to. */
static __always_inline bool begin_call(struct scratch *s, struct kernel_process *p, __u64 cframe)
{
	__u64 previous = 0, before = NO_CALL;
	if (bpf_probe_read_user(&s->frame, sizeof s->frame, (void *)(cframe + p->cframe_current_frame)) ||
	    bpf_probe_read_user(&previous, sizeof previous, (void *)(cframe + p->cframe_previous)))
		return false;
	if (!has_previous(s, previous))
		previous = 0;
	if (previous && bpf_probe_read_user(&before, sizeof before, (void *)(previous + p->cframe_current_frame)))
		return false;
	s->before = before;
	return true;
}

/* Where the chain begins, and the top chunk. `at`: of the thread state's piece. False: nothing to follow. */
static __always_inline bool begin_chain(struct scratch *s, struct kernel_process *p, __u64 at)
{
	OPAQUE(at);
	if (at > KERNEL_DATA)
		return false;
	unsigned char *tstate = s->data + at + sizeof(struct kernel_piece);
	__u64 root = *(__u64 *)(tstate + (p->frame_root & 0x1ff));
	__u64 chunk = *(__u64 *)(tstate + (p->datastack_chunk & 0x1ff));
	__u64 top = *(__u64 *)(tstate + (p->datastack_top & 0x1ff));
	s->frame = root;
	s->header = NO_HEADER;
	if (p->frames_are_objects)
		return true;
	s->before = NO_CALL;
	s->top = 0;
	if (s->is_list)
		begin_list(s);
	if (p->root_is_cframe && root && s->is_list) {
		if (!begin_call(s, p, root))
			goto absent;
	} else if (p->root_is_cframe && root) {
		__u64 before = 0;
		if (!append(s, root, p->cframe_size, KERNEL_PIECE_EXTRA))
			goto absent;
		s->frame = read_word(root + p->cframe_current_frame);
		before = read_word(root + p->cframe_previous);
		if (has_previous(s, before) && !append(s, before, p->cframe_size, KERNEL_PIECE_EXTRA))
			goto absent;
	}
	if (!p->datastack_chunk || !chunk || (!s->frame && s->before == NO_CALL))
		return true;
	if (top < chunk || !begin_chunk(s, chunk, top - chunk))
		goto absent;
	s->top = chunk;
	s->top_used = top - chunk;
	return true;
absent:
	s->sample.cut |= KERNEL_CUT_ABSENT;
	return false;
}

/* The next state of a thread that has several. False: there is none. */
static __always_inline bool begin_next(struct scratch *s)
{
	__u64 i = s->next_state, at = s->n;
	OPAQUE(i);
	if (i >= KERNEL_STATES_MAX || i >= s->n_states)
		return false;
	s->next_state = i + 1;
	s->at = s->len = s->offset = s->next = s->next_used = s->copy_left = s->n_extras = s->frame = 0;
	if (at > KERNEL_DATA) {
		s->sample.cut |= KERNEL_CUT_FULL;
		return false;
	}
	/* one that cannot be read is no more; so are its frames */
	if (append(s, s->states[i], s->process.tstate_size, KERNEL_PIECE_TSTATE) && !begin_chain(s, &s->process, at))
		s->frame = 0;
	return true;
}

/* Follow the chain from here on in another program. */
static __always_inline void go_on(void *ctx, struct scratch *s, void *more)
{
	call_next(ctx, s, more, KERNEL_MORE_FOLLOW);
	s->sample.cut |= KERNEL_CUT_FULL;
	send(s, false);
}

static __always_inline void copy_chunk(struct scratch *s, enum follow_how how)
{
	if (!s->copy_left)
		return;
	if (how == FOLLOW_LOOP) {
		bpf_loop(KERNEL_DATA / KERNEL_COPY, each_part, &s, 0);
		return;
	}
	for (int i = 0; i < (how == FOLLOW_FEW ? 2 : KERNEL_DATA / KERNEL_COPY); i++) {
		s->rc = continue_chunk(s) ? STEP_ON : STEP_DONE;
		if (s->rc == STEP_DONE || !s->copy_left)
			break;
	}
}

static __always_inline void walk_objects(struct scratch *s, enum follow_how how)
{
	if (how == FOLLOW_LOOP) {
		bpf_loop(KERNEL_OBJECTS, each_object, &s, 0);
		return;
	}
	for (int i = 0; i < (how == FOLLOW_FEW ? KERNEL_FEW : KERNEL_ROW) && goes_on(s, step_object(s)); i++)
		;
}

static __always_inline void walk_frames(struct scratch *s, enum follow_how how)
{
	if (how == FOLLOW_LOOP) {
		bpf_loop(KERNEL_LISTED, each_frame, &s, 0);
		return;
	}
	for (int i = 0; i < (how == FOLLOW_FEW ? KERNEL_FEW : KERNEL_CHAIN) && goes_on(s, step(s)); i++)
		;
}

static __always_inline void follow(void *ctx, struct scratch *s, void *more, enum follow_how how)
{
	s->rc = STEP_ON;
	if (s->process.frames_are_objects) {
		if (s->header == NO_HEADER)
			begin_objects(s);
		walk_objects(s, how);
		if (s->rc == STEP_DONE)
			end_objects(s);
	} else {
		copy_chunk(s, how);
		if (s->rc == STEP_ON && !s->copy_left)
			walk_frames(s, how);
		if (s->rc == STEP_CHUNK && !begin_next_chunk(s))
			s->rc = STEP_DONE;
	}
	if (s->rc != STEP_DONE || begin_at_caller(s) || begin_next(s))
		go_on(ctx, s, more);
	else
		finish(s, how);
}

/* Nobody has told us of this thread, or not what is so: no sample. */
static __always_inline void give_up(struct scratch *s, __u32 why)
{
	__u64 task = s->task;
	struct kernel_task *t = bpf_map_lookup_elem(&tasks, &task);
	count(why);
	if (!t)
		return;
	if (why == KERNEL_COUNT_UNKNOWN) {
		if (!t->is_unknown)
			send_notice(KERNEL_UNKNOWN, t, s->sample.head.time_ns, 0);
		t->is_unknown = 1;
	}
	t->off_chance = 0;
}

/* The thread is not known: is it the one that holds a GIL? */
static __always_inline void find(void *ctx, struct scratch *s, void *more)
{
	struct kernel_binding found = {0};
	if (find_holder(&s->process, s->sample.head.tid, &found))
		call_next(ctx, s, more, KERNEL_MORE_BEGIN);
	give_up(s, KERNEL_COUNT_UNKNOWN);
}

/* The thread's state, and where its frames begin. */
static __always_inline void begin(void *ctx, struct scratch *s, void *more)
{
	struct kernel_process *p = &s->process;
	__u32 tid = s->sample.head.tid;
	struct kernel_binding *b = bpf_map_lookup_elem(&bindings, &tid);
	if (!b) {
		if (s->sample.head.trigger != KERNEL_ON_SWITCH && s->calls == 1) /* else it was looked for */
			call_next(ctx, s, more, KERNEL_MORE_FIND);
		give_up(s, KERNEL_COUNT_UNKNOWN);
		return;
	}
	__u32 state = pick_state(p, b);
	if (state >= KERNEL_STATES_MAX)
		return;
	__u64 ns_tid = b->ns_tid;
	s->sample.tstate = b->states[state].tstate;
	s->sample.interp = b->states[state].interp;
	s->sample.gil = b->states[state].gil;
	s->sample.cut = 0;
	s->n = s->at = s->len = s->offset = s->next = s->next_used = s->copy_left = s->header = s->n_extras = 0;
	s->frame = 0;
	s->is_list = p->frames_are_listed && b->n == 1;
	s->sample.slot = b->slot;
	s->sample.round = b->round;
	s->sample.serial = s->sample.same = 0;
	s->same = 0;
	s->next_state = 1;
	s->n_states = b->n;
	for (int i = 0; i < KERNEL_STATES_MAX; i++)
		s->states[i] = b->states[i].tstate;
	bool is_there = append(s, s->states[0], p->tstate_size, KERNEL_PIECE_TSTATE);
	if (!is_there ||
	    tid_of(p, *(__u64 *)(s->data + sizeof(struct kernel_piece) + (p->native_thread_id & 0x1ff))) != ns_tid) {
		bpf_map_delete_elem(&bindings, &tid);
		give_up(s, is_there ? KERNEL_COUNT_STALE : KERNEL_COUNT_UNREADABLE);
		return;
	}
	read_words(s, p);
	if (!begin_chain(s, p, 0))
		s->frame = 0;
	go_on(ctx, s, more);
}

/* Take a sample of the current thread. `t->off_chance` says with which chance, when it is taken at a switch. */
static __always_inline void take(void *ctx, struct kernel_process *p, struct kernel_task *t, __u64 task, __u64 now,
                                 __u32 trigger, void *more, __s64 syscall, __u64 syscall_arg)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct scratch *s = bpf_map_lookup_elem(&scratches, &cpu);
	if (!s)
		return;
	fill_record(&s->sample.head, KERNEL_SAMPLE, t, now);
	s->sample.head.trigger = trigger;
	s->sample.syscall = syscall;
	s->sample.syscall_arg = syscall_arg;
	s->process = *p;
	s->task = task;
	s->calls = 0;
	call_next(ctx, s, more, KERNEL_MORE_BEGIN);
	t->off_chance = 0; /* it was not sent */
}
