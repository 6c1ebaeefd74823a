/* loading: which maps and programs of sample.bpf.c there are, and when the kernel gets them.
 *
 * Flow:    engine -> [loading] -> bpfobject. The kernel checks a program when it is loaded, which takes it a
 * microsecond an instruction; so what no sample needs in the first moments is loaded later (loading_rest): clocks, and
 * finding a thread that nobody told of. Where bpf_loop is there (5.17), frames are followed by it; else by programs
 * with loops of their own, of which each turn is checked: a short one first, that is there soon.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include "pyspy-record/kernel/bpfobject.h"

enum loading_map {
	MAP_CONFIG,
	MAP_PROCESSES,
	MAP_BINDINGS,
	MAP_TASKS,
	MAP_COUNTS,
	MAP_PHASES,
	MAP_SCRATCHES,
	MAP_LASTS,
	MAP_MORE_TP,
	MAP_MORE_PERF,
	MAP_RING, /* the first one */
	MAP_RINGS,
	N_MAPS
};
enum loading_program {
	ON_TICK,
	ON_CLOCK,
	ON_SWITCH_STATE, /* one of these two */
	ON_SWITCH,
	ON_FORK,
	ON_EXIT,
	BEGIN_TP,
	FOLLOW_TP,
	FIND_TP,
	BEGIN_PERF,
	FOLLOW_PERF,
	FIND_PERF,
	N_PROGRAMS
};

/* How much is to be in the maps. */
struct loading_sizes {
	uint32_t processes, tasks, slots, cpus, ring_bytes;
	bool without_loop; /* as on kernels before 5.17 */
};

struct loading {
	struct bpfobject_map maps[N_MAPS];
	struct bpfobject_program programs[N_PROGRAMS];
	int switches;      /* the tracepoint of switches is attached */
	bool has_loop;     /* bpf_loop is there */
	bool needs_member; /* the programs want to be told where members of a task_struct are */
};

/* All fds -1. */
void loading_init(struct loading *l);
/* What the first sample on the CPU's tick, or at a switch, needs. Switches are attached. `log`: of the verifier.
 * 0; as bpfobject_load, and `why`; loading_done in any case. */
int loading_first(struct loading *l, const struct loading_sizes *s, char *why, size_t size, FILE *log);
/* All the rest. Error: what is missing is so for good, and `why` says the first thing; without ON_CLOCK there are no
 * clocks. */
int loading_rest(struct loading *l, char *why, size_t size);
void loading_done(struct loading *l);
