/* sample.bpf.c: whom it samples, and by what. Needs rights; skipped without. */
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "tests/unit/support_kernel_target.h"
#include "tests/unit/support_test.h"

enum { MS = 1000000, NATIVE_ID = 8, HOLDER = 32, ENOUGH_WORK = 50000 };

static struct kernel *k;
static struct kernel_target t, u;

static uint64_t counted(enum kernel_count what)
{
	uint64_t counts[KERNEL_COUNT_END_];
	kernel_counts(k, counts);
	return counts[what];
}

/* --- several processes */

struct tally {
	pid_t pid;
	size_t n;
};
static int count_samples(void *ctx, const struct kernel_record *r, size_t n)
{
	struct tally *tally = ctx; /* two of them */
	for (int i = 0; i < 2; i++)
		tally[i].n +=
		    r->kind == KERNEL_SAMPLE && r->trigger == KERNEL_ON_CLOCK && r->tgid == (uint32_t)tally[i].pid;
	return 0;
}

/* Until each has had some CPU time. */
static void sample_both(struct tally *tally)
{
	tally[0] = (struct tally){t.pid, 0};
	tally[1] = (struct tally){u.pid, 0};
	kt_begin(&t, KT_SPIN);
	kt_begin(&u, KT_SPIN);
	uint64_t work[] = {t.control->work, u.control->work};
	for (int i = 0; i < 300; i++) {
		usleep(10000);
		assert_int_equal(kernel_drain(k, count_samples, tally), 0);
		if (t.control->work - work[0] > ENOUGH_WORK && u.control->work - work[1] > ENOUGH_WORK)
			break;
	}
}

static void test_two_processes(void **state)
{
	struct tally tally[2];
	if (!k)
		skip();
	kt_open(&t, k);
	kt_open(&u, k);
	kt_clock(&t);
	kt_clock(&u);
	kt_push(&t, 104, 3);
	kt_push(&u, 104, 5);
	sample_both(tally);
	assert_true(tally[0].n > 2 && tally[1].n > 2);
	kernel_leave(k, u.pid); /* the clock goes on, and nobody listens */
	sample_both(tally);
	assert_true(tally[0].n > 2 && tally[1].n == 0);
	kt_close(&u);
	kt_run(&t, KT_SPIN, 30);
	assert_true(kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_CLOCK) > 2);
	kt_close(&t);
}

/* --- threads that nobody knows */

struct life {
	uint32_t tid;
	size_t n_unknown, n_exited, n_samples;
	uint64_t cpu_ns, lived_ns;
	bool was_unknown_first;
};

static size_t gather_lives(struct life *lives, size_t most)
{
	size_t n = 0;
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kernel_record *r = &t.records.v[i].m->head;
		size_t at = 0;
		while (at < n && lives[at].tid != r->tid)
			at++;
		if (at == n) {
			assert_true(n < most);
			lives[n++] = (struct life){.tid = r->tid, .was_unknown_first = r->kind == KERNEL_UNKNOWN};
		}
		struct life *l = &lives[at];
		l->n_unknown += r->kind == KERNEL_UNKNOWN;
		l->n_samples += r->kind == KERNEL_SAMPLE;
		l->n_exited += r->kind == KERNEL_EXITED;
		if (r->kind == KERNEL_EXITED) {
			l->cpu_ns = r->cpu_ns;
			l->lived_ns = r->slept_ns;
		}
	}
	return n;
}

/* They inherit the clock; each is told once when it is not known, and once when it ends, with its time. */
static void test_threads(void **state)
{
	static struct life lives[500];
	bool inherits = false;
	if (!k)
		skip();
	kt_open(&t, k);
	t.clock_fd = kernel_clock_open(k, t.pid, 0, &inherits);
	assert_true(t.clock_fd >= 0);
	if (!inherits)
		skip();
	kt_run(&t, KT_THREADS, 300);
	size_t n = gather_lives(lives, N_OF(lives)), ended = 0, early = 0, right = 0;
	for (size_t i = 0; i < n; i++) {
		const struct life *l = &lives[i];
		if (l->tid == (uint32_t)t.pid) {
			assert_int_equal(l->n_exited, 0);
			continue;
		}
		if (!l->was_unknown_first) /* the first one's record is dropped with those of before */
			early++;
		else
			assert_int_equal(l->n_unknown, 1);
		assert_int_equal(l->n_samples, 0);
		assert_true(l->n_exited <= 1);
		if (!l->n_exited) /* the last one */
			continue;
		ended++;
		right += l->cpu_ns > 9.5 * MS && l->cpu_ns < 12 * MS;
		assert_true(l->lived_ns >= l->cpu_ns);
	}
	assert_true(early <= 1);
	assert_true(ended >= 2 && ended <= t.control->rounds && ended + 2 >= t.control->rounds);
	if (right < (ended + 1) / 2) /* there are machines where the switches of some tasks are not told */
		fail_msg("%zu of %zu threads had their 10 ms", right, ended);
	kt_close(&t);
}

/* Not bound, and it holds the GIL: the program finds that out by itself, where the rules let it. */
static void hold_gil(uint32_t locked)
{
	kt_put(&t, kt_at(&t, KT_GIL) + HOLDER, kt_at(&t, KT_TSTATE));
	kt_put_u32(&t, kt_at(&t, KT_GIL) + HOLDER + 8, locked);
}
static void expect_found(bool found)
{
	kernel_unbind(k, t.pid);
	assert_int_equal(kernel_watch(k, t.pid, &t.rules, true, 1), 0);
	kt_run(&t, KT_SPIN, 30);
	size_t n = 0;
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kernel_sample *m = t.records.v[i].m;
		if (m->head.kind != KERNEL_SAMPLE)
			continue;
		n += m->head.trigger == KERNEL_ON_CLOCK;
		assert_true(m->tstate == kt_at(&t, KT_TSTATE) && m->interp == kt_at(&t, KT_INTERP));
	}
	assert_int_equal(n > 0, found);
}
static void test_holder_is_found(void **state)
{
	if (!k)
		skip();
	kt_open(&t, k);
	kt_clock(&t);
	kt_push(&t, 104, 3);
	hold_gil(1);
	expect_found(false); /* no GIL is known */
	t.rules.n_gils = 1;
	t.rules.gils[0].gil = kt_at(&t, KT_GIL);
	t.rules.gils[0].interp = kt_at(&t, KT_INTERP);
	expect_found(true);
	hold_gil(0);
	expect_found(false);
	hold_gil(UINT32_MAX); /* not made yet: -1 */
	expect_found(false);
	hold_gil(1);
	kt_put(&t, kt_at(&t, KT_TSTATE) + NATIVE_ID, 1); /* another thread holds it */
	expect_found(false);
	kt_put(&t, kt_at(&t, KT_TSTATE) + NATIVE_ID, (uint64_t)t.pid);
	t.rules.n_gils = KERNEL_GILS_MAX; /* it is the last one's */
	t.rules.gils[KERNEL_GILS_MAX - 1] = t.rules.gils[0];
	t.rules.gils[0].gil = t.rules.gils[0].interp = 0;
	expect_found(true);
	t.rules.n_gils = KERNEL_GILS_MAX - 1;
	expect_found(false);
	t.rules.n_gils = 1;
	t.rules.gils[0] = t.rules.gils[KERNEL_GILS_MAX - 1];
	t.rules.gil_current = kt_at(&t, KT_CFRAMES); /* 3.11 */
	expect_found(false);
	kt_put(&t, t.rules.gil_current, kt_at(&t, KT_TSTATE));
	expect_found(true);
	kt_close(&t);
}

/* --- the end */

static void test_killed(void **state)
{
	if (!k)
		skip();
	kt_open(&t, k);
	kt_clock(&t);
	kt_run(&t, KT_SPIN, 20);
	kt_begin(&t, KT_SPIN);
	usleep(20000);
	kill(t.pid, SIGKILL);
	siginfo_t info;
	assert_int_equal(waitid(P_PID, (id_t)t.pid, &info, WEXITED | WNOWAIT), 0);
	kt_drain(&t);
	assert_int_equal(kt_count(&t, KERNEL_EXITED, 0), 1);
	const struct kernel_record *last = &t.records.v[t.records.n - 1].m->head;
	assert_int_equal(last->kind, KERNEL_EXITED);
	assert_true(last->cpu_ns > 5 * MS && last->tid == (uint32_t)t.pid);
	const struct kernel_task *tasks;
	uint64_t now;
	bool is_there = true;
	for (int tries = 0; is_there && tries < 500; tries++) { /* until it is off its CPU for the last time */
		usleep(5000);
		is_there = false;
		for (int i = kernel_tasks(k, &tasks, &now); i-- > 0;)
			is_there |= tasks[i].tid == (uint32_t)t.pid;
	}
	assert_false(is_there);
	kt_close(&t);
}

/* --- by what */

static void by_tick(struct kernel *engine)
{
	assert_true(kernel_tick_hz(engine) >= 100 && kernel_tick_hz(engine) <= 1000);
	kt_open(&t, engine);
	kt_push(&t, 104, 3);
	kt_run(&t, KT_SPIN, 100); /* it has a clock, as it was told */
	assert_int_equal(kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_TICK), 0);
	t.binding.wants_tick = 1;
	kt_tell(&t);
	kt_run(&t, KT_SPIN, 200); /* this one has not */
	assert_true(kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_TICK) > 4);
	t.binding.wants_tick = 0;
	kt_tell(&t);
	assert_int_equal(kernel_watch(engine, t.pid, &t.rules, false, 1), 0);
	kt_begin(&t, KT_WAIT);
	uint64_t before = t.control->cpu_ns;
	kt_run(&t, KT_SPIN, 600);
	double periods = (double)(t.control->cpu_ns - before) / 1e7;
	double n = (double)kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_TICK);
	if (n < periods * 0.5 - 3 || n > periods * 2.5 + 3) /* all timers of a CPU end in this interrupt */
		fail_msg("%.0f samples of %.0f", n, periods);
	assert_int_equal(kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_CLOCK), 0);
	kt_close(&t);
}

static void test_tick(void **state)
{
	if (!k)
		skip();
	struct kernel *engine = kt_engine_complete(100);
	assert_non_null(engine);
	bool has_tick = kernel_clock(engine) == KERNEL_CLOCK_TICK;
	if (has_tick)
		by_tick(engine);
	kernel_close(engine);
	if (!has_tick)
		skip();
}

static void test_clock(void **state)
{
	if (!k)
		skip();
	assert_int_equal(kernel_clock(k), KERNEL_CLOCK_OWN);
	assert_int_equal(kernel_period_ns(k), MS);
	kt_open(&t, k);
	kt_clock(&t);
	kt_begin(&t, KT_WAIT);
	uint64_t before = t.control->cpu_ns;
	kt_run(&t, KT_SPIN, 100);
	double ms = (double)(t.control->cpu_ns - before) / 1e6;
	double n = (double)kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_CLOCK);
	if (n < ms * 0.3 - 2 || n > ms * 2 + 3)
		fail_msg("%.0f samples in %.1f ms", n, ms);
	assert_int_equal(kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_TICK), 0);
	uint64_t last = 0;
	for (size_t i = 0; i < t.records.n; i++) {
		const struct kernel_record *r = &t.records.v[i].m->head;
		assert_true(r->time_ns >= last && r->time_ns < clock_mono_ns());
		last = r->time_ns;
	}
	kernel_slow(k, 10); /* as many as of a clock with ten times the period, of one that has its own still */
	assert_int_equal(kernel_period_ns(k), 10 * MS);
	assert_int_equal(kernel_watch(k, t.pid, &t.rules, true, 1), 0);
	kt_begin(&t, KT_WAIT);
	before = t.control->cpu_ns;
	kt_run(&t, KT_SPIN, 300);
	ms = (double)(t.control->cpu_ns - before) / 1e6;
	n = (double)kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_CLOCK);
	if (n > ms / 10 * 2 + 4 || n < ms / 30 - 3)
		fail_msg("%.0f samples in %.1f ms at a tenth of the rate", n, ms);
	kernel_slow(k, 1);
	assert_int_equal(kernel_watch(k, t.pid, &t.rules, true, 10), 0);
	assert_int_equal(kernel_clock_ns(k, 10), 10 * MS / 4); /* in step with nothing: one of four, by chance */
	double all = 0, all_ms = 0;                            /* slower, and around the mean again */
	kernel_clock_vary(k, t.clock_fd, 10, 0);
	kt_begin(&t, KT_WAIT);
	before = t.control->cpu_ns;
	kt_run(&t, KT_SPIN, 200);
	ms = (double)(t.control->cpu_ns - before) / 1e6;
	n = (double)kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_CLOCK);
	assert_true(n > ms / 30 - 2 && n < ms / 10 * 2 + 3);
	assert_int_equal(kernel_watch(k, t.pid, &t.rules, true, 1), 0);
	for (uint64_t draw = 0; draw < 20; draw++) {
		kernel_clock_vary(k, t.clock_fd, 1, draw * UINT64_C(0x9e3779b97f4a7c15));
		kt_begin(&t, KT_WAIT);
		before = t.control->cpu_ns;
		kt_run(&t, KT_SPIN, 20);
		all_ms += (double)(t.control->cpu_ns - before) / 1e6;
		all += (double)kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_CLOCK);
	}
	if (all < 0.5 * all_ms || all > 2 * all_ms)
		fail_msg("%.0f samples in %.1f ms", all, all_ms);
	kt_close(&t);
}

/* --- a recorder that does not come */

static void test_nobody_drains(void **state)
{
	if (!k)
		skip();
	kt_open(&t, k);
	kt_clock(&t);
	kt_push(&t, 4000, 50); /* 200 KB each: the ring is full soon */
	kt_begin(&t, KT_SPIN);
	uint64_t work = t.control->work, overrun = counted(KERNEL_COUNT_OVERRUN);
	for (int i = 0; i < 100 && counted(KERNEL_COUNT_OVERRUN) == overrun; i++)
		usleep(100000);
	assert_true(counted(KERNEL_COUNT_OVERRUN) > overrun); /* counted */
	assert_true(t.control->work > work);                  /* and it runs */
	kt_drain(&t);
	assert_true(t.records.n > 0);
	kt_run(&t, KT_SPIN, 30); /* all is well again */
	assert_true(kt_count(&t, KERNEL_SAMPLE, KERNEL_ON_CLOCK) > 2);
	kt_close(&t);
}

/* It is called when the ring fills up, and not for a few samples. */
static void test_wait(void **state)
{
	if (!k)
		skip();
	kt_open(&t, k);
	kt_clock(&t);
	kt_push(&t, 104, 3);
	kt_begin(&t, KT_SPIN);
	for (int i = 0; i < 20 && kernel_wait(k, clock_mono_ns() + 5 * MS); i++)
		kt_drain(&t); /* calls of the test before */
	uint64_t before = clock_mono_ns();
	assert_false(kernel_wait(k, before + 50 * MS));
	uint64_t took = clock_mono_ns() - before;
	assert_true(took >= 50 * MS && took < 500 * MS);
	assert_false(kernel_wait(k, before)); /* is over */
	kt_begin(&t, KT_WAIT);
	kt_push(&t, 4000, 50);
	kt_begin(&t, KT_SPIN);
	before = clock_mono_ns();
	assert_true(kernel_wait(k, before + 3000u * MS));
	assert_true(clock_mono_ns() - before < 1000u * MS);
	kt_close(&t);
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
	    cmocka_unit_test(test_two_processes),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_holder_is_found),
	    cmocka_unit_test(test_killed),
	    cmocka_unit_test(test_tick),
	    cmocka_unit_test(test_clock),
	    cmocka_unit_test(test_nobody_drains),
	    cmocka_unit_test(test_wait),
	};
	return cmocka_run_group_tests(tests, set_up, tear_down);
}
