/* Stops: they certify stacks, they never are samples (a stop is no random instant: it comes to rest in system calls).
 *
 * A thread is attached for the one stop only: a thread that stays traced would wait for us at each of its signals. If
 * the recorder dies, the kernel lets the thread go. If the recorder itself is stopped (SIGSTOP) while the thread
 * stands, a timer of ours sends us SIGCONT: the kernel delivers it to a stopped process too.
 */
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/uio.h>
#include <sys/user.h>
#include <sys/wait.h>
#include <time.h>
#include <elf.h>

#include "format/lengths.h"
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-record/sample/hold.h"
#include "pyspy-record/sample/target.h"

enum {
	GUARD_NS = 10 * 1000 * 1000,
	SPIN_NS = 200 * 1000,
	STEP_NS = 50 * 1000,
	STOP_EVENT = 128 /* PTRACE_EVENT_STOP */
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

static void guard_set(timer_t timer, uint64_t ns)
{
	/* again and again: a second SIGSTOP may follow the first */
	struct itimerspec spec = {.it_value.tv_nsec = (long)ns, .it_interval.tv_nsec = (long)ns};
	timer_settime(timer, 0, &spec, NULL);
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

/* Wait until the thread has come to rest. 1: it has, *deliver is the signal that it was about to get, *since a moment
 * just before it came to rest; 0: not in time; -1: it has ended. */
static int wait_stopped(pid_t tid, int *deliver, int *wait_status, uint64_t *since)
{
	*deliver = 0;
	*wait_status = 0;
	/* It takes some 20 us: to sleep meanwhile would lengthen the stop by what it takes to get the CPU again. Where
	 * it takes longer, the thread waits for a CPU itself, and does not stand because of us: look often, so that
	 * only the standing is counted. */
	uint64_t begin = clock_mono_ns(), now = begin;
	pid_t got;
	do {
		if (now - begin > SPIN_NS)
			clock_sleep_until(now + STEP_NS);
		*since = clock_mono_ns();
		got = waitpid(tid, wait_status, __WALL | WNOHANG);
		now = clock_mono_ns();
	} while (got == 0 && now - begin < GUARD_NS);
	if (got != tid)
		return got == 0 ? 0 : -1;
	if (!WIFSTOPPED(*wait_status))
		return -1;
	if (*wait_status >> 16 == 0) /* it was about to get a signal: it gets it when we let go */
		*deliver = WSTOPSIG(*wait_status);
	return 1;
}

static void let_go(struct target *t, pid_t tid, int deliver)
{
	if (ptrace(PTRACE_DETACH, tid, 0, (void *)(long)deliver) < 0 && errno == ESRCH)
		t->pending_detach = tid;
}

void target_settle(struct target *t)
{
	if (!t->pending_detach)
		return;
	int status;
	pid_t tid = t->pending_detach, got = waitpid(tid, &status, __WALL | WNOHANG);
	if (got == tid && WIFSTOPPED(status)) {
		ptrace(PTRACE_DETACH, tid, 0, (void *)(long)(status >> 16 == 0 ? WSTOPSIG(status) : 0));
		t->pending_detach = 0;
	} else if (got == tid) {
		t->pending_detach = 0;
		t->ended_status = status;
		t->ended_tid = tid;
	} else if (got < 0) { /* not ours any more, or its stop was waited for elsewhere */
		if (ptrace(PTRACE_DETACH, tid, 0, 0) == 0 || !process_is_alive(t->facts.pid, t->facts.start_ticks))
			t->pending_detach = 0;
	}
}

struct sample_thread *target_wants_stop(struct target *t, uint64_t draw)
{
	size_t n = 0;
	if (!t->may_stop || t->pending_detach)
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

static void count_stop(struct target *t, uint64_t since)
{
	uint64_t took = clock_mono_ns() - since;
	t->counts.stops++;
	t->counts.stopped_ns += took;
	if (t->stop_lengths)
		t->stop_lengths[lengths_bucket(took)]++;
	if (took > t->counts.longest_stop_ns)
		t->counts.longest_stop_ns = took;
}

/* Stop, read, let go. True: the frames in t->walk are certain. */
static bool stop_and_read(struct target *t, struct sample_thread *th)
{
	int deliver, status;
	bool read = false;
	uint64_t since;
	if (ptrace(PTRACE_SEIZE, th->tid, 0, 0) < 0)
		return false;
	if (ptrace(PTRACE_INTERRUPT, th->tid, 0, 0) < 0) {
		let_go(t, th->tid, 0);
		return false;
	}
	switch (wait_stopped(th->tid, &deliver, &status, &since)) {
	case 1:
		read = target_read(t, &th, 1) == 0 && th->look == LOOK_READ && target_walk(t, th) == 0;
		if (read)
			target_note_own(th);
		t->counts.stops_in_syscall += is_in_system_call(th->tid);
		let_go(t, th->tid, deliver);
		count_stop(t, since);
		break;
	case 0:
		t->counts.stops_given_up++;
		t->pending_detach = th->tid;
		break;
	default:
		t->census_due = true;
		if (status) { /* a child of ours that ended: whoever waits for it must know */
			t->ended_status = status;
			t->ended_tid = th->tid;
		}
	}
	return read;
}

void target_stop(struct target *t, struct writer *w, struct sample_thread *th)
{
	timer_t timer;
	node_id node;
	bool unproved;
	if (target_take_still(t, w, th, &node) || th->look != LOOK_READ || th->blocked || th->held ||
	    !guard_timer(&timer))
		return; /* a thread seen sleeping is never sent a stop */
	sigset_t block, before;
	sigemptyset(&block);
	sigaddset(&block, SIGTSTP);
	sigaddset(&block, SIGTTOU);
	sigaddset(&block, SIGTTIN);
	sigprocmask(SIG_BLOCK, &block, &before);
	hold_hurry(true);
	guard_set(timer, GUARD_NS);
	bool read = stop_and_read(t, th);
	guard_set(timer, 0);
	hold_hurry(false);
	sigprocmask(SIG_SETMASK, &before, NULL);
	/* the names of new code objects are read with the thread running again: what they prove is weighed as for any
	 * sample */
	if (read && target_resolve(t, th, &node, &unproved) == 0 && !unproved)
		th->wants_certificate = trie_certify(&t->trie, w, node); /* where one stack was new, others are */
}
