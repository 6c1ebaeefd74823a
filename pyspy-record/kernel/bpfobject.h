/* bpfobject: takes an object file that clang made of an eBPF program, and hands its programs to the kernel.
 *
 * The object is embedded, so it is ours; it is checked as if it were not. What maps are is not read from it but stands
 * in the caller's table; the object's code names them. So there is no BTF here, and nothing that depends on a kernel.
 * Supported: 64-bit objects of this machine's byte order, programs that are one section each, references (R_BPF_64_64)
 * to maps and to functions in .text that a helper calls back; who refers to one refers to all of these. Others have to
 * be inlined, and constants and variables to live in maps or on the stack. Memory: what is needed while loading only.
 * Blocks: no longer than the kernel checks (some ms a program).
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct bpfobject_map {
	const char *name; /* of the symbol in the object */
	uint32_t type;    /* BPF_MAP_TYPE_*; 0 = left out, and what refers to it cannot be loaded */
	uint32_t key_size, value_size, max_entries, flags; /* as bpf_map_create */
	int fd;                                            /* filled in; -1 = none */
	const struct bpfobject_map
	    *of; /* BPF_MAP_TYPE_ARRAY_OF_MAPS: like this one, which stands before it in the table */
};
struct bpfobject_program {
	const char *section; /* such as "raw_tp/sched_switch" */
	uint32_t type;       /* BPF_PROG_TYPE_*; 0 = left out */
	bool optional;       /* the others are of use without it */
	int fd;              /* filled in; -1 = none */
};

/* Create the maps of the table and load its programs from the n bytes of an object. All or nothing, but for optional
 * programs: one that fails has fd -1, and `why` says so.
 * why: one line without a newline, empty when all went well: "the kernel refused program raw_tp/sched_switch: ...".
 * log: where the verifier's whole log of each refused program goes; NULL = nowhere.
 * 0; ERR_FORMAT (no object of this kind, or it needs what is not supported); else as bpf_program_load. */
int bpfobject_load(const void *elf, size_t n, struct bpfobject_map *maps, size_t n_maps,
                   struct bpfobject_program *programs, size_t n_programs, char *why, size_t why_size, FILE *log);
/* One more program, for maps that are there. Threads: several of these at once do not disturb each other;
 * bpfobject_load is over. Returns and `why` as there; program->fd -1: it was not loaded. */
int bpfobject_load_more(const void *elf, size_t n, const struct bpfobject_map *maps, size_t n_maps,
                        struct bpfobject_program *program, char *why, size_t why_size, FILE *log);
/* Close what was opened; fds become -1. Programs that are attached live on until that is closed. */
void bpfobject_close(struct bpfobject_map *maps, size_t n_maps, struct bpfobject_program *programs, size_t n_programs);
