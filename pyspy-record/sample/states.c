/* Threads that are inside several interpreters: whose a thread state is, and one stack out of all of a thread's states.
 *
 * All frames of a thread, of whatever interpreter, were called by C code on the one C stack that it has. So what lies
 * further down there is further in:
 * - 3.12 and later: each call of the evaluator has an entry frame on the C stack. They cut the chain of a state into
 *   parts, and parts of several states follow each other by address. (3.15's base frame lies in the thread state; it
 *   has no frames of its own.)
 * - 3.10, 3.11: a state points to the innermost call's cframe, on the C stack: whole states follow each other.
 * - Up to 3.9 nothing of a state is on the C stack, but the evaluator's calls have their frame objects' addresses
 *   there: the place of a state's outermost one is searched for (stacks.c). Where it is not found (a sample of the
 *   kernel's that was over when it was looked at), or was another call's (the state that runs would not be the
 *   innermost), the state that runs is the innermost, and the others follow each other by the age of their
 *   interpreters.
 *
 * A thread state names the thread that made it. Up to 3.12 _xxsubinterpreters runs code in a state that create() left
 * behind, whichever thread calls it: it is the C stack again that tells whose it is. A thread's descriptor (its
 * pthread_t) lies at the upper end of its stack, but for the main thread, whose stack is above all others.
 */
#include "libcommon/err.h"
#include "pyspy-record/sample/target.h"

enum { THREAD_STATE_BYTES = 4096 }; /* no thread state is larger (3.15: 1 KB) */

bool target_is_empty(const struct target *t, raddr_t tstate, raddr_t root)
{
	/* the root cframe, and the base frame of 3.15, are parts of the thread state */
	return !root || (t->interpreter.layout.frame_root != LAYOUT_ROOT_FRAME && root - tstate < THREAD_STATE_BYTES);
}

raddr_t target_place(const struct target *t, raddr_t tstate, const unsigned char *image)
{
	uint32_t at = t->interpreter.layout.tstate.cframe;
	raddr_t place = at ? walk_u64(image, at) : 0;
	return place - tstate < THREAD_STATE_BYTES ? 0 : place;
}

uint64_t target_stack_owner(const struct target *t, raddr_t place)
{
	uint64_t above = 0, main = 0;
	for (size_t i = 0; i < t->threads.n; i++) {
		const struct sample_thread *th = t->threads.v[i];
		if (th->thread_flags & WIRE_THREAD_MAIN)
			main = th->pthread;
		if (th->pthread > place && (!above || th->pthread < above))
			above = th->pthread;
	}
	return above ? above : main;
}

bool target_states_moved(const struct target *t)
{
	const struct layout *l = &t->interpreter.layout;
	for (size_t i = 0; i < t->watched.n; i++) {
		const struct watched_state *s = &t->watched.v[i];
		if (target_is_empty(t, s->tstate, s->root))
			continue;
		if (s->was_empty ||
		    (l->frame_root == LAYOUT_ROOT_CFRAME && target_stack_owner(t, s->root) != s->pthread))
			return true;
	}
	return false;
}

/* --- one stack */

void target_join_begin(struct target *t, raddr_t running)
{
	t->join.running = running;
	t->join.frames.n = t->join.parts.n = t->join.states.n = 0;
	t->walk.wants_entries = true;
}

/* The state that runs; of one that is off its CPU, the one that ran last. */
static raddr_t running(const struct target *t)
{
	return t->join.running ? t->join.running : t->words.gil_current;
}

/* Up to 3.9: what stands for a place that is not known. Lower than all that are. */
static uint64_t rank(const struct target *t, const struct sample_top *top)
{
	/* the newest interpreter is the first of the list */
	return running(t) == top->tstate ? 0 : 1 + (uint64_t)top->interp;
}

/* On which C stack the state that was just walked is, and where. 0: not known, *pthread stays as it is. */
static raddr_t find_place(struct target *t, const struct sample_top *top, uint64_t *pthread)
{
	raddr_t place = target_place(t, top->tstate, top->image);
	if (t->walk.frames.n == 0 || t->n_interps < 2)
		return 0;
	if (place)
		*pthread = target_stack_owner(t, place);
	else if (t->interpreter.layout.frame_root == LAYOUT_ROOT_FRAME && t->walk.entries.n)
		place = target_frame_place(t, t->walk.entries.v[0].at, pthread);
	return place;
}

static bool add_part(struct join *j, uint64_t place, size_t from, size_t n)
{
	return n == 0 || vec_push(&j->parts, ((struct join_part){place, from, n}));
}

/* The parts of the state just walked, by its entry frames. */
static bool add_parts(struct target *t, const struct sample_top *top, size_t base)
{
	struct join *j = &t->join;
	const struct walk *w = &t->walk;
	size_t first = j->parts.n, done = 0;
	for (size_t i = 0; i < w->entries.n; i++) {
		if (!add_part(j, w->entries.v[i].at, base + done, w->entries.v[i].n_frames - done))
			return false;
		done = w->entries.v[i].n_frames;
	}
	/* what is left is of a call whose entry is missing; else there is nothing left */
	uint64_t place = done ? w->entries.v[w->entries.n - 1].at + 1 : top->tstate == j->running ? 0 : UINT64_MAX;
	if (!done && w->is_cut && t->reader.core) /* the C stack is not there */
		place = rank(t, top);
	if (!add_part(j, place, base + done, w->frames.n - done))
		return false;
	for (size_t i = first + 1; i < j->parts.n; i++)
		if (j->parts.v[i].place <= j->parts.v[i - 1].place) { /* not on one stack: they stay together */
			j->parts.v[first].n = w->frames.n;
			j->parts.n = first + 1;
		}
	return true;
}

int target_join_add(struct target *t, const struct sample_thread *th, const struct sample_top *top, int rc)
{
	struct join *j = &t->join;
	const struct walk *w = &t->walk;
	size_t base = j->frames.n, first = j->parts.n;
	struct join_state s = {.top = *top, .part = first, .is_cut = rc == 0 && w->is_cut};
	if (rc < 0)
		return rc;
	uint64_t pthread = th->pthread;
	raddr_t place = find_place(t, top, &pthread);
	bool is_own = th->states.n && th->states.v[0]->tstate == top->tstate; /* is never lent */
	if (pthread != th->pthread && !is_own) {
		t->census_due = true; /* another thread runs in it */
		return 0;
	}
	if (!vec_room(&j->frames, w->frames.n))
		return ERR_NO_MEMORY;
	for (size_t i = 0; i < w->frames.n; i++)
		j->frames.v[j->frames.n++] = w->frames.v[i];
	bool has_entries = t->interpreter.layout.frame.owner_cstack != UINT8_MAX;
	if (!(has_entries ? add_parts(t, top, base) : add_part(j, place ? place : rank(t, top), base, w->frames.n)))
		return ERR_NO_MEMORY;
	s.end = j->parts.n;
	return vec_push(&j->states, s) ? 0 : ERR_NO_MEMORY;
}

/* The state whose next part is the innermost of those that are left; NULL: none is. */
static struct join_state *next_state(struct join *j)
{
	struct join_state *found = NULL;
	for (size_t i = 0; i < j->states.n; i++) {
		struct join_state *s = &j->states.v[i];
		if (s->part < s->end && (!found || j->parts.v[s->part].place < j->parts.v[found->part].place))
			found = s;
	}
	return found;
}

/* Up to 3.9: a word that was left over on the C stack by an earlier call may look like a place. The state that runs is
 * the innermost one: where places say another thing they are none. */
static void weigh_places(struct target *t)
{
	struct join *j = &t->join;
	size_t runs = j->parts.n;
	bool is_wrong = false;
	for (size_t i = 0; i < j->states.n; i++)
		if (j->states.v[i].part < j->states.v[i].end && j->states.v[i].top.tstate == running(t))
			runs = j->states.v[i].part;
	for (size_t i = 0; i < j->parts.n && runs < j->parts.n; i++)
		is_wrong |= i != runs && j->parts.v[i].place <= j->parts.v[runs].place;
	for (size_t i = 0; i < j->states.n && is_wrong; i++)
		if (j->states.v[i].part < j->states.v[i].end)
			j->parts.v[j->states.v[i].part].place = rank(t, &j->states.v[i].top);
}

int target_join_end(struct target *t, struct sample_thread *th)
{
	struct join *j = &t->join;
	struct walk *w = &t->walk;
	struct join_state *s;
	if (!t->interpreter.layout.tstate.cframe && t->interpreter.layout.frame_root == LAYOUT_ROOT_FRAME)
		weigh_places(t);
	w->wants_entries = false;
	w->is_cut = false;
	w->frames.n = 0;
	if (j->states.n == 0)
		return ERR_TORN;
	th->top = j->states.v[0].top;
	if (!vec_room(&w->frames, j->frames.n))
		return ERR_NO_MEMORY;
	while ((s = next_state(j)) && !w->is_cut) {
		const struct join_part *part = &j->parts.v[s->part++];
		if (w->frames.n == 0)
			th->top = s->top;
		th->top.is_joined |= s->top.interp != th->top.interp;
		for (size_t i = 0; i < part->n; i++)
			w->frames.v[w->frames.n++] = j->frames.v[part->from + i];
		/* what is missing there lies between these frames and all that are further out */
		w->is_cut = s->is_cut && s->part == s->end;
	}
	return 0;
}

int target_walk(struct target *t, struct sample_thread *th)
{
	struct sample_state *first = th->states.v[0];
	int rc = 0;
	th->top = (struct sample_top){first->tstate, first->interp, first->walk.image, false};
	if (th->states.n == 1)
		return walk_frames(&t->walk, &first->walk);
	target_join_begin(t, 0);
	for (size_t i = 0; i < th->states.n && rc == 0; i++) {
		struct sample_state *s = th->states.v[i];
		if (s->is_gone)
			continue;
		rc = walk_frames(&t->walk, &s->walk);
		rc = target_join_add(t, th, &(struct sample_top){s->tstate, s->interp, s->walk.image, false}, rc);
	}
	int joined = target_join_end(t, th);
	return rc < 0 ? rc : joined;
}
