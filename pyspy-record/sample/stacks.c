/* Up to 3.9: on which thread's C stack is a frame object run?
 *
 * A thread state says nothing of that, and a frame object neither. But the call of the evaluator that runs a frame has
 * its address in a register, which is saved on the stack by what it calls, or on the stack itself. So the stacks are
 * searched for that word, from their upper ends down; what is found is remembered, and is true for as long as the word
 * stands there. Below a stack pointer lies what earlier calls have left: it is not looked at where the thread sleeps,
 * whose stack pointer is to be had; of one that runs it is, so the place that is highest counts.
 */
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-record/sample/target.h"
#include "pyspy-record/target/source.h"

enum {
	SEARCH_BYTES = 2 << 20, /* of a stack */
	SEARCH_STEP = 16 << 10,
	SEARCH_THREADS = 256,
	PLACES_MAX = 512,
};

/* The highest place of `word` between `low` and `end`; 0 = there is none. */
static raddr_t search(struct target *t, raddr_t low, raddr_t end, uint64_t word)
{
	static uint64_t bytes[SEARCH_STEP / 8];
	raddr_t at = end & ~(raddr_t)7;
	if (low < at - SEARCH_BYTES)
		low = at - SEARCH_BYTES;
	while (at > low) {
		size_t n = at - low < SEARCH_STEP ? at - low : SEARCH_STEP;
		if ((at - n) % SEARCH_STEP && n == SEARCH_STEP)
			n = at % SEARCH_STEP; /* from here on whole pages */
		if (reader_read(&t->reader, at - n, bytes, n) < 0)
			return 0;
		at -= n;
		for (size_t i = n / 8; i-- > 0;)
			if (bytes[i] == word)
				return at + 8 * i;
	}
	return 0;
}

static raddr_t search_thread(struct target *t, const struct sample_thread *th, raddr_t main_end, uint64_t word)
{
	raddr_t end = th->thread_flags & WIRE_THREAD_MAIN ? main_end : th->pthread;
	raddr_t low = source_stack_pointer(t->reader.core, t->facts.pid, th->tid);
	if (end < SEARCH_BYTES || low > end)
		return 0;
	return search(t, (low ? low : end - SEARCH_BYTES) & ~(raddr_t)7, end, word);
}

static struct frame_place *find_place(struct target *t, raddr_t frame)
{
	for (size_t i = 0; i < t->places.n; i++)
		if (t->places.v[i].frame == frame)
			return &t->places.v[i];
	return NULL;
}

raddr_t target_frame_place(struct target *t, raddr_t frame, uint64_t *pthread)
{
	struct frame_place *p = find_place(t, frame);
	struct frame_place found = {.frame = frame};
	uint64_t word;
	if (p && (t->sampled_ns || (reader_word(&t->reader, p->place, &word) == 0 && word == frame))) {
		*pthread = p->pthread;
		return p->place;
	}
	raddr_t main_end = source_stack_end(t->reader.core, t->facts.pid);
	for (size_t i = 0; i < t->threads.n && i < SEARCH_THREADS && !found.place; i++) {
		const struct sample_thread *th = t->threads.v[i];
		found.place = search_thread(t, th, main_end, frame);
		found.pthread = th->pthread;
	}
	if (!found.place)
		return 0;
	if (p)
		*p = found;
	else if (t->places.n < PLACES_MAX)
		vec_push(&t->places, found);
	else
		t->places.v[frame / 16 % PLACES_MAX] = found;
	*pthread = found.pthread;
	return found.place;
}
