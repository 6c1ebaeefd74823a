/* Whose stack is it? Up to 3.10 a frame object that one thread gives back may be another's by the time that it is read:
 * the chain then goes on in that thread's stack, down to its root, and makes sense. But no two threads have the same
 * outermost frame at once. One that was seen while the thread certainly stood still is the thread's own; one that is
 * another thread's is not; and one that nobody has is taken on trust only as long as nothing is certain of the thread,
 * and when several looks in a row met it: where stacks are deep and the machine is busy, one first look in seven was
 * wrong.
 * Later versions: the outermost chunk of the data stack tells, and stays the same (walk.c); what makes the first one
 * trusted is here.
 */
#include "pyspy-record/sample/target.h"

enum { OUTERMOST_LOOKS = 4 };

static bool has(const struct walk_thread *w, raddr_t outermost)
{
	for (unsigned i = 0; i < WALK_OUTERMOST; i++)
		if (w->own_outermost[i] == outermost)
			return true;
	return false;
}

/* Has another thread this outermost frame, or outermost chunk? Certainly, or when it was looked at last. */
static bool is_anothers(const struct target *t, const struct sample_thread *th, const struct walk_thread *mine)
{
	for (size_t i = 0; i < t->threads.n; i++) {
		const struct sample_thread *other = t->threads.v[i];
		for (size_t k = 0; other != th && k < other->states.n; k++) {
			const struct walk_thread *w = &other->states.v[k]->walk;
			if (mine->outermost && (w->outermost == mine->outermost || has(w, mine->outermost)))
				return true;
			if (mine->root && w->root == mine->root)
				return true;
		}
	}
	return false;
}

static bool is_own_outermost(const struct target *t, const struct sample_thread *th, struct walk_thread *w)
{
	if (!w->outermost || has(w, w->outermost))
		return true;
	w->met_looks = w->outermost == w->met_outermost ? w->met_looks + 1 : 1;
	w->met_outermost = w->outermost;
	return w->met_looks >= OUTERMOST_LOOKS && !w->n_outermost && !is_anothers(t, th, w);
}

static bool is_own_root(const struct target *t, const struct sample_thread *th, struct walk_thread *w)
{
	if (!w->root || w->root_is_certain)
		return true;
	if (w->root_looks == WALK_ROOT_LOOKS && is_anothers(t, th, w))
		w->root_looks = 1; /* so that another one may take its place */
	return w->root_looks == WALK_ROOT_LOOKS;
}

bool target_is_own(const struct target *t, struct sample_thread *th)
{
	bool is_own = true;
	if (t->threads.n < 2) /* whose else? */
		return true;
	for (size_t i = 0; i < th->states.n; i++) {
		struct walk_thread *w = &th->states.v[i]->walk;
		is_own &= is_own_root(t, th, w) && is_own_outermost(t, th, w);
	}
	return is_own;
}

void target_note_own(struct sample_thread *th)
{
	for (size_t i = 0; i < th->states.n; i++) {
		struct walk_thread *w = &th->states.v[i]->walk;
		if (w->outermost && !has(w, w->outermost))
			w->own_outermost[w->n_outermost++ % WALK_OUTERMOST] = w->outermost;
		if (w->root) {
			w->root_looks = WALK_ROOT_LOOKS;
			w->root_is_certain = true;
		}
	}
}
