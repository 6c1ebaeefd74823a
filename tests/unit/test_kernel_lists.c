/* lists: what was sent of a list, and what it goes on from. */
#include "pyspy-record/kernel/lists.h"

#include "libcommon/err.h"
#include "tests/unit/support_test.h"

static struct kernel_lists l;
static const struct kernel_frame *frames;
static size_t n;

/* Frames are numbers here: `sent` is innermost first. */
static int take(uint32_t slot, uint32_t round, uint32_t serial, uint32_t same, const char *sent)
{
	struct kernel_frame f[16];
	struct kernel_sample m = {.slot = slot, .round = round, .serial = serial, .same = same};
	size_t n_sent = strlen(sent);
	for (size_t i = 0; i < n_sent; i++)
		f[i] = (struct kernel_frame){.at = (uint64_t)sent[i]};
	return lists_take(&l, &m, f, n_sent, &frames, &n);
}

static void expect(const char *outermost_first)
{
	assert_int_equal(n, strlen(outermost_first));
	for (size_t i = 0; i < n; i++)
		assert_int_equal(frames[i].at, outermost_first[i]);
}

static void test_goes_on(void **state)
{
	assert_int_equal(lists_init(&l, 4), 0);
	assert_int_equal(take(1, 7, 1, 0, "cba"), 0);
	expect("abc");
	assert_int_equal(take(2, 1, 1, 0, "z"), 0); /* another thread */
	expect("z");
	assert_int_equal(take(1, 7, 2, 3, ""), 0);
	expect("abc");
	assert_int_equal(take(1, 7, 3, 2, "ed"), 0);
	expect("abde");
	assert_int_equal(take(1, 7, 4, 1, ""), 0);
	expect("a");
	assert_int_equal(take(1, 7, 5, 0, ""), 0);
	expect("");
	lists_done(&l);
}

static void test_out_of_step(void **state)
{
	uint32_t round, slot;
	assert_int_equal(lists_init(&l, 4), 0);
	slot = lists_slot(&l, 100, &round);
	assert_int_equal(take(slot, round, 1, 1, "a"), ERR_TORN); /* there is nothing yet */
	uint32_t again;
	assert_int_equal(lists_slot(&l, 100, &again), slot);
	assert_true(again != round); /* the program begins anew */
	round = again;
	assert_int_equal(take(slot, round, 1, 0, "ba"), 0);
	assert_int_equal(take(slot, round, 2, 3, ""), ERR_TORN); /* more than there were */
	assert_int_equal(take(slot, round, 3, 1, ""), ERR_TORN); /* nothing of it is believed any more */
	assert_int_equal(take(slot, round, 4, 0, "ba"), 0);
	assert_int_equal(take(slot, round, 6, 1, "c"), ERR_TORN); /* one is missing */
	assert_int_equal(take(slot, round, 7, 0, "ba"), 0);
	assert_int_equal(take(slot, round + 1, 8, 1, "c"), ERR_TORN); /* another one's */
	assert_int_equal(take(0, 0, 0, 0, "dc"), 0);                  /* no slot: all of it */
	expect("cd");
	assert_int_equal(take(0, 0, 1, 1, "dc"), ERR_TORN);
	assert_int_equal(take(77, 0, 1, 0, "dc"), 0); /* none of ours */
	expect("cd");
	assert_int_equal(take(77, 0, 2, 1, "dc"), ERR_TORN);
	lists_done(&l);
}

static void test_slots(void **state)
{
	uint32_t rounds[4], again;
	assert_int_equal(lists_init(&l, 4), 0);
	for (pid_t i = 1; i < 4; i++)
		assert_int_equal(lists_slot(&l, 100 + i, &rounds[i]), i);
	assert_int_equal(lists_slot(&l, 200, &again), 0);
	assert_int_equal(lists_slot(&l, 102, &again), 2);
	assert_int_equal(again, rounds[2]);
	lists_release(&l, 102);
	lists_release(&l, 300);
	assert_int_equal(lists_slot(&l, 200, &again), 2);
	assert_true(again != rounds[2]); /* what the first one left behind is not its own */
	lists_done(&l);
	assert_int_equal(lists_init(&l, 0), 0);
	assert_int_equal(lists_slot(&l, 1, &again), 0);
	lists_done(&l);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_goes_on),
	    cmocka_unit_test(test_out_of_step),
	    cmocka_unit_test(test_slots),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
