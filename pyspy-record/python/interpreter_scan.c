/* Finding what no symbol names: words of the writable segments that can only be what we look for. */
#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-record/python/interpreter_parts.h"
#include "pyspy-record/python/object.h"

enum {
	HITS_MAX = 64,
	BATCH = 512,
	INTERPRETERS_MAX = 4096,
	NEAR = 64,      /* bytes between variables of one source file that belong together */
	GIL_NEAR = 256, /* the same of ceval.c: the GIL's mutexes and conditions around gil_last_holder */
	RUNTIME_MAIN = 8,
	RUNTIME_NEXT_ID = 16, /* behind interpreters.head, 3.7 to 3.12 (pycore_runtime.h) */
};
#define INTERPRETER_IDS_MAX (UINT64_C(1) << 40)

struct hit {
	raddr_t at, interp;
};
struct hits {
	struct search *s;
	const struct layout *l;
	struct hit v[HITS_MAX];
	size_t n;
	struct hit batch[BATCH];
	size_t n_batch;
};

/* A word at each address; a word that cannot be read is 0. */
static void read_words(struct reader *r, const raddr_t *at, uint64_t *out, size_t n)
{
	struct iovec local[BATCH], remote[BATCH];
	memset(out, 0, n * sizeof *out);
	for (size_t i = 0; i < n; i++) {
		local[i] = (struct iovec){.iov_base = &out[i], .iov_len = 8};
		remote[i] = (struct iovec){.iov_base = (void *)(uintptr_t)at[i], .iov_len = 8};
	}
	for (size_t done = 0; done < n;) {
		ssize_t got = r->readv(r, local + done, remote + done, n - done);
		r->calls++;
		done += got > 0 ? (size_t)got / 8 : 0;
		if (done < n)
			out[done++] = 0;
	}
}

/* Is it an interpreter? Its newest thread state says that it belongs to it, and its modules are in a dict. */
static bool is_interpreter(const struct hits *h, raddr_t interp)
{
	uint64_t tstate, back, modules;
	struct reader *r = h->s->r;
	return maps_is_data(&h->s->maps, interp) && reader_word(r, interp + h->l->interp.threads_head, &tstate) == 0 &&
	       maps_is_data(&h->s->maps, tstate) && reader_word(r, tstate + h->l->tstate.interp, &back) == 0 &&
	       back == interp && reader_word(r, interp + h->l->interp.modules, &modules) == 0 &&
	       object_type_may_be(r, h->l, modules, "dict") == 1;
}

/* The words of the batch that point to something whose thread states point back. */
static void look_at_batch(struct hits *h)
{
	raddr_t at[BATCH];
	uint64_t tstates[BATCH], back[BATCH];
	size_t n = 0;
	for (size_t i = 0; i < h->n_batch; i++)
		at[i] = h->batch[i].interp + h->l->interp.threads_head;
	read_words(h->s->r, at, tstates, h->n_batch);
	for (size_t i = 0; i < h->n_batch; i++)
		if (tstates[i] && maps_is_data(&h->s->maps, tstates[i])) {
			at[n] = tstates[i] + h->l->tstate.interp;
			h->batch[n++] = h->batch[i];
		}
	read_words(h->s->r, at, back, n);
	for (size_t i = 0; i < n && h->n < HITS_MAX; i++)
		if (back[i] == h->batch[i].interp && is_interpreter(h, back[i]))
			h->v[h->n++] = h->batch[i];
	h->n_batch = 0;
}

static bool visit(void *ctx, raddr_t at, const char *bytes, size_t n)
{
	struct hits *h = ctx;
	for (size_t i = 0; i + 8 <= n; i += 8) {
		uint64_t p;
		memcpy(&p, bytes + i, sizeof p);
		if (p < 4096 || p >> 47 || !maps_is_data(&h->s->maps, p) ||
		    !maps_is_data(&h->s->maps, p + h->l->interp.threads_head))
			continue;
		h->batch[h->n_batch++] = (struct hit){at + i, p};
		if (h->n_batch == BATCH)
			look_at_batch(h);
	}
	return h->n == HITS_MAX;
}

static struct hits *collect(struct search *s, const struct mapped_object *f, const struct layout *l)
{
	struct hits *h = calloc(1, sizeof *h);
	if (!h)
		return NULL;
	h->s = s;
	h->l = l;
	segments_walk(s->r, f, 0, visit, h);
	look_at_batch(h);
	return h;
}

/* Does the list that begins at `from` lead to `to`? */
static bool leads_to(const struct hits *h, raddr_t from, raddr_t to)
{
	for (int i = 0; i < INTERPRETERS_MAX && from; i++) {
		if (from == to)
			return true;
		if (reader_word(h->s->r, from + h->l->interp.next, &from) < 0)
			return false;
	}
	return false;
}

/* Up to 3.6 pystate.c has interp_head and, from 2.6 on, autoInterpreterState (the first one), side by side: the word
 * that points to the newest interpreter is meant. While there is only one both point to it: then the first of the pair,
 * as compilers lay them out; an embedding program's own copies of the pointer have no such neighbour. */
int scan_heads(struct search *s, const struct mapped_object *f, const struct layout *l, raddr_t *at)
{
	struct hits *h = collect(s, f, l);
	if (!h)
		return ERR_NO_MEMORY;
	const struct hit *best = NULL;
	bool best_has_pair = false;
	for (size_t i = 0; i < h->n; i++) {
		const struct hit *one = &h->v[i];
		bool has_pair =
		    (i + 1 < h->n && h->v[i + 1].at - one->at <= NEAR) || (i > 0 && one->at - h->v[i - 1].at <= NEAR);
		bool is_newer = best && one->interp != best->interp && leads_to(h, one->interp, best->interp);
		bool is_same = best && one->interp == best->interp;
		if (!best || is_newer || (is_same && has_pair && !best_has_pair)) {
			best = one;
			best_has_pair = has_pair;
		}
	}
	*at = best ? best->at : 0;
	free(h);
	return *at ? 0 : ERR_AGAIN;
}

int scan_runtime(struct search *s, const struct mapped_object *f, const struct layout *l, raddr_t *at)
{
	struct hits *h = collect(s, f, l);
	if (!h)
		return ERR_NO_MEMORY;
	*at = 0;
	for (size_t i = 0; i < h->n && !*at; i++) {
		uint64_t main_interp, next_id;
		const struct hit *one = &h->v[i];
		if (one->at < l->runtime.interpreters_head ||
		    reader_word(s->r, one->at + RUNTIME_MAIN, &main_interp) < 0 ||
		    reader_word(s->r, one->at + RUNTIME_NEXT_ID, &next_id) < 0 || next_id < 1 ||
		    next_id > INTERPRETER_IDS_MAX || !is_interpreter(h, main_interp) ||
		    !leads_to(h, one->interp, main_interp))
			continue;
		*at = one->at - l->runtime.interpreters_head;
	}
	free(h);
	return *at ? 0 : ERR_AGAIN;
}

struct cookie {
	raddr_t behind, found;
};

static bool visit_cookie(void *ctx, raddr_t at, const char *bytes, size_t n)
{
	struct cookie *c = ctx;
	for (size_t i = 0; i + 8 <= n; i += 8)
		if (at + i > c->behind && memcmp(bytes + i, "xdebugpy", 8) == 0) {
			c->found = at + i;
			return true;
		}
	return false;
}

bool scan_cookie(struct reader *r, const struct mapped_object *f, raddr_t *at)
{
	struct cookie c = {.behind = *at};
	segments_walk(r, f, 0, visit_cookie, &c);
	*at = c.found;
	return c.found != 0;
}

size_t thread_states(struct reader *r, const struct interpreter *in, raddr_t *at, size_t most)
{
	uint64_t interp, tstate;
	size_t n = 0;
	if (reader_word(r, in->heads, &interp) < 0)
		return 0;
	for (int i = 0; i < INTERPRETERS_MAX && interp && n < most; i++) {
		if (reader_word(r, interp + in->layout.interp.threads_head, &tstate) < 0)
			break;
		while (tstate && n < most) {
			at[n++] = tstate;
			if (reader_word(r, tstate + in->layout.tstate.next, &tstate) < 0)
				break;
		}
		if (reader_word(r, interp + in->layout.interp.next, &interp) < 0)
			break;
	}
	return n;
}

struct thread_words {
	raddr_t states[THREAD_STATES_MAX];
	size_t n_states;
	raddr_t *at;
	size_t n, most;
};

static bool visit_thread_words(void *ctx, raddr_t at, const char *bytes, size_t n)
{
	struct thread_words *w = ctx;
	for (size_t i = 0; i + 8 <= n && w->n < w->most; i += 8) {
		uint64_t p;
		memcpy(&p, bytes + i, sizeof p);
		for (size_t k = 0; p && k < w->n_states; k++)
			if (p == w->states[k]) {
				w->at[w->n++] = at + i;
				break;
			}
	}
	return w->n == w->most;
}

size_t scan_thread_words(struct reader *r, const struct mapped_object *f, const struct interpreter *in, raddr_t *at,
                         size_t most)
{
	struct thread_words w = {.at = at, .most = most};
	w.n_states = thread_states(r, in, w.states, THREAD_STATES_MAX);
	if (w.n_states)
		segments_walk(r, f, 0, visit_thread_words, &w);
	return w.n;
}

/* Which of the words is _PyThreadState_Current? It lies beside interp_head (pystate.c); failing that (link-time
 * optimisation), it is the one that is NULL at times: gil_last_holder, once set, never is. 2.x has no other. */
static raddr_t tell_current(struct reader *r, const struct interpreter *in)
{
	uint64_t value;
	for (uint32_t i = 0; i < in->more.n_words; i++) {
		raddr_t at = in->more.words[i];
		if ((at > in->heads ? at - in->heads : in->heads - at) <= NEAR)
			return at;
	}
	for (uint32_t i = 0; i < in->more.n_words; i++)
		if (reader_word(r, in->more.words[i], &value) == 0 && value == 0)
			return in->more.words[i];
	return in->layout.is_python2 && in->more.n_words == 1 ? in->more.words[0] : 0;
}

void scan_settle(struct reader *r, const struct mapped_object *f, struct interpreter *in)
{
	raddr_t now[INTERPRETER_WORDS];
	size_t n = scan_thread_words(r, f, in, now, INTERPRETER_WORDS);
	for (size_t i = 0; i < n; i++) {
		bool known = false;
		for (uint32_t k = 0; k < in->more.n_words; k++)
			known |= in->more.words[k] == now[i];
		if (!known && in->more.n_words < INTERPRETER_WORDS)
			in->more.words[in->more.n_words++] = now[i];
	}
	if (in->more.wants_current) {
		raddr_t current = tell_current(r, in);
		if (current) {
			in->current = current;
			in->more.wants_current = false;
		}
	}
	/* 3.2 to 3.6: the GIL is static and lies around gil_last_holder. 2.x: a lock behind one of several static
	 * pointers to locks: no word tells which. */
	if (in->more.wants_gil && !in->layout.is_python2 && !in->more.wants_current)
		for (uint32_t i = 0; i < in->more.n_words; i++) {
			raddr_t at = in->more.words[i];
			uint64_t value;
			if (at == in->current || reader_word(r, at, &value) < 0 || value == 0)
				continue;
			in->gil = at - GIL_NEAR;
			in->gil_bytes = 2 * GIL_NEAR;
			in->more.wants_gil = false;
			break;
		}
}
