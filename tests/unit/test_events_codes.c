/* events: code objects without versions (up to 3.11): what a sample of the kernel's ran is proved when the object was
 * read before it and is the same after it; else it is marked, and never torn. */
#include <errno.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "tests/unit/support_events_engine.h"
#include "tests/unit/support_events_world.h"
#include "tests/unit/support_test.h"

static struct support_world world;
static struct target *const t = &world.t;
static struct events *const e = &world.t.events;
static struct kernel engine;
static support_world_events got;
static raddr_t tstate;

static void begin(uint32_t version)
{
	support_world_begin(&world, version);
	tstate = support_world_thread(&world, getpid());
	support_world_push(&world, 0, 1);
	support_world_push(&world, 1, 2);
	engine = (struct kernel){.rate_hz = 100, .clocks_error = ERR_FULL};
	assert_int_equal(events_begin(t, world.w, &engine), 0);
}

static void in_all(void (*test)(void))
{
	for (size_t i = 0; i <= N_OF(support_stack_old_versions); i++) {
		begin(i ? support_stack_old_versions[i - 1] : support_stack_versions[0]);
		assert_int_equal(world.s.l->code.version, 0);
		test();
		support_world_end(&world);
		vec_free(&got);
	}
}

/* One more sample of a drain, taken then. Returns its flag of doubt. */
static uint32_t take(uint64_t time_ns)
{
	size_t n;
	struct kernel_record h = {.kind = KERNEL_SAMPLE,
	                          .trigger = KERNEL_ON_TICK,
	                          .tid = (uint32_t)getpid(),
	                          .tgid = (uint32_t)getpid(),
	                          .time_ns = time_ns};
	size_t events = e->list.n;
	struct kernel_sample *m = support_world_sample(&world, &h, tstate, &n);
	assert_int_equal(events_record(t, world.w, &m->head, n), 0);
	free(m);
	assert_int_equal(e->list.n, events + 1);
	assert_int_equal(t->counts.torn, 0);
	return e->list.v[events].flags & WIRE_FLAG_UNPROVED;
}

static uint32_t drain(uint64_t time_ns)
{
	events_before_drain(t);
	return take(time_ns);
}

static void expect_stacks(const char *const *stacks, size_t n)
{
	events_flush(t, world.w, clock_mono_ns(), true);
	support_world_read(&world, &got);
	assert_int_equal(got.n, n + 1); /* the time since the last one is told by the last one's stack */
	for (size_t i = 0; i < n; i++)
		assert_string_equal(got.v[i].stack, stacks[i]);
}

static void recode(unsigned which, const char *name, unsigned units)
{
	struct support_objects_code code = {
	    .qualname = name, .file = "app.py", .version = 77, .units = units, .first_line = 10};
	support_objects_recode(&world.o, world.codes[which], &code);
}

static void proved(void)
{
	uint64_t before = clock_mono_ns();
	assert_true(drain(before)); /* read only now */
	assert_true(drain(before));
	assert_false(drain(clock_mono_ns()));
	assert_false(drain(clock_mono_ns()));
	support_world_push(&world, 2, 1);
	assert_true(drain(clock_mono_ns())); /* a new one */
	assert_false(drain(clock_mono_ns()));
	static const char *const stacks[] = {"a;b", "a;b", "a;b", "a;b", "a;b;c", "a;b;c"};
	expect_stacks(stacks, N_OF(stacks));
}
static void test_proved(void **state)
{
	in_all(proved);
}

static void replaced(void)
{
	drain(clock_mono_ns());
	uint64_t taken = clock_mono_ns();
	assert_false(drain(taken));
	taken = clock_mono_ns();
	recode(1, "z", WORLD_UNITS);
	assert_true(drain(taken));
	assert_true(drain(taken)); /* the new one is younger than that */
	assert_false(drain(clock_mono_ns()));
	recode(1, "b", WORLD_UNITS);
	assert_true(drain(clock_mono_ns()));
	static const char *const stacks[] = {"a;b", "a;b", "a;z", "a;z", "a;z", "a;b"};
	expect_stacks(stacks, N_OF(stacks));
}
static void test_replaced(void **state)
{
	in_all(replaced);
}

/* The new one is too short for the instruction: it was another one that ran, and nobody knows which. */
static void shorter(void)
{
	drain(clock_mono_ns());
	recode(1, "z", 1);
	assert_true(drain(clock_mono_ns()));
	assert_true(drain(clock_mono_ns()));
	recode(1, "b", WORLD_UNITS);
	assert_true(drain(clock_mono_ns()));
	assert_false(drain(clock_mono_ns()));
	static const char *const stacks[] = {"a;b", "a;gone", "a;gone", "a;b", "a;b"};
	expect_stacks(stacks, N_OF(stacks));
}
static void test_shorter(void **state)
{
	in_all(shorter);
}

/* However many samples of a drain are older than an object, it and its globals are looked at once. */
static void many_at_once(void)
{
	uint64_t before = clock_mono_ns();
	events_before_drain(t);
	for (unsigned i = 0; i < 100; i++) {
		support_stack_pop(&world.s);
		support_world_push(&world, 1, 2 + i % 4);
		uint64_t bytes = world.s.m.bytes_read;
		assert_true(take(before));
		assert_true(i < 4 || world.s.m.bytes_read == bytes);
	}
	assert_true(world.s.m.bytes_read > 0);
}
static void test_many_at_once(void **state)
{
	in_all(many_at_once);
}

/* The program has ended: nothing can be looked at any more. */
static void ended(void)
{
	drain(clock_mono_ns());
	assert_false(drain(clock_mono_ns()));
	support_world_push(&world, 2, 1);
	world.s.m.error = ESRCH;
	assert_true(drain(clock_mono_ns()));
	support_stack_pop(&world.s);
	assert_true(drain(clock_mono_ns()));
	static const char *const stacks[] = {"a;b", "a;b", "a;b;gone", "a;b"};
	expect_stacks(stacks, N_OF(stacks));
}
static void test_ended(void **state)
{
	in_all(ended);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_proved),       cmocka_unit_test(test_replaced), cmocka_unit_test(test_shorter),
	    cmocka_unit_test(test_many_at_once), cmocka_unit_test(test_ended),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
