/* events: when the engine takes samples (clocks, the tick beside them, the pace at switches), and sleeps that are read
 * from outside. The engine is the test's own. */
#include <fcntl.h>
#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-record/sample/events.h"
#include "pyspy-record/sample/target.h"
#include "tests/unit/support_events_engine.h"
#include "tests/unit/support_events_world.h"
#include "tests/unit/support_test.h"

enum { MS = 1000000, PERIOD = 10 * MS, KERNEL = 2 << 6, STILL = 1 << 6 };

static struct support_world world;
static struct target *const t = &world.t;
static struct events *const e = &world.t.events;
static struct kernel engine;
static bool engine_lacks_clocks; /* when it begins */
static support_world_events got;
static pid_t main_tid, other_tid; /* the other one sleeps until the test is over */
static raddr_t main_tstate, other_tstate;
static uint64_t begin_ns, draws;

static void begin(enum kernel_clock clock, int clocks_error)
{
	support_world_begin(&world, support_stack_versions[2]);
	main_tid = getpid();
	main_tstate = support_world_thread(&world, main_tid);
	other_tstate = support_world_thread(&world, other_tid);
	support_world_push(&world, 0, 1);
	support_world_push(&world, 1, 2);
	engine = (struct kernel){
	    .rate_hz = 100, .clock = clock, .clocks_error = clocks_error, .lacks_clocks = engine_lacks_clocks};
	assert_int_equal(events_begin(t, world.w, &engine), 0);
	begin_ns = e->threads.v[0].told_ns;
	events_before_drain(t);
}

static void end(void)
{
	support_world_end(&world);
	vec_free(&got);
}

static struct events_thread *thread(pid_t tid)
{
	struct events_thread *et = events_find(e, tid);
	assert_non_null(et);
	return et;
}

static void sample(pid_t tid, uint32_t trigger)
{
	size_t n;
	struct kernel_record h = {.trigger = trigger,
	                          .tid = (uint32_t)tid,
	                          .tgid = (uint32_t)getpid(),
	                          .time_ns = begin_ns + MS,
	                          .off_chance = 256};
	struct kernel_sample *m = support_world_sample(&world, &h, tid == main_tid ? main_tstate : other_tstate, &n);
	assert_int_equal(events_record(t, world.w, &m->head, n), 0);
	free(m);
}

/* As of a snapshot: so much CPU time; off its CPU since out_ns, or on it. */
static void snapshot(pid_t tid, uint64_t cpu_ns, uint64_t out_ns, uint64_t switches)
{
	struct kernel_task task = {.tid = (uint32_t)tid,
	                           .tgid = (uint32_t)getpid(),
	                           .first_ns = begin_ns,
	                           .cpu_ns = cpu_ns,
	                           .in_ns = out_ns ? 0 : begin_ns,
	                           .out_ns = out_ns ? out_ns : begin_ns,
	                           .switches = switches};
	events_task(t, &task, ++draws * 77);
}

/* --- clocks of their own */

static void test_own_clocks(void **state)
{
	begin(KERNEL_CLOCK_OWN, 0);
	assert_true(e->own_clock && engine.own_clock && engine.n_clocks == 2);
	assert_true(thread(main_tid)->clock_fd >= 0 && thread(main_tid)->clock_fd != thread(other_tid)->clock_fd);
	assert_false(support_engine_binding(&engine, main_tid)->wants_tick);
	events_bind(t); /* one is enough */
	assert_int_equal(engine.n_clocks, 2);
	/* its period varies, but not oftener than it takes samples */
	size_t clock = support_engine_clock(&engine, thread(main_tid)->clock_fd);
	for (int i = 0; i < 4 * EVENTS_VARY_EACH; i++) {
		sample(main_tid, KERNEL_ON_CLOCK);
		snapshot(main_tid, (uint64_t)i * PERIOD, 0, 1);
	}
	assert_int_equal(engine.clocks[clock].varied, 4);
	assert_int_equal(e->list.n, 4 * EVENTS_VARY_EACH);
	int fd = thread(main_tid)->clock_fd;
	assert_true(fcntl(fd, F_GETFD) >= 0);
	end();
	assert_true(fcntl(fd, F_GETFD) < 0); /* closed with it */
}

/* A thread that leaves its CPU often gets another period when it is off it: soon, as a rule. */
static void test_put_off(void **state)
{
	enum { LOOKS = 3 };
	uint64_t switches = 0;
	begin(KERNEL_CLOCK_OWN, 0);
	size_t clock = support_engine_clock(&engine, thread(main_tid)->clock_fd);
	unsigned *varied = &engine.clocks[clock].varied;
	for (unsigned round = 0; round < 5; round++) {
		for (int i = 0; i < EVENTS_VARY_EACH; i++)
			sample(main_tid, KERNEL_ON_CLOCK);
		for (unsigned look = 0; look < round; look++) {
			assert_int_equal(*varied, round);
			snapshot(main_tid, PERIOD, 0, switches += 10);
		}
		if (round <= LOOKS)
			assert_int_equal(*varied, round);
		snapshot(main_tid, PERIOD, begin_ns + MS, switches += 10);
		assert_int_equal(*varied, round + 1);
		snapshot(main_tid, PERIOD, begin_ns + MS, switches += 10);
		assert_int_equal(*varied, round + 1);
	}
	end();
}

static double worth(pid_t tid, uint32_t trigger, uint64_t at_ns)
{
	struct kernel_record r = {.trigger = trigger, .time_ns = at_ns};
	return events_worth(e, thread(tid), &r) / PERIOD;
}

/* Another rate in the middle of a flush: samples count for the period that they were taken with. Clocks get theirs when
 * it is their time, so that nobody waits for hundreds of CPUs; those that are too fast lose samples in the kernel. */
static void test_rate(void **state)
{
	begin(KERNEL_CLOCK_OWN, 0);
	unsigned watches = engine.n_watches;
	uint64_t gap = e->rules.switch_gap_ns;
	size_t clock = support_engine_clock(&engine, thread(main_tid)->clock_fd);
	sample(main_tid, KERNEL_ON_CLOCK);
	kernel_slow(&engine, 10);
	events_rate(t);
	uint64_t slowed_ns = e->worth_ns;
	assert_int_equal(engine.n_watches, watches + 1);
	assert_int_equal(engine.rules.switch_gap_ns, 10 * gap);
	assert_int_equal(engine.clocks[clock].varied, 0);
	assert_true(worth(main_tid, KERNEL_ON_CLOCK, slowed_ns - 1) == 1);
	assert_true(worth(main_tid, KERNEL_ON_CLOCK, slowed_ns) == 10);
	assert_true(e->list.v[0].raw == PERIOD);
	for (int i = 0; i < EVENTS_VARY_EACH; i++)
		sample(main_tid, KERNEL_ON_CLOCK);
	snapshot(main_tid, PERIOD, 0, 1);
	assert_int_equal(engine.clocks[clock].varied, 1);
	assert_int_equal(thread(main_tid)->period_ns, 10 * PERIOD);
	/* fast again: a slow clock counts for what it is until it has its turn, with the next sample */
	kernel_slow(&engine, 1);
	events_rate(t);
	assert_true(worth(main_tid, KERNEL_ON_CLOCK, e->worth_ns) == 10);
	assert_true(worth(other_tid, KERNEL_ON_CLOCK, e->worth_ns) == 1);
	snapshot(main_tid, 2 * PERIOD, 0, 1);
	assert_int_equal(engine.clocks[clock].varied, 1);
	sample(main_tid, KERNEL_ON_CLOCK);
	snapshot(main_tid, 3 * PERIOD, 0, 1);
	assert_int_equal(engine.clocks[clock].varied, 2);
	assert_true(worth(main_tid, KERNEL_ON_CLOCK, e->worth_ns) == 1);
	/* on the tick, which has a period of its own */
	engine.rate_hz = 100000;
	events_rate(t);
	assert_true(worth(main_tid, KERNEL_ON_TICK, e->worth_ns) * PERIOD == 4e6);
	assert_int_equal(e->rules.switch_gap_ns, 10000);
	end();
}

/* Of the time on the CPU a sample at a tenth of the rate gets ten times as much as one before. */
static void test_rate_and_weights(void **state)
{
	begin(KERNEL_CLOCK_TICK, 0);
	e->lockstep.verdict = LOCKSTEP_NO;
	for (int i = 0; i < 10; i++)
		sample(main_tid, KERNEL_ON_TICK);
	e->worth_ns = e->begin_ns; /* all that comes from now on */
	kernel_slow(&engine, 10);
	e->worth *= 10;
	for (int i = 0; i < 2; i++)
		sample(main_tid, KERNEL_ON_TICK);
	snapshot(main_tid, 300 * MS, begin_ns + 300 * MS, 7);
	thread(main_tid)->base_switches = 7;
	events_flush(t, world.w, begin_ns + 300 * MS, false);
	support_world_read(&world, &got);
	assert_true(got.n >= 12);
	for (size_t i = 0; i < 12; i++)
		assert_int_equal(got.v[i].weight_ns, i < 10 ? 10 * MS : 100 * MS);
	end();
}

static void test_no_clocks_to_be_had(void **state)
{
	begin(KERNEL_CLOCK_OWN, ERR_FULL);
	assert_int_equal(e->counts.no_clock, 2);
	assert_true(support_engine_binding(&engine, main_tid)->wants_tick);
	sample(main_tid, KERNEL_ON_TICK);
	assert_int_equal(e->list.n, 1);
	assert_int_equal(e->list.v[0].flags & WIRE_FLAG_STATE, WIRE_STATE_ON_CPU);
	end();
	begin(KERNEL_CLOCK_OWN, ERR_GONE); /* it ends just now */
	assert_int_equal(e->counts.no_clock, 0);
	assert_false(support_engine_binding(&engine, main_tid)->wants_tick);
	end();
}

/* In the first moments: the tick is wanted until there are clocks. */
static void test_no_clocks_yet(void **state)
{
	engine_lacks_clocks = true;
	begin(KERNEL_CLOCK_OWN, 0);
	engine.lacks_clocks = engine_lacks_clocks = false;
	assert_true(engine.n_clocks == 0 && e->counts.no_clock == 0);
	assert_true(support_engine_binding(&engine, main_tid)->wants_tick);
	events_bind(t);
	assert_true(engine.n_clocks == 2 && !support_engine_binding(&engine, main_tid)->wants_tick);
	end();
}

/* --- the tick beside clocks */

/* Both triggers, n times each, at the engine's rate. */
static void take_both(int n, bool same)
{
	for (int i = 0; i < n; i++) {
		static uint64_t cpu_ns;
		if (thread(main_tid)->task.cpu_ns == 0)
			cpu_ns = 0;
		support_memory_u64(&world.s.m, support_stack_innermost(&world.s) + world.s.l->frame.code,
		                   world.codes[same || i % 2 ? 1 : 2]);
		support_memory_u64(&world.s.m, support_stack_innermost(&world.s) + world.s.l->frame.instr,
		                   world.codes[same || i % 2 ? 1 : 2] + world.s.l->code.code_adaptive);
		sample(main_tid, KERNEL_ON_CLOCK);
		support_memory_u64(&world.s.m, support_stack_innermost(&world.s) + world.s.l->frame.code,
		                   world.codes[1]);
		support_memory_u64(&world.s.m, support_stack_innermost(&world.s) + world.s.l->frame.instr,
		                   world.codes[1] + world.s.l->code.code_adaptive);
		sample(main_tid, KERNEL_ON_TICK);
		snapshot(main_tid, cpu_ns += PERIOD, 0, 1);
		events_judge(t);
	}
}

static void test_tick_is_trusted(void **state)
{
	begin(KERNEL_CLOCK_TICK, 0);
	assert_true(!e->own_clock && engine.n_clocks == 2);
	take_both(199, true);
	/* each thread's at another rhythm every now and then: a program may be in step with any one of them */
	assert_int_equal(engine.clocks[support_engine_clock(&engine, thread(main_tid)->clock_fd)].varied, 66);
	assert_int_equal(e->list.n, 199); /* the clock's alone */
	assert_int_equal(e->counts.tick, 0);
	assert_int_equal(e->lockstep.verdict, LOCKSTEP_UNKNOWN);
	take_both(1, true);
	assert_int_equal(e->lockstep.verdict, LOCKSTEP_NO);
	assert_true(!e->own_clock && !engine.own_clock);
	for (unsigned i = 0; i < engine.n_clocks; i++)
		assert_int_equal(engine.clocks[i].times, 10);
	assert_int_equal(engine.clock_times, 10);
	size_t before = e->list.n;
	sample(main_tid, KERNEL_ON_TICK);
	sample(main_tid, KERNEL_ON_CLOCK);
	assert_int_equal(e->list.n, before + 2); /* both from now on */
	raddr_t third = support_world_thread(&world, other_tid);
	target_census(t, world.w, 0);
	events_bind(t); /* whoever comes now needs none */
	assert_true(third && engine.n_clocks == 2);
	end();
}

static void test_tick_is_not_trusted(void **state)
{
	begin(KERNEL_CLOCK_TICK, 0);
	take_both(100, false);
	assert_int_equal(e->lockstep.verdict, LOCKSTEP_YES);
	assert_true(e->own_clock && engine.own_clock);
	assert_int_equal(engine.n_clocks, 4); /* new ones, at full rate */
	assert_int_equal(engine.clocks[support_engine_clock(&engine, thread(main_tid)->clock_fd)].times, 1);
	assert_int_equal(engine.clock_times, 1);
	uint64_t ticks = e->counts.tick;
	take_both(1, true); /* the tick's are taken as they come: the engine sends none but of those without a clock */
	assert_int_equal(e->counts.tick, ticks + 1);
	end();
}

/* A task's entry that was made anew counts from nothing. */
static void test_cpu_time_that_goes_back(void **state)
{
	begin(KERNEL_CLOCK_TICK, 0);
	snapshot(main_tid, 100 * PERIOD, 0, 1);
	double expected = e->lockstep.expected;
	assert_true(expected > 99 && expected < 101);
	snapshot(main_tid, 2 * PERIOD, 0, 1);
	assert_true(e->lockstep.expected >= expected && e->lockstep.expected < expected + 3);
	snapshot(main_tid, 5 * PERIOD, 0, 1);
	assert_true(e->lockstep.expected > expected + 2 && e->lockstep.expected < expected + 6);
	end();
}

/* No more than so many are compared. */
static void test_many_threads(void **state)
{
	begin(KERNEL_CLOCK_TICK, ERR_FULL);
	engine.clocks_error = 0;
	e->n_clocks = 63;
	for (int i = 0; i < 2; i++)
		e->threads.v[i].has_clock = false;
	events_bind(t);
	assert_int_equal(engine.n_clocks, 1);
	assert_int_equal(e->n_clocks, 64);
	end();
}

/* A thread that runs and runs, and was never sampled, has lost its clock, or never had one. */
static void test_clock_that_is_missing(void **state)
{
	begin(KERNEL_CLOCK_OWN, 0);
	events_thread_done(thread(other_tid));
	thread(other_tid)->has_clock = false;
	snapshot(other_tid, 4 * PERIOD, 0, 1);
	assert_int_equal(engine.n_clocks, 2);
	snapshot(other_tid, 6 * PERIOD, 0, 1);
	assert_int_equal(engine.n_clocks, 3);
	assert_true(thread(other_tid)->clock_fd >= 0);
	snapshot(other_tid, 60 * PERIOD, 0, 1);
	assert_int_equal(engine.n_clocks, 3);
	end();
}

/* --- the pace at switches */

static uint64_t pace(uint64_t at_ms, unsigned switches)
{
	e->counts.at_switch += switches;
	events_pace(t, e->begin_ns + at_ms * MS);
	assert_int_equal(engine.rules.switch_gap_ns, e->rules.switch_gap_ns); /* told */
	return e->rules.switch_gap_ns;
}

static void test_pace(void **state)
{
	begin(KERNEL_CLOCK_TICK, ERR_FULL);
	assert_int_equal(pace(0, 0), PERIOD);
	assert_int_equal(pace(50, 100000), PERIOD); /* too early to say */
	uint64_t gap = pace(200, 0);
	assert_int_equal(gap, 16 * PERIOD);   /* 16 times at once, at the most */
	assert_int_equal(pace(300, 21), gap); /* 210 a second are as wanted */
	assert_int_equal(pace(400, 12), gap);
	assert_int_equal(pace(500, 40), 2 * gap); /* twice as many */
	assert_int_equal(pace(600, 9), gap);      /* less than half */
	for (uint64_t at = 700; at < 1500; at += 100)
		gap = pace(at, 1000);
	assert_int_equal(gap, 1000u * MS); /* one a second there is always */
	for (uint64_t at = 1500; at < 3000; at += 100)
		gap = pace(at, 0);
	assert_int_equal(gap, PERIOD);
	unsigned watches = engine.n_watches;
	pace(3100, 0);
	assert_int_equal(engine.n_watches, watches); /* nothing new */
	end();
}

/* --- sleeps that go on */

static uint64_t look(uint64_t at_ns)
{
	uint64_t still = e->counts.still;
	bool again = events_look(t, world.w, begin_ns + at_ns);
	assert_int_equal(again, e->to_read.n > 0);
	return e->counts.still - still;
}

/* Seen off its CPU in two snapshots, with a read in between: that is its stack. */
static void test_sleeper(void **state)
{
	begin(KERNEL_CLOCK_TICK, ERR_FULL);
	snapshot(main_tid, MS, begin_ns + 5 * MS, 7);
	snapshot(other_tid, MS, 0, 3); /* runs */
	thread(other_tid)->sleep.goes_on = true;
	look(14 * MS);
	assert_int_equal(e->to_read.n, 0); /* not for long yet */
	assert_false(thread(other_tid)->sleep.goes_on);
	look(15 * MS);
	assert_int_equal(e->to_read.n, 1);
	assert_false(thread(main_tid)->sleep.goes_on); /* to be proved */
	snapshot(main_tid, MS, begin_ns + 5 * MS, 7);
	events_look_proved(t, world.w);
	const struct events_sleep *s = &thread(main_tid)->sleep;
	assert_true(s->goes_on && s->is_known && s->is_seen && s->switches == 7);
	assert_true(trie_is_certified(&t->trie, s->node) && s->node);
	assert_int_equal(e->counts.still, 1);
	look(25 * MS); /* is known: once is enough */
	assert_int_equal(e->to_read.n, 0);
	thread(main_tid)->base_switches = 7;
	thread(other_tid)->base_switches = 3;
	events_flush(t, world.w, begin_ns + 30 * MS, false);
	events_flush(t, world.w, begin_ns + 40 * MS, false);
	support_world_read(&world, &got);
	assert_true(got.n == 2);
	for (size_t i = 0; i < got.n; i++) {
		assert_string_equal(got.v[i].stack, "a;b");
		assert_int_equal(got.v[i].flags, WIRE_STATE_SLEEPING | STILL);
	}
	end();
}

/* It ran in between: what was read is nothing, and it is looked at again. */
static void test_sleeper_that_ran(void **state)
{
	begin(KERNEL_CLOCK_TICK, ERR_FULL);
	for (int how = 0; how < 3; how++) {
		snapshot(main_tid, MS, begin_ns + MS, 7);
		snapshot(other_tid, MS, 0, 3);
		look(50 * MS);
		assert_int_equal(e->to_read.n, 1);
		if (how == 0)
			snapshot(main_tid, MS, begin_ns + MS, 8); /* another sleep */
		else if (how == 1)
			snapshot(main_tid, MS, 0, 7); /* it runs */
		else
			events_task(t, &(struct kernel_task){.tid = (uint32_t)main_tid, .switches = 7, .is_dead = 1},
			            1);
		events_look_proved(t, world.w);
		assert_false(thread(main_tid)->sleep.goes_on);
		assert_int_equal(e->counts.still, 0);
	}
	end();
}

/* A sleep whose stack came over the ring is not read. */
static void test_known_sleeper(void **state)
{
	begin(KERNEL_CLOCK_TICK, ERR_FULL);
	sample(main_tid, KERNEL_ON_SWITCH);
	snapshot(main_tid, MS, begin_ns + MS, 0);
	snapshot(other_tid, MS, 0, 3);
	look(50 * MS);
	assert_int_equal(e->to_read.n, 0);
	assert_true(thread(main_tid)->sleep.is_seen && thread(main_tid)->sleep.goes_on);
	trie_clear(&t->trie); /* its stack is forgotten */
	look(60 * MS);
	assert_int_equal(e->to_read.n, 1);
	end();
}

/* A thread that has not run since we came: /proc proves that it sleeps. */
static void test_first_sleep(void **state)
{
	begin(KERNEL_CLOCK_TICK, ERR_FULL);
	snapshot(main_tid, MS, 0, 3);
	assert_int_equal(look(MS), 1);
	const struct events_sleep *s = &thread(other_tid)->sleep;
	assert_true(s->goes_on && s->is_known && s->is_seen && s->told_ns == thread(other_tid)->told_ns);
	assert_int_equal(look(50 * MS), 0); /* once */
	trie_clear(&t->trie);               /* its stack is forgotten */
	assert_int_equal(look(60 * MS), 1);
	thread(main_tid)->base_switches = 3;
	events_flush(t, world.w, begin_ns + 70 * MS, true);
	support_world_read(&world, &got);
	uint64_t told = support_world_sum(&got, other_tid, EVENTS_OFF);
	assert_true(told >= 69 * MS && told <= 70 * MS);
	assert_int_equal(support_world_sum(&got, other_tid, EVENTS_CLASSES), told);
	end();
}

static void test_give_up(void **state)
{
	begin(KERNEL_CLOCK_TICK, 0);
	sample(main_tid, KERNEL_ON_CLOCK);
	snapshot(main_tid, 40 * MS, 0, 1);
	thread(main_tid)->base_switches = 1;
	events_give_up(t, world.w, begin_ns + 50 * MS);
	assert_true(!events_is_on(e) && !engine.is_watched);
	assert_null(support_engine_binding(&engine, main_tid));
	for (size_t i = 0; i < t->threads.n; i++) /* what the kernel has told is not told again */
		assert_true(t->threads.v[i]->cpu_told_ns == t->threads.v[i]->run.cpu_ns && !t->threads.v[i]->asleep);
	support_world_read(&world, &got);
	assert_int_equal(support_world_sum(&got, main_tid, EVENTS_CLASSES), 50 * MS);
	end();
}

static void *wait_there(void *barrier)
{
	other_tid = (pid_t)syscall(SYS_gettid);
	pthread_barrier_wait(barrier);
	pthread_barrier_wait(barrier);
	return NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_own_clocks),
	    cmocka_unit_test(test_put_off),
	    cmocka_unit_test(test_rate),
	    cmocka_unit_test(test_rate_and_weights),
	    cmocka_unit_test(test_no_clocks_to_be_had),
	    cmocka_unit_test(test_no_clocks_yet),
	    cmocka_unit_test(test_tick_is_trusted),
	    cmocka_unit_test(test_tick_is_not_trusted),
	    cmocka_unit_test(test_cpu_time_that_goes_back),
	    cmocka_unit_test(test_many_threads),
	    cmocka_unit_test(test_clock_that_is_missing),
	    cmocka_unit_test(test_pace),
	    cmocka_unit_test(test_sleeper),
	    cmocka_unit_test(test_sleeper_that_ran),
	    cmocka_unit_test(test_known_sleeper),
	    cmocka_unit_test(test_first_sleep),
	    cmocka_unit_test(test_give_up),
	};
	pthread_barrier_t barrier;
	pthread_t other;
	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&other, NULL, wait_there, &barrier))
		return 1;
	pthread_barrier_wait(&barrier);
	usleep(20000); /* it sleeps */
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	pthread_barrier_wait(&barrier);
	pthread_join(other, NULL);
	return failed;
}
