/* walk: of a stack that is torn, the frames that the last walk met and that have not returned. */
#include "libcommon/err.h"
#include "tests/unit/support_stack.h"
#include "tests/unit/support_test.h"

static struct support_stack s;
static VEC(struct walk_frame) met; /* outermost first */

static void begin(uint32_t version)
{
	support_stack_begin(&s, version);
	support_stack_call_and_push(&s, 4);
	support_stack_call_and_push(&s, 3);
	support_stack_expect_whole(&s);
	met.n = 0;
	for (size_t i = s.w.frames.n; i-- > 0;)
		assert_true(vec_push(&met, s.w.frames.v[i]));
	assert_int_equal(met.n, 7);
}

/* How many of them, from the outermost on, are there still. */
static size_t still(void)
{
	size_t n = 0;
	raddr_t instr;
	while (n < met.n && walk_still_has(&s.w, &s.t, &met.v[n], &instr)) {
		assert_true(instr == met.v[n].instr);
		n++;
	}
	return n;
}

static void tear(void)
{
	support_stack_link(&s, s.frames.n - 1, support_stack_innermost(&s));
	assert_int_equal(walk_alone(&s.w, &s.t, &s.batch), ERR_TORN);
}

static void in_all(void (*test)(void))
{
	for (size_t i = 0; i < N_OF(support_stack_versions) + N_OF(support_stack_old_versions); i++) {
		begin(i < N_OF(support_stack_versions) ? support_stack_versions[i]
		                                       : support_stack_old_versions[i - N_OF(support_stack_versions)]);
		test();
		support_stack_end(&s);
	}
	vec_free(&met);
}

static void callers(void)
{
	assert_int_equal(still(), 7);
	tear(); /* the innermost one's caller is another one than it was */
	assert_int_equal(still(), 6);
	support_stack_pop(&s);
	support_stack_push(&s, OWNER_THREAD); /* another function, at the very place */
	tear();
	assert_int_equal(still(), 6);
}
static void test_callers(void **state)
{
	in_all(callers);
}

/* What has returned is still in memory, above where the stack is in use. */
static void returned(void)
{
	if (support_stack_is_old(&s))
		return;
	support_stack_pop(&s);
	support_stack_pop(&s);
	tear();
	assert_int_equal(still(), 4);
	support_stack_push(&s, OWNER_THREAD);
	tear();
	assert_int_equal(still(), 4);
}
static void test_returned(void **state)
{
	in_all(returned);
}

/* It goes on at another instruction. */
static void moved(void)
{
	raddr_t instr;
	struct walk_frame other = met.v[2];
	tear();
	assert_true(walk_still_has(&s.w, &s.t, &met.v[2], &instr));
	other.code += 64;
	assert_false(walk_still_has(&s.w, &s.t, &other, &instr));
	other = met.v[2];
	other.globals += 16;
	assert_false(walk_still_has(&s.w, &s.t, &other, &instr));
	other = met.v[2];
	other.at = 8;
	assert_false(walk_still_has(&s.w, &s.t, &other, &instr));
	other.at = UINT64_MAX - 7;
	assert_false(walk_still_has(&s.w, &s.t, &other, &instr));
}
static void test_moved(void **state)
{
	in_all(moved);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_callers),
	    cmocka_unit_test(test_returned),
	    cmocka_unit_test(test_moved),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
