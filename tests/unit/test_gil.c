/* gil: who holds it and who waits for it, as each version tells. */
#include "pyspy-record/sample/gil.h"

#include <sys/syscall.h>

#include "tests/unit/support_test.h"

#define RUNTIME UINT64_C(0x7f0000001000)
#define GIL     UINT64_C(0x7f0000400000)
#define TSTATE  UINT64_C(0x7f0000200000)
#define INNER   UINT64_C(0x7f0000280000)
#define OTHER   UINT64_C(0x7f0000300000)

static struct target t;
static struct sample_thread th;
static struct sample_state first, second; /* second: of a thread that is inside both interpreters */
static struct sample_state *states[] = {&first, &second};
static unsigned char *const image = first.walk.image;

static void begin(uint32_t version)
{
	t = (struct target){0};
	t.interpreter.layout = *layout_find(version, LAYOUT_RELEASE);
	t.interpreter.runtime = RUNTIME;
	if (t.interpreter.layout.gil_kind == LAYOUT_GIL_CURRENT) {
		t.interpreter.current = RUNTIME + t.interpreter.layout.runtime.gil_current;
		t.interpreter.gil = RUNTIME + t.interpreter.layout.runtime.gil;
		t.interpreter.gil_bytes = t.interpreter.layout.gil.size;
	}
	t.n_interps = 2;
	t.interps[0].gil = GIL + 0x10000;
	t.interps[1].gil = GIL;
	first = (struct sample_state){.tstate = TSTATE, .interp = 1};
	second = (struct sample_state){.tstate = INNER, .interp = 0};
	th = (struct sample_thread){.states = {.v = states, .n = 1}};
}

static void set_u32(size_t at, uint32_t v)
{
	memcpy(image + at, &v, sizeof v);
}

static bool is_held(void)
{
	return gil_is_held(&t, first.tstate, first.interp, image);
}

/* 3.11: one word of the runtime names the thread state that runs. */
static void test_runtime_word(void **state)
{
	begin(0x030b07f0);
	assert_false(is_held());
	t.words.gil_current = OTHER;
	assert_false(is_held());
	t.words.gil_current = TSTATE;
	assert_true(is_held());
	assert_int_equal(gil_flags(&t, &th), WIRE_FLAG_GIL);
	t.interps[0].words.gc = 1; /* another interpreter's */
	assert_int_equal(gil_flags(&t, &th), WIRE_FLAG_GIL);
	t.interps[1].words.gc = 1;
	assert_int_equal(gil_flags(&t, &th), WIRE_FLAG_GIL | WIRE_FLAG_GC);
	t.words.gil_current = OTHER;
	assert_int_equal(gil_flags(&t, &th), 0);
}

/* 3.12, 3.13: the GIL's last holder, while it is locked, and the thread state says so too. */
static void own_word(uint32_t version, size_t at, uint32_t mine, uint32_t not_mine)
{
	begin(version);
	struct sample_interp *in = &t.interps[1];
	in->words.gil.last_holder = TSTATE;
	in->words.gil.locked = 1;
	set_u32(at, not_mine);
	assert_false(is_held()); /* it was the last one, and is letting go or taking it */
	set_u32(at, mine);
	assert_true(is_held());
	in->words.gc = 1;
	assert_int_equal(gil_flags(&t, &th), WIRE_FLAG_GIL | WIRE_FLAG_GC);
	in->words.gil.locked = 0;
	assert_false(is_held());
	in->words.gil.locked = UINT32_MAX; /* not made yet: -1 */
	assert_false(is_held());
	in->words.gil.locked = 1;
	in->words.gil.last_holder = OTHER;
	assert_false(is_held());
	assert_int_equal(gil_flags(&t, &th), 0);
	in->words.gil.last_holder = TSTATE;
	first.interp = 0; /* of an interpreter with a GIL of its own, that nobody holds */
	assert_false(is_held());
}

static void test_thread_states_word(void **state)
{
	const struct layout *l = layout_find(0x030c01f0, LAYOUT_RELEASE);
	own_word(0x030c01f0, l->tstate.status, l->tstate.status_active | 0x3, 0xf);
	l = layout_find(0x030d00f0, LAYOUT_RELEASE);
	own_word(0x030d00f0, l->tstate.state, 1, 0);
	own_word(0x030d00f0, l->tstate.state, 1, 2); /* suspended */
}

static void test_awaited(void **state)
{
	static const uint32_t versions[] = {0x030b07f0, 0x030c01f0, 0x030d00f0};
	for (size_t i = 0; i < N_OF(versions); i++) {
		begin(versions[i]);
		const struct layout *l = &t.interpreter.layout;
		raddr_t gil = l->gil_kind == LAYOUT_GIL_CURRENT ? RUNTIME + l->runtime.gil : GIL;
		assert_true(gil_is_awaited(&t, &th, SYS_futex, gil));
		assert_true(gil_is_awaited(&t, &th, SYS_futex, gil + l->gil.size - 1));
		assert_false(gil_is_awaited(&t, &th, SYS_futex, gil - 1));
		assert_false(gil_is_awaited(&t, &th, SYS_futex, gil + l->gil.size));
		assert_false(gil_is_awaited(&t, &th, SYS_read, gil));
		assert_false(gil_is_awaited(&t, &th, -1, gil));
	}
	t.interps[1].gil = 0; /* not known */
	assert_false(gil_is_awaited(&t, &th, SYS_futex, 0));
}

/* A thread inside two interpreters, each with a GIL of its own: it holds the one of the state that it runs in, and may
 * wait for either. */
static void test_several_states(void **state)
{
	begin(0x030d00f0);
	const struct layout *l = &t.interpreter.layout;
	assert_false(gil_is_awaited(&t, &th, SYS_futex, GIL + 0x10000));
	th.states.n = 2;
	assert_true(gil_is_awaited(&t, &th, SYS_futex, GIL + 0x10000));
	assert_true(gil_is_awaited(&t, &th, SYS_futex, GIL));
	t.interps[0].words.gil.last_holder = INNER;
	t.interps[0].words.gil.locked = 1;
	assert_int_equal(gil_flags(&t, &th), 0);
	uint32_t attached = 1;
	memcpy(second.walk.image + l->tstate.state, &attached, sizeof attached);
	assert_int_equal(gil_flags(&t, &th), WIRE_FLAG_GIL);
	t.interps[1].words.gc = 1; /* not its own */
	assert_int_equal(gil_flags(&t, &th), WIRE_FLAG_GIL);
	t.interps[0].words.gc = 1;
	assert_int_equal(gil_flags(&t, &th), WIRE_FLAG_GIL | WIRE_FLAG_GC);
	second.is_gone = true;
	assert_int_equal(gil_flags(&t, &th), 0);
}

/* Where the GIL is switched off nobody holds it, whatever is left in its words. */
static void test_free_threaded(void **state)
{
	begin(0x030d00f0);
	t.interpreter.layout.build = LAYOUT_FREETHREADED;
	struct sample_interp *in = &t.interps[1];
	in->words.gil.last_holder = TSTATE;
	in->words.gil.locked = 1;
	set_u32(t.interpreter.layout.tstate.state, 1);
	assert_false(is_held());
	in->words.gil_enabled = 1; /* an extension module has switched it on */
	assert_true(is_held());
}

/* Up to 3.6 the words are found by symbols, and may not be. */
static void test_not_found(void **state)
{
	static const uint32_t versions[] = {0x020712f0, 0x030600f0, 0x03080000 | 0x12f0};
	for (size_t i = 0; i < N_OF(versions); i++) {
		begin(versions[i]);
		t.interpreter.current = t.interpreter.gil = 0;
		assert_int_equal(gil_flags(&t, &th), 0);
		assert_false(gil_is_awaited(&t, &th, SYS_futex, 0));
		t.words.gil_current = TSTATE;
		assert_int_equal(gil_flags(&t, &th), WIRE_FLAG_GIL);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_runtime_word),  cmocka_unit_test(test_thread_states_word),
	    cmocka_unit_test(test_awaited),       cmocka_unit_test(test_several_states),
	    cmocka_unit_test(test_free_threaded), cmocka_unit_test(test_not_found),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
