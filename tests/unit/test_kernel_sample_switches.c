/* sample.bpf.c: threads that leave their CPU: when, why, for how long; and their time on it. Needs rights; skipped
 * without. */
#include <sched.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "tests/unit/support_kernel_target.h"
#include "tests/unit/support_test.h"

enum { MS = 1000000, TRIES = 5 };

static struct kernel *k;
static struct kernel_target t, u;

static struct kernel_task task_of(const struct kernel_target *of, uint64_t *now)
{
	const struct kernel_task *tasks;
	int n = kernel_tasks(k, &tasks, now);
	assert_true(n >= 0);
	for (int i = 0; i < n; i++)
		if (tasks[i].tid == (uint32_t)of->pid)
			return tasks[i];
	return (struct kernel_task){0};
}

static bool begin(void)
{
	if (!k)
		return false;
	kt_open(&t, k);
	kt_push(&t, 104, 3);
	return true;
}

/* --- sleeps */

struct sleeps {
	size_t n_begun, n_whole, n_states[4];
	uint64_t slept_ns;
	double weighed; /* sum of 1 / chance */
};

/* Each beginning and the end that belongs to it. */
static struct sleeps gather_sleeps(const struct kernel_target *of)
{
	struct sleeps s = {0};
	const struct kernel_sample *begun = NULL;
	for (size_t i = 0; i < of->records.n; i++) {
		const struct kernel_sample *m = of->records.v[i].m;
		const struct kernel_record *r = &m->head;
		if (r->kind == KERNEL_SAMPLE && r->trigger == KERNEL_ON_SWITCH) {
			begun = m;
			s.n_begun++;
			s.weighed += r->off_chance / 256.0;
			assert_true(r->off_state < N_OF(s.n_states));
			s.n_states[r->off_state]++;
			assert_int_equal(of->records.v[i].n, sizeof *m + m->n_bytes);
			assert_true(r->off_chance >= 256 && m->n_bytes > 0 && m->cut == 0);
		} else if (r->kind == KERNEL_WOKE && begun && begun->head.switches == r->switches) {
			s.n_whole++;
			s.slept_ns += r->slept_ns;
			assert_int_equal(begun->head.time_ns + r->slept_ns, r->time_ns);
			assert_true(begun->head.off_chance == r->off_chance && begun->head.cpu_ns == r->cpu_ns);
			begun = NULL;
		}
	}
	return s;
}

static void test_sleep(void **state)
{
	uint64_t now;
	if (!begin())
		skip();
	t.control->sleep_ns = 20 * MS;
	kt_run(&t, KT_SLEEP, 300);
	struct sleeps s = gather_sleeps(&t);
	uint64_t rounds = t.control->rounds, slept = t.control->slept_ns;
	struct kernel_task task = task_of(&t, &now);
	uint64_t in_all = 0;
	for (size_t i = 0; i < KERNEL_LENGTHS; i++)
		in_all += task.slept_ns[i];
	assert_true(in_all >= s.slept_ns && task.slept_ns[kernel_length(25 * MS)] > s.slept_ns / 3);
	assert_true(rounds >= 2 && s.n_states[KERNEL_OFF_SLEEPS] >= rounds - 1);
	assert_true(s.n_whole + 2 >= s.n_begun);
	if ((double)s.slept_ns < 0.8 * (double)slept || (double)s.slept_ns > 1.2 * (double)slept)
		fail_msg("%.1f ms by the engine, %.1f by the thread", (double)s.slept_ns / MS, (double)slept / MS);
#if defined(__x86_64__)
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kernel_sample *m = t.records.v[i].m;
		if (m->head.kind != KERNEL_SAMPLE || m->head.off_state != KERNEL_OFF_SLEEPS || m->syscall == -1)
			continue; /* kernels before 5.18 do not tell */
		assert_true(m->syscall == SYS_clock_nanosleep || m->syscall == SYS_nanosleep ||
		            m->syscall == SYS_futex);
	}
#endif
	kt_close(&t);
}

/* Short ones, oftener than stacks are wanted: by chance, and the chance goes along. Those that are not taken are not
 * told of at their end either. */
static void test_short_sleeps(void **state)
{
	if (!begin())
		skip();
	t.rules.switch_gap_ns = 5 * MS;
	kt_tell(&t);
	t.control->sleep_ns = MS / 5;
	kt_run(&t, KT_SLEEP, 100);
	uint64_t before = t.control->rounds;
	kt_run(&t, KT_SLEEP, 1000);
	uint64_t rounds = t.control->rounds - before;
	struct sleeps s = gather_sleeps(&t);
	assert_true(rounds > 300);
	assert_true(s.n_begun < rounds / 2 && s.n_begun > rounds / 100);
	assert_true(kt_count(&t, KERNEL_WOKE, 0) < rounds / 2);
	/* preempted ones are switches too */
	if (s.weighed < 0.6 * (double)rounds || s.weighed > 2.5 * (double)rounds)
		fail_msg("%llu sleeps, %.0f by %zu samples", (unsigned long long)rounds, s.weighed, s.n_begun);
	kt_close(&t);
}

/* A long one is told of at its end in any case. */
static void test_long_sleeps_end(void **state)
{
	if (!begin())
		skip();
	t.rules.switch_gap_ns = 3600000000000;
	kt_tell(&t);
	t.control->sleep_ns = 20 * MS;
	kt_run(&t, KT_SLEEP, 200);
	assert_int_equal(kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_SWITCH), 0);
	assert_true(kt_count(&t, KERNEL_WOKE, 0) >= 2);
	kt_close(&t);
}

/* --- why */

static void test_stopped(void **state)
{
	uint64_t now;
	if (!begin())
		skip();
	kt_run(&t, KT_SPIN, 20);
	kt_begin(&t, KT_SPIN);
	kill(t.pid, SIGSTOP);
	waitpid(t.pid, NULL, WUNTRACED);
	usleep(30000);
	assert_int_equal(task_of(&t, &now).off_state, KERNEL_OFF_STOPPED);
	kill(t.pid, SIGCONT);
	kt_run(&t, KT_WAIT, 10);
	kt_begin(&t, KT_SPIN);
	kill(t.pid, SIGSTOP);
	waitpid(t.pid, NULL, WUNTRACED);
	uint64_t begun = clock_mono_ns();
	usleep(30000);
	uint64_t least = clock_mono_ns() - begun;
	kill(t.pid, SIGCONT);
	usleep(20000);
	kt_drain(&t);
	struct sleeps s = gather_sleeps(&t);
	assert_true(s.n_states[KERNEL_OFF_STOPPED] >= 1);
	assert_true(s.slept_ns >= least);
	kt_close(&t);
}

/* Waiting for a process that shares its memory is uninterruptible. */
static void test_disk(void **state)
{
	uint64_t now;
	if (!begin())
		skip();
	t.control->sleep_ns = 10 * MS;
	kt_run(&t, KT_VFORK, 200);
	struct sleeps s = gather_sleeps(&t);
	if (!s.n_states[KERNEL_OFF_DISK] && task_of(&t, &now).off_state == KERNEL_OFF_SLEEPS) {
		kt_close(&t);
		skip(); /* before 5.18 that is not told */
	}
	assert_true(s.n_states[KERNEL_OFF_DISK] >= 2);
	/* the other process is none of ours */
	for (size_t i = 0; i < t.records.n; i++)
		assert_int_equal(t.records.v[i].m->head.tid, t.pid);
	kt_close(&t);
}

/* Two that want one CPU: nobody sleeps, and what one does not get the other has. */
static void test_preempted(void **state)
{
	uint64_t begun, ended;
	cpu_set_t one;
	if (!begin())
		skip();
	kt_open(&u, k);
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	assert_int_equal(sched_setaffinity(t.pid, sizeof one, &one), 0);
	assert_int_equal(sched_setaffinity(u.pid, sizeof one, &one), 0);
	kt_begin(&u, KT_SPIN);
	kt_run(&t, KT_SPIN, 20);
	int tries = 0;
	for (; tries < TRIES; tries++) {
		kt_begin(&t, KT_SPIN);
		struct kernel_task before = task_of(&t, &begun);
		usleep(300000);
		struct kernel_task after = task_of(&t, &ended);
		kt_drain(&t);
		struct sleeps s = gather_sleeps(&t);
		assert_true(s.n_states[KERNEL_OFF_RUNNABLE] > 2);
		assert_true(
		    s.n_states[KERNEL_OFF_SLEEPS] + s.n_states[KERNEL_OFF_DISK] + s.n_states[KERNEL_OFF_STOPPED] <= 1);
		uint64_t cpu = after.cpu_ns - before.cpu_ns, ready = after.ready_ns - before.ready_ns;
		cpu += after.in_ns ? ended - after.in_ns : 0;
		cpu -= before.in_ns ? begun - before.in_ns : 0;
		ready += after.in_ns ? 0 : ended - after.out_ns;
		ready -= before.in_ns ? 0 : begun - before.out_ns;
		double told = (double)(cpu + ready) / (double)(ended - begun);
		if (told > 0.97 && told < 1.03 && ready > 20 * MS && cpu > 5 * MS)
			break; /* there are machines where the switches of some tasks are not told */
		kt_run(&t, KT_WAIT, 5);
	}
	assert_true(tries < TRIES);
	kt_close(&u);
	kt_close(&t);
}

/* So do new threads there: from their first moment on they wait for their turn, or run. */
static void test_new_threads(void **state)
{
	size_t n = 0, right = 0;
	cpu_set_t one;
	if (!begin())
		skip();
	CPU_ZERO(&one);
	CPU_SET(0, &one);
	assert_int_equal(sched_setaffinity(t.pid, sizeof one, &one), 0);
	kt_run(&t, KT_CROWD, 400);
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kernel_record *r = &t.records.v[i].m->head;
		if (r->kind != KERNEL_EXITED)
			continue;
		n++;
		uint64_t told = r->cpu_ns + r->ready_ns;
		right += told + MS / 10 > r->slept_ns && told <= r->slept_ns;
	}
	if (n < 4 || right < n * 4 / 5)
		fail_msg("%zu of %zu threads", right, n);
	kt_close(&t);
}

/* --- time */

/* The thread's own clock of CPU time, and the engine's. */
static void test_cpu_time(void **state)
{
	uint64_t now, own = 0, ours = 0;
	int tries = 0;
	if (!begin())
		skip();
	kt_clock(&t);
	for (; tries < TRIES; tries++) {
		kt_run(&t, KT_SPIN, 10);
		usleep(5000); /* it waits */
		struct kernel_task before = task_of(&t, &now);
		own = t.control->cpu_ns;
		kt_run(&t, KT_SPIN, 200);
		usleep(5000);
		struct kernel_task after = task_of(&t, &now);
		own = t.control->cpu_ns - own;
		ours = after.cpu_ns - before.cpu_ns;
		assert_true(after.switches > before.switches && after.in_ns == 0);
		/* the kernel's clock stops some us before a switch is told of */
		double more = (double)ours - (double)own, switches = (double)(after.switches - before.switches);
		if (more > -0.02 * (double)own && more < 0.02 * (double)own + switches * 20000)
			break;
	}
	if (tries == TRIES)
		fail_msg("%.2f ms, by its own clock %.2f", (double)ours / MS, (double)own / MS);
	/* samples tell the same, as of their time */
	uint64_t last = 0;
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kernel_record *r = &t.records.v[i].m->head;
		assert_true(r->cpu_ns >= last);
		last = r->cpu_ns;
	}
	assert_true(last > own / 2);
	kt_close(&t);
}

static void test_snapshot(void **state)
{
	uint64_t now, before = clock_mono_ns();
	if (!begin())
		skip();
	kt_begin(&t, KT_SPIN);
	usleep(30000);
	struct kernel_task task = task_of(&t, &now);
	assert_int_equal(task.tgid, t.pid);
	assert_true(now > before && now <= clock_mono_ns());
	assert_true(task.first_ns >= before && task.first_ns < now && !task.is_dead && !task.is_unknown);
	t.control->sleep_ns = 100 * MS;
	kt_begin(&t, KT_SLEEP);
	usleep(50000);
	task = task_of(&t, &now);
	assert_true(task.in_ns == 0 && task.out_ns < now && now - task.out_ns < 110u * MS);
	assert_int_equal(task.off_state, KERNEL_OFF_SLEEPS);
	assert_int_equal(task.off_chance, 256);
	/* let go of: nobody's tasks are kept */
	kernel_leave(k, t.pid);
	usleep(120000);
	assert_int_equal(task_of(&t, &now).tid, 0);
	kt_close(&t);
}

static bool is_there(pid_t pid)
{
	const struct kernel_task *tasks;
	uint64_t now;
	int n = kernel_tasks(k, &tasks, &now), found = 0;
	assert_true(n >= 0);
	for (int i = 0; i < n; i++)
		found += tasks[i].tid == (uint32_t)pid;
	assert_true(found <= 1);
	return found;
}

/* Few or many, they come and go: each look has all of them. */
static void test_all_tasks(void **state)
{
	enum { MANY = 24 };
	static struct kernel_target many[MANY];
	uint64_t now;
	if (!k)
		skip();
	for (int round = 0; round < 2; round++) {
		for (int i = 0; i < MANY; i++) {
			assert_false(is_there(many[i].pid) && many[i].pid);
			kt_open(&many[i], k);
			kt_run(&many[i], KT_SPIN, 1);
			for (int other = 0; other <= i; other++)
				assert_true(is_there(many[other].pid));
		}
		for (int i = MANY; i-- > 0;) {
			t = many[i];
			uint64_t switches = task_of(&t, &now).switches;
			kt_run(&many[i], KT_SPIN, 1);
			assert_true(task_of(&t, &now).switches > switches); /* as it is now */
			kt_close(&many[i]);
			assert_false(is_there(t.pid));
			for (int other = 0; other < i; other++)
				assert_true(is_there(many[other].pid));
		}
	}
}

static int set_up(void **state)
{
	k = kt_engine_complete(1000);
	return 0;
}

static int tear_down(void **state)
{
	kernel_close(k);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sleep),
	    cmocka_unit_test(test_short_sleeps),
	    cmocka_unit_test(test_long_sleeps_end),
	    cmocka_unit_test(test_stopped),
	    cmocka_unit_test(test_disk),
	    cmocka_unit_test(test_preempted),
	    cmocka_unit_test(test_new_threads),
	    cmocka_unit_test(test_cpu_time),
	    cmocka_unit_test(test_snapshot),
	    cmocka_unit_test(test_all_tasks),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
