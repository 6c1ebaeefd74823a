/* The words of the interpreters that each look at the process needs beside the stacks: who has the GIL, who is there,
 * what was made. Each piece of a read costs about what a thousand bytes do, so those that lie near each other come over
 * together with what is between them.
 */
#include <string.h>

#include "pyspy-record/sample/target.h"

enum { NEAR = 768, SPAN_MAX = 2048 };

/* Words of one struct of the target's: all between two of them can be read. */
struct words_row {
	struct {
		raddr_t at;
		void *to;
		size_t n;
	} words[WORDS_ROW];
	size_t n;
};

static void row_add(struct words_row *r, raddr_t at, void *to, size_t n)
{
	size_t i = r->n++;
	for (; i > 0 && r->words[i - 1].at > at; i--)
		r->words[i] = r->words[i - 1];
	r->words[i].at = at;
	r->words[i].to = to;
	r->words[i].n = n;
}

/* So many of the words from `first` on are read as one. */
static size_t span_of(const struct words_row *r, size_t first)
{
	size_t i = first + 1;
	while (i < r->n && r->words[i].at - (r->words[i - 1].at + r->words[i - 1].n) <= NEAR &&
	       r->words[i].at + r->words[i].n - r->words[first].at <= SPAN_MAX)
		i++;
	return i - first;
}

static void row_plan(struct target *t, const struct words_row *r)
{
	struct words *w = &t->word_spans;
	for (size_t i = 0, n; i < r->n; i += n) {
		n = span_of(r, i);
		raddr_t from = r->words[i].at;
		size_t bytes = (size_t)(r->words[i + n - 1].at + r->words[i + n - 1].n - from);
		if (n == 1 || w->n_bytes + bytes > sizeof w->bytes || w->n_copies + n > WORDS_COPIES) {
			n = 1;
			reader_batch_add(&t->batch, from, r->words[i].to, r->words[i].n);
			continue;
		}
		reader_batch_add(&t->batch, from, w->bytes + w->n_bytes, bytes);
		for (size_t k = i; k < i + n; k++)
			w->copies[w->n_copies++] = (struct words_copy){
			    r->words[k].to, w->n_bytes + (size_t)(r->words[k].at - from), r->words[k].n};
		w->n_bytes += bytes;
	}
}

static void plan_interpreter(struct target *t, struct sample_interp *in)
{
	const struct layout *l = &t->interpreter.layout;
	struct words_row mine = {0}, runtime = {0};
	raddr_t gc = target_gc(t, in), generation = target_generation(t, in);
	row_add(&mine, in->at + l->interp.threads_head, &in->words.threads_head, 8);
	if (in->gil && in->gil > in->at && in->gil - in->at < WORDS_STRUCT)
		row_add(&mine, in->gil + l->gil.last_holder, &in->words.gil, 12);
	else if (in->gil)
		row_add(&runtime, in->gil + l->gil.last_holder, &in->words.gil, 12);
	if (gc)
		row_add(l->interp.gc_collecting ? &mine : &runtime, gc, &in->words.gc, 4);
	if (generation)
		row_add(&mine, generation, &in->words.generation_before, 4);
	row_plan(t, &mine);
	for (size_t i = 0; i < runtime.n; i++)
		reader_batch_add(&t->batch, runtime.words[i].at, runtime.words[i].to, runtime.words[i].n);
	if (in->gil && layout_is_freethreaded(l))
		reader_batch_add(&t->batch, in->gil + l->gil.enabled, &in->words.gil_enabled, 4);
}

void spans_plan(struct target *t)
{
	struct words_row runtime = {0};
	t->word_spans.n_bytes = t->word_spans.n_copies = 0;
	row_add(&runtime, t->interpreter.heads, &t->words.interpreters_head, 8);
	if (t->interpreter.current && t->interpreter.runtime) /* else they are variables of their own */
		row_add(&runtime, t->interpreter.current, &t->words.gil_current, 8);
	row_plan(t, &runtime);
	if (t->interpreter.current && !t->interpreter.runtime)
		reader_batch_add(&t->batch, t->interpreter.current, &t->words.gil_current, 8);
	for (size_t i = 0; i < t->n_interps; i++)
		plan_interpreter(t, &t->interps[i]);
	for (size_t i = 0; i < t->watched.n; i++)
		reader_batch_add(&t->batch, t->watched.v[i].tstate + t->interpreter.layout.tstate.frame_root,
		                 &t->watched.v[i].root, 8);
}

void spans_plan_after(struct target *t)
{
	for (size_t i = 0; i < t->n_interps; i++) {
		raddr_t generation = target_generation(t, &t->interps[i]);
		if (generation)
			reader_batch_add(&t->batch, generation, &t->interps[i].words.generation_after, 4);
	}
}

void spans_take(struct target *t)
{
	const struct words *w = &t->word_spans;
	for (size_t i = 0; i < w->n_copies; i++)
		memcpy(w->copies[i].to, w->bytes + w->copies[i].from, w->copies[i].n);
}
