#include "libcommon/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

#include "libcommon/err.h"

static uint64_t now_ns(clockid_t id)
{
	struct timespec t;

	if (clock_gettime(id, &t) != 0)
		return 0;
	return (uint64_t)t.tv_sec * CLOCK_NS_PER_S + (uint64_t)t.tv_nsec;
}

uint64_t clock_boot_ns(void)
{
	return now_ns(CLOCK_BOOTTIME);
}

uint64_t clock_mono_ns(void)
{
	return now_ns(CLOCK_MONOTONIC);
}

int64_t clock_real_ns(void)
{
	return (int64_t)now_ns(CLOCK_REALTIME);
}

uint64_t clock_cpu_ns_of(int pid)
{
	enum { SCHEDULER = 2, PER_PROCESS_SHIFT = 3 }; /* clock_getcpuclockid(3) makes the same, and a system call */
	return now_ns((clockid_t)(~(unsigned)pid << PER_PROCESS_SHIFT | SCHEDULER));
}

uint64_t clock_process_cpu_ns(void)
{
	return now_ns(CLOCK_PROCESS_CPUTIME_ID);
}

int clock_sleep_until(uint64_t mono_ns)
{
	struct timespec t = {
	    .tv_sec = (time_t)(mono_ns / CLOCK_NS_PER_S),
	    .tv_nsec = (long)(mono_ns % CLOCK_NS_PER_S),
	};
	int rc = clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &t, NULL);

	if (rc == EINTR)
		return ERR_AGAIN;
	return rc == 0 ? 0 : ERR_SYSTEM;
}

/* The coarse clocks move with the kernel's tick. */
uint32_t clock_tick_hz(void)
{
	struct timespec t;
	if (clock_getres(CLOCK_REALTIME_COARSE, &t) < 0 || t.tv_sec || t.tv_nsec <= 0)
		return 0;
	return (uint32_t)(((long)CLOCK_NS_PER_S + t.tv_nsec / 2) / t.tv_nsec);
}

uint64_t clock_tick_ns(void)
{
	uint32_t hz = clock_tick_hz();
	return hz ? CLOCK_NS_PER_S / hz : CLOCK_NS_PER_S / 100;
}

bool clock_ticks_everywhere(void)
{
	static enum { UNKNOWN, YES, NO } answer;
	if (answer == UNKNOWN) {
		char text[16] = "";
		FILE *f = fopen("/sys/devices/system/cpu/nohz_full", "re");
		if (f && !fgets(text, sizeof text, f))
			text[0] = 0;
		if (f)
			fclose(f);
		answer = text[0] >= '0' && text[0] <= '9' ? NO : YES; /* else "(null)", or an empty line */
	}
	return answer == YES;
}
