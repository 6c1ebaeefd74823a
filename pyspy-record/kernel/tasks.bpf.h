/* tasks: what the programs keep of each task of the kernel's that is looked at, and what they tell of it.
 *
 * One entry a task (map `tasks`), by the address of its task_struct: a task keeps it from fork to the end, and no
 * look-up by number is needed where the scheduler names the task.
 */
#pragma once
#include "pyspy-record/kernel/helpers.bpf.h"
#include "pyspy-record/kernel/shared.h"

BPF_MAP(config);
BPF_MAP(processes);
BPF_MAP(bindings);
BPF_MAP(tasks);
BPF_MAP(counts);
BPF_MAP(phases);
BPF_MAP(scratches);
BPF_MAP(lasts);
BPF_MAP(more_tp);
BPF_MAP(more_perf);
BPF_MAP(first_ring);
BPF_MAP(rings);

enum { LONG_SLEEP_NS = 5000000, NO_WAKEUP = 1 };

static __always_inline void count(__u32 what)
{
	__u64 *n = bpf_map_lookup_elem(&counts, &what);
	if (n)
		++*n;
}

static __always_inline struct kernel_config *configuration(void)
{
	__u32 zero = 0;
	return bpf_map_lookup_elem(&config, &zero);
}

static __always_inline __u64 current_ids(const struct kernel_config *c)
{
	if (c && c->ns_ino) {
		struct bpf_pidns_info ids;
		if (bpf_get_ns_current_pid_tgid(c->ns_dev, c->ns_ino, &ids, sizeof ids))
			return 0;
		return (__u64)ids.tgid << 32 | ids.pid;
	}
	return bpf_get_current_pid_tgid();
}

static __always_inline __u64 read_word(__u64 from)
{
	__u64 v = 0;
	bpf_probe_read_user(&v, sizeof v, (void *)from);
	return v;
}

/* A task's address is a multiple of the size of a cache line, at least. */
static __always_inline __u32 mark_of_task(__u64 task)
{
	return (task >> 6) * 0x9e3779b1 >> 12 & (KERNEL_MARKS - 1);
}

/* Make an entry for a task. False: no room. */
static __always_inline bool add_task(__u64 task, const struct kernel_task *fresh)
{
	struct kernel_config *c = configuration();
	if (bpf_map_update_elem(&tasks, &task, fresh, 0)) {
		count(KERNEL_COUNT_NO_ROOM);
		return false;
	}
	if (c) {
		c->tasks[mark_of_task(task)] = 1;
		__sync_fetch_and_add(&c->n_added, 1);
	}
	return true;
}

/* The task's entry, made when there is none. NULL: no room. */
static __always_inline struct kernel_task *find_task(__u64 task, __u32 tgid, __u32 tid, __u64 now)
{
	struct kernel_task *t = bpf_map_lookup_elem(&tasks, &task);
	if (t && t->tid == 0) { /* its fork was seen */
		t->tid = tid;
		t->tgid = tgid;
		if (!t->in_ns)
			t->in_ns = now;
		return t;
	}
	if (t && t->tid == tid && t->tgid == tgid)
		return t;
	struct kernel_task fresh = {.tid = tid, .tgid = tgid, .first_ns = now, .in_ns = now, .out_ns = now};
	return add_task(task, &fresh) ? bpf_map_lookup_elem(&tasks, &task) : NULL;
}

static __always_inline __u64 cpu_until(const struct kernel_task *t, __u64 now)
{
	return t->cpu_ns + (t->in_ns ? now - t->in_ns : 0);
}

static __always_inline void fill_record(struct kernel_record *r, __u32 kind, const struct kernel_task *t, __u64 now)
{
	r->kind = kind;
	r->trigger = 0;
	r->tid = t->tid;
	r->tgid = t->tgid;
	r->time_ns = now;
	r->cpu_ns = cpu_until(t, now);
	r->ready_ns = t->ready_ns;
	r->switches = t->switches;
	r->slept_ns = 0;
	r->off_state = t->off_state;
	r->off_chance = t->off_chance;
}

/* The recorder puts a larger one in its place when it fills up: not before, for the kernel waits some 10 ms with each
 * change of such a map. */
static __always_inline void *current_ring(void)
{
	__u32 zero = 0;
	void *larger = bpf_map_lookup_elem(&rings, &zero);
	return larger ? larger : &first_ring;
}

static __always_inline void send_notice(__u32 kind, const struct kernel_task *t, __u64 now, __u64 slept_ns)
{
	struct kernel_record r;
	fill_record(&r, kind, t, now);
	r.slept_ns = slept_ns;
	void *ring = current_ring();
	if (ring && bpf_ringbuf_output(ring, &r, sizeof r, NO_WAKEUP))
		count(KERNEL_COUNT_OVERRUN);
}
