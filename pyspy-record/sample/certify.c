/* Stops that certify stacks, and never are samples: a stop is no random instant, it comes to rest in system calls. */
#include "pyspy-record/sample/stop.h"
#include "pyspy-record/sample/target.h"

enum { WAIT_NS = 10 * 1000 * 1000 };

struct sample_thread *target_wants_stop(struct target *t, uint64_t draw)
{
	size_t n = 0;
	if (!t->may_stop || t->stops->n_pending)
		return NULL;
	for (size_t i = 0; i < t->threads.n; i++)
		n += t->threads.v[i]->wants_certificate && t->threads.v[i]->look != LOOK_GONE;
	if (n == 0)
		return NULL;
	draw %= n;
	for (size_t i = 0; i < t->threads.n; i++) {
		struct sample_thread *th = t->threads.v[i];
		if (th->wants_certificate && th->look != LOOK_GONE && draw-- == 0)
			return th;
	}
	return NULL;
}

void target_stop(struct target *t, struct writer *w, struct sample_thread *th)
{
	node_id node;
	bool unproved;
	int rc;
	if (target_take_still(t, w, th, &node) || th->look != LOOK_READ || th->blocked || th->held || th->beside ||
	    !stops_begin(t->stops))
		return; /* a thread seen sleeping is never sent a stop */
	bool stood = stops_one(t->stops, t, th, WAIT_NS, &rc);
	stops_end(t->stops);
	th->stop_run = th->run;
	if (!stood || rc < 0)
		return;
	target_note_own(th);
	/* the names of new code objects are read with the thread running again: what they prove is weighed as for any
	 * sample */
	if (target_resolve(t, th, &node, &unproved) == 0 && !unproved) {
		target_note_end(t, th);
		th->wants_certificate = trie_certify(&t->trie, w, node); /* where one stack was new, others are */
	}
}
