/* bpf: bpf(2), call by call.
 *
 * Threads: none of its own. Memory: what a function says. Trust: file descriptors are ours.
 * Functions return a file descriptor or 0, or negative, and then errno holds the kernel's reason (bpf_words):
 * ERR_PERMISSION; ERR_NO_MEMORY; ERR_FULL (a limit: open files, entries, size); ERR_GONE (no such key, no such
 * tracepoint); ERR_UNSUPPORTED (this kernel has no such map, program or command); ERR_SYSTEM (all others).
 * Kernels before 5.11 count maps and programs as locked memory: where that limit is in the way it is raised as far as
 * it may be, once, and the call is made again.
 */
#pragma once
#include <linux/bpf.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* --- maps */

/* A new map, closed on exec. type: BPF_MAP_TYPE_*; sizes in bytes; a ring buffer has sizes 0 and max_entries bytes (a
 * power of two, whole pages); flags: BPF_F_MMAPABLE, BPF_F_NO_PREALLOC ... `name` is shown by bpftool; what does not
 * fit or is no letter, digit, _ or . is left out. */
int bpf_map_create(uint32_t type, uint32_t key_size, uint32_t value_size, uint32_t max_entries, uint32_t flags,
                   const char *name);
/* A new array of maps that are like inner_fd's; from Linux 5.10 on ring buffers of other sizes are. bpf_map_update
 * comes back when no program uses the one that was there before (5.0). */
int bpf_map_of_maps_create(int inner_fd, uint32_t max_entries, const char *name);
/* Values of per-CPU maps are arrays with an entry for each possible CPU, each filled up to a multiple of 8 bytes. */
int bpf_map_lookup(int fd, const void *key, void *value);
/* flags: BPF_ANY, BPF_NOEXIST, BPF_EXIST. A program array takes the program's fd as its value (uint32_t). */
int bpf_map_update(int fd, const void *key, const void *value, uint64_t flags);
int bpf_map_delete(int fd, const void *key);
/* All entries, at most `room` of them, into the caller's arrays; how many: *n. Many in one call where the kernel can
 * for this map, else one by one. While others change the map an entry that is new or goes away may be there or not, and
 * one may be there twice. ERR_FULL: there are more than `room`; some are there. */
int bpf_map_read(int fd, void *keys, size_t key_size, void *values, size_t value_size, uint32_t room, uint32_t *n);
/* CPUs that may ever be there: the entries of a per-CPU value. Makes a map for a moment. */
int bpf_possible_cpus(void);

/* --- programs */

struct bpf_program {
	uint32_t type;                /* BPF_PROG_TYPE_* */
	const struct bpf_insn *insns; /* relocated */
	uint32_t n_insns;
	const char *license;
	const char *name; /* as of maps */
	/* Where its functions begin, from the program itself on, and a type for all of them: only programs whose
	 * functions are called back by a helper need it. n_functions 0: it has none. */
	int btf_fd;
	const struct bpf_func_info *functions;
	uint32_t n_functions;
};
/* Let the kernel check and take a program. When it refuses, it is asked again, and *log are the verifier's words, the
 * caller's to free(); else, and where it did not get that far, NULL. */
int bpf_program_load(const struct bpf_program *p, char **log);
/* A type for functions of programs, the number 1..: what they are is not told, but that they are functions of one file.
 * Linux 5.0. */
int bpf_function_type(uint32_t *type);
/* From now on the program runs at this raw tracepoint (name as in /sys/kernel/tracing/events/GROUP/NAME), on all CPUs,
 * until the descriptor that this returns is closed. */
int bpf_raw_tracepoint_open(const char *name, int program_fd);
/* The kernel's reason in words, and the limit of locked memory where that may be the reason. `number`: errno. Returns
 * `words`. */
const char *bpf_words(int number, char *words, size_t size);
