/* events, the side that takes: records of the kernel's program -> events. The engine is the test's own, the process's
 * memory is fake, its threads are real. */
#include "pyspy-record/sample/events.h"

#include <pthread.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "pyspy-record/sample/target.h"
#include "tests/unit/support_events_engine.h"
#include "tests/unit/support_events_world.h"
#include "tests/unit/support_test.h"

enum { MS = 1000000, NOT_A_THREAD = 0x3ffffff, KERNEL = WIRE_WAY_KERNEL << WIRE_FLAG_WAY_SHIFT };

static struct support_world world;
static struct target *const t = &world.t;
static struct events *const e = &world.t.events;
static struct kernel engine;
static support_world_events got;
static pid_t main_tid, other_tid; /* the other waits until the test is over */
static raddr_t main_tstate;
static uint64_t begin_ns;

static void begin(uint32_t version)
{
	support_world_begin(&world, version);
	main_tid = getpid();
	main_tstate = support_world_thread(&world, main_tid);
	support_world_push(&world, 0, 1);
	support_world_push(&world, 1, 2);
	engine = (struct kernel){.rate_hz = 100, .clocks_error = ERR_FULL}; /* nothing to compare the tick with */
	assert_int_equal(events_begin(t, world.w, &engine), 0);
	begin_ns = e->threads.v[0].told_ns;
	events_before_drain(t);
}

static void end(void)
{
	support_world_end(&world);
	assert_false(engine.is_watched);
	for (size_t i = 0; i < ENGINE_BINDINGS; i++)
		assert_int_equal(engine.bound[i].tid, 0);
	vec_free(&got);
}

static void in_all(void (*test)(void))
{
	for (size_t i = 0; i < N_OF(support_stack_versions); i++) {
		begin(support_stack_versions[i]);
		test();
		end();
	}
	for (size_t i = 0; i < N_OF(support_stack_old_versions); i++) {
		begin(support_stack_old_versions[i]);
		test();
		end();
	}
}

static struct kernel_record head(pid_t tid, uint32_t trigger, uint64_t at_ns)
{
	return (struct kernel_record){.kind = KERNEL_SAMPLE,
	                              .trigger = trigger,
	                              .tid = (uint32_t)tid,
	                              .tgid = (uint32_t)getpid(),
	                              .time_ns = begin_ns + at_ns};
}

static struct kernel_record at_switch(pid_t tid, uint64_t at_ns, uint64_t switches, uint32_t chance)
{
	struct kernel_record r = head(tid, KERNEL_ON_SWITCH, at_ns);
	r.switches = switches;
	r.off_chance = chance;
	return r;
}

static void give(const struct kernel_record *h, raddr_t tstate)
{
	size_t n;
	struct kernel_sample *m = support_world_sample(&world, h, tstate, &n);
	assert_int_equal(events_record(t, world.w, &m->head, n), 0);
	free(m);
}

static void give_record(struct kernel_record r, uint32_t kind)
{
	r.kind = kind;
	assert_int_equal(events_record(t, world.w, &r, sizeof r), 0);
}

static struct events_event *last(void)
{
	assert_true(e->list.n > 0);
	return &e->list.v[e->list.n - 1];
}

static void flush_and_read(uint64_t at_ns)
{
	events_flush(t, world.w, begin_ns + at_ns, true);
	support_world_read(&world, &got);
}

static struct events_thread *thread(pid_t tid)
{
	struct events_thread *et = events_find(e, tid);
	assert_non_null(et);
	return et;
}

/* --- what is told to the engine */

static void rules(void)
{
	const struct layout *l = world.s.l;
	const struct kernel_process *p = &engine.rules;
	assert_true(engine.is_watched && !engine.own_clock);
	assert_int_equal(p->root_is_cframe, support_stack_has_cframe(&world.s));
	assert_int_equal(p->frame_root, l->tstate.frame_root);
	bool has_tid = l->tstate.native_thread_id != 0;
	assert_int_equal(p->native_thread_id, has_tid ? l->tstate.native_thread_id : l->tstate.thread_id);
	assert_int_equal(p->pthread_tid, t->interpreter.pthread_tid);
	assert_int_equal(p->pthread_tid != 0, !has_tid);
	assert_int_equal(p->frames_are_objects, support_stack_is_old(&world.s));
	assert_int_equal(p->frame_first, l->frame.first);
	assert_true(p->frame_code == l->frame.code && p->frame_globals == l->frame.globals);
	assert_true(p->frame_instr == l->frame.instr && p->frame_previous == l->frame.previous);
	assert_int_equal(p->datastack_top, l->tstate.datastack_top);
	assert_true(p->frame_size >= walk_frame_bytes(l) && p->frame_size <= KERNEL_FRAME_MAX &&
	            p->frame_size % 8 == 0);
	assert_true(p->tstate_size <= KERNEL_TSTATE_MAX && p->tstate_size >= p->native_thread_id + 8);
	assert_int_equal(p->n_gils, 1);
	assert_true(p->gils[0].interp == world.interp && p->gils[0].gil == world.gil);
	assert_int_equal(p->gil_current != 0, l->gil_kind == LAYOUT_GIL_CURRENT);
	assert_int_equal(p->interp_generation, l->interp.next_version);
	const struct kernel_binding *b = support_engine_binding(&engine, main_tid);
	assert_non_null(b);
	assert_true(b->n == 1 && b->ns_tid == (uint64_t)main_tid && !b->wants_tick);
	assert_true(b->states[0].tstate == main_tstate && b->states[0].interp == world.interp);
}
static void test_rules(void **state)
{
	in_all(rules);
}

static void test_engine_refuses(void **state)
{
	begin(support_stack_versions[2]);
	events_done(t);
	engine.watch_error = ERR_SYSTEM;
	assert_int_equal(events_begin(t, world.w, &engine), ERR_SYSTEM);
	assert_false(events_is_on(e));
	end();
}

/* A second thread comes, has two thread states for a while, and goes. */
static void test_bindings(void **state)
{
	begin(support_stack_versions[2]);
	assert_null(support_engine_binding(&engine, other_tid));
	raddr_t one = support_world_thread(&world, other_tid);
	target_census(t, world.w, 0);
	events_bind(t);
	assert_int_equal(support_engine_binding(&engine, other_tid)->n, 1);
	unsigned binds = engine.n_binds;
	events_bind(t); /* nothing new */
	assert_int_equal(engine.n_binds, binds);
	raddr_t two = support_world_thread(&world, other_tid);
	target_census(t, world.w, 0);
	events_bind(t);
	const struct kernel_binding *b = support_engine_binding(&engine, other_tid);
	assert_true(b->n == 2 && b->states[0].tstate == one && b->states[1].tstate == two);
	/* it is one thread, whichever state is sampled */
	struct kernel_record h = head(other_tid, KERNEL_ON_TICK, MS);
	assert_int_equal(thread(other_tid)->thread->states.n, 2);
	give(&h, two);
	assert_int_equal(last()->id, thread(other_tid)->thread->id);
	assert_true(thread(other_tid)->thread->top.tstate == two);
	give(&h, one);
	assert_int_equal(last()->id, thread(other_tid)->thread->id);
	assert_true(thread(other_tid)->thread->top.tstate == one);
	give(&h, two);
	support_world_forget_thread(&world, two);
	target_census(t, world.w, 0);
	events_bind(t);
	assert_int_equal(thread(other_tid)->thread->states.n, 1);
	assert_int_equal(support_engine_binding(&engine, other_tid)->n, 1);
	support_world_forget_thread(&world, one);
	target_census(t, world.w, 0);
	events_bind(t);
	assert_null(support_engine_binding(&engine, other_tid));
	assert_true(thread(other_tid)->has_ended);
	assert_non_null(support_engine_binding(&engine, main_tid));
	end();
}

/* The kernel's program drops what it could not read: told again, though nothing is new here. */
static void test_bound_again(void **state)
{
	begin(support_stack_versions[2]);
	events_bind(t);
	kernel_unbind(&engine, main_tid);
	give_record(head(main_tid, 0, MS), KERNEL_UNKNOWN);
	assert_true(t->census_due);
	target_census(t, world.w, 0);
	events_bind(t);
	assert_non_null(support_engine_binding(&engine, main_tid));
	give_record(head(NOT_A_THREAD, 0, MS), KERNEL_UNKNOWN);
	end();
}

/* --- samples */

static void samples(void)
{
	struct kernel_record h = head(main_tid, KERNEL_ON_TICK, 5 * MS);
	give(&h, main_tstate);
	support_world_push(&world, 2, 3);
	h = head(main_tid, KERNEL_ON_CLOCK, 6 * MS);
	give(&h, main_tstate);
	assert_true(e->counts.tick == 1 && e->counts.clock == 1 && e->counts.lost == 0 && e->counts.cut == 0);
	assert_true(t->counts.samples == 2 && t->counts.torn == 0);
	assert_true(trie_is_certified(&t->trie, e->list.v[0].node) && trie_is_certified(&t->trie, last()->node));
	assert_int_equal(thread(main_tid)->n_clock, 1);
	thread(main_tid)->task.cpu_ns = 10 * MS;
	thread(main_tid)->task.tid = (uint32_t)main_tid;
	thread(main_tid)->task.out_ns = begin_ns + 10 * MS;
	thread(main_tid)->base_switches = 1; /* schedstat's word is of the test itself */
	thread(main_tid)->task.switches = 1;
	flush_and_read(10 * MS);
	assert_int_equal(got.n, 2);
	assert_string_equal(got.v[0].stack, "a;b");
	assert_string_equal(got.v[1].stack, "a;b;c");
	for (int i = 0; i < 2; i++) {
		assert_int_equal(got.v[i].tid, main_tid);
		assert_int_equal(got.v[i].flags & ~(uint32_t)WIRE_FLAG_UNPROVED, WIRE_STATE_ON_CPU | KERNEL);
		assert_int_equal(got.v[i].weight_ns, 5 * MS);
		assert_true(llabs((int64_t)(got.v[i].time_ns - begin_ns - (uint64_t)(5 + i) * MS)) < MS);
	}
}
static void test_samples(void **state)
{
	in_all(samples);
}

static void sleeps(void)
{
	static const struct {
		uint32_t off_state, state;
		enum events_class class;
	} cases[] = {{KERNEL_OFF_SLEEPS, WIRE_STATE_SLEEPING, EVENTS_OFF},
	             {KERNEL_OFF_RUNNABLE, WIRE_STATE_RUNNABLE, EVENTS_READY},
	             {KERNEL_OFF_DISK, WIRE_STATE_DISK, EVENTS_OFF},
	             {KERNEL_OFF_STOPPED, WIRE_STATE_STOPPED, EVENTS_OFF},
	             {99, WIRE_STATE_UNKNOWN, EVENTS_OFF}};
	for (uint32_t i = 0; i < N_OF(cases); i++) {
		struct kernel_record r = at_switch(main_tid, (10 + i) * MS, 7 + i, 4 * 256);
		r.off_state = cases[i].off_state;
		give(&r, main_tstate);
		assert_int_equal(e->list.n, i); /* how long it is, is not known yet */
		assert_true(thread(main_tid)->sleep.goes_on);
		r.time_ns += 500;
		give_record(r, KERNEL_WOKE);
		assert_int_equal(e->list.n, i + 1);
		assert_false(thread(main_tid)->sleep.goes_on);
		assert_true(last()->raw == 500 * 4 && last()->time_ns == begin_ns + (10 + i) * MS);
		assert_int_equal(last()->flags & ~(uint32_t)WIRE_FLAG_UNPROVED, cases[i].state | KERNEL);
		assert_int_equal(events_class(last()->flags), cases[i].class);
		give_record(r, KERNEL_WOKE); /* twice */
		assert_int_equal(e->list.n, i + 1);
	}
	assert_int_equal(e->counts.at_switch, N_OF(cases));
}
static void test_sleeps(void **state)
{
	in_all(sleeps);
}

/* Words about sleeps that nobody knows, or that are over. */
static void test_sleeps_that_do_not_fit(void **state)
{
	begin(support_stack_versions[2]);
	struct kernel_record r = at_switch(main_tid, 10 * MS, 7, 256);
	give_record(r, KERNEL_WOKE); /* there was none */
	give_record(at_switch(NOT_A_THREAD, 10 * MS, 7, 256), KERNEL_WOKE);
	assert_int_equal(e->list.n, 0);
	give(&r, main_tstate);
	r.switches = 8;
	r.time_ns += MS;
	give_record(r, KERNEL_WOKE); /* another one's end */
	assert_true(e->list.n == 0 && thread(main_tid)->sleep.goes_on);
	r.switches = 7;
	r.time_ns = begin_ns + 9 * MS;
	give_record(r, KERNEL_WOKE); /* over before it began */
	assert_true(e->list.n == 0 && !thread(main_tid)->sleep.goes_on);
	/* it runs: the sleep is over, though nobody said so */
	r = at_switch(main_tid, 20 * MS, 9, 256);
	give(&r, main_tstate);
	struct kernel_record on = head(main_tid, KERNEL_ON_TICK, 30 * MS);
	give(&on, main_tstate);
	assert_int_equal(e->list.n, 1);
	r.time_ns = begin_ns + 40 * MS;
	give_record(r, KERNEL_WOKE);
	assert_int_equal(e->list.n, 1);
	/* a sleep of which nothing was told takes the place of the one before */
	r = at_switch(main_tid, 50 * MS, 10, 256);
	give(&r, main_tstate);
	r = at_switch(main_tid, 60 * MS, 11, 256);
	give(&r, main_tstate);
	r.time_ns += MS;
	give_record(r, KERNEL_WOKE);
	assert_int_equal(e->list.n, 2);
	assert_true(last()->raw == MS && last()->time_ns == begin_ns + 60 * MS);
	end();
}

/* Stacks are forgotten between sleep and waking: it is looked at again. */
static void test_sleep_over_a_trim(void **state)
{
	begin(support_stack_versions[2]);
	struct kernel_record r = at_switch(main_tid, 10 * MS, 7, 256);
	give(&r, main_tstate);
	trie_clear(&t->trie);
	r.time_ns += MS;
	give_record(r, KERNEL_WOKE);
	assert_true(e->list.n == 0 && !thread(main_tid)->sleep.is_known);
	end();
}

/* --- the GIL */

static void gil_words(void)
{
	const struct layout *l = world.s.l;
	size_t n;
	struct kernel_record h = head(main_tid, KERNEL_ON_TICK, MS);
	support_memory_u32(&world.s.m,
	                   main_tstate + (l->gil_kind == LAYOUT_GIL_STATE ? l->tstate.state : l->tstate.status),
	                   l->gil_kind == LAYOUT_GIL_STATE ? 1 : l->tstate.status_active);
	struct kernel_sample *m = support_world_sample(&world, &h, main_tstate, &n);
	m->gil_last_holder = m->gil_current = main_tstate;
	m->gil_locked = 1;
	events_record(t, world.w, &m->head, n);
	assert_int_equal(last()->flags & (WIRE_FLAG_GIL | WIRE_FLAG_GC), WIRE_FLAG_GIL);
	m->gc = 1;
	events_record(t, world.w, &m->head, n);
	assert_int_equal(last()->flags & (WIRE_FLAG_GIL | WIRE_FLAG_GC), WIRE_FLAG_GIL | WIRE_FLAG_GC);
	m->gil_last_holder = m->gil_current = main_tstate + 8;
	events_record(t, world.w, &m->head, n);
	assert_int_equal(last()->flags & (WIRE_FLAG_GIL | WIRE_FLAG_GC), 0);
	if (l->gil_kind == LAYOUT_GIL_CURRENT && !l->runtime.gil) { /* nobody knows where it is */
		free(m);
		return;
	}
	/* it leaves its CPU for the GIL; and when it was only put aside there */
	m->head.trigger = KERNEL_ON_SWITCH;
	m->head.off_state = KERNEL_OFF_SLEEPS;
	m->syscall = SYS_futex;
	m->syscall_arg = (l->gil_kind == LAYOUT_GIL_CURRENT ? t->interpreter.runtime + l->runtime.gil : world.gil) + 40;
	events_record(t, world.w, &m->head, n);
	assert_int_equal(thread(main_tid)->sleep.flags & WIRE_FLAG_GIL_WAIT, WIRE_FLAG_GIL_WAIT);
	m->head.off_state = KERNEL_OFF_RUNNABLE;
	events_record(t, world.w, &m->head, n);
	assert_int_equal(thread(main_tid)->sleep.flags & WIRE_FLAG_GIL_WAIT, 0);
	free(m);
}
static void test_gil(void **state)
{
	in_all(gil_words);
}

/* --- threads that come and go */

static void test_exited(void **state)
{
	begin(support_stack_versions[2]);
	struct kernel_record r = at_switch(main_tid, 10 * MS, 3, 256);
	give(&r, main_tstate);
	t->census_due = false;
	r = head(main_tid, 0, 20 * MS);
	r.cpu_ns = 8 * MS;
	r.ready_ns = 2 * MS;
	give_record(r, KERNEL_EXITED);
	struct events_thread *et = thread(main_tid);
	assert_true(et->has_ended && et->end_ns == begin_ns + 20 * MS && et->end_cpu_ns == 8 * MS &&
	            !et->sleep.goes_on);
	assert_true(t->census_due);
	give_record(r, KERNEL_EXITED); /* twice */
	struct kernel_record on = head(main_tid, KERNEL_ON_TICK, 15 * MS);
	give(&on, main_tstate); /* was in the ring before it */
	give_record(head(NOT_A_THREAD, 0, 20 * MS), KERNEL_EXITED);
	flush_and_read(100 * MS);
	support_world_expect(&got, main_tid, 8 * MS, 2 * MS, 10 * MS);
	end();
}

/* A thread that nobody knows yet is looked for, once a drain. */
static void test_new_thread(void **state)
{
	begin(support_stack_versions[2]);
	raddr_t tstate = support_world_thread(&world, other_tid);
	struct kernel_record h = head(other_tid, KERNEL_ON_TICK, MS);
	uint64_t census = t->census;
	give(&h, tstate);
	assert_int_equal(t->census, census + 1);
	assert_int_equal(e->list.n, 1);
	assert_int_equal(e->list.v[0].id, thread(other_tid)->thread->id);
	assert_non_null(support_engine_binding(&engine, other_tid));
	give(&h, tstate + 64); /* a state that it had then */
	assert_int_equal(e->list.n, 2);
	assert_int_equal(last()->id, thread(other_tid)->thread->id);
	assert_int_equal(t->census, census + 1);
	assert_int_equal(thread(other_tid)->thread->states.n, 1);
	events_before_drain(t);
	target_census(t, world.w, 0);
	events_bind(t);
	assert_int_equal(thread(other_tid)->thread->states.n, 1);
	end();
}

/* One that is over before it is looked for is made up from its sample. */
static void ghost(void)
{
	struct kernel_record h = head(NOT_A_THREAD, KERNEL_ON_TICK, 2 * MS), gone = head(NOT_A_THREAD, 0, 3 * MS);
	uint64_t seen = t->threads_seen;
	give(&h, main_tstate + 0x7000);
	give(&h, main_tstate + 0x7000);
	assert_int_equal(e->list.n, 2);
	assert_int_equal(t->threads_seen, seen + 1);
	gone.slept_ns = MS; /* it lived for so long */
	gone.cpu_ns = MS / 2;
	give_record(gone, KERNEL_EXITED);
	target_census(t, world.w, 0);
	events_bind(t);
	flush_and_read(10 * MS);
	assert_string_equal(got.v[0].stack, "a;b");
	support_world_expect(&got, NOT_A_THREAD, MS / 2, 0, MS / 2);
}
static void test_ghost(void **state)
{
	in_all(ghost);
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
	    cmocka_unit_test(test_rules),
	    cmocka_unit_test(test_engine_refuses),
	    cmocka_unit_test(test_bindings),
	    cmocka_unit_test(test_bound_again),
	    cmocka_unit_test(test_samples),
	    cmocka_unit_test(test_sleeps),
	    cmocka_unit_test(test_sleeps_that_do_not_fit),
	    cmocka_unit_test(test_sleep_over_a_trim),
	    cmocka_unit_test(test_gil),
	    cmocka_unit_test(test_exited),
	    cmocka_unit_test(test_new_thread),
	    cmocka_unit_test(test_ghost),
	};
	pthread_barrier_t barrier;
	pthread_t other;
	pthread_barrier_init(&barrier, NULL, 2);
	if (pthread_create(&other, NULL, wait_there, &barrier))
		return 1;
	pthread_barrier_wait(&barrier);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	pthread_barrier_wait(&barrier);
	pthread_join(other, NULL);
	return failed;
}
