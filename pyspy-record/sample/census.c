/* Who is there: interpreters and threads of a process, and their names. */
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/python/names.h"
#include "pyspy-record/sample/target.h"

enum { KERNEL_NAME_MAX = 64 };

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
	return process_n_threads(t->facts.pid) == 1 ? t->facts.ns_pid : 0; /* there is only one */
}

/* Up to 3.10 a new thread's state names the thread that made it until it begins to run. */
static bool is_starting(const struct target *t, const unsigned char *head, raddr_t tstate, uint32_t interp,
                        pid_t ns_tid)
{
	const struct layout *l = &t->interpreter.layout;
	if (l->tstate.native_thread_id || walk_u64(head, l->tstate.frame_root))
		return false;
	for (size_t i = 0; i < t->threads.n; i++)
		if (t->threads.v[i]->ns_tid == ns_tid && t->threads.v[i]->tstate != tstate &&
		    t->threads.v[i]->interp == interp)
			return true;
	return false;
}

static struct sample_thread *find_thread(struct target *t, raddr_t tstate, pid_t ns_tid)
{
	for (size_t i = 0; i < t->threads.n; i++)
		if (t->threads.v[i]->tstate == tstate && t->threads.v[i]->ns_tid == ns_tid)
			return t->threads.v[i];
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

static void tell_thread(struct target *t, struct writer *w, struct sample_thread *th)
{
	struct writer_thread wt = {
	    .process = t->id,
	    .tid = (uint32_t)th->tid,
	    .ns_tid = (uint32_t)th->ns_tid,
	    .interpreter = (uint32_t)t->interps[th->interp].number,
	    .flags = th->thread_flags,
	    .start_ns = th->start_ns,
	    .pthread = th->pthread,
	    .name = th->name.n ? th->name.v : "",
	    .name_len = th->name.n,
	};
	th->id = writer_thread(w, th->id, &wt);
}

static int add_thread(struct target *t, struct writer *w, const unsigned char *head, raddr_t tstate, uint32_t interp)
{
	const struct layout *l = &t->interpreter.layout;
	pid_t ns_tid = target_ns_tid(t, head);
	pid_t tid = ns_tid > 0 ? outer_tid(t, ns_tid) : 0;
	uint64_t ticks = 0;
	if (!tid || process_start_ticks(t->facts.pid, tid, &ticks) < 0)
		return ERR_AGAIN; /* not started yet, or a leftover of before a fork */
	struct sample_thread *th = calloc(1, sizeof *th);
	if (!th || !vec_push(&t->threads, th)) {
		free(th);
		return ERR_NO_MEMORY;
	}
	th->tstate = tstate;
	th->interp = interp;
	th->tid = tid;
	th->ns_tid = ns_tid;
	th->pthread = walk_u64(head, l->tstate.thread_id);
	th->start_ns = process_ticks_to_ns(ticks);
	th->walk.tstate = tstate;
	th->census = t->census;
	th->thread_flags = tid == t->facts.pid ? WIRE_THREAD_MAIN : 0;
	taskstate_open(&th->task, t->facts.pid, tid);
	struct taskstate_run run;
	if (taskstate_run(&th->task, &run) == 0)
		th->cpu_told_ns = run.cpu_ns; /* what it used before we came is not ours to tell */
	kernel_name(th, t->facts.pid);
	tell_thread(t, w, th);
	t->threads_seen++;
	t->names_due = true;
	return 0;
}

struct sample_thread *target_add_ghost(struct target *t, struct writer *w, const unsigned char *image, raddr_t tstate,
                                       uint32_t interp, pid_t tid)
{
	const struct layout *l = &t->interpreter.layout;
	struct sample_thread *th = calloc(1, sizeof *th);
	if (!th || !vec_push(&t->threads, th)) {
		free(th);
		return NULL;
	}
	th->tstate = tstate;
	th->interp = interp;
	th->tid = tid;
	th->ns_tid = target_ns_tid(t, image);
	th->pthread = walk_u64(image, l->tstate.thread_id);
	th->walk.tstate = tstate;
	th->thread_flags = tid == t->facts.pid ? WIRE_THREAD_MAIN : 0;
	th->task = (struct taskstate){t->facts.pid, tid, -1, -1, -1};
	tell_thread(t, w, th);
	t->threads_seen++;
	object_trail_break(&t->names_trail); /* its name may be to be had still */
	return th;
}

static void close_thread(struct sample_thread *th)
{
	taskstate_close(&th->task);
	walk_thread_done(&th->walk);
	vec_free(&th->path);
	vec_free(&th->name);
	free(th);
}

/* The threads of one interpreter. */
static int census_threads(struct target *t, struct writer *w, uint32_t interp)
{
	const struct layout *l = &t->interpreter.layout;
	struct sample_interp *in = &t->interps[interp];
	raddr_t at;
	TRY(reader_word(&t->reader, in->at + l->interp.threads_head, &at));
	in->threads_head = at;
	int rc = 0;
	for (size_t n = 0; at; n++) {
		unsigned char head[WALK_TSTATE];
		if (n == TARGET_THREADS_MAX)
			return ERR_TORN;
		TRY(reader_read(&t->reader, at, head, l->tstate.size < sizeof head ? l->tstate.size : sizeof head));
		if (walk_u64(head, l->tstate.interp) != in->at)
			return ERR_TORN;
		pid_t ns_tid = target_ns_tid(t, head);
		struct sample_thread *th = find_thread(t, at, ns_tid);
		if (is_starting(t, head, at, interp, ns_tid)) {
			rc = ERR_AGAIN;
		} else if (th) {
			th->census = t->census;
			th->interp = interp;
		} else {
			int added = add_thread(t, w, head, at, interp);
			if (added < 0)
				rc = added;
		}
		at = walk_u64(head, l->tstate.next);
	}
	return rc;
}

/* The interpreters, newest first as they stand in the list; t->interps keeps its order for those that stay. */
static int census_interpreters(struct target *t, struct writer *w)
{
	const struct layout *l = &t->interpreter.layout;
	struct sample_interp found[TARGET_INTERPRETERS_MAX];
	size_t n = 0;
	raddr_t at;
	TRY(reader_word(&t->reader, t->interpreter.heads, &at));
	t->interpreters_head = at;
	while (at && n < TARGET_INTERPRETERS_MAX) {
		struct sample_interp in = {.at = at};
		uint32_t own = 0;
		raddr_t next;
		if (l->interp.id)
			TRY(reader_word(&t->reader, at + l->interp.id, &in.number));
		TRY(reader_word(&t->reader, at + l->interp.next, &next));
		if (l->interp.gil)
			TRY(reader_word(&t->reader, at + l->interp.gil, &in.gil));
		if (l->interp.own_gil)
			TRY(reader_read(&t->reader, at + l->interp.own_gil, &own, sizeof own));
		in.own_gil = own != 0;
		found[n++] = in;
		at = next;
	}
	if (n == 0)
		return ERR_AGAIN;
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
	memcpy(t->interps, found, n * sizeof *found);
	t->n_interps = n;
	for (size_t i = 0; i < n && n > 1; i++)
		writer_interpreter(w, t->id, (uint32_t)found[i].number,
		                   (found[i].number == 0 ? WIRE_INTERPRETER_MAIN : 0) |
		                       (found[i].own_gil ? WIRE_INTERPRETER_OWN_GIL : 0));
	/* threads that stay get the new index of their interpreter in census_threads; the others end */
	for (size_t i = 0; i < t->threads.n; i++)
		t->threads.v[i]->interp = 0;
	return 0;
}

int target_census(struct target *t, struct writer *w, uint64_t now_ns)
{
	if (!process_is_alive(t->facts.pid, t->facts.start_ticks))
		return ERR_GONE;
	t->census++;
	t->census_due = false;
	interpreter_look_again(&t->reader, &t->interpreter);
	int rc = census_interpreters(t, w);
	bool whole = rc == 0;
	for (uint32_t i = 0; i < t->n_interps && rc != ERR_GONE; i++) {
		int one = census_threads(t, w, i);
		if (one == ERR_AGAIN)
			t->census_due = true;
		else if (one < 0)
			whole = false;
		if (one == ERR_NO_MEMORY || one == ERR_GONE)
			rc = one;
	}
	if (rc == ERR_GONE || rc == ERR_NO_MEMORY)
		return rc;
	size_t kept = 0;
	for (size_t i = 0; i < t->threads.n; i++) {
		struct sample_thread *th = t->threads.v[i];
		uint64_t ticks;
		bool ended = whole ? th->census != t->census : process_start_ticks(t->facts.pid, th->tid, &ticks) < 0;
		if (!ended) {
			t->threads.v[kept++] = th;
			continue;
		}
		writer_thread_end(w, th->id, now_ns);
		close_thread(th);
	}
	t->threads.n = kept;
	if (!whole)
		t->census_due = true;
	return t->threads.n ? 0 : ERR_AGAIN;
}

struct naming {
	struct target *t;
	struct writer *w;
	uint32_t interp;
};

static void take_name(void *ctx, uint64_t ident, const char *name, size_t n)
{
	struct naming *k = ctx;
	for (size_t i = 0; i < k->t->threads.n; i++) {
		struct sample_thread *th = k->t->threads.v[i];
		if (th->pthread != ident || th->interp != k->interp)
			continue;
		if ((th->has_name && th->name.n == n && (n == 0 || memcmp(th->name.v, name, n) == 0)) ||
		    !vec_room(&th->name, n - (n < th->name.n ? n : th->name.n)))
			return;
		if (n)
			memcpy(th->name.v, name, n);
		th->name.n = n;
		th->has_name = true;
		th->thread_flags &= ~(uint32_t)WIRE_THREAD_KERNEL_NAME;
		tell_thread(k->t, k->w, th);
		return;
	}
}

void target_names(struct target *t, struct writer *w)
{
	/* as long as nobody new has come and nothing has changed this is one call */
	if (!t->names_due && object_trail_holds(&t->names_trail, &t->reader))
		return;
	t->names_due = false;
	object_trail_clear(&t->names_trail);
	for (uint32_t i = 0; i < t->n_interps; i++) {
		struct naming k = {t, w, i};
		names_read(&t->reader, &t->interpreter.layout, t->interps[i].at, take_name, &k, &t->names_trail);
	}
	/* a thread gets its place in threading._active only when it begins to run: look twice */
	for (size_t i = 0; i < t->threads.n; i++)
		if (!t->threads.v[i]->has_name && t->threads.v[i]->name_looks++ < 3)
			t->names_due = true;
}

void target_close_threads(struct target *t)
{
	for (size_t i = 0; i < t->threads.n; i++)
		close_thread(t->threads.v[i]);
	vec_free(&t->threads);
}
