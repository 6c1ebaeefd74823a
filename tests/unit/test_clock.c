#include <signal.h>
#include <sys/time.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "tests/unit/support_test.h"

static void test_clocks(void **state)
{
	uint64_t boot = clock_boot_ns(), mono = clock_mono_ns(), cpu = clock_process_cpu_ns();

	assert_true(boot >= mono - CLOCK_NS_PER_S);
	assert_true(clock_real_ns() > INT64_C(1700000000000000000));
	for (volatile int i = 0; i < 1000000; i++)
		;
	assert_true(clock_process_cpu_ns() > cpu);
	assert_true(clock_boot_ns() > boot);
	assert_true(clock_mono_ns() > mono);
}

static void test_sleep(void **state)
{
	uint64_t wake = clock_mono_ns() + 5000000;

	assert_int_equal(clock_sleep_until(wake), 0);
	assert_true(clock_mono_ns() >= wake);
	assert_int_equal(clock_sleep_until(0), 0);
}

static void on_alarm(int number)
{
}

static void test_signal(void **state)
{
	struct itimerval timer = {.it_value.tv_usec = 5000, .it_interval.tv_usec = 5000}, off = {0};
	struct sigaction action = {.sa_handler = on_alarm};

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &timer, NULL);
	assert_int_equal(clock_sleep_until(clock_mono_ns() + 60 * CLOCK_NS_PER_S), ERR_AGAIN);
	setitimer(ITIMER_REAL, &off, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_clocks),
	    cmocka_unit_test(test_sleep),
	    cmocka_unit_test(test_signal),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
