/* query/moment: the nearest sample of each thread, in ticks and events, and who was there. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <string.h>

#include "pyspy-report/query/moment.h"
#include "tests/unit/support_profile.h"
#include "tests/unit/support_recording.h"

static void take(struct moment *m, uint32_t thread, uint64_t ms, uint32_t stack)
{
	moment_take(
	    m, &(struct replay_sample){.thread = thread, .stack = stack, .time_ns = SUPPORT_BOOT_NS + ms * SUPPORT_MS});
}

static void nearest_is_taken(void **state)
{
	struct support_profile s;
	struct moment m;

	support_profile_view(&s, "small", &(struct naming_options){0});
	assert_int_equal(moment_init(&m, &s.profile, &(struct span_point){SPAN_OFFSET, 2000 * (int64_t)SUPPORT_MS}), 0);
	assert_int_equal(m.at_ns.n, 1);
	assert_true(m.at_ns.v[0] == SUPPORT_BOOT_NS + 2000 * SUPPORT_MS);
	assert_false(m.threads.v[1].is_seen);
	take(&m, 1, 100, 1);
	assert_int_equal(m.threads.v[1].distance_ns, 1900 * SUPPORT_MS);
	take(&m, 1, 1990, 2);
	take(&m, 1, 2010, 3); /* as near: the earlier one stays */
	assert_int_equal(m.threads.v[1].sample.stack, 2);
	take(&m, 1, 2005, 4);
	assert_int_equal(m.threads.v[1].sample.stack, 4);
	take(&m, 1, 1995, 5); /* as near, and earlier, although it comes later */
	assert_int_equal(m.threads.v[1].sample.stack, 5);
	take(&m, 1, 9000, 6);
	assert_int_equal(m.threads.v[1].sample.stack, 5);
	assert_int_equal(m.threads.v[1].distance_ns, 5 * SUPPORT_MS);
	moment_done(&m);
	support_profile_done(&s);
}

static void threads_come_and_go(void **state)
{
	struct support_profile s;
	struct moment m;
	uint64_t at = SUPPORT_BOOT_NS + 2000 * SUPPORT_MS;

	support_profile_view(&s, "small", &(struct naming_options){0});
	assert_int_equal(moment_init(&m, &s.profile, &(struct span_point){SPAN_SHARE, SPAN_WHOLE / 2}), 0);
	assert_true(m.at_ns.v[0] == at); /* half of 4 s */
	struct profile_thread *t = &s.profile.threads.v[1];
	take(&m, 1, 2100, 1);
	t->has_ended = false;
	t->start_ns = 0;
	assert_true(moment_has(&m, &s.profile, 1)); /* nobody knows when it began */
	t->start_ns = at + MOMENT_START_NS;
	assert_true(moment_has(&m, &s.profile, 1)); /* within the clock of starts */
	t->start_ns = at + 20 * SUPPORT_MS;
	assert_false(moment_has(&m, &s.profile, 1));
	t->start_ns = at - SUPPORT_S;
	t->has_ended = true;
	t->end_ns = at - 1;
	assert_false(moment_has(&m, &s.profile, 1));
	t->end_ns = at;
	assert_true(moment_has(&m, &s.profile, 1));
	moment_done(&m);
	support_profile_done(&s);
}

/* Times that nobody ever had: before the recording, and so late that a sum would wrap. */
static void ends_of_time(void **state)
{
	static const struct span_point points[] = {
	    {SPAN_CLOCK, INT64_MIN}, {SPAN_CLOCK, INT64_MAX}, {SPAN_OFFSET, INT64_MAX}, {SPAN_FROM_END, INT64_MAX}};
	struct support_profile s;
	struct moment m;

	support_profile_view(&s, "small", &(struct naming_options){0});
	for (size_t i = 0; i < sizeof points / sizeof *points; i++) {
		assert_int_equal(moment_init(&m, &s.profile, &points[i]), 0);
		take(&m, 1, 0, 7);
		assert_true(m.threads.v[1].is_seen);
		assert_int_equal(m.threads.v[1].sample.stack, 7);
		moment_done(&m);
	}
	support_profile_done(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(nearest_is_taken),
	    cmocka_unit_test(threads_come_and_go),
	    cmocka_unit_test(ends_of_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
