/* events_weights: many threads, flushes and events: all of their time is told, to the unit. */
#include "pyspy-record/sample/events.h"

#include "libcommon/clock.h"
#include "pyspy-record/sample/target.h"
#include "tests/unit/support_events_world.h"
#include "tests/unit/support_random.h"
#include "tests/unit/support_test.h"

enum { US = 1000, MS = 1000 * US, TID = 700 };
#define VERSION UINT32_C(0x030d00f0)

static struct support_world world;
static struct target *const t = &world.t;
static struct events *const e = &world.t.events;
static support_world_events got;
static uint64_t begin_ns;

static uint64_t seed;
static uint32_t draw(uint32_t below)
{
	return support_draw(&seed, below);
}

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

/* Random threads with random lives: in the end all of it is told, by class, to the unit. */
struct life {
	uint64_t ns[EVENTS_CLASSES];
	bool has_ended;
};
/* A sleep may be one that was sampled by chance, or seen. */
static void add_some(struct events_thread *et, enum events_class class, uint64_t at, uint64_t n)
{
	int length = class == EVENTS_OFF && draw(2) ? (int)kernel_length(n) : -1;
	double raw = class == EVENTS_ON ? 1 : 1 + draw(1000000) * (1 + draw(9)) * (draw(50) ? 1.0 : 1e9);
	assert_true(support_world_add_sleep(&world, et->tid, class, begin_ns + at, raw, length));
}
static void live(struct life *l, struct events_thread *et, uint64_t from, uint64_t until, bool may_end)
{
	enum events_class last = EVENTS_OFF;
	uint64_t at = from;
	while (at < until) {
		uint64_t n = 1 + draw(draw(3) ? 900 * US : 40 * MS);
		n = at + n < until ? n : until - at;
		last = (enum events_class)draw(EVENTS_CLASSES);
		l->ns[last] += n;
		if (last == EVENTS_OFF && draw(4)) /* not what was seen going on */
			et->task.slept_ns[kernel_length(n)] += n;
		at += n;
		for (uint32_t i = draw(4); i > 0; i--)
			if (draw(3))
				add_some(et, last, at, n);
		if (may_end && draw(300) == 0)
			break;
	}
	et->task.cpu_ns = l->ns[EVENTS_ON];
	et->task.ready_ns = l->ns[EVENTS_READY];
	et->task.tid = (uint32_t)et->tid;
	et->task.in_ns = 0;
	et->task.off_state = KERNEL_OFF_SLEEPS;
	if (at < until) {
		l->has_ended = et->has_ended = true;
		et->end_ns = begin_ns + at;
		et->end_cpu_ns = et->task.cpu_ns;
		et->end_ready_ns = et->task.ready_ns;
	}
}
static void test_random(void **state)
{
	enum { THREADS = 12, FLUSHES = 40 };
	for (uint64_t round = 1; round <= 20; round++) {
		static struct life lives[THREADS];
		uint64_t now = 0, count = 0;
		seed = round;
		memset(lives, 0, sizeof lives);
		begin();
		for (int i = 1; i < THREADS; i++)
			support_world_events_thread(&world, TID + i, begin_ns);
		for (int k = 0; k < FLUSHES; k++) {
			uint64_t until = now + 1 + draw(60 * MS);
			for (int i = 0; i < THREADS; i++)
				if (!lives[i].has_ended)
					live(&lives[i], thread(TID + i), now, until, k > 5);
			now = until;
			count += e->list.n;
			flush(now, k == FLUSHES - 1);
		}
		read_back();
		assert_true(got.n >= count && got.n <= count + (size_t)THREADS * EVENTS_CLASSES);
		for (int i = 0; i < THREADS; i++)
			expect(TID + i, lives[i].ns[0] / US * US, lives[i].ns[1] / US * US, lives[i].ns[2] / US * US);
		end();
	}
}

static void test_many_events(void **state)
{
	enum { THREADS = 20, EVENTS = 100000 };
	begin();
	for (int i = 1; i < THREADS; i++)
		support_world_events_thread(&world, TID + i, begin_ns);
	seed = 1;
	for (int i = 0; i < EVENTS; i++)
		assert_true(add(TID + i % THREADS, i % 3 ? EVENTS_ON : EVENTS_OFF, draw(1000 * MS), 1 + i % 7));
	for (int i = 0; i < THREADS; i++)
		set_task(thread(TID + i), (uint64_t)i * 30 * MS + 123, 0);
	flush(1000 * MS, true);
	read_back();
	assert_int_equal(got.n, EVENTS);
	for (int i = 0; i < THREADS; i++)
		expect(TID + i, (uint64_t)i * 30 * MS, 0, 1000 * MS - (uint64_t)i * 30 * MS - US);
	end();
}

/* No more than there may be: counted, and the others stand for their time too. */
static void test_too_many_events(void **state)
{
	struct events_thread *et = begin();
	set_task(et, 600 * MS, 0);
	for (int i = 0; i < EVENTS_MAX; i++)
		assert_true(add(TID, EVENTS_ON, 0, 1));
	assert_int_equal(e->counts.lost, 0);
	assert_false(add(TID, EVENTS_ON, 0, 1));
	assert_false(add(TID, EVENTS_OFF, 0, 1));
	assert_int_equal(e->counts.lost, 2);
	flush(1000 * MS, false);
	assert_true(add(TID, EVENTS_OFF, 0, 1));
	flush(1001 * MS, true);
	read_back();
	assert_int_equal(got.n, EVENTS_MAX + 1);
	expect(TID, 600 * MS, 0, 401 * MS);
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_random),
	    cmocka_unit_test(test_many_events),
	    cmocka_unit_test(test_too_many_events),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
