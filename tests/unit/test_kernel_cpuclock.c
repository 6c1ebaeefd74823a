/* cpuclock: a program that counts in which thread it runs. Needs rights; skipped without. */
#include "tests/unit/support_test.h"

#include <errno.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/kernel/bpf.h"
#include "pyspy-record/kernel/cpuclock.h"

enum { LOOKUP = 1, UPDATE = 2, GET_CURRENT_PID_TGID = 14, MS = 1000000 };

static int counts = -1, program = -1; /* tid -> calls */

static bool set_up(void)
{
	counts = bpf_map_create(BPF_MAP_TYPE_HASH, 4, 8, 64, 0, "counts");
	if (counts < 0)
		return false;
	const struct bpf_insn insns[] = {
	    {.code = BPF_JMP | BPF_CALL, .imm = GET_CURRENT_PID_TGID},
	    {.code = BPF_STX | BPF_MEM | BPF_W, .dst_reg = 10, .src_reg = 0, .off = -4},
	    {.code = BPF_ST | BPF_MEM | BPF_DW, .dst_reg = 10, .off = -16, .imm = 1},
	    {.code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = counts},
	    {0},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10},
	    {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -4},
	    {.code = BPF_JMP | BPF_CALL, .imm = LOOKUP},
	    {.code = BPF_JMP | BPF_JEQ | BPF_K, .dst_reg = 0, .off = 4},
	    {.code = BPF_LDX | BPF_MEM | BPF_DW, .dst_reg = 1, .src_reg = 0}, /* there is an entry: one more */
	    {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 1, .imm = 1},
	    {.code = BPF_STX | BPF_MEM | BPF_DW, .dst_reg = 0, .src_reg = 1},
	    {.code = BPF_JMP | BPF_JA, .off = 8},
	    {.code = BPF_LD | BPF_IMM | BPF_DW, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_FD, .imm = counts},
	    {0},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 2, .src_reg = 10},
	    {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 2, .imm = -4},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_X, .dst_reg = 3, .src_reg = 10},
	    {.code = BPF_ALU64 | BPF_ADD | BPF_K, .dst_reg = 3, .imm = -16},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 4, .imm = BPF_ANY},
	    {.code = BPF_JMP | BPF_CALL, .imm = UPDATE},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0},
	    {.code = BPF_JMP | BPF_EXIT},
	};
	char *log;
	const struct bpf_program p = {.type = BPF_PROG_TYPE_PERF_EVENT,
	                              .insns = insns,
	                              .n_insns = N_OF(insns),
	                              .license = "GPL",
	                              .name = "count"};
	program = bpf_program_load(&p, &log);
	if (program < 0)
		fail_msg("%s", log ? log : strerror(errno));
	return true;
}

static void tear_down(void)
{
	close(counts);
	close(program);
}

/* Of all threads: those in the map are numbers of the first pid namespace, and ours may be another one. */
static uint64_t calls(void)
{
	uint32_t tids[64], n;
	uint64_t each[64], sum = 0;
	assert_int_equal(bpf_map_read(counts, tids, 4, each, 8, 64, &n), 0);
	for (uint32_t i = 0; i < n; i++)
		sum += each[i];
	return sum;
}

static pid_t this_thread(void)
{
	return (pid_t)syscall(SYS_gettid);
}

static uint64_t cpu_ns(void)
{
	struct timespec t;
	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (uint64_t)t.tv_sec * 1000 * MS + (uint64_t)t.tv_nsec;
}

/* Use that much CPU time. */
static void work(uint64_t ns)
{
	uint64_t end = cpu_ns() + ns;
	while (cpu_ns() < end)
		;
}

static void test_period(void **state)
{
	if (!set_up())
		skip();
	int fd = cpuclock_open(this_thread(), 2 * MS, program, NULL, NULL);
	assert_true(fd >= 0);
	uint64_t before = calls();
	work(100 * MS);
	uint64_t n = calls() - before;
	if (n < 25 || n > 60) /* of 50; interrupts of a virtual machine may be late */
		fail_msg("%d calls in 100 ms at one in 2 ms", (int)n);
	assert_int_equal(cpuclock_set_period(fd, 20 * MS), 0);
	before = calls();
	work(100 * MS);
	n = calls() - before;
	if (n < 2 || n > 6)
		fail_msg("%d calls in 100 ms at one in 20 ms", (int)n);
	cpuclock_close(fd);
	before = calls();
	work(50 * MS);
	assert_int_equal(calls(), before);
	tear_down();
}

static atomic_int child;
static void *work_as_thread(void *arg)
{
	child = this_thread();
	work(50 * MS);
	return arg;
}

/* Threads that begin later, with and without inheriting. */
static void test_threads(void **state)
{
	if (!set_up())
		skip();
	for (int inherit = 0; inherit < 2; inherit++) {
		bool inherits = false;
		uint64_t before = calls();
		pthread_t t;
		int fd = cpuclock_open(this_thread(), MS, program, inherit ? &inherits : NULL, NULL);
		assert_true(fd >= 0);
		assert_int_equal(inherits, inherit);
		assert_int_equal(pthread_create(&t, NULL, work_as_thread, NULL), 0);
		pthread_join(t, NULL);
		uint64_t n = calls() - before; /* we ourselves have slept meanwhile */
		if (inherit ? n <= 10 : n > 5)
			fail_msg("%d calls, inherit %d", (int)n, inherit);
		cpuclock_close(fd);
	}
	tear_down();
}

static void test_refused(void **state)
{
	if (!set_up())
		skip();
	pthread_t t;
	assert_int_equal(pthread_create(&t, NULL, work_as_thread, NULL), 0);
	pthread_join(t, NULL);
	int fd = cpuclock_open(child, MS, program, NULL, NULL);
	for (int i = 0; fd >= 0 && i < 1000; i++) { /* it is joined a moment before it is gone */
		cpuclock_close(fd);
		usleep(1000);
		fd = cpuclock_open(child, MS, program, NULL, NULL);
	}
	assert_int_equal(fd, ERR_GONE);
	assert_true(cpuclock_open(this_thread(), MS, counts, NULL, NULL) < 0); /* no program */
	int next = dup(0);
	close(next);
	assert_true(cpuclock_open(this_thread(), MS, -1, NULL, NULL) < 0);
	assert_int_equal(dup(0), next); /* nothing is left open */
	close(next);
	tear_down();
}

static void test_limit_of_open_files(void **state)
{
	struct rlimit old, now;
	if (!set_up())
		skip();
	getrlimit(RLIMIT_NOFILE, &old);
	int next = dup(0);
	close(next);
	now = (struct rlimit){(rlim_t)next, old.rlim_max};
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
	int fd = cpuclock_open(this_thread(), MS, program, NULL, NULL);
	assert_int_equal(fd, next);
	getrlimit(RLIMIT_NOFILE, &now);
	assert_int_equal(now.rlim_cur, old.rlim_max); /* raised */
	cpuclock_close(fd);
	/* where it cannot be raised */
	now.rlim_cur = now.rlim_max = (rlim_t)next;
	pid_t pid = fork();
	if (pid == 0) {
		setrlimit(RLIMIT_NOFILE, &now);
		_exit(cpuclock_open(this_thread(), MS, program, NULL, NULL) == ERR_FULL && errno == EMFILE ? 0 : 1);
	}
	int status;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &old), 0);
	tear_down();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_period),
	    cmocka_unit_test(test_threads),
	    cmocka_unit_test(test_refused),
	    cmocka_unit_test(test_limit_of_open_files),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
