/* states: whose a thread state is, and one stack out of several states' parts. */
#include "libcommon/err.h"
#include "pyspy-record/sample/target.h"
#include "tests/unit/support_test.h"

#define STACK  UINT64_C(0x7ffd00000000) /* of the main thread; those of others lie below, their pthreads above them */
#define OUTER  UINT64_C(0x7f0000200000)
#define INNER  UINT64_C(0x7f0000300000)
#define THIRD  UINT64_C(0x7f0000400000)
#define WORKER UINT64_C(0x7f0010000000)

static struct target t;
static struct sample_thread main_thread, worker;
static unsigned char images[3][LAYOUT_TSTATE_MAX];

static void begin(uint32_t version)
{
	t = (struct target){0};
	t.interpreter.layout = *layout_find(version, LAYOUT_RELEASE);
	t.walk.layout = &t.interpreter.layout;
	t.n_interps = 3;
	main_thread = (struct sample_thread){.pthread = WORKER - 0x1000000, .thread_flags = WIRE_THREAD_MAIN};
	worker = (struct sample_thread){.pthread = WORKER};
	assert_true(vec_push(&t.threads, &main_thread) && vec_push(&t.threads, &worker));
	memset(images, 0, sizeof images);
}

static void end(void)
{
	vec_free(&t.threads);
	vec_free(&t.watched);
	vec_free(&t.walk.frames);
	vec_free(&t.walk.entries);
	vec_free(&t.join.frames);
	vec_free(&t.join.parts);
	vec_free(&t.join.states);
}

/* What a walk leaves behind: frames "abc", innermost first; entries behind so many of them, each at its place. */
static void walked(const char *frames, size_t n_entries, const struct walk_entry *entries)
{
	t.walk.frames.n = t.walk.entries.n = 0;
	for (; *frames; frames++)
		assert_true(vec_push(&t.walk.frames, ((struct walk_frame){.code = (raddr_t)*frames})));
	for (size_t i = 0; i < n_entries; i++)
		assert_true(vec_push(&t.walk.entries, entries[i]));
}

static int add(raddr_t tstate, uint32_t interp, int rc)
{
	struct sample_top top = {tstate, interp, images[interp], false};
	return target_join_add(&t, &main_thread, &top, rc);
}

static void expect(const char *frames)
{
	char got[64] = "";
	assert_int_equal(target_join_end(&t, &main_thread), 0);
	for (size_t i = 0; i < t.walk.frames.n; i++)
		got[i] = (char)t.walk.frames.v[i].code;
	assert_string_equal(got, frames);
}

/* 3.12 and later: parts by their entry frames. Another interpreter's code may call back into the first one. */
static void test_parts(void **state)
{
	begin(0x030d00f0);
	target_join_begin(&t, INNER);
	walked("dcba", 2, (struct walk_entry[]){{STACK + 100, 2}, {STACK + 900, 4}});
	assert_int_equal(add(OUTER, 2, 0), 0);
	walked("yx", 1, (struct walk_entry[]){{STACK + 500, 2}});
	assert_int_equal(add(INNER, 1, 0), 0);
	walked("", 0, NULL); /* one that it made, and is not in */
	assert_int_equal(add(THIRD, 0, 0), 0);
	expect("dcyxba");
	assert_true(main_thread.top.tstate == OUTER && main_thread.top.interp == 2 && main_thread.top.is_joined);
	/* the usual case: the inner one's parts are all further in; entries without frames of their own */
	target_join_begin(&t, INNER);
	walked("yx", 3, (struct walk_entry[]){{STACK + 50, 0}, {STACK + 60, 1}, {STACK + 70, 2}});
	assert_int_equal(add(INNER, 1, 0), 0);
	walked("ba", 2, (struct walk_entry[]){{STACK + 900, 2}, {OUTER + 300, 2}}); /* 3.15's base frame */
	assert_int_equal(add(OUTER, 2, 0), 0);
	expect("yxba");
	assert_true(main_thread.top.tstate == INNER);
	/* all in one */
	target_join_begin(&t, INNER);
	walked("ba", 1, (struct walk_entry[]){{STACK + 900, 2}});
	assert_int_equal(add(OUTER, 2, 0), 0);
	walked("", 0, NULL);
	assert_int_equal(add(INNER, 1, 0), 0);
	expect("ba");
	assert_false(main_thread.top.is_joined);
	end();
}

/* Where frames are missing all that lies further out is missing too. */
static void test_cut(void **state)
{
	begin(0x030d00f0);
	target_join_begin(&t, INNER);
	walked("ba", 1, (struct walk_entry[]){{STACK + 900, 2}});
	assert_int_equal(add(OUTER, 2, 0), 0);
	t.walk.is_cut = true;
	walked("zyx", 1, (struct walk_entry[]){{STACK + 400, 1}});
	assert_int_equal(add(INNER, 1, 0), 0);
	expect("zyx");
	assert_true(t.walk.is_cut);
	/* nothing is known of where any of it is: it is the innermost if it runs */
	t.walk.is_cut = false;
	target_join_begin(&t, INNER);
	walked("ba", 1, (struct walk_entry[]){{STACK + 900, 2}});
	assert_int_equal(add(OUTER, 2, 0), 0);
	t.walk.is_cut = true;
	walked("zy", 0, NULL);
	assert_int_equal(add(INNER, 1, 0), 0);
	expect("zy");
	target_join_begin(&t, THIRD);
	walked("zy", 0, NULL);
	assert_int_equal(add(INNER, 1, 0), 0);
	t.walk.is_cut = false;
	walked("q", 1, (struct walk_entry[]){{STACK + 900, 1}});
	assert_int_equal(add(THIRD, 0, 0), 0);
	expect("qzy");
	assert_true(t.walk.is_cut);
	end();
}

static void test_errors(void **state)
{
	begin(0x030d00f0);
	target_join_begin(&t, INNER);
	assert_int_equal(target_join_end(&t, &main_thread), ERR_TORN);
	target_join_begin(&t, INNER);
	walked("ba", 1, (struct walk_entry[]){{STACK + 900, 2}});
	assert_int_equal(add(OUTER, 2, ERR_TORN), ERR_TORN);
	/* places that are on no one stack: the state stays together */
	target_join_begin(&t, INNER);
	walked("dcba", 2, (struct walk_entry[]){{STACK + 900, 2}, {STACK + 100, 4}});
	assert_int_equal(add(OUTER, 2, 0), 0);
	expect("dcba");
	end();
}

/* 3.10, 3.11: whole states by their cframes; one whose cframe lies on another thread's stack is not this thread's. */
static void by_cframe(uint32_t version)
{
	begin(version);
	const uint32_t at = t.interpreter.layout.tstate.cframe;
	raddr_t places[] = {STACK + 100, STACK + 200, STACK + 300}; /* by interpreter */
	assert_true(at != 0);
	for (int i = 0; i < 3; i++)
		memcpy(images[i] + at, &places[i], 8);
	target_join_begin(&t, INNER);
	walked("ba", 0, NULL);
	assert_int_equal(add(OUTER, 2, 0), 0);
	walked("q", 0, NULL);
	assert_int_equal(add(THIRD, 0, 0), 0);
	walked("yx", 0, NULL);
	assert_int_equal(add(INNER, 1, 0), 0);
	expect("qyxba");
	assert_true(main_thread.top.tstate == THIRD);
	assert_false(t.census_due);
	raddr_t elsewhere = WORKER - 0x800;
	memcpy(images[0] + at, &elsewhere, 8);
	assert_true(target_stack_owner(&t, elsewhere) == WORKER);
	target_join_begin(&t, INNER);
	walked("ba", 0, NULL);
	assert_int_equal(add(OUTER, 2, 0), 0);
	walked("q", 0, NULL);
	assert_int_equal(add(THIRD, 0, 0), 0);
	expect("ba");
	assert_true(t.census_due);
	end();
}
static void test_by_cframe(void **state)
{
	by_cframe(0x030a0df0);
	by_cframe(0x030b07f0);
}

/* Up to 3.9: by where on the C stack the outermost frame's address was found, unless the state that runs would not be
 * the innermost: then a word was found that an earlier call left there. */
static void test_by_search(void **state)
{
	static const raddr_t frames[] = {0x7f0000900000, 0x7f0000900200, 0x7f0000900400}; /* by interpreter */
	begin(0x030600f0);
	t.sampled_ns = 1; /* what was found stays good */
	for (int i = 0; i < 3; i++)
		assert_true(
		    vec_push(&t.places, ((struct frame_place){frames[i], STACK + 100 * (i + 1), main_thread.pthread})));
	static const uint64_t found_at[] = {100, 1000, 300}; /* right; above the others; at another one's place */
	for (int wrong = 0; wrong < 3; wrong++) {
		t.places.v[0].place = STACK + found_at[wrong];
		for (int runs = 0; runs < 2; runs++) {
			t.words.gil_current = runs ? THIRD : 0; /* another thread's, else */
			target_join_begin(&t, runs ? THIRD : 0);
			walked("ba", 1, (struct walk_entry[]){{frames[2], 2}});
			assert_int_equal(add(OUTER, 2, 0), 0);
			walked("q", 1, (struct walk_entry[]){{frames[0], 1}});
			assert_int_equal(add(THIRD, 0, 0), 0);
			walked("yx", 1, (struct walk_entry[]){{frames[1], 2}});
			assert_int_equal(add(INNER, 1, 0), 0);
			if (runs || wrong < 2)
				expect(wrong && !runs ? "yxbaq" : "qyxba");
		}
	}
	vec_free(&t.places);
	end();
}

/* States that were given to a thread and are run by another, or by anybody at last, are noticed. */
static void test_moved(void **state)
{
	begin(0x030b07f0);
	struct watched_state s = {
	    .tstate = INNER, .root = INNER + 336, .pthread = main_thread.pthread, .was_empty = true};
	assert_true(vec_push(&t.watched, s));
	assert_true(target_is_empty(&t, INNER, INNER + 336));
	assert_false(target_states_moved(&t));
	t.watched.v[0].root = STACK + 100;
	assert_true(target_states_moved(&t));
	t.watched.v[0].was_empty = false;
	assert_false(target_states_moved(&t));
	t.watched.v[0].root = WORKER - 0x100;
	assert_true(target_states_moved(&t));
	t.interpreter.layout = *layout_find(0x030800f0 | 0x1200, LAYOUT_RELEASE);
	t.watched.v[0].root = 0;
	assert_false(target_states_moved(&t));
	t.watched.v[0].was_empty = true;
	t.watched.v[0].root = INNER + 64; /* a frame object may lie anywhere */
	assert_true(target_states_moved(&t));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_parts),     cmocka_unit_test(test_cut),       cmocka_unit_test(test_errors),
	    cmocka_unit_test(test_by_cframe), cmocka_unit_test(test_by_search), cmocka_unit_test(test_moved),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
