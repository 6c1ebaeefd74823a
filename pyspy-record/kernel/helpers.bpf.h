/* helpers: what an eBPF program may call in the kernel, by number (enum bpf_func_id of linux/bpf.h).
 *
 * Only for *.bpf.c. A call compiles to `call NUMBER`, so a helper that the running kernel lacks makes the verifier
 * refuse the program that calls it, and no other. Numbers are kernel ABI and are written out here: it does not matter
 * whether linux/bpf.h is older than the helper. Before each stands the first Linux that has it for raw tracepoints and
 * perf events alike; GPL: only for programs whose licence the kernel counts as GPL ("Dual MIT/GPL" is one).
 */
#pragma once
#include <linux/bpf.h>
#include <linux/bpf_perf_event.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h> /* clang's own, for there is no C library here: -ffreestanding */

/* The section that a function or variable goes to; the loader finds it by that name. */
#define SEC(name) __attribute__((section(name), used))
#undef __always_inline /* linux/stddef.h makes it a mere `inline` */
#define __always_inline inline __attribute__((always_inline))

/* A map. Only its name counts here: type and sizes come from the loader's table (bpfobject.h). `BPF_MAP(threads);` and
 * then &threads where a helper wants a map. */
struct bpf_map_name {
	uint64_t unused;
};
#define BPF_MAP(name) struct bpf_map_name name SEC(".maps")

/* --- maps. 4.1; lookup: NULL = not there; the others: 0 or negative */
static void *(*const bpf_map_lookup_elem)(void *map, const void *key) = (void *)1;
static long (*const bpf_map_update_elem)(void *map, const void *key, const void *value, uint64_t flags) = (void *)2;
static long (*const bpf_map_delete_elem)(void *map, const void *key) = (void *)3;
/* 4.2. Comes back only when it failed; at most 33 in a row. */
static long (*const bpf_tail_call)(void *ctx, void *prog_array, uint32_t index) = (void *)12;
/* 5.17, and only for functions of programs that come with BTF (bpfobject does that). Calls each(i, ctx) until that
 * returns 1, at most n times (1 << 23); ctx: something on the stack. However many turns, the kernel checks `each` once
 * or twice. */
static long (*const bpf_loop)(uint32_t n, void *each, void *ctx, uint64_t flags) = (void *)181;

/* --- memory. 5.5, GPL. 0 or negative, and then `to` is all zeros (_str: the bytes with the 0, at most size). They
 * never wait: a page that is not present is a failure. */
static long (*const bpf_probe_read_user)(void *to, uint32_t size, const void *from) = (void *)112;
static long (*const bpf_probe_read_kernel)(void *to, uint32_t size, const void *from) = (void *)113;
static long (*const bpf_probe_read_user_str)(void *to, uint32_t size, const void *from) = (void *)114;

/* --- time: CLOCK_MONOTONIC (4.1, GPL) and CLOCK_BOOTTIME (5.8, GPL) */
static uint64_t (*const bpf_ktime_get_ns)(void) = (void *)5;
static uint64_t (*const bpf_ktime_get_boot_ns)(void) = (void *)125;

/* --- chance and place. 4.1 */
static uint32_t (*const bpf_get_prandom_u32)(void) = (void *)7;
static uint32_t (*const bpf_get_smp_processor_id)(void) = (void *)8;

/* --- who runs here. 4.2: process << 32 | thread, as the first pid namespace counts them */
static uint64_t (*const bpf_get_current_pid_tgid)(void) = (void *)14;
/* 5.7. The same as the pid namespace counts them whose file in nsfs has this device and inode; 0 or negative. */
static long (*const bpf_get_ns_current_pid_tgid)(uint64_t dev, uint64_t ino, struct bpf_pidns_info *out,
                                                 uint32_t size) = (void *)120;
/* 4.8, GPL. struct task_struct *, as a number */
static uint64_t (*const bpf_get_current_task)(void) = (void *)35;
/* 5.11 and 5.15, GPL, and only on a kernel that carries BTF. struct task_struct *; the user's struct pt_regs * of one
 */
static void *(*const bpf_get_current_task_btf)(void) = (void *)158;
static void *(*const bpf_task_pt_regs)(void *task) = (void *)175;

/* --- ring buffer. 5.8. What was reserved is submitted or discarded on every path. */
static long (*const bpf_ringbuf_output)(void *ring, void *data, uint64_t size, uint64_t flags) = (void *)130;
static void *(*const bpf_ringbuf_reserve)(void *ring, uint64_t size, uint64_t flags) = (void *)131;
static void (*const bpf_ringbuf_submit)(void *record, uint64_t flags) = (void *)132;
static void (*const bpf_ringbuf_discard)(void *record, uint64_t flags) = (void *)133;
static uint64_t (*const bpf_ringbuf_query)(void *ring, uint64_t flags) = (void *)134;
