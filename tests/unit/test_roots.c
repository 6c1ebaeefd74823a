/* roots: a stack read from outside may be another thread's, whole. */
#include "pyspy-record/sample/target.h"
#include "tests/unit/support_test.h"

enum { MINE = 0x1000, OTHERS = 0x2000, NEW = 0x3000 };

static struct target t;
static struct sample_thread threads[2];
static struct sample_state states[2];

static void begin(void)
{
	t = (struct target){0};
	for (size_t i = 0; i < 2; i++) {
		threads[i] = (struct sample_thread){0};
		states[i] = (struct sample_state){0};
		assert_true(vec_push(&threads[i].states, &states[i]));
		assert_true(vec_push(&t.threads, &threads[i]));
	}
}

static void end(void)
{
	for (size_t i = 0; i < 2; i++)
		vec_free(&threads[i].states);
	vec_free(&t.threads);
}

static bool is_own(size_t thread, raddr_t outermost)
{
	states[thread].walk.outermost = outermost;
	return target_is_own(&t, &threads[thread]);
}

static void note(size_t thread, raddr_t outermost)
{
	states[thread].walk.outermost = outermost;
	target_note_own(&threads[thread]);
}

static void test_own(void **state)
{
	begin();
	assert_false(is_own(0, MINE)); /* nothing is known of anybody: looks must agree */
	assert_false(is_own(0, OTHERS));
	for (int look = 1; look < 4; look++)
		assert_false(is_own(0, MINE));
	assert_true(is_own(0, MINE));
	for (int look = 0; look < 10; look++)
		assert_false(is_own(1, MINE)); /* the other thread had it when it was looked at last */
	note(1, OTHERS);
	assert_true(is_own(0, MINE));
	assert_false(is_own(0, OTHERS));
	note(0, MINE);
	assert_true(is_own(0, MINE));
	assert_false(is_own(0, OTHERS));
	assert_false(is_own(0, NEW)); /* a new thread's, that nobody has met yet? */
	note(0, NEW);
	assert_true(is_own(0, NEW));
	assert_true(is_own(0, MINE));
	assert_false(is_own(1, NEW));
	assert_true(is_own(1, 0)); /* cut: nobody knows */
	note(1, 0);
	assert_true(is_own(0, 0));
	end();
}

static bool is_own_root(size_t thread, raddr_t root, unsigned looks)
{
	states[thread].walk.root = root;
	states[thread].walk.root_looks = looks;
	return target_is_own(&t, &threads[thread]);
}

/* 3.11 and later: the outermost chunk. */
static void test_chunks(void **state)
{
	begin();
	assert_true(is_own_root(0, 0, 0)); /* a thread that has no chunk yet */
	assert_false(is_own_root(0, OTHERS, 1));
	assert_false(is_own_root(1, OTHERS, 1));
	assert_false(is_own_root(1, OTHERS, WALK_ROOT_LOOKS)); /* the other one was met there, too */
	assert_int_equal(states[1].walk.root_looks, 1);
	assert_false(is_own_root(0, MINE, 1));
	assert_true(is_own_root(0, MINE, WALK_ROOT_LOOKS));
	assert_true(is_own_root(1, OTHERS, WALK_ROOT_LOOKS));
	note(1, 0);
	assert_true(states[1].walk.root_is_certain);
	assert_false(is_own_root(0, OTHERS, WALK_ROOT_LOOKS));
	assert_true(is_own_root(1, OTHERS, WALK_ROOT_LOOKS));
	end();
}

/* Memory that was another thread's is its own once it was certainly seen there. */
static void test_given_back(void **state)
{
	begin();
	note(1, OTHERS);
	assert_false(is_own(0, OTHERS));
	note(0, OTHERS);
	assert_true(is_own(0, OTHERS));
	end();
}

/* C code that calls Python again and again: the latest few are remembered. */
static void test_many(void **state)
{
	begin();
	for (raddr_t i = 1; i <= 100; i++) {
		note(0, 0x10000 + i * 0x100);
		note(0, 0x10000 + i * 0x100);
		assert_true(is_own(0, 0x10000 + i * 0x100));
		for (raddr_t k = 1; k < i && k < WALK_OUTERMOST; k++)
			assert_true(is_own(0, 0x10000 + (i - k) * 0x100));
	}
	assert_false(is_own(0, 0x10100));
	end();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_own),
	    cmocka_unit_test(test_chunks),
	    cmocka_unit_test(test_given_back),
	    cmocka_unit_test(test_many),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
