#include "pyspy-record/kernel/engine.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <time.h>
#include <unistd.h>

#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/fds.h"
#include "libcommon/log.h"
#include "pyspy-record/kernel/bpf.h"
#include "pyspy-record/kernel/btf.h"
#include "pyspy-record/kernel/completion.h"
#include "pyspy-record/kernel/cpuclock.h"
#include "pyspy-record/kernel/lists.h"
#include "pyspy-record/kernel/loading.h"
#include "pyspy-record/kernel/rings.h"

#ifndef PYSPY_HAS_KERNEL_ENGINE
#define PYSPY_HAS_KERNEL_ENGINE 0
#endif

enum {
	TASKS_LEAST = 4096,
	TASKS_MOST = 65536,
	PROCESSES_LEAST = 256,
	PROCESSES_MOST = 4096,
	RING_LEAST = 1 << 19,        /* more than the largest sample */
	RING_MAY = 8 << 20,          /* it may always grow to so much ... */
	RING_MOST = 64 << 20,        /* ... and never above this */
	RING_FIRST = 1,              /* the part of what the rate may need that it begins with */
	SAMPLE_BYTES = 2 << 10,      /* of a sample, about */
	DRAIN_NS = 50 * 1000 * 1000, /* the ring may grow to hold twice what comes in that time */
	FEW_TASKS = 16,              /* looked up one by one, where none has come since */
	THREADS_LEAST = 4,           /* there may be more soon */
	SLOTS_LEAST = 64,            /* twice as many as threads: others come */
	SLOTS_MOST = 1024,
	CLOCK_TICKS = 4,                  /* of a thread's own clock, for a sample, ... */
	CLOCK_LEAST_NS = 1000000,         /* ... when they are not nearer to each other than this */
	FIRST_PID_NAMESPACE = 0xeffffffc, /* inode of the first pid namespace (PROC_PID_INIT_INO) */
};

/* The timer interrupt of a busy CPU, where there is a tracepoint in it. */
#if defined(__x86_64__) || defined(__i386__)
#define TICK_TRACEPOINT "local_timer_entry"
#elif defined(__powerpc64__)
#define TICK_TRACEPOINT "timer_interrupt_entry"
#else
#define TICK_TRACEPOINT ""
#endif

struct kernel {
	double rate_hz, stretch; /* the rate asked for; so many times slower it is */
	uint32_t tick_hz;
	enum kernel_clock clock;
	struct loading loading;
	struct completion completion;
	int tick, fork, exit;         /* attached tracepoints; -1 = not */
	struct kernel_config *config; /* the map */
	struct rings rings;
	uint32_t ring_most; /* bytes that it may grow to */
	struct kernel_lists lists;
	uint32_t n_slots;
	int poll_fd; /* -1: there is none, the ring is drained at its times only */
	uint32_t tasks_max;
	uint64_t *keys;
	uint32_t n_keys, n_added; /* as of the last look */
	struct kernel_task *tasks;
	uint64_t *counts; /* of all CPUs */
	int n_cpus;
};

static uint64_t tick_ns(void)
{
	struct timespec t;
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &t) < 0 || t.tv_sec || t.tv_nsec <= 0)
		return 0;
	return (uint64_t)t.tv_nsec;
}

static uint32_t power_of_two(double at_least, uint32_t least, uint32_t most)
{
	uint32_t n = least;
	while (n < most && n < at_least)
		n *= 2;
	return n;
}

/* One more than the highest number of a CPU that is on. There may be places for many more (in virtual machines 128 and
 * above), and a scratch memory for each of these would be a lot; on a CPU that comes later no samples are taken. */
static uint32_t online_cpus(int possible)
{
	char text[4096] = "";
	FILE *f = fopen("/sys/devices/system/cpu/online", "re");
	size_t n = f ? fread(text, 1, sizeof text - 1, f) : 0;
	if (f)
		fclose(f);
	while (n > 0 && text[n - 1] == '\n')
		text[--n] = 0;
	const char *last = text + n; /* "0-3,6": the number behind the last separator */
	while (last > text && last[-1] >= '0' && last[-1] <= '9')
		last--;
	int highest = *last ? atoi(last) : possible - 1;
	return (uint32_t)(highest < possible ? highest : possible - 1) + 1;
}

static struct loading_sizes sizes(struct kernel *k, const struct kernel_options *o)
{
	uint32_t threads = o->n_threads < THREADS_LEAST ? THREADS_LEAST : o->n_threads;
	double running = threads < (uint32_t)k->n_cpus ? threads : (double)k->n_cpus;
	double bytes = (running + 1) * o->rate_hz * SAMPLE_BYTES * (DRAIN_NS * 1e-9) * 2;
	uint32_t ring = power_of_two(bytes, RING_LEAST, RING_MOST);
	k->ring_most = ring < RING_MAY ? RING_MAY : ring;
	k->n_slots = power_of_two(2.0 * o->n_threads, SLOTS_LEAST, SLOTS_MOST);
	k->tasks_max = power_of_two(8.0 * o->n_threads, TASKS_LEAST, TASKS_MOST);
	return (struct loading_sizes){
	    .processes = power_of_two(4.0 * o->n_threads, PROCESSES_LEAST, PROCESSES_MOST),
	    .tasks = k->tasks_max,
	    .slots = k->n_slots,
	    .cpus = online_cpus(k->n_cpus),
	    .ring_bytes = power_of_two((double)ring / RING_FIRST, RING_LEAST, ring),
	    .without_loop = o->without_loop,
	};
}

/* What the tracepoint of switches and helpers do not tell before Linux 5.18. Without BTF it stays unknown. */
static void find_members(struct kernel_config *c)
{
	struct btf_task task;
	if (btf_running_kernel(&task) < 0)
		return;
	c->task_state = task.state;
	c->task_stack = task.stack;
}

/* Ids in the kernel are those of the first pid namespace; ours may be another one. */
static int configure(struct kernel *k)
{
	k->config =
	    mmap(NULL, sizeof *k->config, PROT_READ | PROT_WRITE, MAP_SHARED, k->loading.maps[MAP_CONFIG].fd, 0);
	if (k->config == MAP_FAILED) {
		k->config = NULL;
		return ERR_SYSTEM;
	}
	k->config->tick_ns = tick_ns();
	struct stat st;
	if (stat("/proc/self/ns/pid", &st) == 0 && st.st_ino != FIRST_PID_NAMESPACE) {
		k->config->ns_dev = st.st_dev;
		k->config->ns_ino = st.st_ino;
	}
	if (k->loading.needs_member)
		find_members(k->config);
	return 0;
}

static int attach(const struct kernel *k, int *attached, enum loading_program i, const char *tracepoint)
{
	if (!tracepoint[0])
		return ERR_UNSUPPORTED;
	*attached = bpf_raw_tracepoint_open(tracepoint, k->loading.programs[i].fd);
	return *attached < 0 ? *attached : 0;
}

static int attach_all(struct kernel *k, char *why, size_t size)
{
	char words[160];
	const char *name = "sched_process_fork";
	int rc = attach(k, &k->fork, ON_FORK, name);
	if (rc == 0)
		rc = attach(k, &k->exit, ON_EXIT, name = "sched_process_exit");
	if (rc < 0) {
		snprintf(why, size, "tracepoint %s: %s", name, bpf_words(errno, words, sizeof words));
		return rc;
	}
	uint64_t tick = tick_ns();
	k->tick_hz = tick ? (uint32_t)((CLOCK_NS_PER_S + tick / 2) / tick) : 0;
	k->clock = KERNEL_CLOCK_OWN;
	/* Where kernel.perf_event_paranoid is above 2, which Debian's kernels know, CAP_PERFMON is not enough. */
	if (attach(k, &k->tick, ON_TICK, TICK_TRACEPOINT) == 0 && (k->rate_hz <= k->tick_hz || !cpuclock_may_be()))
		k->clock = KERNEL_CLOCK_TICK;
	return 0;
}

static void kernel_version(int *major, int *minor)
{
	struct utsname u;
	*major = *minor = 0;
	if (uname(&u) == 0)
		sscanf(u.release, "%d.%d", major, minor);
}

const char *kernel_capabilities(void)
{
	int major, minor;
	kernel_version(&major, &minor);
	return major == 5 && minor < 11 ? "cap_bpf,cap_perfmon,cap_sys_ptrace,cap_sys_resource" /* to lock memory */
	                                : "cap_bpf,cap_perfmon,cap_sys_ptrace";
}

/* Words for what most people meet first. */
static int explain(int rc, char *why, size_t size)
{
	int major, minor;
	kernel_version(&major, &minor);
	if (major < 5 || (major == 5 && minor < 8)) {
		snprintf(why, size, "Linux %d.%d is older than 5.8", major, minor);
		return ERR_UNSUPPORTED;
	}
	if (rc == ERR_PERMISSION) {
		size_t n = strlen(why);
		snprintf(why + n, size - n, "; it wants root, or `setcap %s+ep` on the recorder",
		         kernel_capabilities());
	}
	return rc;
}

static int load_with_log(struct kernel *k, const struct loading_sizes *sizes, char *why, size_t size)
{
	char *text = NULL;
	size_t n = 0;
	FILE *log = open_memstream(&text, &n);
	int rc = loading_first(&k->loading, sizes, why, size, log);
	if (log)
		fclose(log);
	if (rc < 0 && rc != ERR_PERMISSION && n) /* the verifier's own words, for whoever has to mend it */
		fwrite(text, 1, n, stderr);
	free(text);
	return rc;
}

/* Only the program's own calls wake us: the ring is hardly ever empty. */
static void poll_ring(struct kernel *k)
{
	struct epoll_event e = {.events = EPOLLIN | EPOLLET};
	if (k->poll_fd >= 0)
		epoll_ctl(k->poll_fd, EPOLL_CTL_ADD, k->rings.fd, &e);
}

static uint64_t lost(void *ctx)
{
	uint64_t counts[KERNEL_COUNT_END_];
	kernel_counts(ctx, counts);
	return counts[KERNEL_COUNT_OVERRUN];
}

static int open_all(struct kernel *k, const struct loading_sizes *sizes, char *why, size_t size)
{
	int rc = load_with_log(k, sizes, why, size);
	if (rc < 0)
		return explain(rc, why, size);
	rc = configure(k);
	int ring = rc == 0 ? fcntl(k->loading.maps[MAP_RING].fd, F_DUPFD_CLOEXEC, 0) : -1; /* theirs, to be closed */
	if (rc == 0)
		rc = ring < 0
		         ? ERR_SYSTEM
		         : rings_open(&k->rings, ring, k->loading.maps[MAP_RINGS].fd, sizes->ring_bytes, k->ring_most);
	if (rc < 0 && ring >= 0)
		close(ring);
	if (rc < 0) {
		snprintf(why, size, "the maps: %s", strerror(errno));
		return explain(rc, why, size);
	}
	k->poll_fd = epoll_create1(EPOLL_CLOEXEC);
	poll_ring(k);
	k->rings.lost = lost;
	k->rings.lost_ctx = k;
	rc = attach_all(k, why, size);
	return rc < 0 ? explain(rc, why, size) : 0;
}

int kernel_open(struct kernel **out, const struct kernel_options *o, char *why, size_t why_size)
{
	*out = NULL;
	why[0] = 0;
	if (!PYSPY_HAS_KERNEL_ENGINE) {
		snprintf(why, why_size, "this pyspy-record was built without it (no clang was there)");
		return ERR_UNSUPPORTED;
	}
	struct kernel *k = calloc(1, sizeof *k);
	if (!k)
		return ERR_NO_MEMORY;
	k->rate_hz = o->rate_hz;
	k->stretch = 1;
	k->poll_fd = k->rings.fd = k->tick = k->fork = k->exit = -1;
	loading_init(&k->loading);
	k->n_cpus = bpf_possible_cpus(); /* the kernel fills so many entries of a per-CPU value: no guesses */
	if (k->n_cpus < 0) {
		char words[160];
		int rc = k->n_cpus;
		snprintf(why, why_size, "the kernel refused a map: %s", bpf_words(errno, words, sizeof words));
		free(k);
		return explain(rc, why, why_size);
	}
	struct loading_sizes s = sizes(k, o);
	k->keys = calloc(k->tasks_max, sizeof *k->keys);
	k->tasks = calloc(k->tasks_max, sizeof *k->tasks);
	k->counts = calloc((size_t)k->n_cpus, sizeof *k->counts);
	int rc = k->keys && k->tasks && k->counts ? lists_init(&k->lists, k->n_slots) : ERR_NO_MEMORY;
	rc = rc == 0 ? open_all(k, &s, why, why_size) : rc;
	if (rc < 0) {
		kernel_close(k);
		return rc;
	}
	*out = k;
	return 0;
}

void kernel_close(struct kernel *k)
{
	if (!k)
		return;
	const int fds[] = {k->tick, k->fork, k->exit, k->poll_fd};
	for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	if (k->config)
		munmap(k->config, sizeof *k->config);
	rings_close(&k->rings);
	lists_done(&k->lists);
	completion_end(&k->completion, &k->loading);
	loading_done(&k->loading);
	free(k->keys);
	free(k->tasks);
	free(k->counts);
	free(k);
}

enum kernel_clock kernel_clock(const struct kernel *k)
{
	return k->clock;
}

uint32_t kernel_tick_hz(const struct kernel *k)
{
	return k->tick_hz;
}

uint64_t kernel_period_ns(const struct kernel *k)
{
	return (uint64_t)(1e9 / k->rate_hz * k->stretch);
}

uint64_t kernel_clock_ns(const struct kernel *k, unsigned times)
{
	uint64_t period = kernel_period_ns(k) * times;
	return period / CLOCK_TICKS >= CLOCK_LEAST_NS ? period / CLOCK_TICKS : period;
}

void kernel_slow(struct kernel *k, double stretch)
{
	k->stretch = stretch;
}

double kernel_stretch(const struct kernel *k)
{
	return k->stretch;
}

int kernel_watch(struct kernel *k, pid_t tgid, const struct kernel_process *p, bool own_clock, unsigned clock_times)
{
	struct kernel_process q = *p;
	uint32_t key = (uint32_t)tgid;
	double chance = k->tick_hz ? k->rate_hz / k->stretch / k->tick_hz : 1;
	q.triggers = KERNEL_ON_SWITCH | KERNEL_ON_CLOCK | (own_clock ? KERNEL_ON_TICK_FOR_SOME : KERNEL_ON_TICK);
	q.tick_chance = chance >= 1 ? UINT32_MAX : (uint32_t)(chance * UINT32_MAX);
	uint64_t period = kernel_period_ns(k) * clock_times;
	bool is_chosen = k->stretch > 1 || kernel_clock_ns(k, clock_times) < period;
	q.clock_period_ns = is_chosen ? period : 0;
	uint8_t *mark = &k->config->processes[kernel_mark_of_process(key)];
	struct kernel_process known;
	bool is_new = bpf_map_lookup(k->loading.maps[MAP_PROCESSES].fd, &key, &known) < 0;
	TRY(bpf_map_update(k->loading.maps[MAP_PROCESSES].fd, &key, &q, BPF_ANY));
	if (is_new && *mark < UINT8_MAX)
		++*mark; /* at the most it stays for ever: only a mark */
	return 0;
}

void kernel_leave(struct kernel *k, pid_t tgid)
{
	uint32_t key = (uint32_t)tgid;
	uint8_t *mark = &k->config->processes[kernel_mark_of_process(key)];
	const struct kernel_task *tasks;
	uint64_t now;
	if (bpf_map_delete(k->loading.maps[MAP_PROCESSES].fd, &key) < 0)
		return;
	if (*mark && *mark < UINT8_MAX)
		--*mark;
	int n = kernel_tasks(k, &tasks, &now); /* nobody will look at them any more */
	for (int i = 0; i < n; i++)
		if (tasks[i].tgid == key)
			bpf_map_delete(k->loading.maps[MAP_TASKS].fd, &k->keys[i]);
}

int kernel_bind(struct kernel *k, pid_t tid, const struct kernel_binding *b)
{
	uint32_t key = (uint32_t)tid;
	struct kernel_binding bound = *b;
	bound.slot = lists_slot(&k->lists, tid, &bound.round);
	return bpf_map_update(k->loading.maps[MAP_BINDINGS].fd, &key, &bound, BPF_ANY);
}

void kernel_unbind(struct kernel *k, pid_t tid)
{
	uint32_t key = (uint32_t)tid;
	bpf_map_delete(k->loading.maps[MAP_BINDINGS].fd, &key);
	lists_release(&k->lists, tid);
}

int kernel_frames(struct kernel *k, const struct kernel_sample *m, const struct kernel_frame *sent, size_t n_sent,
                  const struct kernel_frame **frames, size_t *n)
{
	return lists_take(&k->lists, m, sent, n_sent, frames, n);
}

bool kernel_complete(struct kernel *k, bool wait)
{
	return completion_go(&k->completion, &k->loading, wait);
}

bool kernel_has_clocks(const struct kernel *k)
{
	return k->completion.is_done;
}

int kernel_clock_open(struct kernel *k, pid_t tid, uint64_t period_ns, bool *inherits)
{
	kernel_complete(k, true);
	int program = k->loading.programs[ON_CLOCK].fd;
	if (program < 0)
		return ERR_UNSUPPORTED;
	int fd = cpuclock_open(tid, period_ns ? period_ns : kernel_period_ns(k), program, inherits, NULL);
	if (fd < 0)
		return fd;
	fd = fds_keep(fd);
	return fd < 0 ? ERR_FULL : fd;
}

void kernel_clock_vary(struct kernel *k, int fd, unsigned times, uint64_t draw)
{
	cpuclock_set_period(fd, kernel_clock_draw(kernel_clock_ns(k, times), draw));
}

struct visit {
	kernel_visit *visit;
	void *ctx;
};

static int visit_record(void *ctx, const void *record, size_t n)
{
	struct visit *v = ctx;
	return n < sizeof(struct kernel_record) ? 0 : v->visit(v->ctx, record, n);
}

int kernel_drain(struct kernel *k, kernel_visit *visit, void *ctx)
{
	struct visit v = {visit, ctx};
	bool is_new = false;
	int rc = rings_drain(&k->rings, visit_record, &v, &is_new);
	if (is_new)
		poll_ring(k);
	return rc;
}

bool kernel_wait(struct kernel *k, uint64_t until_ns)
{
	struct epoll_event e;
	uint64_t now = clock_mono_ns();
	if (until_ns <= now)
		return false;
	if (k->poll_fd >= 0)
		return epoll_wait(k->poll_fd, &e, 1, (int)((until_ns - now + 999999) / 1000000)) > 0;
	clock_sleep_until(until_ns);
	return false;
}

/* Those that were there the last time, one by one. */
static void read_known_tasks(struct kernel *k)
{
	uint32_t n = 0;
	for (uint32_t i = 0; i < k->n_keys; i++) {
		if (bpf_map_lookup(k->loading.maps[MAP_TASKS].fd, &k->keys[i], &k->tasks[n]) == 0)
			k->keys[n++] = k->keys[i];
	}
	k->n_keys = n;
}

/* To walk a map takes as long as it has places, 23 us for 4096 of them: not where a few tasks are all there are. */
int kernel_tasks(struct kernel *k, const struct kernel_task **tasks, uint64_t *now_ns)
{
	uint32_t added = __atomic_load_n(&k->config->n_added, __ATOMIC_ACQUIRE);
	int rc = 0;
	if (added == k->n_added && k->n_keys <= FEW_TASKS) {
		read_known_tasks(k);
	} else {
		rc = bpf_map_read(k->loading.maps[MAP_TASKS].fd, k->keys, sizeof *k->keys, k->tasks, sizeof *k->tasks,
		                  k->tasks_max, &k->n_keys);
		k->n_added = rc < 0 ? added - 1 : added;
	}
	*now_ns = clock_mono_ns();
	*tasks = k->tasks;
	return rc < 0 && rc != ERR_FULL ? rc : (int)k->n_keys;
}

void kernel_counts(struct kernel *k, uint64_t counts[KERNEL_COUNT_END_])
{
	for (uint32_t i = 0; i < KERNEL_COUNT_END_; i++) {
		counts[i] = 0;
		if (bpf_map_lookup(k->loading.maps[MAP_COUNTS].fd, &i, k->counts) < 0)
			continue;
		for (int cpu = 0; cpu < k->n_cpus; cpu++)
			counts[i] += k->counts[cpu];
	}
}
