/* clock: nanoseconds as uint64_t. */
#pragma once
#include <stdbool.h>
#include <stdint.h>

#define CLOCK_NS_PER_S UINT64_C(1000000000)
uint64_t clock_boot_ns(void); /* CLOCK_BOOTTIME: the clock of recordings */
uint64_t clock_mono_ns(void); /* CLOCK_MONOTONIC: for sleeping */
int64_t clock_real_ns(void);  /* CLOCK_REALTIME */
uint64_t clock_process_cpu_ns(void);
uint64_t clock_cpu_ns_of(int pid); /* of another process, all its threads; 0 = not to be had */
bool clock_ticks_everywhere(void); /* no CPU does without the tick while it works (nohz_full) */
uint64_t clock_tick_ns(void); /* between two ticks of the kernel; where it is not known 10 ms, which is the longest */
uint32_t clock_tick_hz(void); /* of the kernel: CPU times from /proc move with it; 0 = not known */
/* Sleep until an absolute CLOCK_MONOTONIC time. 0, or ERR_AGAIN when a signal came first. */
int clock_sleep_until(uint64_t mono_ns);
