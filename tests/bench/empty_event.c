/* What a timer of one's own costs on this machine, whoever uses it for whatever: a cpu-clock event on each thread of
 * the target, as a kernel engine opens them, with a program that does nothing but count. The rest of a sample comes on
 * top of this. The program is written as instructions, so that neither clang nor libbpf is needed for it.
 * usage: empty_event PID HZ      (root, or CAP_BPF and CAP_PERFMON)
 * prints "ready", and after SIGINT: INTERRUPTS THREADS */
#include <dirent.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/perf_event.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

static int bpf(int command, union bpf_attr *attr)
{
	return (int)syscall(SYS_bpf, command, attr, sizeof *attr);
}

static int fail(const char *what)
{
	fprintf(stderr, "empty_event: %s: %s\n", what, strerror(errno));
	return 1;
}

static int make_counter(void)
{
	union bpf_attr attr = {.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 8, .max_entries = 1};
	return bpf(BPF_MAP_CREATE, &attr);
}

static uint64_t counted(int map)
{
	uint32_t key = 0;
	uint64_t value = 0;
	union bpf_attr attr = {
	    .map_fd = (uint32_t)map, .key = (uint64_t)(uintptr_t)&key, .value = (uint64_t)(uintptr_t)&value};
	return bpf(BPF_MAP_LOOKUP_ELEM, &attr) ? 0 : value;
}

/* r1 = the counter; *r1 += 1; return 0 (which also keeps the event from being written anywhere) */
static int load_program(int map)
{
	struct bpf_insn code[] = {
	    {.code = BPF_LD | BPF_DW | BPF_IMM, .dst_reg = 1, .src_reg = BPF_PSEUDO_MAP_VALUE, .imm = map},
	    {0},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 2, .imm = 1},
	    {.code = BPF_STX | BPF_DW | BPF_XADD, .dst_reg = 1, .src_reg = 2},
	    {.code = BPF_ALU64 | BPF_MOV | BPF_K, .dst_reg = 0, .imm = 0},
	    {.code = BPF_JMP | BPF_EXIT},
	};
	union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_PERF_EVENT,
	                       .insn_cnt = sizeof code / sizeof *code,
	                       .insns = (uint64_t)(uintptr_t)code,
	                       .license = (uint64_t)(uintptr_t) "MIT"};
	return bpf(BPF_PROG_LOAD, &attr);
}

static int open_event(int tid, double hz, int program)
{
	struct perf_event_attr attr = {.size = sizeof attr,
	                               .type = PERF_TYPE_SOFTWARE,
	                               .config = PERF_COUNT_SW_CPU_CLOCK,
	                               .sample_period = (uint64_t)(1e9 / hz)};
	int fd = (int)syscall(SYS_perf_event_open, &attr, tid, -1, -1, PERF_FLAG_FD_CLOEXEC);
	return fd < 0 || ioctl(fd, PERF_EVENT_IOC_SET_BPF, program) ? -1 : fd;
}

/* -> threads with an event, or -1; the events end with this process */
static int open_events(int pid, double hz, int program)
{
	char path[64];
	int n = 0;
	snprintf(path, sizeof path, "/proc/%d/task", pid);
	DIR *dir = opendir(path);
	for (struct dirent *e; dir && (e = readdir(dir));)
		if (e->d_name[0] != '.') {
			if (open_event((int)strtol(e->d_name, NULL, 10), hz, program) < 0) {
				n = -1;
				break;
			}
			n++;
		}
	if (dir)
		closedir(dir);
	return n ? n : -1;
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: empty_event PID HZ\n");
		return 2;
	}
	sigset_t wanted;
	sigemptyset(&wanted);
	sigaddset(&wanted, SIGINT);
	sigprocmask(SIG_BLOCK, &wanted, NULL);
	struct rlimit all = {RLIM_INFINITY, RLIM_INFINITY}; /* kernels before 5.11 count maps as locked memory */
	setrlimit(RLIMIT_MEMLOCK, &all);
	int map = make_counter(), program = map < 0 ? -1 : load_program(map);
	if (program < 0)
		return fail("the eBPF program could not be loaded");
	int threads = open_events((int)strtol(argv[1], NULL, 10), strtod(argv[2], NULL), program);
	if (threads < 0)
		return fail("the cpu-clock events could not be opened");
	puts("ready");
	fflush(stdout);
	int number;
	sigwait(&wanted, &number);
	printf("%llu %d\n", (unsigned long long)counted(map), threads);
	return 0;
}
