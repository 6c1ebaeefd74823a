/* copy: a sample of the current thread: which thread state is its own, and what of its memory makes up its stack.
 *
 * Only user memory is read, as the layout in map `processes` says. A page that is not there is not waited for: the
 * sample is marked. It runs with interrupts off, so the scratch memory of a CPU has one user at a time.
 */
#pragma once
#include "pyspy-record/kernel/tasks.bpf.h"

enum {
	PAGE = 4096,
	FORCE_WAKEUP = 2,
	AVAILABLE_DATA = 0,
	NO_HEADER = KERNEL_DATA + 1,
	MAX_TAIL_CALLS = 32, /* as many as the kernel allows for */
	/* where frames are listed: first come pieces and the list, then what is read on the way to it */
	LIST_BYTES = 96 << 10,
};

/* Where the copying of one sample stands. Kept in memory, so that the verifier sees the same state at each turn. */
struct scratch {
	__u64 frame;              /* to look at next */
	__u64 at, len, offset;    /* the piece of the data stack that was copied last, and where in `data` it is */
	__u64 next, next_used;    /* the chunk below it */
	__u64 is_below;           /* the frame lies there or further down */
	__u64 copy_at, copy_left; /* of a chunk that is being copied */
	__u64 header;             /* where in `data` the header of that piece is */
	__u64 n;                  /* bytes of `data` in use */
	__u64 calls;              /* of ourselves */
	__u64 n_extras;           /* frames met outside of the data stack */
	__u64 n_states, next_state;
	__u64 is_list, list_begin, list_end; /* where in `data` the list is; list_end: as far as it goes by now */
	__u64 same;                          /* frames that are as they were */
	__u64 states[KERNEL_STATES_MAX]; /* those of a thread that has several; the first one is begun by take() */
	struct kernel_process process;
	struct kernel_sample sample;
	unsigned char data[KERNEL_DATA + KERNEL_COPY + 4096]; /* right behind the sample */
};

/* Keep the compiler from knowing what a number is: a bound that it thinks to be clear is one that the verifier misses.
 */
#define OPAQUE(x) asm volatile("" : "+r"(x))

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

/* --- copying */

/* Append `len` bytes (at most KERNEL_COPY) of the target to the data, as a piece of its own. False: they are not there.
 */
static __always_inline bool append(struct scratch *s, __u64 from, __u64 len, __u32 kind)
{
	__u64 at = s->n;
	OPAQUE(at);
	if (at > KERNEL_DATA)
		return false;
	/* from here on the pointer: old verifiers forget the bounds of a number that is put aside */
	struct kernel_piece *piece = (void *)(s->data + at);
	OPAQUE(piece);
	if (len > KERNEL_FRAME_MAX && kind != KERNEL_PIECE_TSTATE)
		len = KERNEL_FRAME_MAX;
	OPAQUE(len);
	if (len > KERNEL_TSTATE_MAX)
		len = KERNEL_TSTATE_MAX;
	piece->at = from;
	piece->len = len;
	piece->kind = kind;
	if (bpf_probe_read_user(piece + 1, len, (void *)from))
		return false;
	s->n += sizeof *piece + ((len + 7) & ~7ULL);
	return true;
}

/* A chunk of the data stack: its header tells what lies below it. False: it is not there, or makes no sense. */
static __always_inline bool begin_chunk(struct scratch *s, __u64 chunk, __u64 used)
{
	__u64 header[3]; /* previous, size in bytes, top in words */
	__u64 at = s->is_list ? LIST_BYTES : s->n;
	if (bpf_probe_read_user(header, sizeof header, (void *)chunk))
		return false;
	OPAQUE(at);
	if (at > KERNEL_DATA)
		return false;
	if (!used) {
		used = sizeof header + header[2] * 8;
	} else { /* the top one: a frame may be current still that was just taken off it */
		used += KERNEL_FRAME_MAX;
		if (used > header[1])
			used = header[1];
	}
	if (used < sizeof header || used > KERNEL_DATA || (s->is_list && used > KERNEL_DATA - LIST_BYTES))
		return false;
	struct kernel_piece *piece = (void *)(s->data + at);
	piece->at = chunk;
	piece->len = 0;
	piece->kind = KERNEL_PIECE_CHUNK;
	s->header = at;
	s->n = at + sizeof *piece;
	s->at = chunk;
	s->len = 0;
	s->offset = s->n;
	s->copy_at = chunk;
	s->copy_left = used;
	s->next = header[0];
	s->next_used = 0;
	return true;
}

/* Copy what fits into one call of what is left of the chunk. */
static __always_inline bool continue_chunk(struct scratch *s)
{
	__u64 at = s->n, n = s->copy_left, header = s->header;
	if (n > KERNEL_COPY)
		n = KERNEL_COPY;
	OPAQUE(at);
	OPAQUE(n);
	OPAQUE(header);
	if (at > KERNEL_DATA || header > KERNEL_DATA || n > KERNEL_COPY)
		return false;
	if (bpf_probe_read_user(s->data + at, n, (void *)s->copy_at)) {
		/* the newest frame may reach into a page that was not touched yet; its head lies before that */
		__u64 behind = (s->copy_at + n) % PAGE;
		if (n != s->copy_left || n <= behind)
			behind = 0;
		n -= behind;
		s->copy_left = n;
		OPAQUE(n);
		if (n > KERNEL_COPY || !behind || bpf_probe_read_user(s->data + at, n, (void *)s->copy_at)) {
			s->sample.cut |= KERNEL_CUT_ABSENT;
			return false;
		}
	}
	s->copy_at += n;
	s->copy_left -= n;
	s->len += n;
	s->n = at + ((n + 7) & ~7ULL);
	((struct kernel_piece *)(s->data + header))->len = s->len;
	return true;
}

/* Append a frame to the list: `p` is what was read of it. False: it does not fit, or makes no sense, which the recorder
 * tells by where the chain stopped. */
static __always_inline bool list_frame(struct scratch *s, __u64 f, const unsigned char *p)
{
	__u64 at = s->list_end, copy = 0;
	__u64 owner = p[s->process.frame_owner & 0xff], instr = *(__u64 *)(p + (s->process.frame_instr & 0xff));
	if (s->process.frame_copy)
		copy = *(__u32 *)(p + (s->process.frame_copy & 0xff));
	if (f & 7 || owner >> KERNEL_OWNER_BITS || instr >> KERNEL_INSTR_BITS || copy >> (64 - KERNEL_INSTR_BITS))
		return false;
	OPAQUE(at);
	if (at > LIST_BYTES - sizeof(struct kernel_frame)) {
		s->sample.cut |= KERNEL_CUT_FULL;
		return false;
	}
	struct kernel_frame *k = (void *)(s->data + at);
	OPAQUE(k);
	k->at = f | owner;
	k->code = *(__u64 *)(p + (s->process.frame_code & 0xff));
	k->globals = *(__u64 *)(p + (s->process.frame_globals & 0xff));
	k->instr = instr | copy << KERNEL_INSTR_BITS;
	s->list_end += sizeof *k;
	return true;
}

/* Go down into the next chunk. */
static __always_inline bool begin_next_chunk(struct scratch *s)
{
	if (begin_chunk(s, s->next, s->next_used))
		return true;
	if (s->is_list)
		s->sample.cut |= KERNEL_CUT_ABSENT;
	return false;
}

enum step { STEP_ON, STEP_DONE };

/* The words below the next chunk's header say how far it is in use. */
static __always_inline void look_at_next(struct scratch *s)
{
	__u64 header[3];
	if (s->next_used || !s->next)
		return;
	bool is_absent = bpf_probe_read_user(header, sizeof header, (void *)s->next);
	if (is_absent && s->is_list)
		s->sample.cut |= KERNEL_CUT_ABSENT;
	if (is_absent || header[2] > KERNEL_DATA / 8)
		s->next = 0;
	else
		s->next_used = sizeof header + header[2] * 8;
}

/* One step along the chain of frames. */
static __always_inline int step(struct scratch *s)
{
	if (s->copy_left)
		return continue_chunk(s) ? STEP_ON : STEP_DONE;
	__u64 f = s->frame, inside = f - s->at;
	if (!f)
		return STEP_DONE;
	if (s->n > KERNEL_DATA) {
		s->sample.cut |= KERNEL_CUT_FULL;
		return STEP_DONE;
	}
	if (s->at && inside < s->len && s->len - inside >= s->process.frame_size) {
		__u64 offset = s->offset + inside;
		OPAQUE(offset);
		if (offset > KERNEL_DATA + KERNEL_COPY)
			return STEP_DONE;
		unsigned char *p = s->data + offset;
		OPAQUE(p);
		if (s->is_list && !list_frame(s, f, p))
			return STEP_DONE;
		s->frame = *(__u64 *)(p + (s->process.frame_previous & 0xff));
		if (s->frame - s->at < inside || s->frame - s->at >= s->len)
			return STEP_ON;
		return STEP_DONE; /* callers lie below: this is torn, the recorder will see it */
	}
	look_at_next(s);
	if (s->next && (s->is_below || f - s->next < s->next_used)) {
		s->is_below = 0;
		return begin_next_chunk(s) ? STEP_ON : STEP_DONE;
	}
	__u64 before = s->n, offset = before + sizeof(struct kernel_piece);
	if (s->n_extras++ >= s->process.frames_max) { /* nobody calls like that: a circle */
		s->sample.cut |= KERNEL_CUT_FULL;
		return STEP_DONE;
	}
	if (!append(s, f + s->process.frame_first, s->process.frame_size, KERNEL_PIECE_EXTRA)) {
		s->sample.cut |= KERNEL_CUT_ABSENT;
		return STEP_DONE;
	}
	OPAQUE(offset);
	if (offset > KERNEL_DATA)
		return STEP_DONE;
	unsigned char *frame = s->data + offset;
	__u64 previous = *(__u64 *)(frame + (s->process.frame_previous & 0xff));
	if (frame[s->process.frame_owner & 0xff] == 0 && s->next) {
		/* a frame of the thread's own lies on the data stack: further down then */
		s->n = before;
		s->is_below = 1;
		return STEP_ON;
	}
	if (s->is_list) {
		s->n = before;
		/* a frame of the thread's own lies on its data stack: this is torn, the recorder will see it */
		if (frame[s->process.frame_owner & 0xff] == 0 || !list_frame(s, f, frame))
			return STEP_DONE;
	}
	s->frame = previous;
	return previous == f ? STEP_DONE : STEP_ON;
}

/* One frame object, and on to its caller. All of the part with the words is read in one go, behind what is sent of it.
 */
static __always_inline int step_object(struct scratch *s)
{
	__u64 f = s->frame, at = s->n, size = s->process.frame_size;
	if (!f)
		return STEP_DONE;
	OPAQUE(at);
	OPAQUE(size);
	if (at > KERNEL_DATA || s->n_extras++ >= s->process.frames_max) { /* a circle, if not very deep */
		s->sample.cut |= KERNEL_CUT_FULL;
		return STEP_DONE;
	}
	if (size > KERNEL_FRAME_MAX)
		size = KERNEL_FRAME_MAX;
	struct kernel_object *o = (void *)(s->data + at);
	OPAQUE(o);
	unsigned char *raw = (unsigned char *)(o + 1);
	if (bpf_probe_read_user(raw, size, (void *)(f + s->process.frame_first))) {
		s->sample.cut |= KERNEL_CUT_ABSENT;
		return STEP_DONE;
	}
	o->at = f;
	o->code = *(__u64 *)(raw + (s->process.frame_code & 0xff));
	o->globals = *(__u64 *)(raw + (s->process.frame_globals & 0xff));
	o->instr = *(__u32 *)(raw + (s->process.frame_instr & 0xff));
	o->unused = 0;
	s->frame = *(__u64 *)(raw + (s->process.frame_previous & 0xff));
	s->n += sizeof *o;
	return STEP_ON;
}

static __always_inline void begin_objects(struct scratch *s)
{
	__u64 at = s->n;
	OPAQUE(at);
	if (at > KERNEL_DATA)
		return;
	struct kernel_piece *piece = (void *)(s->data + at);
	piece->at = s->frame;
	piece->len = 0;
	piece->kind = KERNEL_PIECE_OBJECTS;
	s->header = s->n;
	s->n += sizeof *piece;
}

/* The piece that they are in is as long as it is now. */
static __always_inline void end_objects(struct scratch *s)
{
	__u64 at = s->header;
	OPAQUE(at);
	if (!s->process.frames_are_objects || at > KERNEL_DATA)
		return;
	((struct kernel_piece *)(s->data + at))->len = s->n - at - sizeof(struct kernel_piece);
	s->header = NO_HEADER;
}

static __always_inline void begin_list(struct scratch *s)
{
	__u64 at = s->n;
	OPAQUE(at);
	if (at > LIST_BYTES)
		return;
	struct kernel_piece *piece = (void *)(s->data + at);
	piece->at = 0;
	piece->len = 0;
	piece->kind = KERNEL_PIECE_FRAMES;
	s->list_begin = s->list_end = s->n + sizeof *piece;
	s->n = LIST_BYTES;
}

/* How many frames, from the outermost on, are as they were in the thread's last sample? */
static __always_inline void find_same(struct scratch *s, struct kernel_last *last)
{
	__u64 list = s->list_end, n = last->n;
	for (int i = 0; i < KERNEL_LAST; i++) {
		list -= sizeof(struct kernel_frame);
		n--;
		if (n >= KERNEL_LAST || list < s->list_begin || list > LIST_BYTES)
			break;
		__u64 at = list, k = n;
		OPAQUE(at);
		OPAQUE(k);
		if (at > LIST_BYTES || k >= KERNEL_LAST)
			break;
		const struct kernel_frame *a = (void *)(s->data + at), *b = &last->frames[k];
		if (a->at != b->at || a->instr != b->instr || a->code != b->code || a->globals != b->globals)
			break;
		s->same++;
	}
}

/* What was sent is what the next sample is compared with. */
static __always_inline void keep_list(struct scratch *s, struct kernel_last *last)
{
	__u64 at = s->list_begin, bytes = s->list_end - s->list_begin;
	last->serial = s->sample.serial;
	last->n = 0; /* too many of them */
	OPAQUE(at);
	OPAQUE(bytes);
	if (at > LIST_BYTES || bytes > sizeof last->frames)
		return;
	bpf_probe_read_kernel(last->frames, bytes, s->data + at);
	last->n = bytes / sizeof(struct kernel_frame);
}

/* The last list of this thread's; NULL: there is no room for one, all frames are sent each time. */
static __always_inline struct kernel_last *find_last(struct scratch *s)
{
	__u32 slot = s->sample.slot;
	struct kernel_last *last = slot ? bpf_map_lookup_elem(&lasts, &slot) : NULL;
	if (!last)
		return NULL;
	if (last->round != s->sample.round) {
		last->round = s->sample.round;
		last->n = last->serial = 0;
	}
	s->sample.serial = last->serial + 1;
	return last;
}

static __always_inline void end_list(struct scratch *s, bool is_kept)
{
	__u64 at = s->list_begin - sizeof(struct kernel_piece);
	if (!is_kept)
		s->sample.slot = 0;
	s->sample.same = s->same;
	s->n = s->list_end - s->same * sizeof(struct kernel_frame);
	OPAQUE(at);
	if (at <= LIST_BYTES)
		((struct kernel_piece *)(s->data + at))->len = s->n - s->list_begin;
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
	/* The recorder comes by itself; it is called when the ring fills up faster than that. */
	bool is_much = bpf_ringbuf_query(&ring, AVAILABLE_DATA) > s->process.wake_bytes;
	if (bpf_ringbuf_output(&ring, &s->sample, sizeof s->sample + n, is_much ? FORCE_WAKEUP : NO_WAKEUP) == 0)
		return true;
	count(KERNEL_COUNT_OVERRUN);
	return false;
}

/* All of it is there. */
static __always_inline void finish(struct scratch *s)
{
	struct kernel_last *last = s->is_list ? find_last(s) : NULL;
	if (last)
		find_same(s, last);
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
	if (p->root_is_cframe && root) {
		__u64 before = 0;
		if (!append(s, root, p->cframe_size, KERNEL_PIECE_EXTRA))
			goto absent;
		s->frame = read_word(root + p->cframe_current_frame);
		before = read_word(root + p->cframe_previous);
		if (before && !append(s, before, p->cframe_size, KERNEL_PIECE_EXTRA))
			goto absent;
	}
	if (s->is_list)
		begin_list(s);
	if (!p->datastack_chunk || !chunk || !s->frame)
		return true;
	if (top < chunk || !begin_chunk(s, chunk, top - chunk))
		goto absent;
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
	s->is_below = 0;
	if (at > KERNEL_DATA) {
		s->sample.cut |= KERNEL_CUT_FULL;
		return false;
	}
	/* one that cannot be read is no more; so are its frames */
	if (append(s, s->states[i], s->process.tstate_size, KERNEL_PIECE_TSTATE) && !begin_chain(s, &s->process, at))
		s->frame = 0;
	return true;
}

/* Follow the chain from here on in another program: it is there once, not in each of those that begin one. */
static __always_inline void go_on(void *ctx, struct scratch *s, void *more)
{
	if (s->calls++ < MAX_TAIL_CALLS)
		bpf_tail_call(ctx, more, 0);
	s->sample.cut |= KERNEL_CUT_FULL; /* it comes back only when it failed */
	send(s, false);
}

static __always_inline void follow(void *ctx, struct scratch *s, void *more)
{
	bool is_done = false;
	if (s->process.frames_are_objects) {
		if (s->header == NO_HEADER)
			begin_objects(s);
		for (int i = 0; i < KERNEL_ROW && !is_done; i++)
			is_done = step_object(s) == STEP_DONE;
		if (is_done)
			end_objects(s);
	} else {
		for (int i = 0; i < KERNEL_CHAIN && !is_done; i++)
			is_done = step(s) == STEP_DONE;
	}
	if (!is_done || begin_next(s))
		go_on(ctx, s, more);
	else
		finish(s);
}

/* Take a sample of the current thread. `t->off_chance` says with which chance, when it is taken at a switch. */
static __always_inline void take(void *ctx, struct kernel_process *p, struct kernel_task *t, __u64 now, __u32 trigger,
                                 void *more, __s64 syscall, __u64 syscall_arg)
{
	__u32 tid = t->tid, cpu = bpf_get_smp_processor_id();
	struct kernel_binding *b = bpf_map_lookup_elem(&bindings, &tid);
	struct scratch *s = bpf_map_lookup_elem(&scratches, &cpu);
	struct kernel_binding found = {0};
	if (!s)
		return;
	if (!b) {
		if (trigger == KERNEL_ON_SWITCH || !find_holder(p, tid, &found)) {
			count(KERNEL_COUNT_UNKNOWN);
			if (!t->is_unknown)
				send_notice(KERNEL_UNKNOWN, t, now, 0);
			t->is_unknown = 1;
			t->off_chance = 0;
			return;
		}
		b = &found;
	}
	__u32 state = b == &found ? 0 : pick_state(p, b);
	if (state >= KERNEL_STATES_MAX)
		return;
	__u64 ns_tid = b->ns_tid;
	fill_record(&s->sample.head, KERNEL_SAMPLE, t, now);
	s->sample.head.trigger = trigger;
	s->sample.tstate = b->states[state].tstate;
	s->sample.interp = b->states[state].interp;
	s->sample.gil = b->states[state].gil;
	s->sample.cut = 0;
	s->sample.syscall = syscall;
	s->sample.syscall_arg = syscall_arg;
	s->process = *p;
	s->n = s->at = s->len = s->offset = s->next = s->next_used = s->copy_left = s->calls = s->header = s->n_extras =
	    0;
	s->frame = 0;
	s->is_list = p->frames_are_listed && b->n == 1;
	s->sample.slot = b->slot;
	s->sample.round = b->round;
	s->sample.serial = s->sample.same = 0;
	s->same = s->is_below = 0;
	s->next_state = 1;
	s->n_states = b->n;
	for (int i = 0; i < KERNEL_STATES_MAX; i++)
		s->states[i] = b->states[i].tstate;
	if (!append(s, s->states[0], p->tstate_size, KERNEL_PIECE_TSTATE)) {
		count(KERNEL_COUNT_UNREADABLE);
		bpf_map_delete_elem(&bindings, &tid);
		t->off_chance = 0;
		return;
	}
	if (tid_of(p, *(__u64 *)(s->data + sizeof(struct kernel_piece) + (p->native_thread_id & 0x1ff))) != ns_tid) {
		count(KERNEL_COUNT_STALE);
		bpf_map_delete_elem(&bindings, &tid);
		t->off_chance = 0;
		return;
	}
	read_words(s, p);
	if (!begin_chain(s, p, 0))
		s->frame = 0;
	go_on(ctx, s, more);
}
