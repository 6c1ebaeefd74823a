/* Who is there: interpreters and threads of a process, and their names. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/log.h"
#include "pyspy-record/sample/target.h"
#include "pyspy-record/target/source.h"

enum { KERNEL_NAME_MAX = 64, CENSUS_ALL_NS = 1000 * 1000 * 1000 };

/* The tid that we see of a thread whose own pid namespace calls it `ns_tid`; 0 = none. */
static pid_t outer_tid(const struct target *t, pid_t ns_tid)
{
	char path[300], line[512];
	pid_t found = 0;
	if (t->facts.same_pid_namespace) {
		snprintf(path, sizeof path, "/proc/%d/task/%d", (int)t->facts.pid, (int)ns_tid);
		return access(path, F_OK) == 0 ? ns_tid : 0;
	}
	snprintf(path, sizeof path, "/proc/%d/task", (int)t->facts.pid);
	DIR *dir = opendir(path);
	for (struct dirent *e; dir && !found && (e = readdir(dir));) {
		snprintf(path, sizeof path, "/proc/%d/task/%s/status", (int)t->facts.pid, e->d_name);
		FILE *f = e->d_name[0] == '.' ? NULL : fopen(path, "re");
		while (f && fgets(line, sizeof line, f)) {
			const char *last = strncmp(line, "NSpid:", 6) == 0 ? strrchr(line, '\t') : NULL;
			if (last && atoi(last + 1) == ns_tid)
				found = atoi(e->d_name);
		}
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	return found;
}

pid_t target_ns_tid(struct target *t, const unsigned char *image)
{
	const struct layout *l = &t->interpreter.layout;
	uint32_t tid = 0;
	if (l->tstate.native_thread_id)
		return (pid_t)walk_u64(image, l->tstate.native_thread_id);
	raddr_t pthread = walk_u64(image, l->tstate.thread_id);
	if (t->interpreter.pthread_tid && pthread % 8 == 0 &&
	    reader_read(&t->reader, pthread + t->interpreter.pthread_tid, &tid, sizeof tid) == 0)
		return (pid_t)tid;
	return source_n_threads(t->reader.core, t->facts.pid) == 1 ? t->facts.ns_pid : 0; /* there is only one */
}

static struct sample_thread *find_thread(const struct target *t, pid_t tid)
{
	for (size_t i = 0; i < t->threads.n; i++)
		if (t->threads.v[i]->tid == tid && t->threads.v[i]->look != LOOK_GONE)
			return t->threads.v[i];
	return NULL;
}

static struct sample_state *find_state(const struct sample_thread *th, raddr_t tstate)
{
	for (size_t i = 0; i < th->states.n; i++)
		if (th->states.v[i]->tstate == tstate)
			return th->states.v[i];
	return NULL;
}

static void kernel_name(struct sample_thread *th, pid_t pid)
{
	char path[80];
	snprintf(path, sizeof path, "/proc/%d/task/%d/comm", (int)pid, (int)th->tid);
	FILE *f = fopen(path, "re");
	th->name.n = f && vec_room(&th->name, KERNEL_NAME_MAX) ? fread(th->name.v, 1, KERNEL_NAME_MAX, f) : 0;
	if (f)
		fclose(f);
	if (th->name.n && th->name.v[th->name.n - 1] == '\n')
		th->name.n--;
	th->thread_flags |= WIRE_THREAD_KERNEL_NAME;
}

void target_tell_thread(struct target *t, struct writer *w, struct sample_thread *th)
{
	struct writer_thread wt = {
	    .process = t->id,
	    .tid = (uint32_t)th->tid,
	    .ns_tid = (uint32_t)th->ns_tid,
	    .interpreter = th->interp_number,
	    .flags = th->thread_flags,
	    .start_ns = th->start_ns,
	    .pthread = th->pthread,
	    .name = th->name.n ? th->name.v : "",
	    .name_len = th->name.n,
	};
	th->id = writer_thread(w, th->id, &wt);
}

static void close_state(struct sample_state *s)
{
	walk_thread_done(&s->walk);
	free(s);
}

static void close_thread(struct sample_thread *th)
{
	taskstate_close(&th->task);
	for (size_t i = 0; i < th->states.n; i++)
		close_state(th->states.v[i]);
	vec_free(&th->states);
	vec_free(&th->path);
	vec_free(&th->name);
	free(th);
}

static struct sample_state *add_state(struct sample_thread *th, raddr_t tstate, uint32_t interp)
{
	struct sample_state *s = calloc(1, sizeof *s);
	if (!s || !vec_push(&th->states, s)) {
		free(s);
		return NULL;
	}
	s->tstate = s->walk.tstate = tstate;
	s->interp = interp;
	s->found_ns = clock_mono_ns();
	return s;
}

/* A thread with one state, not told of yet. NULL: no memory. */
static struct sample_thread *new_thread(struct target *t, raddr_t tstate, uint32_t interp, pid_t tid, pid_t ns_tid,
                                        uint64_t pthread)
{
	struct sample_thread *th = calloc(1, sizeof *th);
	struct sample_state *s = th ? add_state(th, tstate, interp) : NULL;
	if (!s || !vec_push(&t->threads, th)) {
		if (th)
			vec_free(&th->states);
		free(s);
		free(th);
		return NULL;
	}
	th->interp_number = (uint32_t)t->interps[interp].number;
	th->tid = tid;
	th->ns_tid = ns_tid;
	th->pthread = pthread;
	th->thread_flags = tid == t->facts.pid ? WIRE_THREAD_MAIN : 0;
	t->threads_seen++;
	return th;
}

static int add_thread(struct target *t, struct writer *w, const struct seen_state *seen, pid_t tid,
                      struct sample_thread **out)
{
	uint64_t ticks = 0;
	if (!t->reader.core && process_start_ticks(t->facts.pid, tid, &ticks) < 0)
		return ERR_AGAIN; /* not started yet, or a leftover of before a fork */
	struct sample_thread *th = new_thread(t, seen->tstate, seen->interp, tid, seen->ns_tid, seen->pthread);
	if (!th)
		return ERR_NO_MEMORY;
	*out = th;
	if (t->reader.core) { /* of the kernel's names it has the main thread's only */
		th->task = TASKSTATE_NONE;
		size_t n = tid == t->facts.pid ? strlen(t->facts.comm) : 0;
		if (n && vec_room(&th->name, n)) {
			memcpy(th->name.v, t->facts.comm, n);
			th->name.n = n;
		}
		th->thread_flags |= WIRE_THREAD_KERNEL_NAME;
		target_tell_thread(t, w, th);
		return 0;
	}
	th->start_ns = process_ticks_to_ns(ticks);
	taskstate_open(&th->task, t->facts.pid, tid);
	struct taskstate_run run;
	if (taskstate_run(&th->task, &run) == 0)
		th->cpu_told_ns = run.cpu_ns; /* what it used before we came is not ours to tell */
	kernel_name(th, t->facts.pid);
	target_tell_thread(t, w, th);
	t->names_due = true;
	return 0;
}

struct sample_thread *target_add_ghost(struct target *t, struct writer *w, const unsigned char *image, raddr_t tstate,
                                       uint32_t interp, pid_t tid)
{
	const struct layout *l = &t->interpreter.layout;
	struct sample_thread *th =
	    new_thread(t, tstate, interp, tid, target_ns_tid(t, image), walk_u64(image, l->tstate.thread_id));
	if (!th)
		return NULL;
	th->task = (struct taskstate){t->facts.pid, tid, -1, -1, -1};
	uint64_t ticks;
	if (process_start_ticks(t->facts.pid, tid, &ticks) == 0) /* only its state is gone */
		th->start_ns = process_ticks_to_ns(ticks);
	target_tell_thread(t, w, th);
	object_trail_break(&t->names_trail); /* its name may be to be had still */
	return th;
}

/* --- a census: all thread states are read first, then each goes to its thread */

/* It was there before, and so was all that is still behind it: new ones are put before the others. */
static bool is_known(const struct target *t, const struct seen_state *seen)
{
	for (size_t i = 0; i < t->threads.n; i++) {
		const struct sample_state *s = find_state(t->threads.v[i], seen->tstate);
		if (s && s->id == seen->id)
			return true;
	}
	return false;
}

static int see_states(struct target *t, uint32_t interp, bool only_new)
{
	const struct layout *l = &t->interpreter.layout;
	struct sample_interp *in = &t->interps[interp];
	raddr_t at, mark = 0;
	TRY(reader_word(&t->reader, in->at + l->interp.threads_head, &at));
	in->threads_head = at;
	for (size_t n = 0; at; n++) {
		unsigned char head[WALK_TSTATE];
		if (n == TARGET_THREADS_MAX || at == mark)
			return ERR_TORN;
		if ((n & (n - 1)) == 0) /* a circle comes to its mark again before twice its length */
			mark = at;
		TRY(reader_read(&t->reader, at, head, l->tstate.size < sizeof head ? l->tstate.size : sizeof head));
		if (walk_u64(head, l->tstate.interp) != in->at)
			return ERR_TORN;
		struct seen_state s = {.tstate = at,
		                       .id = l->tstate.id ? walk_u64(head, l->tstate.id) : 0,
		                       .root = walk_u64(head, l->tstate.frame_root),
		                       .place = target_place(t, at, head),
		                       .pthread = walk_u64(head, l->tstate.thread_id),
		                       .interp = interp};
		if (only_new && is_known(t, &s))
			return 0;
		s.ns_tid = target_ns_tid(t, head);
		if (!vec_push(&t->seen, s))
			return ERR_NO_MEMORY;
		at = walk_u64(head, l->tstate.next);
	}
	return 0;
}

/* Up to 3.11 a new thread's state names the thread that made it until it begins to run. */
static bool is_starting(const struct target *t, const struct sample_thread *th, const struct seen_state *seen)
{
	if (layout_minor(&t->interpreter.layout) >= 0x30c || !target_is_empty(t, seen->tstate, seen->root))
		return false;
	for (size_t i = 0; i < th->states.n; i++)
		if (th->states.v[i]->interp == seen->interp)
			return true;
	return false;
}

static int give_state(struct target *t, struct sample_thread *th, const struct seen_state *seen)
{
	struct sample_state *s = find_state(th, seen->tstate);
	if (!s && is_starting(t, th, seen))
		return ERR_AGAIN;
	if (!s && th->states.n == TARGET_STATES_MAX)
		return ERR_FULL;
	if (!s && !(s = add_state(th, seen->tstate, seen->interp)))
		return ERR_NO_MEMORY;
	s->census = t->census;
	s->id = seen->id;
	s->interp = seen->interp;
	s->is_empty = target_is_empty(t, seen->tstate, seen->root);
	s->is_gone = false;
	return 0;
}

/* In a core its registers tell whose a state is, whichever pid namespace the notes are of. Without notes there is
 * nobody to tell it from one that is left over of before a fork. */
static pid_t core_tid(const struct target *t, const struct seen_state *seen)
{
	const struct corefile *core = t->reader.core;
	const struct corefile_thread *th = corefile_thread_of(core, seen->pthread, seen->ns_tid);
	return th ? th->tid : core->threads.n ? 0 : seen->ns_tid;
}

/* The thread that this state names. Where it is a new one, a thread that had its number before is another one. */
static int give_to_named(struct target *t, struct writer *w, struct seen_state *seen)
{
	pid_t tid = t->reader.core ? core_tid(t, seen) : seen->ns_tid > 0 ? outer_tid(t, seen->ns_tid) : 0;
	struct sample_thread *th = tid ? find_thread(t, tid) : NULL;
	uint64_t ticks;
	if (!tid)
		return ERR_AGAIN;
	if (th && !find_state(th, seen->tstate) && th->start_ns &&
	    (process_start_ticks(t->facts.pid, tid, &ticks) < 0 || process_ticks_to_ns(ticks) != th->start_ns)) {
		th->look = LOOK_GONE;
		th = NULL;
	}
	if (!th)
		TRY(add_thread(t, w, seen, tid, &th));
	return give_state(t, th, seen);
}

/* Up to 3.9: the caller of all of a frame object's callers; 0 = cannot be told. */
static raddr_t outermost_frame(struct target *t, raddr_t frame)
{
	const struct layout *l = &t->interpreter.layout;
	raddr_t back = frame;
	for (size_t n = 0; back && n < TARGET_CALLERS_MAX; n++) {
		frame = back;
		if (reader_word(&t->reader, frame + l->frame.first + l->frame.previous, &back) < 0)
			return 0;
	}
	return back ? 0 : frame;
}

/* The one whose C stack it runs on; false: it is not known. */
static bool give_to_runner(struct target *t, struct seen_state *seen, int *rc)
{
	uint64_t pthread = 0;
	if (seen->place)
		pthread = target_stack_owner(t, seen->place);
	else if (seen->root && t->interpreter.layout.frame_root == LAYOUT_ROOT_FRAME)
		target_frame_place(t, outermost_frame(t, seen->root), &pthread);
	for (size_t i = 0; i < t->threads.n && pthread; i++) {
		struct sample_thread *th = t->threads.v[i];
		if (th->pthread != pthread || th->look == LOOK_GONE)
			continue;
		*rc = give_state(t, th, seen);
		seen->pthread = pthread;
		return true;
	}
	return false;
}

static int watch(struct target *t, const struct seen_state *seen)
{
	struct watched_state s = {.tstate = seen->tstate,
	                          .pthread = seen->pthread,
	                          .was_empty = target_is_empty(t, seen->tstate, seen->root)};
	return t->watched.n >= TARGET_INTERPRETERS_MAX || vec_push(&t->watched, s) ? 0 : ERR_NO_MEMORY;
}

/* States of the first interpreter go to the threads that they name, and so do all from 3.13 on. */
static int give_states(struct target *t, struct writer *w)
{
	bool may_lend = t->interpreter.layout.frame_root != LAYOUT_ROOT_TSTATE;
	int rc = 0;
	t->watched.n = 0;
	for (size_t i = 0; i < t->seen.n; i++) {
		struct seen_state *s = &t->seen.v[i];
		bool is_first = s->interp + 1 == t->n_interps;
		int one = 0;
		if (is_first || !may_lend || !give_to_runner(t, s, &one))
			one = give_to_named(t, w, s);
		if (one == ERR_NO_MEMORY)
			return one;
		if (!is_first && may_lend) {
			if (watch(t, s) < 0)
				return ERR_NO_MEMORY;
			if (one == ERR_AGAIN && target_is_empty(t, s->tstate, s->root))
				one = 0; /* the thread that made it has ended; whoever runs in it will show */
		}
		if (one < 0)
			rc = one;
	}
	return rc;
}

/* The first `left` states of th stay, and with them th, as number `at`; without any it has ended. Returns how many
 * stay. */
static size_t keep_thread(struct target *t, struct writer *w, struct sample_thread *th, size_t left, size_t at,
                          uint64_t now_ns)
{
	th->states.n = left;
	if (left) {
		t->threads.v[at] = th;
		return 1;
	}
	writer_thread_end(w, th->id, now_ns);
	close_thread(th);
	return 0;
}

/* States that were not seen, and threads that have none any more. */
static void drop_unseen(struct target *t, struct writer *w, bool whole, uint64_t now_ns)
{
	size_t kept = 0;
	for (size_t i = 0; i < t->threads.n; i++) {
		struct sample_thread *th = t->threads.v[i];
		size_t left = 0;
		uint64_t ticks;
		bool ended = !whole && (th->look == LOOK_GONE ||
		                        (!t->reader.core && process_start_ticks(t->facts.pid, th->tid, &ticks) < 0));
		for (size_t k = 0; k < th->states.n; k++) {
			struct sample_state *s = th->states.v[k];
			if (!ended && (!whole || s->census == t->census))
				th->states.v[left++] = s;
			else
				close_state(s);
		}
		kept += keep_thread(t, w, th, left, kept, now_ns);
	}
	t->threads.n = kept;
}

/* After a look at new states only: threads that have ended, and states whose place another one has now. */
static void drop_replaced(struct target *t, struct writer *w, uint64_t now_ns)
{
	size_t kept = 0;
	for (size_t i = 0; i < t->threads.n; i++) {
		struct sample_thread *th = t->threads.v[i];
		size_t left = 0;
		for (size_t k = 0; k < th->states.n; k++) {
			struct sample_state *s = th->states.v[k];
			bool is_replaced = th->look == LOOK_GONE;
			for (size_t j = 0; j < t->seen.n; j++)
				is_replaced |= t->seen.v[j].tstate == s->tstate && t->seen.v[j].id != s->id;
			if (!is_replaced)
				th->states.v[left++] = s;
			else
				close_state(s);
		}
		kept += keep_thread(t, w, th, left, kept, now_ns);
	}
	t->threads.n = kept;
}

/* Threads that came or went, and nothing else: these only. */
static int census_new(struct target *t, struct writer *w, uint64_t now_ns)
{
	t->seen.n = 0;
	int rc = see_states(t, 0, true);
	if (rc == 0)
		rc = give_states(t, w);
	if (rc == 0)
		drop_replaced(t, w, now_ns);
	return rc;
}

static bool may_see_new_only(const struct target *t)
{
	return t->interpreter.layout.tstate.id && t->n_interps == 1 && t->threads.n && !t->census_partial &&
	       t->words.interpreters_head == t->interpreters_head && clock_mono_ns() - t->census_all_ns < CENSUS_ALL_NS;
}

int target_census(struct target *t, struct writer *w, uint64_t now_ns)
{
	if (!t->reader.core && !process_is_alive(t->facts.pid, t->facts.start_ticks))
		return ERR_GONE;
	t->census++;
	t->census_due = false;
	if (may_see_new_only(t) && census_new(t, w, now_ns) == 0 && t->threads.n)
		return 0;
	t->census_all_ns = clock_mono_ns();
	interpreter_look_again(&t->reader, &t->interpreter);
	int rc = target_census_interpreters(t, w);
	bool whole = rc == 0;
	t->seen.n = 0;
	for (size_t i = t->n_interps; i-- > 0 && rc != ERR_GONE && rc != ERR_NO_MEMORY;) { /* the oldest first */
		int one = see_states(t, (uint32_t)i, false);
		whole &= one == 0;
		if (one == ERR_NO_MEMORY || one == ERR_GONE)
			rc = one;
	}
	if (rc == ERR_GONE || rc == ERR_NO_MEMORY)
		return rc;
	rc = give_states(t, w);
	if (rc == ERR_NO_MEMORY)
		return rc;
	if (rc == ERR_AGAIN)
		t->census_due = true;
	drop_unseen(t, w, whole, now_ns);
	if (!whole)
		t->census_due = true;
	t->census_partial = t->census_due;
	return t->threads.n ? 0 : ERR_AGAIN;
}

void target_close_threads(struct target *t)
{
	for (size_t i = 0; i < t->threads.n; i++)
		close_thread(t->threads.v[i]);
	vec_free(&t->threads);
	vec_free(&t->seen);
	vec_free(&t->watched);
	vec_free(&t->places);
	vec_free(&t->join.frames);
	vec_free(&t->join.parts);
	vec_free(&t->join.states);
}
