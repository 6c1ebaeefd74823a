/* doctor: findings, the words of remedies, the two forms of the verdict with hostile names, trials that die. */
#include "tests/unit/support_test.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "pyspy-record/doctor/process_findings.h"
#include "pyspy-record/doctor/verdict.h"

static void test_findings(void **state)
{
	(void)state;
	struct findings f = {.group = "machine"};
	assert_null(findings_problem(&f));
	findings_add(&f, "one", FINDING_WARNING, REMEDY_SUDO, "a file", "%d of %s", 3, "those");
	findings_advise(&f, "do %s", "this");
	findings_advise(&f, "do %s", "that");
	findings_add(&f, "two", FINDING_PROBLEM, 0, "", "it is so");
	assert_false(f.failed);
	assert_int_equal(f.v.n, 2);
	assert_string_equal(f.v.v[0].fact, "3 of those");
	assert_string_equal(f.v.v[0].advice, "do that");
	assert_string_equal(findings_problem(&f)->id, "two");
	findings_done(&f);
}

static void test_remedies(void **state)
{
	(void)state;
	for (int i = 0; i < REMEDIES; i++) {
		const char *words = remedy_words(i);
		assert_non_null(remedy_kind(i));
		assert_true(strlen(words) > 10);
		assert_null(strchr(words, '%'));
		assert_int_equal(remedy_is_snippet(i), strchr(words, '\n') != NULL);
	}
	assert_non_null(strstr(remedy_words(1), remedy_own_file())); /* setcap */
	assert_non_null(strstr(remedy_words(2), "cap_bpf,cap_perfmon,cap_sys_ptrace"));
}

/* What a target may be called must not get out of its string, nor to the terminal. */
static void test_hostile(void **state)
{
	(void)state;
	struct findings f = {.group = "process"};
	struct machine m = {.container = "a\"b\n"};
	struct python_findings s = {.is_known = true, .build = "release", .found_by = "scan", .object = "/x\n\x1b[31m\"\xff"};
	struct verdict v = {.pid = 7, .text = "a\nb", .machine = &m, .findings = &f, .python = &s};
	struct buf out;
	findings_add(&f, "process", FINDING_PROBLEM, REMEDY_CONTAINER, "/proc/7/comm", "%s",
	             "</script>\x1b]0;x\x07\n\xff\"");
	buf_init(&out, 0);
	verdict_text(&v, &out);
	assert_null(memchr(out.data, 0x1b, out.len));
	assert_null(memchr(out.data, 0xff, out.len));
	assert_non_null(strstr(buf_cstr(&out), "\\x1b]0;x"));
	assert_non_null(strstr(buf_cstr(&out), "cap_add: [SYS_PTRACE]"));
	buf_reset(&out);
	verdict_json(&v, &out);
	const char *json = buf_cstr(&out);
	assert_null(memchr(out.data, 0x1b, out.len));
	assert_null(strstr(json, "</script>"));
	assert_non_null(strstr(json, "\"container\":\"a\\\"b\\n\""));
	assert_non_null(strstr(json, "\"schema_version\":1"));
	assert_non_null(strstr(json, "\"can\":false,\"engine\":null"));
	buf_done(&out);
	findings_done(&f);
}

/* From here on a system call is answered with `action`. */
static void forbid(unsigned number, unsigned action)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, number, 0, 1),
	    BPF_STMT(BPF_RET | BPF_K, action),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = {N_OF(code), code};
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 || prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0)
		_exit(77);
}

/* In a child: what trial_own says under a filter, as its exit status. */
static int under_filter(unsigned number, unsigned action, bool stop)
{
	int status;
	pid_t pid = fork();
	if (pid == 0) {
		struct trial_own t;
		forbid(number, action);
		trial_own(&t);
		const struct trial *one = stop ? &t.stop : &t.child;
		bool words = strlen(trial_words(one)) > 10;
		_exit(!one->was_made || one->worked || !words ? 1 : one->killed_by ? 2 : one->error_number);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip();
	return WEXITSTATUS(status);
}

static void test_filters(void **state)
{
	(void)state;
	assert_int_equal(under_filter(SYS_process_vm_readv, SECCOMP_RET_KILL_PROCESS, false), 2);
	assert_int_equal(under_filter(SYS_process_vm_readv, SECCOMP_RET_ERRNO | ENOSYS, false), ENOSYS);
	assert_int_equal(under_filter(SYS_ptrace, SECCOMP_RET_ERRNO | EACCES, true), EACCES);
	assert_int_equal(under_filter(SYS_ptrace, SECCOMP_RET_KILL_PROCESS, true), 2);
}

static void test_trials(void **state)
{
	static const uint64_t here[2] = {1, 2};
	struct trial t;
	int status;
	(void)state;
	trial_memory(getpid(), (uint64_t)(uintptr_t)here, &t);
	assert_true(t.was_made && t.worked);
	trial_memory(getpid(), 0, &t);
	assert_true(t.worked);
	pid_t gone = fork();
	if (gone == 0)
		_exit(0);
	waitpid(gone, &status, 0);
	trial_memory(gone, 0, &t);
	assert_true(t.was_made && !t.worked && t.error_number == ESRCH);
}

static void test_gone(void **state)
{
	(void)state;
	struct findings f = {0};
	struct machine m = {0};
	struct process_findings p;
	process_findings_examine(&p, &m, &f, 0x3ffff0);
	assert_false(p.is_there);
	assert_string_equal(findings_problem(&f)->id, "process");
	findings_done(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_findings), cmocka_unit_test(test_remedies), cmocka_unit_test(test_hostile),
	    cmocka_unit_test(test_filters),  cmocka_unit_test(test_trials),   cmocka_unit_test(test_gone),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
