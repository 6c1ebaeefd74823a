/* events_weights: events and a thread's times -> weights that add up. Read back from a recording. */
#include "pyspy-record/sample/events.h"

#include <unistd.h>

#include "libcommon/clock.h"
#include "pyspy-record/sample/target.h"
#include "tests/unit/support_events_world.h"
#include "tests/unit/support_test.h"

enum { US = 1000, MS = 1000 * US, TID = 700 };
#define VERSION UINT32_C(0x030d00f0)

static struct support_world world;
static struct target *const t = &world.t;
static struct events *const e = &world.t.events;
static support_world_events got;
static uint64_t begin_ns;

/* A thread that was there when we came. */
static struct events_thread *begin(void)
{
	support_world_begin(&world, VERSION);
	begin_ns = e->begin_ns;
	return support_world_events_thread(&world, TID, begin_ns);
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

static bool add(pid_t tid, enum events_class class, uint64_t at_ns, double raw)
{
	return support_world_add(&world, tid, class, begin_ns + at_ns, raw);
}

static void set_task(struct events_thread *et, uint64_t cpu_ns, uint64_t ready_ns)
{
	support_world_set_task(et, begin_ns, cpu_ns, ready_ns);
}

static void flush(uint64_t at_ns, bool is_last)
{
	events_flush(t, world.w, begin_ns + at_ns, is_last);
	assert_int_equal(e->list.n, 0);
	assert_int_equal(writer_flush(world.w, clock_boot_ns(), NULL), 0);
}

static void read_back(void)
{
	support_world_read(&world, &got);
}

static void expect(pid_t tid, uint64_t on, uint64_t ready, uint64_t off)
{
	support_world_expect(&got, tid, on, ready, off);
}

/* --- one flush */

static void test_shares(void **state)
{
	struct events_thread *et = begin();
	set_task(et, 300 * MS + 700, 100 * MS);
	for (int i = 0; i < 30; i++)
		add(TID, EVENTS_ON, (uint64_t)i * 10 * MS, 1);
	add(TID, EVENTS_READY, 5 * MS, 3);
	add(TID, EVENTS_READY, 15 * MS, 1);
	add(TID, EVENTS_OFF, 25 * MS, 50 * MS);
	add(TID, EVENTS_OFF, 35 * MS, 10.0 * MS * 4); /* one of four of its kind */
	add(TID, EVENTS_OFF, 45 * MS, 10 * MS);
	flush(1000 * MS, true);
	read_back();
	assert_int_equal(got.n, 35);
	expect(TID, 300 * MS, 100 * MS, 599 * MS + 999 * US);
	uint64_t least = UINT64_MAX, most = 0;
	for (size_t i = 0; i < 30; i++) {
		uint64_t weight = got.v[i].weight_ns;
		least = weight < least ? weight : least;
		most = weight > most ? weight : most;
		assert_int_equal(got.v[i].flags, support_world_flags(EVENTS_ON));
		assert_true(llabs((int64_t)(got.v[i].time_ns - begin_ns - i * 10 * MS)) < 5 * MS);
	}
	assert_true(most - least <= US && least >= 10 * MS - US);
	assert_int_equal(got.v[30].weight_ns, 75 * MS);
	assert_int_equal(got.v[31].weight_ns, 25 * MS);
	assert_true(llabs((int64_t)(got.v[32].weight_ns - 300 * MS)) <= US);
	assert_true(llabs((int64_t)(got.v[33].weight_ns - 240 * MS)) <= US);
	assert_true(llabs((int64_t)(got.v[34].weight_ns - 60 * MS)) <= US);
	end();
}

/* A run, or a wait for a CPU, that goes on at the snapshot. */
static void test_goes_on(void **state)
{
	struct events_thread *et = begin();
	set_task(et, 10 * MS, 0);
	et->task.in_ns = begin_ns + 80 * MS;
	add(TID, EVENTS_ON, 0, 1);
	add(TID, EVENTS_OFF, 0, 1);
	flush(100 * MS, false);
	set_task(thread(TID), 40 * MS, 5 * MS);
	thread(TID)->task.out_ns = begin_ns + 110 * MS;
	thread(TID)->task.off_state = KERNEL_OFF_RUNNABLE;
	add(TID, EVENTS_ON, 0, 1);
	add(TID, EVENTS_READY, 0, 1);
	add(TID, EVENTS_OFF, 0, 1);
	flush(120 * MS, true);
	read_back();
	assert_int_equal(got.v[0].weight_ns, 30 * MS);
	assert_int_equal(got.v[1].weight_ns, 70 * MS);
	assert_int_equal(got.v[2].weight_ns, 10 * MS);
	assert_int_equal(got.v[3].weight_ns, 10 * MS); /* of 15 that it was ready: there is no more time left */
	expect(TID, 40 * MS, 10 * MS, 70 * MS);
	end();
}

/* --- over several */

static void test_carried_over(void **state)
{
	struct events_thread *et = begin();
	set_task(et, 20 * MS, 0);
	flush(100 * MS, false);
	set_task(thread(TID), 50 * MS, 0);
	add(TID, EVENTS_OFF, 150 * MS, 1);
	flush(200 * MS, false);
	set_task(thread(TID), 60 * MS, 0);
	add(TID, EVENTS_ON, 250 * MS, 1);
	flush(300 * MS, true);
	read_back();
	assert_int_equal(got.n, 3);
	assert_int_equal(got.v[0].weight_ns, 150 * MS);
	assert_int_equal(got.v[1].weight_ns, 60 * MS);
	expect(TID, 60 * MS, 0, 240 * MS); /* the rest of it goes to what was seen last */
	end();
}

/* Fractions of the unit are not lost, however often they are rounded. */
static void test_fractions(void **state)
{
	begin();
	uint64_t cpu = 0, now = 0;
	for (int i = 0; i < 1000; i++) {
		struct events_thread *et = thread(TID);
		set_task(et, cpu += 333, 0);
		add(TID, EVENTS_ON, now, 1);
		add(TID, EVENTS_OFF, now, 1);
		flush(now += 1777, false);
	}
	flush(now, true);
	read_back();
	expect(TID, 333 * US, 0, 1444 * US);
	end();
}

/* --- sleeps by their length */

static bool add_sleep(uint64_t at_ns, double raw, int length)
{
	return support_world_add_sleep(&world, TID, EVENTS_OFF, begin_ns + at_ns, raw, length);
}

/* Of a length the samples share what the kernel knows of it; what no sample tells of waits for one. */
static void test_lengths(void **state)
{
	struct events_thread *et = begin();
	set_task(et, 0, 0);
	et->task.slept_ns[0] = 10 * MS;
	et->task.slept_ns[3] = 190 * MS;
	add_sleep(10 * MS, 3 * MS, 0);
	add_sleep(20 * MS, 1 * MS, 0);
	flush(200 * MS, false);
	et = thread(TID);
	assert_int_equal(et->held_ns, 190 * MS);
	set_task(et, 0, 0);
	et->task.slept_ns[0] = 15 * MS;
	et->task.slept_ns[3] = 235 * MS;
	add_sleep(210 * MS, 7 * MS, 0);
	add_sleep(220 * MS, 1 * MS, 3); /* whatever its chance made of it */
	flush(250 * MS, true);
	read_back();
	assert_int_equal(got.v[0].weight_ns, 7500 * US);
	assert_int_equal(got.v[1].weight_ns, 2500 * US);
	assert_int_equal(got.v[2].weight_ns, 5 * MS);
	assert_int_equal(got.v[3].weight_ns, 235 * MS);
	expect(TID, 0, 0, 250 * MS);
	end();
}

/* At the end they go to the last one of their length, if there was one; else to all others. */
static void test_lengths_at_the_end(void **state)
{
	struct events_thread *et = begin();
	et->last_slept[3] =
	    (struct events_last){.id = et->last_id, .flags = WIRE_STATE_DISK | WIRE_WAY_KERNEL << WIRE_FLAG_WAY_SHIFT};
	set_task(et, 0, 0);
	et->task.slept_ns[0] = 10 * MS;
	et->task.slept_ns[2] = 30 * MS;
	et->task.slept_ns[3] = 60 * MS;
	add_sleep(10 * MS, 3 * MS, 0);
	flush(100 * MS, true);
	read_back();
	assert_int_equal(got.n, 2);
	assert_int_equal(got.v[1].flags & WIRE_FLAG_STATE, WIRE_STATE_DISK);
	assert_true(got.v[0].weight_ns > 14 * MS && got.v[0].weight_ns < 15 * MS); /* 10 to 60 */
	expect(TID, 0, 0, 100 * MS);
	end();
}

/* One that was seen going on has been told already. */
static void test_seen_sleeps(void **state)
{
	struct events_thread *et = begin();
	set_task(et, 0, 0);
	et->sleep = (struct events_sleep){.goes_on = true,
	                                  .is_known = true,
	                                  .is_seen = true,
	                                  .switches = 1,
	                                  .told_ns = begin_ns,
	                                  .chance = 256,
	                                  .id = et->last_id,
	                                  .flags = support_world_flags(EVENTS_OFF)};
	flush(80 * MS, false);
	et = thread(TID);
	events_tell_sleep(t, world.w, et, begin_ns + 90 * MS);
	events_sleep_over(et, 90 * MS);
	assert_false(et->sleep.goes_on);
	set_task(et, 0, 0);
	et->task.slept_ns[KERNEL_LENGTHS - 1] = 100 * MS; /* and another one */
	add_sleep(95 * MS, 1 * MS, KERNEL_LENGTHS - 1);
	flush(100 * MS, true);
	read_back();
	assert_int_equal(got.v[0].weight_ns, 80 * MS);
	assert_int_equal(got.v[1].weight_ns, 10 * MS);
	assert_int_equal(got.v[2].weight_ns, 10 * MS);
	expect(TID, 0, 0, 100 * MS);
	end();
}

/* --- the end */

static void test_rest(void **state)
{
	struct events_thread *et = begin();
	set_task(et, 10 * MS, 20 * MS);
	struct events_event v = {.raw = 1,
	                         .id = et->last_id,
	                         .flags = WIRE_STATE_ON_CPU | WIRE_FLAG_GIL | WIRE_FLAG_GC |
	                                  WIRE_WAY_KERNEL << WIRE_FLAG_WAY_SHIFT};
	v.stack = target_torn_stack(world.w); /* any stack */
	assert_true(events_add(t, et, &v));
	flush(50 * MS, false);
	flush(100 * MS, true);
	read_back();
	assert_int_equal(got.n, 3);
	assert_int_equal(got.v[1].flags, WIRE_STATE_RUNNABLE | WIRE_FLAG_GIL | WIRE_FLAG_GC | 2 << 6);
	assert_int_equal(got.v[2].flags, WIRE_STATE_SLEEPING | 2 << 6); /* asleep, nobody holds the GIL */
	expect(TID, 10 * MS, 20 * MS, 70 * MS);
	end();
}

/* It was never seen on a CPU or off it, but there it was. */
static void test_rest_without_events(void **state)
{
	struct events_thread *et = begin();
	set_task(et, 1 * MS, 0);
	et->last_flags = support_world_flags(EVENTS_OFF) | WIRE_FLAG_GIL_WAIT;
	flush(100 * MS, true);
	read_back();
	assert_int_equal(got.n, 2);
	assert_int_equal(got.v[0].flags, support_world_flags(EVENTS_ON));
	assert_int_equal(got.v[1].flags, support_world_flags(EVENTS_OFF) | WIRE_FLAG_GIL_WAIT);
	assert_string_equal(got.v[0].stack, "");
	expect(TID, 1 * MS, 0, 99 * MS);
	end();
}

/* Nothing is known of it, but a thread state: its stack is empty, and its time is told. */
static void test_rest_of_the_unseen(void **state)
{
	struct sample_thread th = {.task = {.schedstat_fd = -1, .syscall_fd = -1, .stat_fd = -1}};
	struct events_thread *et = begin();
	th.id = et->last_id;
	et->last_id = 0;
	et->thread = &th;
	flush(40 * MS, true);
	read_back();
	expect(TID, 0, 0, 40 * MS);
	end();
}

static void test_ended(void **state)
{
	begin();
	support_world_events_thread(&world, TID + 1, begin_ns);
	support_world_events_thread(&world, TID + 2, begin_ns);
	struct events_thread *et = thread(TID + 1);
	set_task(et, 10 * MS, 0);
	et->has_ended = true;
	et->end_ns = begin_ns + 70 * MS;
	et->end_cpu_ns = 30 * MS;
	et->end_ready_ns = 5 * MS;
	add(TID + 1, EVENTS_ON, 1 * MS, 1);
	add(TID + 2, EVENTS_OFF, 2 * MS, 1);
	flush(100 * MS, false);
	assert_int_equal(e->threads.n, 2); /* it is forgotten; the others are found still */
	assert_null(events_find(e, TID + 1));
	assert_int_equal(thread(TID + 2)->tid, TID + 2);
	add(TID + 2, EVENTS_OFF, 120 * MS, 1);
	flush(200 * MS, true);
	read_back();
	expect(TID, 0, 0, 200 * MS);
	expect(TID + 1, 30 * MS, 5 * MS, 35 * MS);
	expect(TID + 2, 0, 0, 200 * MS);
	end();
}

/* As long as it has a thread state it is kept, and its time is told once. */
static void test_ended_but_there(void **state)
{
	struct sample_thread th = {.task = {.schedstat_fd = -1, .syscall_fd = -1, .stat_fd = -1}};
	struct events_thread *et = begin();
	th.id = et->last_id;
	et->thread = &th;
	et->has_ended = true;
	et->end_ns = begin_ns + 70 * MS;
	for (uint64_t at = 100; at <= 300; at += 100) {
		flush(at * MS, false);
		assert_non_null(events_find(e, TID));
	}
	thread(TID)->thread = NULL;
	flush(400 * MS, true);
	assert_null(events_find(e, TID));
	read_back();
	expect(TID, 0, 0, 70 * MS);
	end();
}

static void test_came_later(void **state)
{
	begin();
	struct events_thread *et = support_world_events_thread(&world, TID + 1, 0);
	set_task(et, 10 * MS, 0);
	et->task.first_ns = begin_ns + 40 * MS; /* its fork was seen */
	et = support_world_events_thread(&world, TID + 2, 0);
	set_task(et, 10 * MS, 0);
	et->task.first_ns = begin_ns - 40 * MS; /* when it began is not known: from now on */
	et = support_world_events_thread(&world, TID + 3, 0);
	et->has_ended = true; /* it came and went */
	et->task.first_ns = begin_ns + 20 * MS;
	et->end_ns = begin_ns + 30 * MS;
	et->end_cpu_ns = 10 * MS;
	flush(100 * MS, false);
	set_task(thread(TID + 2), 15 * MS, 0);
	flush(200 * MS, true);
	read_back();
	expect(TID + 1, 10 * MS, 0, 150 * MS);
	expect(TID + 2, 15 * MS, 0, 85 * MS);
	expect(TID + 3, 10 * MS, 0, 0);
	end();
}

/* --- numbers that do not fit */

/* A snapshot of a task that was changing just then. */
static void test_torn_snapshots(void **state)
{
	struct events_thread *et = begin();
	set_task(et, 50 * MS, 0);
	et->task.in_ns = begin_ns + 200 * MS; /* in the future */
	add(TID, EVENTS_ON, 0, 1);
	flush(100 * MS, false);
	set_task(thread(TID), 20 * MS, 30 * MS);        /* backwards */
	thread(TID)->task.out_ns = begin_ns + 900 * MS; /* in the future */
	thread(TID)->task.off_state = KERNEL_OFF_RUNNABLE;
	add(TID, EVENTS_ON, 0, 1);
	flush(200 * MS, false);
	set_task(thread(TID), 900 * MS, 10 * MS); /* more than there is, and backwards */
	add(TID, EVENTS_ON, 0, 1);
	flush(300 * MS, false);
	set_task(thread(TID), 180 * MS, 40 * MS); /* 30 ms more than were told */
	flush(250 * MS, false);                   /* time itself */
	flush(400 * MS, true);
	read_back();
	assert_int_equal(got.v[0].weight_ns, 50 * MS);
	assert_int_equal(got.v[1].weight_ns, 0);
	assert_int_equal(got.v[2].weight_ns, 100 * MS);
	expect(TID, 180 * MS, 40 * MS, 180 * MS);
	end();
}

/* Weights of nothing, and of what is no number of times. */
static void test_odd_raw_weights(void **state)
{
	begin();
	for (int i = 0; i < 3; i++) {
		struct events_thread *et = thread(TID);
		set_task(et, 0, 0);
		add(TID, EVENTS_OFF, 0, 0); /* of nothing: stands for nothing */
		et->task.slept_ns[1] += 10 * MS;
		add_sleep(0, 0, 1);
		flush((uint64_t)(i + 1) * 100 * MS, false);
	}
	add(TID, EVENTS_OFF, 0, 1e-9);
	add(TID, EVENTS_OFF, 0, 1e30);
	flush(400 * MS, true);
	read_back();
	expect(TID, 0, 0, 400 * MS);
	end();
}

/* --- the CPU time by schedstat */

static int schedstat;
static void set_schedstat(uint64_t cpu_ns)
{
	char text[96];
	int n = snprintf(text, sizeof text, "%llu 0 7\n", (unsigned long long)cpu_ns);
	assert_int_equal(ftruncate(schedstat, 0), 0);
	assert_int_equal(pwrite(schedstat, text, (size_t)n, 0), n);
}

/* The thread has a schedstat file of ours; to be closed. */
static FILE *give_schedstat(struct events_thread *et, struct sample_thread *th)
{
	FILE *f = tmpfile();
	assert_non_null(f);
	schedstat = fileno(f);
	*th = (struct sample_thread){.task = {.schedstat_fd = schedstat, .syscall_fd = -1, .stat_fd = -1}};
	th->id = et->last_id;
	et->thread = th;
	return f;
}

/* Beyond our program's sum: what was used before it was seen, and the first us of each run. */
static void test_schedstat(void **state)
{
	struct events_thread *et = begin();
	struct sample_thread th;
	FILE *f = give_schedstat(et, &th);
	et->cpu_start_ns = 1000 * MS;
	set_task(et, 10 * MS, 0);
	et->task.in_ns = begin_ns + 90 * MS;
	set_schedstat(1025 * MS);
	add(TID, EVENTS_ON, 0, 1);
	flush(100 * MS, false); /* 20 by us; schedstat is up to a tick late */
	set_schedstat(1032 * MS);
	add(TID, EVENTS_ON, 0, 1);
	flush(110 * MS, false); /* it runs on, 30 by us, and 5 that were missed before */
	set_schedstat(1036 * MS);
	set_task(thread(TID), 25 * MS, 0);
	add(TID, EVENTS_ON, 0, 1);
	flush(200 * MS, false); /* off its CPU: exact */
	set_schedstat(1900 * MS);
	flush(300 * MS, false); /* the same sleep: not looked at again */
	set_schedstat(1039 * MS);
	add(TID, EVENTS_ON, 0, 1);
	flush(350 * MS, false); /* nobody told that it was over */
	set_schedstat(1040 * MS);
	set_task(thread(TID), 32 * MS, 0);
	add(TID, EVENTS_ON, 0, 1);
	flush(400 * MS, true); /* less than by our program */
	read_back();
	static const uint64_t weights[] = {25 * MS, 10 * MS, 1 * MS, 3 * MS, 1 * MS};
	for (size_t i = 0; i < N_OF(weights); i++)
		assert_int_equal(got.v[i].weight_ns, weights[i]);
	expect(TID, 40 * MS, 0, 360 * MS);
	fclose(f);
	end();
}

/* The end of each short sleep is accounted as time on the CPU: the long sleep keeps its time, and the call in which the
 * thread slept has those of them. */
static void test_early(void **state)
{
	enum { N = 1000 };
	struct events_thread *et = begin();
	struct sample_thread th;
	FILE *f = give_schedstat(et, &th);
	set_schedstat(100 * MS); /* 90 by us */
	set_task(et, 90 * MS, 0);
	add(TID, EVENTS_OFF, 0, 710.0 * MS);
	for (int i = 0; i < 30; i++)
		add(TID, EVENTS_ON, 1 * MS, 1);
	for (uint64_t i = 0; i < N; i++) {
		thread(TID)->task.slept_ns[0] += 200 * US;
		add_sleep(710 * MS + i * 290 * US, 200.0 * US, 0);
	}
	flush(1000 * MS, true);
	read_back();
	expect(TID, 100 * MS, 0, 900 * MS);
	assert_true(llabs((int64_t)(got.v[0].weight_ns - 710 * MS)) <= US);
	uint64_t samples = 0, early = 0;
	size_t n_early = 0;
	for (size_t i = 1; i < got.n; i++) {
		if (got.v[i].flags != support_world_flags(EVENTS_ON))
			assert_true(llabs((int64_t)(got.v[i].weight_ns - 190 * US)) <= US);
		else if (got.v[i].time_ns < begin_ns + 500 * MS)
			samples += got.v[i].weight_ns;
		else
			early += got.v[i].weight_ns, n_early++;
	}
	assert_true(llabs((int64_t)(samples - 90 * MS)) <= 10 * US && llabs((int64_t)(early - 10 * MS)) <= 10 * US);
	assert_int_equal(n_early, 8);
	fclose(f);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_shares),
	    cmocka_unit_test(test_goes_on),
	    cmocka_unit_test(test_carried_over),
	    cmocka_unit_test(test_fractions),
	    cmocka_unit_test(test_lengths),
	    cmocka_unit_test(test_lengths_at_the_end),
	    cmocka_unit_test(test_seen_sleeps),
	    cmocka_unit_test(test_rest),
	    cmocka_unit_test(test_rest_without_events),
	    cmocka_unit_test(test_rest_of_the_unseen),
	    cmocka_unit_test(test_ended),
	    cmocka_unit_test(test_ended_but_there),
	    cmocka_unit_test(test_came_later),
	    cmocka_unit_test(test_torn_snapshots),
	    cmocka_unit_test(test_odd_raw_weights),
	    cmocka_unit_test(test_schedstat),
	    cmocka_unit_test(test_early),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
