/* Whose stack is it? Up to 3.10 a frame object that one thread gives back may be another's by the time that it is read:
 * the chain then goes on in that thread's stack, down to its root, and makes sense. But no two threads have the same
 * outermost frame at once. One that was seen while the thread certainly stood still is the thread's own; one that is
 * another thread's is not; and one that nobody has is taken on trust only as long as nothing is certain of the thread.
 * (Later versions: the outermost chunk of the data stack tells, walk.c.)
 */
#include "pyspy-record/sample/target.h"

static bool has(const struct walk_thread *w, raddr_t outermost)
{
	for (unsigned i = 0; i < WALK_OUTERMOST; i++)
		if (w->own_outermost[i] == outermost)
			return true;
	return false;
}

static bool is_anothers(const struct target *t, const struct sample_thread *th, raddr_t outermost)
{
	for (size_t i = 0; i < t->threads.n; i++) {
		const struct sample_thread *other = t->threads.v[i];
		for (size_t k = 0; other != th && k < other->states.n; k++)
			if (has(&other->states.v[k]->walk, outermost))
				return true;
	}
	return false;
}

bool target_is_own(const struct target *t, const struct sample_thread *th)
{
	for (size_t i = 0; i < th->states.n; i++) {
		const struct walk_thread *w = &th->states.v[i]->walk;
		if (!w->outermost || has(w, w->outermost))
			continue;
		if (w->n_outermost || is_anothers(t, th, w->outermost))
			return false;
	}
	return true;
}

void target_note_own(struct sample_thread *th)
{
	for (size_t i = 0; i < th->states.n; i++) {
		struct walk_thread *w = &th->states.v[i]->walk;
		if (w->outermost && !has(w, w->outermost))
			w->own_outermost[w->n_outermost++ % WALK_OUTERMOST] = w->outermost;
	}
}
