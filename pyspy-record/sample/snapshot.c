#include "pyspy-record/sample/snapshot.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-record/sample/gil.h"
#include "pyspy-record/target/corefile.h"

enum {
	TRIES_STOPPING = 60,
	TRIES_LOOKING = 30, /* without stops: until nobody is seen to run */
	TRIES_HOLDER = 20,  /* until the one who stands has the GIL still */
	TRIES_CENSUS = 20,
	TRIES_CORE = 32,  /* a look follows so many frames outside of the data stack, the next one so many more */
	TRIES_VISIT = 40, /* until those who ran in a visit do not any more */
	VISITS_MAX = 6,   /* that somebody ran in */
	CENSUS_GAP_NS = 500 * 1000,
	STOPS_MAX = 24, /* threads at once */
	WAIT_NS = 20 * 1000 * 1000,
	STAND_NS = 5 * 1000 * 1000, /* that they stand, at most: what is left then is read of what runs again */
};

struct taking {
	struct target *t;
	struct writer *w;
	struct stops *stops;
	struct snapshot *s;
	struct snapshot_looks looks;
	bool is_prepared;
	struct sample_thread *stop[STOPS_MAX]; /* to be stopped in this try */
	size_t n_stop, n_stopped;
	struct sample_thread *wanted[STOPS_MAX]; /* in the next one */
	size_t n_wanted;
	uint64_t until_ns;
	unsigned visits;
	size_t n_frames; /* of a core: as of the look before */
	bool is_open;    /* nobody had a GIL that decides */
	bool is_last;    /* take what is there */
};

static bool is_stopped(const struct taking *k, const struct sample_thread *th)
{
	for (size_t i = 0; i < k->n_stopped; i++)
		if (k->stop[i] == th)
			return true;
	return false;
}

static void want(struct taking *k, struct sample_thread *th)
{
	for (size_t i = 0; i < k->n_wanted; i++)
		if (k->wanted[i] == th)
			return;
	if (k->n_wanted < STOPS_MAX)
		k->wanted[k->n_wanted++] = th;
}

/* The GIL that this thread must have to change its stack; 0 = there is none. */
static raddr_t gil_of(const struct target *t, uint32_t interp)
{
	if (layout_is_freethreaded(&t->interpreter.layout) && t->interps[interp].words.gil_enabled == 0)
		return 0;
	if (t->interpreter.layout.gil_kind == LAYOUT_GIL_CURRENT)
		return t->interpreter.current;
	return t->interps[interp].gil;
}

/* Each GIL that the thread may take is held by somebody who stands for us. */
static bool is_frozen(const struct taking *k, const struct sample_thread *th)
{
	const struct target *t = k->t;
	for (size_t i = 0; i < th->states.n; i++) {
		raddr_t gil = gil_of(t, th->states.v[i]->interp);
		bool held = false;
		for (size_t j = 0; j < k->n_stopped && gil && !held; j++) {
			const struct sample_thread *holder = k->stop[j];
			for (size_t n = 0; n < holder->states.n && !held; n++) {
				const struct sample_state *s = holder->states.v[n];
				held = !s->is_gone && gil_of(t, s->interp) == gil &&
				       gil_is_held(t, s->tstate, s->interp, s->walk.image);
			}
		}
		if (!held)
			return false;
	}
	return true;
}

/* In a core nobody runs any more; what a thread did is in its registers. */
static void look_at_core(const struct corefile *core, struct snapshot_thread *st)
{
	struct sample_thread *th = st->thread;
	const struct corefile_thread *seen = corefile_thread(core, th->tid);
	th->look = LOOK_READ;
	th->held = th->beside = false;
	st->has_crashed = core->signal && core->first_tid == th->tid && seen;
	th->blocked = seen && seen->syscall >= 0 && !st->has_crashed;
	if (th->blocked)
		th->block = (struct taskstate_block){.number = seen->syscall, .args = {seen->arg}};
	st->state = !seen ? 0 : th->blocked ? 'S' : 'R';
}

static void look(struct taking *k, struct snapshot_thread *st)
{
	struct sample_thread *th = st->thread;
	th->asleep = false;
	if (k->t->reader.core) {
		look_at_core(k->t->reader.core, st);
		return;
	}
	if (!is_stopped(k, th)) {
		th->wants_certificate = true; /* it may wait for our CPU: worth a look */
		target_look(k->t, th);
		st->state = taskstate_letter(&th->task);
		return;
	}
	st->state = 'R'; /* it would run, were it not for us */
	th->look = taskstate_run(&th->task, &th->run) < 0 ? LOOK_GONE : LOOK_READ;
	th->blocked = th->held = th->beside = false;
}

/* The frames of the node that was just resolved, innermost first. */
static int add_frames(struct taking *k, struct snapshot_thread *st)
{
	struct target *t = k->t;
	const struct sample_thread *th = st->thread;
	for (size_t i = th->path.n; i-- > 0;) {
		const struct path_step *step = &th->path.v[i];
		if (step->node == (i ? th->path.v[i - 1].node : 0)) /* not complete: it is being set up */
			continue;
		struct snapshot_frame f = {.code = step->code, .frame = t->walk.frames.v[th->path.n - 1 - i]};
		codes_place(&t->codes, codes_at(&t->codes, step->code), t->trie.nodes.v[step->node].instr, &f.place);
		if (!vec_push(&k->s->frames, f))
			return ERR_NO_MEMORY;
		st->n++;
	}
	return 0;
}

/* A torn stack shows what was seen from the innermost frame on only if that stood still; nothing can be said of the
 * rest. */
static int take_thread(struct taking *k, struct snapshot_thread *st)
{
	struct target *t = k->t;
	struct sample_thread *th = st->thread;
	node_id node;
	bool unproved = false;
	st->first = k->s->frames.n;
	st->n = 0;
	st->is_torn = st->is_certain = false;
	st->flags = 0;
	if (th->look == LOOK_GONE)
		return 0;
	int rc = target_walk(t, th);
	if (rc == 0) {
		st->is_cut = t->walk.is_cut;
		rc = target_resolve(t, th, &node, &unproved);
	}
	if (rc == ERR_NO_MEMORY || rc == ERR_FULL)
		return rc;
	if (rc == 0)
		TRY(add_frames(k, st));
	st->is_torn = rc < 0;
	st->flags = gil_flags(t, th);
	if (th->blocked)
		st->flags |= target_sleep_flags(t, th) & WIRE_FLAG_GIL_WAIT;
	st->is_certain = rc == 0; /* as long as it stands, its code objects are there */
	for (size_t i = 0; i < th->states.n && t->reader.core; i++) /* what is innermost may be missing */
		st->is_certain &= !th->states.v[i]->is_gone;
	return 0;
}

/* Who has this GIL, as just seen; NULL = nobody. */
static struct sample_thread *holder_of(const struct taking *k, raddr_t gil)
{
	for (size_t i = 0; i < k->s->threads.n; i++) {
		struct sample_thread *th = k->s->threads.v[i].thread;
		if (!(k->s->threads.v[i].flags & WIRE_FLAG_GIL))
			continue;
		for (size_t n = 0; n < th->states.n; n++)
			if (gil_of(k->t, th->states.v[n]->interp) == gil)
				return th;
	}
	return NULL;
}

/* This thread's stack may have changed while it was read: who is to be stopped so that it does not? Whoever holds the
 * GIL that it needs for that, else itself. A GIL that is on its way from one to the other is soon somebody's. */
static void want_for(struct taking *k, struct sample_thread *th)
{
	for (size_t i = 0; i < th->states.n; i++) {
		raddr_t gil = gil_of(k->t, th->states.v[i]->interp);
		struct sample_thread *holder = gil ? holder_of(k, gil) : NULL;
		if (holder && !is_stopped(k, holder))
			want(k, holder);
		else if (!gil || k->s->tries > TRIES_HOLDER)
			want(k, th);
		else
			k->is_open = true;
	}
}

/* Does the thread's stack hold until now? Asked when all were read. */
static void judge(struct taking *k, struct snapshot_thread *st)
{
	struct sample_thread *th = st->thread;
	if (k->t->reader.core || is_stopped(k, th) || th->look == LOOK_GONE || target_still_stands(th) ||
	    is_frozen(k, th))
		return;
	st->is_certain = false;
	want_for(k, th);
}

static bool has_gil(const struct target *t)
{
	return t->n_interps > 0 && gil_of(t, (uint32_t)t->n_interps - 1) != 0;
}

static bool is_held(const struct snapshot *s)
{
	for (size_t i = 0; i < s->threads.n; i++)
		if (s->threads.v[i].flags & WIRE_FLAG_GIL)
			return true;
	return false;
}

/* As judge, but what was certain of the stacks stays so. */
static bool has_moved(struct taking *k)
{
	bool moved = false;
	for (size_t i = 0; i < k->s->threads.n; i++) {
		struct snapshot_thread *st = &k->s->threads.v[i];
		struct sample_thread *th = st->thread;
		if (is_stopped(k, th) || th->look == LOOK_GONE || target_still_stands(th) || is_frozen(k, th))
			continue;
		moved = st->ran_in_visit = true;
		want_for(k, th);
	}
	return moved;
}

/* Who ran in a visit will run in the next one, even if it sleeps now (then it is not stopped: another try comes). */
static bool will_move(struct taking *k)
{
	bool will = false;
	for (size_t i = 0; i < k->s->threads.n; i++) {
		const struct snapshot_thread *st = &k->s->threads.v[i];
		if (!st->ran_in_visit || is_stopped(k, st->thread) || st->thread->look == LOOK_GONE ||
		    is_frozen(k, st->thread))
			continue;
		will = true;
		if (!target_still_stands(st->thread))
			want_for(k, st->thread);
	}
	return will;
}

static int run_visit(struct taking *k)
{
	struct snapshot *s = k->s;
	bool may_again = !k->is_last && !k->t->reader.core;
	if (may_again && s->may_stop && s->tries < TRIES_VISIT && will_move(k))
		return ERR_AGAIN;
	bool is_picky = k->looks.visit(k->looks.ctx, k->t, s, k->until_ns);
	s->is_moved = is_picky && !k->t->reader.core && has_moved(k);
	if (!s->is_moved || !may_again || ++k->visits >= VISITS_MAX)
		return 0;
	return ERR_AGAIN;
}

/* A core stands still: where a stack was cut, does one more look see more of it? */
static bool has_grown(struct taking *k)
{
	const struct snapshot *s = k->s;
	bool is_cut = false, grew = s->frames.n > k->n_frames;
	for (size_t i = 0; i < s->threads.n; i++)
		is_cut |= s->threads.v[i].is_cut;
	k->n_frames = s->frames.n;
	return is_cut && grew;
}

/* Who was to be stopped because of the GIL often comes to rest where it has just let go of it, and waits for it again.
 * Right as that is, it says little of who runs: look again. */
static int read_all(struct taking *k)
{
	struct target *t = k->t;
	struct snapshot *s = k->s;
	t->active.n = 0;
	s->frames.n = 0;
	for (size_t i = 0; i < s->threads.n; i++) {
		look(k, &s->threads.v[i]);
		if (s->threads.v[i].thread->look != LOOK_GONE && !vec_push(&t->active, s->threads.v[i].thread))
			return ERR_NO_MEMORY;
	}
	TRY(target_read(t, t->active.v, t->active.n));
	for (size_t i = 0; i < s->threads.n; i++)
		TRY(take_thread(k, &s->threads.v[i]));
	if (t->reader.core && !k->is_last && has_grown(k))
		return ERR_AGAIN;
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (t->reader.core) /* when it was written, as far as can be told */
		now = (struct timespec){t->reader.core->mtime_s, t->reader.core->mtime_ns};
	s->realtime_ns = (uint64_t)now.tv_sec * CLOCK_NS_PER_S + (uint64_t)now.tv_nsec;
	k->n_wanted = 0;
	k->is_open = false;
	for (size_t i = 0; i < s->threads.n; i++)
		judge(k, &s->threads.v[i]);
	if (target_states_moved(t))
		t->census_due = true;
	if ((k->n_wanted > 0 || k->is_open || t->census_due) && !k->is_last && !t->reader.core)
		return ERR_AGAIN;
	if (k->n_stopped > 0 && k->s->tries <= TRIES_HOLDER && has_gil(t) && !is_held(s)) {
		k->n_wanted = 0;
		return ERR_AGAIN;
	}
	return k->looks.visit ? run_visit(k) : 0;
}

/* Stop the next one of those to be stopped, and within that the others; then read. */
static int stop_and_read(void *ctx, struct target *t, struct sample_thread *th)
{
	struct taking *k = ctx;
	int rc;
	if (th)
		k->stop[k->n_stopped++] = th;
	if (th && !k->until_ns)
		k->until_ns = clock_mono_ns() + STAND_NS;
	for (size_t i = k->n_stopped; i < k->n_stop; i = k->n_stopped) {
		uint64_t now = clock_mono_ns(); /* those that stand do not wait for long for one that gets no CPU */
		uint64_t wait_ns = !k->until_ns ? WAIT_NS : now < k->until_ns ? (k->until_ns - now) / 2 : 0;
		if (stops_while(k->stops, t, k->stop[i], wait_ns, stop_and_read, k, &rc))
			return rc;
		memmove(&k->stop[i], &k->stop[i + 1], (--k->n_stop - i) * sizeof *k->stop); /* it would not stand */
	}
	return read_all(k);
}

static int by_tid(const void *a, const void *b)
{
	const struct sample_thread *x = ((const struct snapshot_thread *)a)->thread,
	                           *y = ((const struct snapshot_thread *)b)->thread;
	bool x_main = x->thread_flags & WIRE_THREAD_MAIN, y_main = y->thread_flags & WIRE_THREAD_MAIN;
	return x_main != y_main ? y_main - x_main : (x->tid > y->tid) - (x->tid < y->tid);
}

/* Who is there. */
static int census(struct taking *k)
{
	struct target *t = k->t;
	int rc = ERR_AGAIN;
	for (int i = 0; rc == ERR_AGAIN && i < (t->reader.core ? 1 : TRIES_CENSUS); i++) {
		if (i)
			clock_sleep_until(clock_mono_ns() + CENSUS_GAP_NS);
		rc = target_census(t, k->w, clock_boot_ns());
	}
	TRY(rc);
	target_names(t, k->w);
	k->s->threads.n = k->n_wanted = 0;
	for (size_t i = 0; i < t->threads.n; i++)
		if (t->threads.v[i]->look != LOOK_GONE &&
		    !vec_push(&k->s->threads, (struct snapshot_thread){.thread = t->threads.v[i]}))
			return ERR_NO_MEMORY;
	if (k->s->threads.n)
		qsort(k->s->threads.v, k->s->threads.n, sizeof *k->s->threads.v, by_tid);
	return 0;
}

static int try_once(struct taking *k)
{
	int rc = 0;
	if (k->t->census_due)
		TRY(census(k));
	if (k->looks.prepare && !k->is_prepared)
		k->looks.prepare(k->looks.ctx, k->t);
	k->is_prepared = true;
	memcpy(k->stop, k->wanted, k->n_wanted * sizeof *k->stop);
	k->n_stop = k->s->may_stop ? k->n_wanted : 0;
	k->n_stopped = 0;
	k->until_ns = 0;
	bool may = k->n_stop > 0 && stops_begin(k->stops);
	if (!may)
		k->n_stop = 0;
	rc = stop_and_read(k, k->t, NULL);
	if (may)
		stops_end(k->stops);
	return rc;
}

static int take(struct taking *k)
{
	unsigned most = k->t->reader.core ? TRIES_CORE : k->s->may_stop ? TRIES_STOPPING : TRIES_LOOKING;
	int rc = ERR_AGAIN;
	for (unsigned i = 0; i < most; i++) {
		k->s->tries++;
		k->is_last = i + 1 == most;
		rc = try_once(k);
		if (rc != ERR_AGAIN && rc != ERR_MEMORY_READ && rc != ERR_TORN)
			break;
		if (k->t->reader.core && (rc != ERR_AGAIN || k->n_frames == 0)) /* nor will it ever be */
			break;
		if (rc != ERR_AGAIN)
			k->t->census_due = true;
	}
	while (stops_settle(k->stops)) /* who would not stand in time */
		clock_sleep_until(clock_mono_ns() + CENSUS_GAP_NS);
	return rc;
}

int snapshot_take(struct target *t, struct stops *stops, bool may_stop, const struct snapshot_looks *looks,
                  struct snapshot *s)
{
	static struct sink nowhere; /* nothing is ever flushed to it */
	struct writer_options o = {.mean_gap_ns = 1};
	struct taking k = {.t = t, .stops = stops, .s = s, .looks = *looks};
	memset(s, 0, sizeof *s);
	s->may_stop = may_stop;
	t->stops = stops;
	TRY(writer_new(&k.w, &nowhere, &o));
	int rc = target_tell_process(t, k.w, false, clock_boot_ns());
	if (rc == 0)
		rc = take(&k);
	writer_free(k.w);
	return rc;
}

int snapshot_add_frame(struct target *t, struct snapshot *s, uint32_t interp, const struct walk_frame *frame)
{
	struct snapshot_frame f = {.frame = *frame};
	uint32_t instr;
	int rc = target_resolve_frame(t, interp, frame, &f.code, &instr);
	if (rc == ERR_TORN || rc == ERR_MEMORY_READ) /* it is no more */
		rc = codes_gone(&t->codes, &f.code);
	else if (rc == 0)
		codes_place(&t->codes, codes_at(&t->codes, f.code), instr, &f.place);
	TRY(rc);
	return vec_push(&s->frames, f) ? 0 : ERR_NO_MEMORY;
}

void snapshot_done(struct snapshot *s)
{
	vec_free(&s->threads);
	vec_free(&s->frames);
}
