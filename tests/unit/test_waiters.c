/* waiters: who waits for a GIL and need not be looked at, by the GIL's words of this tick and the last. */
#include "pyspy-record/sample/target.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "tests/unit/support_memory.h"
#include "tests/unit/support_test.h"

#define GIL UINT64_C(0x7f0000400000)

enum { N = 5, SKIPS = 64 };

static struct support_memory m;
static struct target *t;
static struct sample_thread threads[N], *pointers[N];
static struct sample_state states[N], *state_pointers[N];

static raddr_t tstate(int i)
{
	return UINT64_C(0x7f0000200000) + (raddr_t)i * 0x1000;
}

static void set_gil(raddr_t holder, uint64_t switches)
{
	raddr_t at = GIL + t->interpreter.layout.gil.last_holder;
	support_memory_u64(&m, at, holder);
	support_memory_u64(&m, at + 8, 1);
	support_memory_u64(&m, at + 16, switches);
}

static void free_gil(void)
{
	support_memory_u64(&m, GIL + t->interpreter.layout.gil.last_holder + 8, 0);
}

/* All but thread 0 sleep and wait for the GIL. */
static void begin(uint32_t version, enum layout_build build)
{
	support_memory_init(&m);
	support_memory_map(&m, GIL, 256);
	t = calloc(1, sizeof *t);
	assert_non_null(t);
	t->reader = m.reader;
	t->interpreter.layout = *layout_find(version, build);
	t->n_interps = 1;
	t->interps[0].gil = t->interpreter.gil = GIL;
	for (int i = 0; i < N; i++) {
		states[i] = (struct sample_state){.tstate = tstate(i)};
		state_pointers[i] = &states[i];
		threads[i] = (struct sample_thread){.states = {.v = &state_pointers[i], .n = 1},
		                                    .asleep = i > 0,
		                                    .sleep_flags = i > 0 ? WIRE_FLAG_GIL_WAIT : 0,
		                                    .is_shown = true,
		                                    .node = 7};
		pointers[i] = &threads[i];
	}
	t->threads.v = pointers;
	t->threads.n = N;
	set_gil(tstate(0), 100);
	waiters_count(t);
}

static void end(void)
{
	free(t);
	support_memory_done(&m);
}

/* A tick: which threads are not looked at, as bits. */
static unsigned tick(void)
{
	unsigned skipped = 0;
	waiters_weigh(t);
	for (int asleep = 0; asleep < 2; asleep++) {
		if (asleep)
			waiters_settle(t);
		for (int i = 0; i < N; i++)
			if (threads[i].asleep == asleep)
				skipped |= (unsigned)waiters_skip(t, pointers[i]) << i;
	}
	waiters_keep(t);
	return skipped;
}

enum { NOBODY = 0, ALL_WAITERS = 0x1e };

static void test_who_had_it(void **state)
{
	static const uint32_t versions[] = {0x030710f0, 0x030a0df0, 0x030b07f0, 0x030c01f0, 0x030d00f0, 0x030f02f0};
	for (size_t i = 0; i < sizeof versions / sizeof *versions; i++) {
		begin(versions[i], LAYOUT_RELEASE);
		assert_int_equal(tick(), NOBODY); /* nothing to compare with */
		assert_int_equal(tick(), ALL_WAITERS);
		set_gil(tstate(2), 101);
		assert_int_equal(tick(), ALL_WAITERS & ~4u);
		assert_int_equal(tick(), ALL_WAITERS & ~4u);
		set_gil(tstate(3), 102); /* 2 had it before, 3 has it now */
		assert_int_equal(tick(), ALL_WAITERS & ~12u);
		assert_int_equal(tick(), ALL_WAITERS & ~8u);
		set_gil(tstate(4), 104); /* and somebody in between */
		assert_int_equal(tick(), NOBODY);
		assert_int_equal(tick(), ALL_WAITERS & ~16u);
		set_gil(tstate(1), 104); /* written half, or swapped under the thread */
		assert_int_equal(tick(), NOBODY);
		set_gil(tstate(1), 105); /* the other half */
		assert_int_equal(tick(), NOBODY);
		assert_int_equal(tick(), ALL_WAITERS & ~2u);
		free_gil(); /* who waits for it may have had it in between, and not got it from another */
		assert_int_equal(tick(), ALL_WAITERS & ~2u);
		set_gil(tstate(1), 107); /* it gave it away, and has it again */
		assert_int_equal(tick(), NOBODY);
		end();
	}
}

static void test_who_is_looked_at(void **state)
{
	begin(0x030d00f0, LAYOUT_RELEASE);
	tick();
	threads[1].asleep = false;                    /* it ran when it was looked at */
	threads[2].sleep_flags = WIRE_STATE_SLEEPING; /* it sleeps, but not for the GIL */
	threads[3].states.n = 2;                      /* it may have any of two */
	assert_int_equal(tick(), 16);
	threads[3].states.n = 1;
	assert_int_equal(tick(), 24);
	m.error = EFAULT; /* the words cannot be read: all are looked at, now and in the next tick */
	assert_int_equal(tick(), NOBODY);
	m.error = 0;
	assert_int_equal(tick(), NOBODY);
	assert_int_equal(tick(), 24);
	end();
}

static void test_no_gil(void **state)
{
	static const struct {
		uint32_t version;
		enum layout_build build;
	} kinds[] = {{0x020712f0, LAYOUT_RELEASE}, {0x03060ff0, LAYOUT_RELEASE}, {0x030d00f0, LAYOUT_FREETHREADED}};
	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
		begin(kinds[i].version, kinds[i].build);
		tick();
		assert_int_equal(tick(), NOBODY);
		assert_int_equal(t->reader.calls, 0);
		end();
	}
}

/* One waiter: its own look costs no more than one at the GIL. */
static void test_few(void **state)
{
	begin(0x030d00f0, LAYOUT_RELEASE);
	for (int i = 2; i < N; i++)
		threads[i].asleep = false;
	waiters_count(t);
	tick();
	assert_int_equal(tick(), NOBODY);
	assert_int_equal(t->reader.calls, 0);
	end();
}

static void test_checked(void **state)
{
	begin(0x030d00f0, LAYOUT_RELEASE);
	tick();
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < SKIPS; i++)
			assert_int_equal(tick(), ALL_WAITERS);
		assert_int_equal(tick(), NOBODY); /* now and then they are looked at all the same */
		for (int i = 1; i < N; i++)
			waiters_check(t, pointers[i], 7);
	}
	assert_false(t->waiters_untrusted);
	for (int i = 0; i <= SKIPS; i++)
		tick();
	set_gil(tstate(3), 101); /* it got it just after the look at the words */
	waiters_check(t, pointers[3], 8);
	assert_false(t->waiters_untrusted);
	assert_int_equal(tick(), NOBODY); /* who was looked at before that second look at the words may have run */
	for (int i = 0; i <= SKIPS; i++)
		tick();
	waiters_check(t, pointers[2], 8);
	assert_true(t->waiters_untrusted);
	for (int i = 0; i < 3; i++)
		assert_int_equal(tick(), NOBODY);
	end();
}

static void on_signal(int signal)
{
	(void)signal;
}

static bool sleeps(pid_t pid)
{
	char path[64], letter = 0;
	snprintf(path, sizeof path, "/proc/%d/stat", pid);
	FILE *f = fopen(path, "r");
	assert_non_null(f);
	int n = fscanf(f, "%*d (%*[^)]) %c", &letter);
	fclose(f);
	return n == 1 && letter == 'S';
}

/* All sleep, for no GIL: who has it is looked at, and all where the process has used CPU time. */
static void test_idle(void **state)
{
	begin(0x030d00f0, LAYOUT_RELEASE);
	t->facts.pid = fork();
	if (t->facts.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* it does not outlive a test that fails */
		signal(SIGUSR1, on_signal);
		for (;;)
			pause();
	}
	assert_true(t->facts.pid > 0);
	struct timespec nap = {.tv_nsec = 50 * 1000 * 1000};
	for (int i = 0; i < 200 && (i == 0 || !sleeps(t->facts.pid)); i++)
		nanosleep(&nap, NULL);
	for (int i = 0; i < N; i++) {
		threads[i].asleep = true;
		threads[i].sleep_flags = WIRE_STATE_SLEEPING;
	}
	waiters_count(t);
	assert_int_equal(tick(), NOBODY);
	assert_int_equal(tick(), ALL_WAITERS);
	assert_true(t->is_idle);
	set_gil(tstate(2), 101); /* one has it, and has not given up its CPU yet */
	assert_int_equal(tick(), NOBODY);
	assert_false(t->is_idle);
	assert_int_equal(tick(), 0x1f & ~4u);
	free_gil(); /* then nobody can run Python code */
	assert_int_equal(tick(), 0x1f);
	set_gil(tstate(2), 101);
	assert_int_equal(tick(), 0x1f & ~4u);
	kill(t->facts.pid, SIGUSR1); /* it wakes, and sleeps again */
	nanosleep(&nap, NULL);
	assert_int_equal(tick(), NOBODY);
	assert_int_equal(tick(), 0x1f & ~4u);
	threads[1].lively = 2; /* it ran a while ago */
	assert_int_equal(tick(), 0x1f & ~6u);
	assert_int_equal(tick(), 0x1f & ~6u);
	assert_int_equal(tick(), 0x1f & ~4u);
	set_gil(tstate(3), 102);
	assert_int_equal(tick(), NOBODY);
	assert_int_equal(tick(), 0x1f & ~8u);
	threads[0].asleep = threads[1].asleep = false; /* too few that are idle */
	waiters_count(t);
	assert_int_equal(t->n_idle, 3);
	assert_int_equal(tick(), NOBODY);
	assert_int_equal(tick(), NOBODY);
	threads[0].asleep = threads[1].asleep = true;
	waiters_count(t);
	kill(t->facts.pid, SIGKILL);
	waitpid(t->facts.pid, NULL, 0);
	assert_int_equal(tick(), NOBODY);
	end();
}

/* What a thread that does not sleep has used is no reason to look at those that do. */
static void test_one_runs(void **state)
{
	enum { TICKS = 400 };
	unsigned quiet = 0, without = 0;
	struct timespec nap = {.tv_nsec = 1000 * 1000};
	struct taskstate task;
	uint64_t ran_ns = 0;
	begin(0x030d00f0, LAYOUT_RELEASE);
	t->facts.pid = fork();
	if (t->facts.pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			;
	}
	assert_true(t->facts.pid > 0);
	for (int i = 1; i < N; i++)
		threads[i].sleep_flags = WIRE_STATE_SLEEPING;
	waiters_count(t);
	assert_int_equal(t->n_idle, N - 1);
	taskstate_open(&task, t->facts.pid, t->facts.pid);
	for (int i = 0; i < TICKS; i++) {
		unsigned skipped = 0;
		uint64_t before = threads[0].run.cpu_ns;
		nanosleep(&nap, NULL);
		waiters_weigh(t);
		if (i < TICKS / 2) /* later it is none of Python's */
			assert_int_equal(taskstate_run(&task, &threads[0].run), 0);
		if (i > 0)
			ran_ns += threads[0].run.cpu_ns - before;
		waiters_settle(t);
		for (int k = 1; k < N; k++)
			skipped |= (unsigned)waiters_skip(t, pointers[k]) << k;
		waiters_keep(t);
		assert_true(skipped == NOBODY || skipped == ALL_WAITERS);
		*(i < TICKS / 2 ? &quiet : &without) += skipped == ALL_WAITERS;
	}
	/* not where the scheduler's tick came between two looks */
	if (quiet < TICKS / 2 * 8 / 10 || ran_ns < 50u * 1000 * 1000)
		fail_msg("skipped in %u of %d ticks, in which %.1f ms were used", quiet, TICKS / 2,
		         (double)ran_ns / 1e6);
	/* where no tick of the scheduler's came, nothing was used as far as anybody knows */
	if (without > TICKS / 2 * 9 / 10)
		fail_msg("skipped in %u of %d ticks, although another thread ran", without, TICKS / 2);
	taskstate_close(&task);
	kill(t->facts.pid, SIGKILL);
	waitpid(t->facts.pid, NULL, 0);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_who_had_it), cmocka_unit_test(test_who_is_looked_at), cmocka_unit_test(test_no_gil),
	    cmocka_unit_test(test_few),        cmocka_unit_test(test_checked),          cmocka_unit_test(test_idle),
	    cmocka_unit_test(test_one_runs),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
