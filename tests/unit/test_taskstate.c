/* taskstate: threads of our own that sleep, spin, wake up, end. Nothing here depends on how fast the machine is: states
 * are waited for, and what must not be is looked for many times. */
#include "pyspy-record/target/taskstate.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "tests/unit/support_test.h"

enum { PATIENCE_S = 60 };

static int to_thread[2], from_thread[2];
static atomic_int tid, quit, spun;

static void make_pipes(void)
{
	assert_int_equal(pipe(to_thread), 0);
	assert_int_equal(pipe(from_thread), 0);
	atomic_store(&tid, 0);
	atomic_store(&quit, 0);
	atomic_store(&spun, 0);
}

static void close_pipes(void)
{
	for (int i = 0; i < 2; i++) {
		close(to_thread[i]);
		close(from_thread[i]);
	}
}

static void nap(void)
{
	nanosleep(&(struct timespec){.tv_nsec = 200000}, NULL);
}

/* Waits in read(2); answers each byte. */
static void *sleeper(void *unused)
{
	char c;
	atomic_store(&tid, (int)syscall(SYS_gettid));
	while (read(to_thread[0], &c, 1) == 1 && c != 'q')
		if (write(from_thread[1], &c, 1) != 1)
			break;
	return NULL;
}

static void *spinner(void *unused)
{
	prctl(PR_SET_NAME, "odd ) S 1 (name");
	atomic_store(&tid, (int)syscall(SYS_gettid));
	while (!atomic_load(&quit))
		atomic_fetch_add(&spun, 1);
	return NULL;
}

static pthread_t start(void *(*run)(void *), struct taskstate *t)
{
	pthread_t thread;
	assert_int_equal(pthread_create(&thread, NULL, run, NULL), 0);
	while (!atomic_load(&tid))
		nap();
	taskstate_open(t, getpid(), atomic_load(&tid));
	return thread;
}

/* Until it is blocked in this system call (a page fault or a lock on the way there may be another). */
static void wait_blocked(struct taskstate *t, long number, struct taskstate_block *block)
{
	uint64_t until = clock_mono_ns() + PATIENCE_S * CLOCK_NS_PER_S;
	int rc;
	while ((rc = taskstate_blocked(t, block)) == 0 || (rc == 1 && block->number != number)) {
		assert_true(clock_mono_ns() < until);
		nap();
	}
	if (rc == ERR_PERMISSION) { /* a sandbox without /proc/PID/syscall */
		print_message("no permission for /proc/PID/task/TID/syscall\n");
		skip();
	}
	assert_int_equal(rc, 1);
}

/* As without a limit on open files, and at it. */
static void close_kept(struct taskstate *t)
{
	taskstate_close(t);
	assert_int_equal(t->schedstat_fd, -1);
	assert_int_equal(t->syscall_fd, -1);
}

static void test_sleeping(void **state)
{
	struct taskstate t;
	struct taskstate_block block;
	struct taskstate_run first, now;
	char c = 'x', letter = 0;
	for (int kept = 1; kept >= 0; kept--) {
		make_pipes();
		pthread_t thread = start(sleeper, &t);
		if (!kept)
			close_kept(&t);
		for (unsigned round = 0; round < 20; round++) {
			wait_blocked(&t, SYS_read, &block);
			assert_int_equal(block.number, SYS_read);
			assert_int_equal(block.args[0], to_thread[0]);
			assert_int_equal(block.args[2], 1);
			assert_int_equal(taskstate_run(&t, &first), 0);
			assert_true(first.count > 0);
			assert_int_equal(taskstate_letter(&t), 'S');
			assert_true(taskstate_cpu(&t, &letter) >= 0);
			assert_int_equal(letter, 'S');
			for (int i = 0; i < 50; i++) { /* it sleeps: blocked every time, and nothing moves */
				assert_int_equal(taskstate_blocked(&t, &block), 1);
				assert_int_equal(block.number, SYS_read);
				assert_int_equal(taskstate_run(&t, &now), 0);
				assert_int_equal(now.count, first.count);
				assert_int_equal(now.cpu_ns, first.cpu_ns);
				if (i % 10 == 0)
					nap();
			}
			assert_int_equal(write(to_thread[1], &c, 1), 1);
			assert_int_equal(read(from_thread[0], &c, 1), 1);
			wait_blocked(&t, SYS_read, &block);
			assert_int_equal(taskstate_run(&t, &now), 0);
			assert_true(now.count > first.count); /* it was on a CPU in between, however shortly */
			assert_true(now.cpu_ns >= first.cpu_ns);
		}
		assert_int_equal(write(to_thread[1], "q", 1), 1);
		pthread_join(thread, NULL);
		taskstate_close(&t);
		close_pipes();
	}
}

static void test_spinning(void **state)
{
	struct taskstate t;
	struct taskstate_block block;
	struct taskstate_run run, last = {0};
	char letter;
	make_pipes();
	pthread_t thread = start(spinner, &t);
	int from = atomic_load(&spun);
	while (atomic_load(&spun) == from) /* it is at it */
		nap();
	for (int i = 0; i < 2000; i++) {
		assert_int_equal(taskstate_blocked(&t, &block), 0);
		assert_int_equal(taskstate_run(&t, &run), 0);
		assert_true(run.cpu_ns >= last.cpu_ns && run.count >= last.count && run.wait_ns >= last.wait_ns);
		last = run;
		if (i % 100)
			continue;
		assert_int_equal(taskstate_letter(&t), 'R');
		int cpu = taskstate_cpu(&t, &letter); /* the name is odd */
		assert_int_equal(letter, 'R');
		assert_true(cpu >= 0 && cpu < sysconf(_SC_NPROCESSORS_CONF));
		nap();
	}
	assert_true(last.count > 0 && last.cpu_ns > 0);
	atomic_store(&quit, 1);
	pthread_join(thread, NULL);
	taskstate_close(&t);
	close_pipes();
}

static void expect_gone(struct taskstate *t)
{
	struct taskstate_block block;
	struct taskstate_run run;
	char letter = 'x';
	assert_int_equal(taskstate_run(t, &run), ERR_GONE);
	assert_int_equal(taskstate_blocked(t, &block), ERR_GONE);
	assert_int_equal(taskstate_letter(t), 0);
	assert_int_equal(taskstate_cpu(t, &letter), -1);
	assert_int_equal(letter, 0);
}

static void test_ended(void **state)
{
	struct taskstate t, before;
	struct taskstate_block block;
	make_pipes();
	pthread_t thread = start(sleeper, &t);
	wait_blocked(&t, SYS_read, &block);
	assert_int_equal(write(to_thread[1], "q", 1), 1);
	pthread_join(thread, NULL);
	/* the kernel takes a moment longer than pthread_join */
	struct taskstate_run run;
	uint64_t until = clock_mono_ns() + PATIENCE_S * CLOCK_NS_PER_S;
	while (taskstate_run(&t, &run) != ERR_GONE && clock_mono_ns() < until)
		nap();
	expect_gone(&t); /* through files that were open */
	before = t;
	close_kept(&t);
	expect_gone(&t); /* and by name */
	taskstate_open(&t, before.pid, before.tid);
	expect_gone(&t);
	taskstate_close(&t);
	taskstate_close(&t);
	taskstate_open(&t, 0x7ffffff0, 0x7ffffff0);
	expect_gone(&t);
	taskstate_close(&t);
	close_pipes();
}

/* A process that sleeps in pause(), is stopped, is killed, and whose end nobody has waited for yet. */
static void test_process(void **state)
{
	struct taskstate t;
	struct taskstate_block block;
	pid_t pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			syscall(SYS_ppoll, NULL, 0, NULL, NULL, 0);
	}
	taskstate_open(&t, pid, pid);
	wait_blocked(&t, SYS_ppoll, &block);
	kill(pid, SIGSTOP);
	int status;
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_int_equal(taskstate_letter(&t), 'T');
	assert_int_equal(taskstate_blocked(&t, &block), 1);
	kill(pid, SIGKILL);
	siginfo_t info;
	waitid(P_PID, (id_t)pid, &info, WEXITED | WNOWAIT);
	assert_int_equal(taskstate_letter(&t), 'Z');
	waitpid(pid, NULL, 0);
	expect_gone(&t);
	taskstate_close(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_sleeping),
	    cmocka_unit_test(test_spinning),
	    cmocka_unit_test(test_ended),
	    cmocka_unit_test(test_process),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
