#include "pyspy-record/sample/stop.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>
#include <elf.h>

#include "format/lengths.h"
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-record/sample/priority.h"
#include "pyspy-record/sample/target.h"

enum {
	GUARD_NS = 10 * 1000 * 1000,
	SPIN_NS = 200 * 1000,
	STEP_NS = 50 * 1000,
};

static void on_guard(int signal)
{
	(void)signal; /* SIGCONT has done its work when it was sent */
}

/* The one timer, made at first use; false without one (then no stops are made). */
static bool guard_timer(timer_t *timer)
{
	static timer_t the_timer;
	static int state; /* 0 not made, 1 made, -1 cannot */
	if (state == 0) {
		struct sigevent ev = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGCONT};
		struct sigaction action = {.sa_handler = on_guard}; /* no SA_RESTART */
		sigemptyset(&action.sa_mask);
		state = sigaction(SIGCONT, &action, NULL) == 0 && timer_create(CLOCK_MONOTONIC, &ev, &the_timer) == 0
		            ? 1
		            : -1;
	}
	*timer = the_timer;
	return state == 1;
}

static void guard_set(uint64_t ns)
{
	timer_t timer;
	if (!guard_timer(&timer))
		return;
	/* again and again: a second SIGSTOP may follow the first */
	struct itimerspec spec = {.it_value.tv_nsec = (long)ns, .it_interval.tv_nsec = (long)ns};
	timer_settime(timer, 0, &spec, NULL);
}

static sigset_t mask_before;

bool stops_begin(struct stops *s)
{
	timer_t timer;
	sigset_t block;
	if (!guard_timer(&timer))
		return false;
	sigemptyset(&block);
	sigaddset(&block, SIGTSTP);
	sigaddset(&block, SIGTTOU);
	sigaddset(&block, SIGTTIN);
	sigprocmask(SIG_BLOCK, &block, &mask_before);
	guard_set(GUARD_NS);
	s->is_open = true;
	return true;
}

void stops_end(struct stops *s)
{
	s->is_open = false;
	if (s->n_pending == 0) /* else one may come to rest at any moment */
		guard_set(0);
	sigprocmask(SIG_SETMASK, &mask_before, NULL);
}

void stops_before_sleep(struct stops *s)
{
	if (s->n_pending > 0)
		priority_want(PRIORITY_STOP, true);
}

static bool is_in_system_call(pid_t tid)
{
#if defined(__x86_64__)
	struct user_regs_struct regs;
	struct iovec io = {&regs, sizeof regs};
	return ptrace(PTRACE_GETREGSET, tid, (void *)NT_PRSTATUS, &io) == 0 && (long)regs.orig_rax >= 0;
#else
	(void)tid;
	return false;
#endif
}

static void count(struct stops *s, uint64_t since)
{
	uint64_t took = clock_mono_ns() - since;
	s->n++;
	s->total_ns += took;
	s->lengths[lengths_bucket(took)]++;
	if (took > s->longest_ns)
		s->longest_ns = took;
}

static void add_pending(struct stops *s, pid_t pid, pid_t tid)
{
	if (s->n_pending < STOPS_PENDING_MAX)
		s->pending[s->n_pending++] = (struct stops_pending){pid, tid, clock_mono_ns()};
}

static struct stops_pending *find_pending(struct stops *s, pid_t tid)
{
	for (size_t i = 0; i < s->n_pending; i++)
		if (s->pending[i].tid == tid)
			return &s->pending[i];
	return NULL;
}

bool stops_is_pending(const struct stops *s, pid_t tid)
{
	return find_pending((struct stops *)s, tid) != NULL;
}

bool stops_has_room(const struct stops *s)
{
	return s->n_pending < STOPS_PENDING_MAX;
}

/* Whoever waits for the end of a child of ours must know that it came. */
static void note_end(struct stops *s, pid_t pid, pid_t tid, int status)
{
	if (tid != pid || !(WIFEXITED(status) || WIFSIGNALED(status)))
		return;
	s->ended_pid = pid;
	s->ended_status = status;
}

/* 0 = nobody. */
static pid_t tracer_of(pid_t pid, pid_t tid)
{
	char path[64], line[128];
	int tracer = 0;
	snprintf(path, sizeof path, "/proc/%d/task/%d/status", (int)pid, (int)tid);
	FILE *f = fopen(path, "re");
	while (f && fgets(line, sizeof line, f) && sscanf(line, "TracerPid: %d", &tracer) != 1)
		;
	if (f)
		fclose(f);
	return tracer;
}

/* The signal that a thread at rest was about to get, which it gets when it is let go; 0 = none. */
static int signal_of(int status)
{
	return status >> 16 == 0 ? WSTOPSIG(status) : 0;
}

/* False: it is still on its way. */
static bool settle_one(struct stops *s, struct stops_pending *p)
{
	int status;
	uint64_t before = p->looked_ns;
	p->looked_ns = clock_mono_ns();
	pid_t got = waitpid(p->tid, &status, __WALL | WNOHANG);
	if (got == 0)
		return false;
	if (got < 0) {
		/* a thread that executes another program goes on under the number of its process */
		if (p->tid == p->pid || tracer_of(p->pid, p->pid) != getpid())
			return true;
		p->tid = p->pid;
		return false;
	}
	if (!WIFSTOPPED(status)) {
		note_end(s, p->pid, p->tid, status);
		return true;
	}
	if (ptrace(PTRACE_DETACH, p->tid, 0, (void *)(long)signal_of(status)) == 0)
		count(s, before);
	return true;
}

bool stops_settle(struct stops *s)
{
	size_t kept = 0;
	if (s->n_pending == 0)
		return false;
	for (size_t i = 0; i < s->n_pending; i++)
		if (!settle_one(s, &s->pending[i]))
			s->pending[kept++] = s->pending[i];
	s->n_pending = kept;
	if (kept == 0 && !s->is_open)
		guard_set(0);
	priority_want(PRIORITY_STOP, s->is_waiting);
	return kept > 0;
}

/* Wait until the thread has come to rest, which it had not at *since. 1: it has, *since is a moment just before; 0: not
 * in time; -1: it has ended. */
static int wait_stopped(struct stops *s, pid_t tid, uint64_t wait_ns, int *status, uint64_t *since)
{
	*status = 0;
	/* It takes some 20 us: to sleep meanwhile would lengthen the stop by what it takes to get the CPU again. Where
	 * it takes longer, the thread waits for a CPU itself, and does not stand because of us: look often, so that
	 * only the standing is counted. */
	uint64_t begin = clock_mono_ns(), now = begin;
	pid_t got;
	for (;;) {
		got = waitpid(tid, status, __WALL | WNOHANG);
		if (got != 0 || now - begin >= wait_ns)
			break;
		*since = now;
		if (now - begin > SPIN_NS) {
			clock_sleep_until(now + STEP_NS);
			stops_settle(s); /* those that did not stand in time must not wait for this one */
		}
		now = clock_mono_ns();
	}
	return got == 0 ? 0 : got == tid && WIFSTOPPED(*status) ? 1 : -1;
}

static int read_it(void *ctx, struct target *t, struct sample_thread *th)
{
	TRY(target_read(t, &th, 1));
	return th->look == LOOK_READ ? target_walk(t, th) : ERR_GONE;
}

/* Ask it to stop, if it was not asked already. 0; ERR_PERMISSION; ERR_GONE. */
static int ask(struct stops *s, pid_t pid, pid_t tid, uint64_t *since)
{
	struct stops_pending *p = find_pending(s, tid);
	if (p) {
		*since = p->looked_ns;
		*p = s->pending[--s->n_pending];
		return 0;
	}
	if (ptrace(PTRACE_SEIZE, tid, 0, 0) < 0) /* EPERM is said of one that ends, too */
		return errno == EPERM && tracer_of(pid, tid) ? ERR_PERMISSION : ERR_GONE;
	*since = clock_mono_ns();
	ptrace(PTRACE_INTERRUPT, tid, 0, 0); /* fails when it ends: then waiting tells */
	return 0;
}

static bool wait_and_do(struct stops *s, struct target *t, struct sample_thread *th, uint64_t wait_ns, uint64_t since,
                        stops_doing *doing, void *ctx, int *rc)
{
	int status;
	switch (wait_stopped(s, th->tid, wait_ns, &status, &since)) {
	case 1:
		*rc = doing(ctx, t, th);
		s->in_syscall += is_in_system_call(th->tid);
		if (ptrace(PTRACE_DETACH, th->tid, 0, (void *)(long)signal_of(status)) < 0) /* it is being killed */
			add_pending(s, t->facts.pid, th->tid);
		count(s, since);
		return true;
	case 0:
		s->given_up++;
		add_pending(s, t->facts.pid, th->tid);
		return false;
	default:
		t->census_due = true;
		if (status)
			note_end(s, t->facts.pid, th->tid, status);
		else if (tracer_of(t->facts.pid, t->facts.pid) == getpid())
			add_pending(s, t->facts.pid, t->facts.pid);
		return false;
	}
}

bool stops_one(struct stops *s, struct target *t, struct sample_thread *th, uint64_t wait_ns, int *rc)
{
	return stops_while(s, t, th, wait_ns, read_it, NULL, rc);
}

bool stops_while(struct stops *s, struct target *t, struct sample_thread *th, uint64_t wait_ns, stops_doing *doing,
                 void *ctx, int *rc)
{
	uint64_t since;
	bool stood = false, was_waiting = s->is_waiting;
	s->is_waiting = true;
	priority_want(PRIORITY_STOP, true);
	*rc = ask(s, t->facts.pid, th->tid, &since);
	if (*rc == 0) {
		*rc = ERR_GONE;
		stood = wait_and_do(s, t, th, wait_ns, since, doing, ctx, rc);
	} else {
		t->census_due |= *rc == ERR_GONE;
	}
	s->is_waiting = was_waiting;
	priority_want(PRIORITY_STOP,
	              was_waiting || s->n_pending > 0); /* until the next stops_settle, before the next tick */
	return stood;
}

uint64_t stops_ways_back(struct stops *s)
{
	uint64_t ns = s->back_ns;
	s->back_ns = 0;
	return ns;
}

void stops_tell(const struct stops *s, struct writer *w)
{
	writer_count(w, WIRE_COUNTER_STOPS, s->n);
	writer_count(w, WIRE_COUNTER_STOPPED_NS, s->total_ns);
	writer_count(w, WIRE_COUNTER_STOPS_IN_SYSCALL, s->in_syscall);
	writer_count(w, WIRE_COUNTER_STOPS_GIVEN_UP, s->given_up);
	writer_count(w, WIRE_COUNTER_LONGEST_STOP_NS, s->longest_ns);
	for (uint32_t b = 0; b < WIRE_STOP_LENGTHS; b++)
		writer_count(w, WIRE_COUNTER_STOP_LENGTHS + b, s->lengths[b]);
}
