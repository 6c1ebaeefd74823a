/* btf: where the members of some of the kernel's structures lie, as the kernel itself says in /sys/kernel/btf/vmlinux.
 *
 * Only for kernels before 5.18, whose sched_switch does not tell why a thread leaves its CPU: everywhere else
 * sample.bpf.c reads no kernel structure. A kernel that has no BTF says nothing, and then that stays unknown.
 * Memory: the whole file (5 MB) while it is looked through. Trust: the bytes may be anything.
 */
#pragma once
#include <stddef.h>
#include <stdint.h>

/* Offsets in bytes; 0 = not known. */
struct btf_task {
	uint32_t state; /* of the low 32 bits of task_struct.state, or .__state */
	uint32_t stack; /* of task_struct.stack */
};

/* 0, also where not all of it was found; ERR_FORMAT (this is no BTF, or damaged). */
int btf_find_task(const void *bytes, size_t n, struct btf_task *t);
/* Of the running kernel. ERR_GONE: it has no BTF; ERR_NO_MEMORY, ERR_IO, and as above; then *t is all 0. */
int btf_running_kernel(struct btf_task *t);
