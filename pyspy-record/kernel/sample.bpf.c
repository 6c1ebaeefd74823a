/* sample: the eBPF programs that take a sample of the thread that runs on this CPU (copy.bpf.h), and keep account of
 * when it does.
 *
 * Three events lead to a sample: the tick of the CPU's timer, a thread's own cpu-clock event, and a thread leaving its
 * CPU. Each time the current thread stands still where it is, so what is copied of its memory is one instant.
 */
#include "pyspy-record/kernel/copy.bpf.h"

/* --- the tick. The vector of the CPU's own timer serves other timers too, and those may run in step with what the
 * program does (the time-out of whoever waits for the GIL, say). Ticks come at the same place of each period. */
static __always_inline bool is_tick(__u64 now)
{
	__u32 zero = 0;
	struct kernel_config *c = configuration();
	struct kernel_phases *h = bpf_map_lookup_elem(&phases, &zero);
	if (!c || !h || !c->tick_ns)
		return true;
	__u32 phase = now % c->tick_ns * KERNEL_PHASES / c->tick_ns;
	phase &= KERNEL_PHASES - 1;
	__u32 last = (phase - 1) & (KERNEL_PHASES - 1);
	__u32 mine = ++h->now[phase], both = mine + h->before[phase], late = h->now[last] + h->before[last];
	if (both > h->most)
		h->most = both;
	if (mine > h->most_now)
		h->most_now = mine;
	/* late ones fall into the next part */
	bool is_one = both >= h->most / 2 || late >= h->most / 2;
	if (mine > KERNEL_PHASES_MANY) { /* begin anew; no loop, for its turns would be checked one by one */
		bpf_probe_read_kernel(h->before, sizeof h->before, h->now);
		bpf_probe_read_kernel(h->now, sizeof h->now, NULL); /* which fails, and leaves zeros */
		h->most = h->most_now;
		h->most_now = 0;
	}
	return is_one;
}

SEC("raw_tp/local_timer_entry") int on_tick(void *ctx)
{
	__u64 ids = current_ids(configuration()), now;
	__u32 tgid = ids >> 32;
	struct kernel_process *p = bpf_map_lookup_elem(&processes, &tgid);
	if (!p || !(p->triggers & (KERNEL_ON_TICK | KERNEL_ON_TICK_FOR_SOME)))
		return 0;
	if (!(p->triggers & KERNEL_ON_TICK)) {
		__u32 tid = ids;
		struct kernel_binding *b = bpf_map_lookup_elem(&bindings, &tid);
		if (b && !b->wants_tick)
			return 0; /* it has a clock; one that nobody knows yet has none */
	}
	now = bpf_ktime_get_ns();
	if (!is_tick(now)) {
		count(KERNEL_COUNT_OTHER_TICKS);
		return 0;
	}
	if (bpf_get_prandom_u32() > p->tick_chance)
		return 0;
	__u64 task = bpf_get_current_task();
	struct kernel_task *t = find_task(task, tgid, ids, now);
	if (t && !t->is_dead) /* its end was told */
		take(ctx, p, t, task, now, KERNEL_ON_TICK, &more_tp, -1, 0);
	return 0;
}

/* The clock ticks faster than is wanted (now): by chance only. */
static __always_inline bool is_too_soon(const struct kernel_process *p, __u64 period_ns)
{
	__u64 draw = bpf_get_prandom_u32() & 0xfffff;
	return period_ns < p->clock_period_ns && draw * p->clock_period_ns >= period_ns << 20;
}

SEC("perf_event/clock") int on_clock(struct bpf_perf_event_data *ctx)
{
	__u64 ids = current_ids(configuration()), now;
	__u32 tgid = ids >> 32;
	struct kernel_process *p = bpf_map_lookup_elem(&processes, &tgid);
	if (!p || !(p->triggers & KERNEL_ON_CLOCK) || (p->clock_period_ns && is_too_soon(p, ctx->sample_period)))
		return 0;
	now = bpf_ktime_get_ns();
	__u64 task = bpf_get_current_task();
	struct kernel_task *t = find_task(task, tgid, ids, now);
	if (t && !t->is_dead)
		take(ctx, p, t, task, now, KERNEL_ON_CLOCK, &more_perf, -1, 0);
	return 0;
}

/* --- what comes after the moment: see copy.bpf.h */

static __always_inline struct scratch *scratch_of_cpu(void)
{
	__u32 cpu = bpf_get_smp_processor_id();
	return bpf_map_lookup_elem(&scratches, &cpu);
}

#define NEXT(type, name, map, call)                                                                                    \
	SEC(#type "/" #name) int name##_##map(void *ctx)                                                               \
	{                                                                                                              \
		struct scratch *s = scratch_of_cpu();                                                                  \
		if (s)                                                                                                 \
			call;                                                                                          \
		return 0;                                                                                              \
	}
#define NEXT_OF_BOTH(name, call_tp, call_perf)                                                                         \
	NEXT(raw_tp, name, more_tp, call_tp) NEXT(perf_event, name, more_perf, call_perf)

NEXT_OF_BOTH(begin, begin(ctx, s, &more_tp), begin(ctx, s, &more_perf))
NEXT_OF_BOTH(find, find(ctx, s, &more_tp), find(ctx, s, &more_perf))
NEXT_OF_BOTH(follow, follow(ctx, s, &more_tp, FOLLOW_ROW), follow(ctx, s, &more_perf, FOLLOW_ROW))
NEXT(raw_tp, follow_few, more_tp, follow(ctx, s, &more_tp, FOLLOW_FEW))
/* Linux 5.17 */
NEXT_OF_BOTH(follow_loop, follow(ctx, s, &more_tp, FOLLOW_LOOP), follow(ctx, s, &more_perf, FOLLOW_LOOP))

/* --- switches: who leaves a CPU, who gets it */

/* Shall this thread's stack be taken? Independent of how long it will sleep; the chance goes along with the sample. */
static __always_inline __u32 draw(const struct kernel_process *p, struct kernel_task *t, __u64 gap)
{
	if (gap > 1ULL << 32)
		gap = 1ULL << 32;
	t->gap_ns = t->gap_ns ? t->gap_ns - t->gap_ns / 8 + gap / 8 : gap;
	if (t->gap_ns >= p->switch_gap_ns)
		return 256;
	__u64 times = p->switch_gap_ns * 256 / (t->gap_ns + 1); /* one in times/256 */
	if (times > 1 << 24)
		times = 1 << 24;
	return bpf_get_prandom_u32() < (1ULL << 40) / (times | 1) ? times : 0;
}

/* task_struct.state of the thread that leaves its CPU. Where it cannot be had it is said to sleep. */
static __always_inline __u32 state_of(const struct kernel_config *c, __u64 *ctx, bool tells_state)
{
	__u32 state = 1; /* TASK_INTERRUPTIBLE */
	if (tells_state)
		return ctx[3];
	if (c->task_state)
		bpf_probe_read_kernel(&state, sizeof state, (void *)(ctx[1] + c->task_state));
	return state;
}

static __always_inline __u32 why_off(__u32 state)
{
	if (state == 0)
		return KERNEL_OFF_RUNNABLE;
	if (state & 0x0c) /* __TASK_STOPPED 4, __TASK_TRACED 8 */
		return KERNEL_OFF_STOPPED;
	/* TASK_UNINTERRUPTIBLE, and not TASK_NOLOAD: idle */
	return (state & 3) == 2 && !(state & 0x400) ? KERNEL_OFF_DISK : KERNEL_OFF_SLEEPS;
}

/* The system call that the current thread is in: what its registers say with which it came into the kernel. */
static __always_inline void read_call(const struct kernel_config *c, __u64 task, bool tells_state, __s64 *number,
                                      __u64 *arg)
{
#if defined(__TARGET_ARCH_x86)
	unsigned char *regs;
	if (tells_state) {
		regs = bpf_task_pt_regs(bpf_get_current_task_btf());
	} else { /* struct pt_regs, 168 bytes, at the end of its stack of 16 KB */
		__u64 stack = 0, cs = 0;
		if (!c->task_stack)
			return;
		bpf_probe_read_kernel(&stack, sizeof stack, (void *)(task + c->task_stack));
		regs = (unsigned char *)(stack + (16 << 10) - 168);
		bpf_probe_read_kernel(&cs, sizeof cs, regs + 136);
		if ((cs & 3) != 3) /* nobody who came from user space */
			return;
	}
	bpf_probe_read_kernel(number, 8, regs + 120); /* orig_ax */
	bpf_probe_read_kernel(arg, 8, regs + 112);    /* di */
#endif
}

static __always_inline int on_switch(__u64 *ctx, bool tells_state)
{
	__u64 prev = ctx[1], next = ctx[2], now;
	const struct kernel_config *c = configuration();
	if (!c)
		return 0;
	__u32 process = kernel_mark_of_process(bpf_get_current_pid_tgid() >> 32);
	bool prev_may_be = c->processes[process] || c->ns_ino, next_may_be = c->tasks[mark_of_task(next)];
	if (!prev_may_be && !next_may_be)
		return 0;
	now = bpf_ktime_get_ns();
	struct kernel_task *t = next_may_be ? bpf_map_lookup_elem(&tasks, &next) : NULL;
	if (t && !t->in_ns && !t->is_dead) {
		/* long ones may have been looked at meanwhile by the recorder */
		if (t->off_chance || now - t->out_ns >= LONG_SLEEP_NS)
			send_notice(KERNEL_WOKE, t, now, now - t->out_ns);
		t->off_chance = 0;
		__u64 length = kernel_length(now - t->out_ns);
		OPAQUE(length);
		if (t->off_state == KERNEL_OFF_RUNNABLE)
			t->ready_ns += now - t->out_ns;
		else
			t->slept_ns[length & (KERNEL_LENGTHS - 1)] += now - t->out_ns;
		t->in_ns = now;
	}
	if (!prev_may_be)
		return 0;
	t = bpf_map_lookup_elem(&tasks, &prev);
	__u64 ids = current_ids(c);
	__u32 tgid = ids >> 32;
	struct kernel_process *p = bpf_map_lookup_elem(&processes, &tgid);
	__u32 state = state_of(c, ctx, tells_state);
	if (t && t->is_dead) { /* it may sleep several times while it ends; the last time it is TASK_DEAD, 0x80 */
		if (!p || state & 0x80)
			bpf_map_delete_elem(&tasks, &prev);
		return 0;
	}
	if (!p) {
		if (t) /* of a process that is not looked at any more, or not of one of ours */
			bpf_map_delete_elem(&tasks, &prev);
		return 0;
	}
	t = find_task(prev, tgid, ids, now);
	if (!t)
		return 0;
	__u64 gap = now - t->out_ns;
	if (t->in_ns)
		t->cpu_ns += now - t->in_ns;
	else if (t->off_state == KERNEL_OFF_RUNNABLE) /* nobody told that it came back (README): soon, probably */
		t->cpu_ns += now - t->out_ns;
	t->in_ns = 0;
	t->out_ns = now;
	t->switches++;
	t->off_state = ctx[0] & 1 ? KERNEL_OFF_RUNNABLE : why_off(state); /* ctx[0]: taken off by force */
	__u32 tid = ids;
	if (t->is_unknown && bpf_map_lookup_elem(&bindings, &tid)) /* the recorder has found it meanwhile */
		t->is_unknown = 0;
	t->off_chance = p->triggers & KERNEL_ON_SWITCH && !t->is_unknown ? draw(p, t, gap) : 0;
	if (!t->off_chance)
		return 0;
	__s64 number = -1;
	__u64 arg = 0;
	read_call(c, prev, tells_state, &number, &arg);
	take(ctx, p, t, prev, now, KERNEL_ON_SWITCH, &more_tp, number, arg);
	return 0;
}

SEC("raw_tp/sched_switch") int on_sched_switch(__u64 *ctx)
{
	return on_switch(ctx, false);
}

/* Linux 5.18: the tracepoint tells the state; 5.15: a thread's user registers can be had */
SEC("raw_tp/sched_switch_state") int on_sched_switch_state(__u64 *ctx)
{
	return on_switch(ctx, true);
}

SEC("raw_tp/sched_process_fork") int on_fork(__u64 *ctx)
{
	__u64 child = ctx[1], now = bpf_ktime_get_ns();
	__u32 tgid = current_ids(configuration()) >> 32;
	if (!bpf_map_lookup_elem(&processes, &tgid))
		return 0;
	struct kernel_task fresh = {.first_ns = now, .out_ns = now, .off_state = KERNEL_OFF_RUNNABLE};
	add_task(child, &fresh);
	return 0;
}

SEC("raw_tp/sched_process_exit") int on_exit(void *ctx)
{
	__u64 task = bpf_get_current_task(), now = bpf_ktime_get_ns(), ids = current_ids(configuration());
	__u32 tid = ids, tgid = ids >> 32;
	struct kernel_task *t = bpf_map_lookup_elem(&tasks, &task);
	if (!t || t->is_dead || (t->tid && t->tid != tid))
		return 0;
	if (!t->tid && !bpf_map_lookup_elem(&processes, &tgid)) { /* another process: one of ours forked it */
		bpf_map_delete_elem(&tasks, &task);
		return 0;
	}
	t->tid = tid; /* it may have lived without leaving its CPU */
	t->tgid = tgid;
	send_notice(KERNEL_EXITED, t, now, now - t->first_ns);
	t->is_dead = 1;
	bpf_map_delete_elem(&bindings, &tid);
	return 0;
}

char LICENSE[] SEC("license") = "Dual MIT/GPL";
