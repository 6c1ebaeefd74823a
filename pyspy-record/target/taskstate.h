/* taskstate: does a thread stand still? What the kernel says of one thread, through files of /proc that are kept open.
 *
 * Facts (Linux): /proc/PID/task/TID/schedstat's third number counts how often the thread was put on a CPU
 * (kernel/sched/stats.h, sched_info_arrive). /proc/PID/task/TID/syscall answers with numbers only when the thread was
 * off its CPU and not runnable for the whole of the read (lib/syscall.c: wait_task_inactive twice), and "running"
 * otherwise. So: numbers from `syscall`, and an equal count before and after, prove that the thread stood still in
 * between; and it stands still for as long as the count does not move.
 */
#pragma once
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

struct taskstate {
	pid_t pid, tid;
	int schedstat_fd, syscall_fd,
	    stat_fd; /* -1: opened for each read (no more files may be open, or not wanted often) */
};
/* Of a thread that does not run anywhere: each question is answered with ERR_GONE. */
#define TASKSTATE_NONE ((struct taskstate){-1, -1, -1, -1, -1})
struct taskstate_run {
	uint64_t cpu_ns;  /* time on a CPU; moves at the kernel's ticks while the thread runs */
	uint64_t wait_ns; /* time runnable without a CPU */
	uint64_t count;   /* times put on a CPU */
};
struct taskstate_block {
	long number; /* system call it is in, -1 = none (a page fault, say) */
	uint64_t args[6];
};

void taskstate_open(struct taskstate *t, pid_t pid, pid_t tid);
void taskstate_close(struct taskstate *t);
/* 0; ERR_GONE: the thread has ended. */
int taskstate_run(struct taskstate *t, struct taskstate_run *run);
/* 1: it stood still during this call, *block tells in what; 0: it runs or is runnable; ERR_GONE; ERR_PERMISSION (no
 * proof to be had). */
int taskstate_blocked(struct taskstate *t, struct taskstate_block *block);
/* The CPU that it runs on, or is to run on, and its state letter; -1 = gone. Costs four times as much as the others;
 * the file stays open from the first call on. */
int taskstate_cpu(struct taskstate *t, char *letter);
/* State letter of /proc/PID/task/TID/stat (R S D T t Z ...), 0 when gone. As taskstate_cpu. */
char taskstate_letter(struct taskstate *t);
