/* One tick of one process: ways 2 (standing still) and 3 (from outside) of design.md. */
#include <sched.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/clock.h"
#include "pyspy-record/sample/gil.h"

enum { READ_TRIES = 16 };

uint32_t target_sleep_flags(const struct target *t, struct sample_thread *th)
{
	uint32_t flags;
	switch (taskstate_letter(&th->task)) {
	case 'D':
		flags = WIRE_STATE_DISK;
		break;
	case 'T':
	case 't':
		flags = WIRE_STATE_STOPPED;
		break;
	default:
		flags = WIRE_STATE_SLEEPING;
	}
	return flags | (gil_is_awaited(t, th, th->block.number, th->block.args[0]) ? WIRE_FLAG_GIL_WAIT : 0);
}

/* All states of the thread, or none: false = they do not fit. *first: the number of its first piece. */
static bool plan_thread(struct target *t, struct sample_thread *th, size_t *first)
{
	size_t n = t->batch.n, bytes = t->batch.bytes;
	*first = n;
	for (size_t i = 0; i < th->states.n && th->look != LOOK_GONE; i++) {
		struct sample_state *s = th->states.v[i];
		s->first_piece = t->batch.n;
		if (!s->is_gone && !walk_plan(&t->walk, &s->walk, &t->batch, &s->first_piece)) {
			t->batch.n = n;
			t->batch.bytes = bytes;
			return false;
		}
	}
	return true;
}

/* More pieces than a batch holds: forget what lies outside of the chunks, it is read one by one. */
static void plan_less(struct target *t, struct sample_thread *th)
{
	for (size_t i = 0; i < th->states.n; i++) {
		struct walk_thread *walk = &th->states.v[i]->walk;
		walk_failed_piece(&t->walk, walk, 0);
		walk->n_extras = walk->n_older = 0;
	}
}

/* The batch stopped at this piece, one of th's. */
static void fail_piece(struct target *t, struct sample_thread *th, size_t piece)
{
	size_t left = 0, i = th->states.n;
	while (i > 1 && (th->states.v[i - 1]->first_piece > piece || th->states.v[i - 1]->is_gone))
		i--;
	struct sample_state *s = th->states.v[i - 1];
	if (walk_failed_piece(&t->walk, &s->walk, piece - s->first_piece) != ERR_GONE)
		return;
	s->is_gone = true;
	t->census_due = true;
	for (i = 0; i < th->states.n; i++)
		left += !th->states.v[i]->is_gone;
	if (left == 0)
		th->look = LOOK_GONE;
}

int target_read_some(struct target *t, struct sample_thread **threads, size_t n)
{
	size_t first[READER_BATCH_MAX];
	t->is_delayed = false;
	for (int tries = 0; tries < READ_TRIES; tries++) {
		t->reader.is_delayed = false;
		reader_batch_clear(&t->batch);
		spans_plan(t);
		size_t words = t->batch.n, taken = 0;
		walk_begin_pass(&t->walk);
		while (taken < n && taken < READER_BATCH_MAX && plan_thread(t, threads[taken], &first[taken]))
			taken++;
		if (taken == 0 && n > 0) {
			plan_less(t, threads[0]);
			continue;
		}
		size_t behind = t->batch.n;
		spans_plan_after(t);
		t->reader.tells_delays = n > 0; /* words alone are of one moment, whenever that was */
		int got = reader_batch_read(&t->reader, &t->batch);
		t->reader.tells_delays = false;
		if (got == (int)t->batch.n) {
			t->is_delayed = t->reader.is_delayed;
			spans_take(t);
			return (int)taken;
		}
		if (got < 0 && got != ERR_MEMORY_READ)
			return got;
		size_t piece = got < 0 ? 0 : (size_t)got;
		if (piece < words || piece >= behind) { /* an interpreter is gone */
			t->census_due = true;
			return ERR_MEMORY_READ;
		}
		size_t k = taken;
		while (k > 0 && (first[k - 1] > piece || threads[k - 1]->look == LOOK_GONE))
			k--;
		if (k == 0)
			return ERR_MEMORY_READ;
		fail_piece(t, threads[k - 1], piece);
	}
	return ERR_MEMORY_READ;
}

stack_id target_torn_stack(struct writer *w)
{
	struct rec_function f = {.kind = WIRE_FUNCTION_SYNTHETIC, .qualname = writer_string(w, "torn", 4)};
	struct rec_location l = {.function = writer_function(w, &f)};
	struct rec_stack s = {.location = writer_location(w, &l)};
	return writer_stack(w, &s);
}

/* Tell the writer of the thread's sample in this tick, if it is not what it was. */
static void show(struct target *t, struct writer *w, struct sample_thread *th, node_id node, bool torn, uint32_t flags)
{
	t->counts.samples++;
	bool certain = (flags & WIRE_FLAG_WAY) != 0;
	bool certified = certain || trie_is_certified(&t->trie, node);
	th->wants_certificate = !certified;
	th->wants_hold = !certified ? TARGET_HOLD_SAMPLES : th->wants_hold ? th->wants_hold - 1 : 0;
	t->counts.uncertified += !certified;
	t->counts.unproved += (flags & WIRE_FLAG_UNPROVED) != 0;
	if (th->is_shown && th->node == node && th->is_torn == torn && th->flags == flags &&
	    th->shown_epoch == writer_epoch(w))
		return;
	stack_id stack = trie_stack(&t->trie, &t->codes, w, node);
	if (!stack && node) { /* the dictionaries are full: the next block starts an epoch with empty ones */
		flags = WIRE_FLAG_ABSENT | WIRE_FLAG_FAILED;
		t->counts.limit++;
		t->counts.samples--;
	}
	writer_entry(w, th->id, stack, flags, th->run.cpu_ns - th->cpu_told_ns);
	th->cpu_told_ns = th->run.cpu_ns;
	th->is_shown = !(flags & WIRE_FLAG_ABSENT);
	th->node = node;
	th->is_torn = torn;
	th->flags = flags;
	th->shown_epoch = writer_epoch(w);
}

void target_take_absent(struct target *t, struct writer *w, struct sample_thread *th)
{
	if (!th->is_shown)
		return;
	writer_entry(w, th->id, 0, WIRE_FLAG_ABSENT | WIRE_FLAG_FAILED, th->run.cpu_ns - th->cpu_told_ns);
	th->cpu_told_ns = th->run.cpu_ns;
	th->is_shown = false;
}

static void show_failed(struct target *t, struct writer *w, struct sample_thread *th)
{
	t->counts.reads_failed++;
	target_take_absent(t, w, th);
}

bool target_still_stands(struct sample_thread *th)
{
	struct taskstate_run now;
	/* a kernel that keeps no counts says 0 for ever: no proof */
	return (th->blocked || th->held || th->beside) && th->run.count > 0 && taskstate_run(&th->task, &now) == 0 &&
	       now.count == th->run.count;
}

static void fall_asleep(struct target *t, struct sample_thread *th)
{
	th->asleep = true;
	th->sleep_count = th->run.count;
	th->sleep_flags = target_sleep_flags(t, th);
}

/* Is what was read not of one moment, or another thread's? Of a thread that ran. Up to 3.10 little is known of such a
 * stack's part that is certain (it would be lost: 10 % of an asyncio program's samples at 20 kHz), and it is told as it
 * was read. */
static bool is_wrong(const struct target *t, struct sample_thread *th)
{
	bool has_chunks = t->interpreter.layout.frame_root != LAYOUT_ROOT_FRAME;
	if (has_chunks && t->walk.frames.n > 0 && (t->is_delayed || !target_ends_fit(t, th)))
		return true;
	return !target_is_own(t, th);
}

bool target_take(struct target *t, struct writer *w, struct sample_thread *th, int rc)
{
	node_id node = 0;
	bool unproved = false, is_cut = t->walk.is_cut,
	     may_stand = th->stopped || th->blocked || th->held || th->beside;
	/* what cannot stand still is not resolved: the path stays that of the last look, for its known part */
	bool wrong = rc == 0 && is_wrong(t, th);
	if (wrong && !may_stand)
		rc = ERR_TORN;
	bool is_left = rc == 0 && th->held && t->n_held == 1 && hold_would_leave(t->hold) && target_knows_codes(t) &&
	               target_still_stands(th);
	if (is_left)
		hold_leave(t->hold);
	if (rc == 0)
		rc = target_resolve(t, th, &node, &unproved);
	if (rc == ERR_FULL) {
		t->counts.limit++;
		show_failed(t, w, th);
		return true;
	}
	if (rc < 0 && rc != ERR_TORN && rc != ERR_MEMORY_READ) {
		show_failed(t, w, th);
		return true;
	}
	uint32_t flags = gil_flags(t, th) | (is_cut ? WIRE_FLAG_CUT : 0);
	if (th->stopped && rc == 0) { /* it runs again, so that code objects have to be proved */
		flags |= WIRE_STATE_ACTIVE | (unproved ? WIRE_FLAG_UNPROVED : 0);
		target_note_own(th);
		if (!unproved) {
			target_note_end(t, th);
			trie_certify(&t->trie, w, node);
		}
		show(t, w, th, node, false, flags | WIRE_WAY_STOPPED << WIRE_FLAG_WAY_SHIFT);
		return true;
	}
	bool stands = is_left || target_still_stands(th);
	if (stands && rc == 0) {
		bool is_proved = !is_left || !unproved; /* what stood all the time proves what was read of it */
		target_note_own(th);
		target_note_end(t, th);
		bool news = !is_proved || trie_certify(&t->trie, w, node);
		if (th->beside) {
			show(t, w, th, node, false, flags | WIRE_STATE_ACTIVE);
			th->wants_certificate = news;
			if (news)
				th->wants_hold = TARGET_HOLD_SAMPLES;
			return true;
		}
		waiters_check(t, th, node);
		if (th->held) { /* it would run, were it not for us */
			flags |= is_proved ? 0 : WIRE_FLAG_UNPROVED;
			show(t, w, th, node, false, flags | WIRE_STATE_ACTIVE | WIRE_WAY_STILL << WIRE_FLAG_WAY_SHIFT);
			th->wants_certificate = news;
			if (news)
				th->wants_hold = TARGET_HOLD_SAMPLES;
			t->counts.held++;
			return true;
		}
		fall_asleep(t, th);
		show(t, w, th, node, false, flags | th->sleep_flags | WIRE_WAY_STILL << WIRE_FLAG_WAY_SHIFT);
		return true;
	}
	if (t->stops_each && !th->stopped && !stands)
		return false;
	if (wrong && may_stand) { /* and does not stand */
		rc = ERR_TORN;
		th->path.n = 0;
	}
	bool torn = rc < 0, is_known = false;
	if (torn) {
		node = target_known_part(t, th, &is_known);
		unproved = false;
		flags &= ~(uint32_t)WIRE_FLAG_CUT; /* frames are missing, but not the outermost ones */
		t->counts.torn += !is_known;
	}
	if (torn && !node) {
		t->counts.limit++;
		show_failed(t, w, th);
		return true;
	}
	flags |= WIRE_STATE_ACTIVE | (unproved ? WIRE_FLAG_UNPROVED : 0);
	show(t, w, th, node, torn, flags);
	if (t->is_delayed)
		th->wants_hold = TARGET_HOLD_SAMPLES;
	if (torn && t->is_delayed) /* it will be again, whatever a stop finds: what that can tell is the callers */
		th->wants_certificate = !trie_is_certified(&t->trie, t->trie.nodes.v[node].parent);
	return true;
}

/* It runs again after a stop: as long as its waits for a CPU since then were on average, its way back was. */
static void note_way_back(struct target *t, struct sample_thread *th)
{
	uint64_t n = th->run.count - th->stop_run.count;
	if (!th->stop_run.count || n == 0)
		return;
	t->stops->back_ns += (th->run.wait_ns - th->stop_run.wait_ns) / n;
	th->stop_run.count = 0;
}

/* As taskstate_cpu; th->run was read before. */
static int read_cpu(struct sample_thread *th, char *letter)
{
	th->cpu = taskstate_cpu(&th->task, letter);
	th->cpu_count = th->run.count;
	return th->cpu;
}

/* The CPU that it was put on last, as far as it was asked for; -1: not known. While its count of runs is what it was
 * then it was put on no other one, and runs on this one if it runs at all. (To ask is dear: see taskstate_cpu.) */
static int known_cpu(const struct sample_thread *th)
{
	return th->run.count > 0 && th->run.count == th->cpu_count ? th->cpu : -1;
}

/* Does it wait for a CPU that we are on? Their order matters: count of runs, then its CPU, then ours: if its count is
 * the same after the read, then it has not run since the moment when we were on the CPU that it waits for. */
static void look_beside(const struct target *t, struct sample_thread *th, int cpu, bool is_runnable)
{
	char letter = 0;
	if (cpu < 0) {
		cpu = read_cpu(th, &letter);
		is_runnable = letter == 'R';
	}
	bool waits = cpu >= 0 && is_runnable;
	th->held = waits && cpu == target_held_cpu(t);
	th->beside = waits && target_held_cpu(t) < 0 && !t->stops_each && cpu == sched_getcpu();
}

void target_look(struct target *t, struct sample_thread *th)
{
	if (taskstate_run(&th->task, &th->run) < 0) {
		th->look = LOOK_GONE;
		t->census_due = true;
		return;
	}
	if (th->asleep && th->run.count == th->sleep_count) {
		th->look = LOOK_SAME;
		return;
	}
	th->asleep = false;
	th->lively = th->is_shown ? TARGET_LIVELY_TICKS : 0; /* nobody knows when it ran that was not met before */
	th->look = LOOK_READ;
	th->blocked = th->held = th->beside = false;
	note_way_back(t, th);
	int cpu = known_cpu(th);
	bool is_held = target_held_cpu(t) >= 0;
	if (is_held && cpu < 0) /* most likely: what waits for a CPU is not blocked */
		look_beside(t, th, -1, false);
	if (th->held)
		return;
	int blocked = taskstate_blocked(&th->task, &th->block);
	th->blocked = blocked == 1;
	if (!th->blocked && (is_held ? cpu >= 0 : th->wants_certificate || th->wants_hold))
		look_beside(t, th, blocked < 0 ? -1 : cpu, true);
}

int target_cpu_to_hold(struct target *t, uint64_t draw)
{
	char letter = 0;
	size_t n = t->threads.n;
	for (size_t i = 0; i < n; i++) {
		struct sample_thread *th = t->threads.v[(draw + i) % n];
		if (!th->wants_hold || th->look == LOOK_GONE || th->asleep)
			continue;
		int cpu = th->blocked ? -1 : known_cpu(th);
		if (cpu < 0) {
			cpu = read_cpu(th, &letter);
			cpu = letter == 'R' ? cpu : -1;
		}
		if (cpu >= 0)
			return cpu;
	}
	return -1;
}

int target_read(struct target *t, struct sample_thread **threads, size_t n)
{
	int got = target_read_some(t, threads, n);
	return got < 0 ? got : 0;
}

/* Has the list of interpreters or of threads changed? Is it still the same program? */
static void weigh_words(struct target *t, int rc)
{
	if (t->words.interpreters_head != t->interpreters_head)
		t->census_due = true;
	for (size_t i = 0; i < t->n_interps; i++)
		if (t->interps[i].words.threads_head != t->interps[i].threads_head)
			t->census_due = true;
	t->census_due |= target_states_moved(t);
	t->failures = rc < 0 ? t->failures + 1 : 0;
}

/* Where there are several interpreters a thread may have entered one just now, which only a census can tell: the stack
 * would end in the call that did it. */
static bool want_census_now(const struct target *t)
{
	bool has_news = t->words.interpreters_head != t->interpreters_head;
	for (size_t i = 0; i < t->n_interps && t->n_interps > 1; i++)
		has_news |= t->interps[i].words.threads_head != t->interps[i].threads_head;
	return has_news || target_states_moved(t);
}

/* Those that did not sleep come first: what they used tells whether the others have run. */
static int look_at_all(struct target *t)
{
	t->active.n = t->n_held = 0;
	waiters_weigh(t);
	for (int asleep = 0; asleep < 2; asleep++) {
		if (asleep)
			waiters_settle(t);
		for (size_t i = 0; i < t->threads.n; i++) {
			struct sample_thread *th = t->threads.v[i];
			if (th->asleep != asleep) /* nobody falls asleep by a look */
				continue;
			if (waiters_skip(t, th))
				th->look = LOOK_SAME;
			else
				target_look(t, th);
			t->n_held += th->look == LOOK_READ && th->held;
			if (th->look == LOOK_READ && !vec_push(&t->active, th))
				return ERR_NO_MEMORY;
		}
	}
	waiters_keep(t);
	return 0;
}

/* ERR_AGAIN: nothing was told yet, and who is there is to be looked at first (only when `may_look`). */
static int pass(struct target *t, struct writer *w, bool may_look)
{
	size_t n = t->threads.n;
	TRY(look_at_all(t));
	int rc = 0;
	size_t done = 0, n_batched = t->stops_each ? 0 : t->active.n;
	bool has_words = t->is_idle && n_batched == 0;       /* nobody ran: they are what they were */
	while (!has_words || (rc > 0 && done < n_batched)) { /* once at least: for the words */
		has_words = true;
		rc = target_read_some(t, t->active.v + done, n_batched - done);
		if ((rc >= 0 || (rc == ERR_MEMORY_READ && t->n_interps > 1)) && done == 0 && may_look &&
		    (rc < 0 || want_census_now(t)))
			return ERR_AGAIN;
		if (rc == 0 && n_batched > done)
			rc = ERR_MEMORY_READ;
		for (int i = 0; i < rc; i++)
			if (t->active.v[done + (size_t)i]->look == LOOK_READ)
				target_take(t, w, t->active.v[done + (size_t)i],
				            target_walk(t, t->active.v[done + (size_t)i]));
		done += rc > 0 ? (size_t)rc : 0;
	}
	if (t->stops_each && rc >= 0) {
		target_take_each(t, w);
		done = t->active.n;
	}
	for (; done < t->active.n; done++)
		if (t->active.v[done]->look == LOOK_READ)
			show_failed(t, w, t->active.v[done]);
	for (size_t i = 0; i < n && rc >= 0; i++) {
		struct sample_thread *th = t->threads.v[i];
		if (th->look == LOOK_SAME) {
			/* who waited for the GIL when it was looked at may have it by the time that the words are read
			 */
			uint32_t gil = th->sleep_flags & WIRE_FLAG_GIL_WAIT ? 0 : gil_flags(t, th);
			show(t, w, th, th->node, th->is_torn,
			     gil | th->sleep_flags | WIRE_WAY_STILL << WIRE_FLAG_WAY_SHIFT |
			         (th->flags & WIRE_FLAG_CUT));
		} else if (th->look == LOOK_GONE && th->is_shown)
			show_failed(t, w, th);
	}
	waiters_count(t);
	weigh_words(t, rc);
	return rc < 0 ? rc : 0;
}

int target_pass(struct target *t, struct writer *w)
{
	int rc = pass(t, w, true);
	if (rc != ERR_AGAIN)
		return rc;
	rc = target_census(t, w, clock_boot_ns());
	return rc == ERR_GONE ? rc : pass(t, w, false);
}

int target_words(struct target *t)
{
	int rc = target_read_some(t, NULL, 0);
	weigh_words(t, rc);
	return rc < 0 ? rc : 0;
}

int target_take_still(struct target *t, struct writer *w, struct sample_thread *th, node_id *node)
{
	bool unproved;
	target_look(t, th);
	if (th->look != LOOK_READ || !(th->blocked || th->held || th->beside) || target_read(t, &th, 1) < 0 ||
	    th->look != LOOK_READ || target_walk(t, th) < 0 || target_resolve(t, th, node, &unproved) < 0 ||
	    !target_still_stands(th))
		return 0;
	target_note_own(th);
	target_note_end(t, th);
	trie_certify(&t->trie, w, *node);
	return 1;
}
