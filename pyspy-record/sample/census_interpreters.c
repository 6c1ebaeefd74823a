/* Which interpreters a process has. */
#include <string.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/log.h"
#include "pyspy-record/sample/target.h"

/* Too many interpreters to look at all of them: said once, and whenever there are more. */
static void tell_unseen(struct target *t, struct writer *w, size_t n)
{
	if (n > t->interps_unseen) {
		uint64_t now = clock_boot_ns();
		log_info("pid %d: %zu interpreters, of which %d are looked at: what runs in the others is not seen",
		         (int)t->facts.pid, n + TARGET_INTERPRETERS_MAX, (int)TARGET_INTERPRETERS_MAX);
		writer_lost(
		    w, &(struct rec_lost){
		           .begin_ns = now, .end_ns = now, .cause = WIRE_LOST_LIMIT, .count = n - t->interps_unseen});
	}
	t->interps_unseen = n;
}

static int see_interpreter(struct target *t, raddr_t at, struct sample_interp *in, raddr_t *next)
{
	const struct layout *l = &t->interpreter.layout;
	uint32_t own = 0;
	*in = (struct sample_interp){.at = at};
	if (l->interp.id)
		TRY(reader_word(&t->reader, at + l->interp.id, &in->number));
	TRY(reader_word(&t->reader, at + l->interp.next, next));
	if (l->interp.gil)
		TRY(reader_word(&t->reader, at + l->interp.gil, &in->gil));
	if (l->interp.own_gil)
		TRY(reader_read(&t->reader, at + l->interp.own_gil, &own, sizeof own));
	in->own_gil = own != 0;
	return 0;
}

int target_census_interpreters(struct target *t, struct writer *w)
{
	const struct layout *l = &t->interpreter.layout;
	struct sample_interp found[TARGET_INTERPRETERS_MAX];
	size_t all = 0;
	raddr_t at;
	TRY(reader_word(&t->reader, t->interpreter.heads, &at));
	t->interpreters_head = at;
	for (; at && all < TARGET_INTERPRETERS_SEEN; all++)
		TRY(see_interpreter(t, at, &found[all < TARGET_INTERPRETERS_MAX ? all : TARGET_INTERPRETERS_MAX - 1],
		                    &at));
	size_t n = all < TARGET_INTERPRETERS_MAX ? all : TARGET_INTERPRETERS_MAX;
	if (n == 0)
		return ERR_AGAIN;
	tell_unseen(t, w, all - n);
	for (size_t i = 0; i < n && !l->interp.id; i++) /* up to 3.6 they have no numbers; the main one is the oldest */
		found[i].number = n - 1 - i;
	bool same = n == t->n_interps;
	for (size_t i = 0; i < n && same; i++)
		same = found[i].at == t->interps[i].at && found[i].number == t->interps[i].number;
	if (same) {
		for (size_t i = 0; i < n; i++)
			t->interps[i].gil = found[i].gil;
		return 0;
	}
	if (n > 1 && !t->codes.has_words) {
		target_forget(t);
		codes_by_words(&t->codes);
	}
	if (t->n_interps)
		t->interps_changed_ns = clock_mono_ns();
	memcpy(t->interps, found, n * sizeof *found);
	t->n_interps = n;
	for (size_t i = 0; i < n && n > 1; i++)
		writer_interpreter(w, t->id, (uint32_t)found[i].number,
		                   (found[i].number == 0 ? WIRE_INTERPRETER_MAIN : 0) |
		                       (found[i].own_gil ? WIRE_INTERPRETER_OWN_GIL : 0));
	/* states that stay get the new index of their interpreter in give_state; the others end */
	for (size_t i = 0; i < t->threads.n; i++) {
		t->threads.v[i]->top.interp = 0;
		for (size_t k = 0; k < t->threads.v[i]->states.n; k++)
			t->threads.v[i]->states.v[k]->interp = 0;
	}
	return 0;
}
