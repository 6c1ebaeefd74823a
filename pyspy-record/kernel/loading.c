#include "pyspy-record/kernel/loading.h"

#include <errno.h>
#include <linux/bpf.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-record/kernel/bpf.h"
#include "pyspy-record/kernel/shared.h"

#ifndef PYSPY_HAS_KERNEL_ENGINE
#define PYSPY_HAS_KERNEL_ENGINE 0
#endif

#if PYSPY_HAS_KERNEL_ENGINE
extern const unsigned char asset_sample_bpf_o[];
extern const unsigned int asset_sample_bpf_o_len;
#else /* nothing to load, see kernel_open */
static const unsigned char asset_sample_bpf_o[1];
static const unsigned int asset_sample_bpf_o_len;
#endif

enum { SCRATCH_BYTES = KERNEL_DATA + KERNEL_COPY + 4096 + 1024 };
enum { TP = BPF_PROG_TYPE_RAW_TRACEPOINT, PERF = BPF_PROG_TYPE_PERF_EVENT };

void loading_init(struct loading *l)
{
	*l = (struct loading){.switches = -1};
	for (int i = 0; i < N_MAPS; i++)
		l->maps[i].fd = -1;
	for (int i = 0; i < N_PROGRAMS; i++)
		l->programs[i].fd = -1;
}

/* All preallocated: programs of perf events may use no others before Linux 6.1. */
static void fill_tables(struct loading *l, const struct loading_sizes *s)
{
	const struct bpfobject_map maps[N_MAPS] = {
	    [MAP_CONFIG] = {"config", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct kernel_config), 1, BPF_F_MMAPABLE, -1, NULL},
	    [MAP_PROCESSES] = {"processes", BPF_MAP_TYPE_HASH, 4, sizeof(struct kernel_process), s->processes, 0, -1,
	                       NULL},
	    [MAP_BINDINGS] = {"bindings", BPF_MAP_TYPE_HASH, 4, sizeof(struct kernel_binding), s->tasks, 0, -1, NULL},
	    [MAP_TASKS] = {"tasks", BPF_MAP_TYPE_HASH, 8, sizeof(struct kernel_task), s->tasks, 0, -1, NULL},
	    [MAP_COUNTS] = {"counts", BPF_MAP_TYPE_PERCPU_ARRAY, 4, 8, KERNEL_COUNT_END_, 0, -1, NULL},
	    [MAP_PHASES] = {"phases", BPF_MAP_TYPE_PERCPU_ARRAY, 4, sizeof(struct kernel_phases), 1, 0, -1, NULL},
	    [MAP_SCRATCHES] = {"scratches", BPF_MAP_TYPE_ARRAY, 4, SCRATCH_BYTES, s->cpus, 0, -1, NULL},
	    [MAP_LASTS] = {"lasts", BPF_MAP_TYPE_ARRAY, 4, sizeof(struct kernel_last), s->slots, 0, -1, NULL},
	    [MAP_MORE_TP] = {"more_tp", BPF_MAP_TYPE_PROG_ARRAY, 4, 4, KERNEL_MORE_END_, 0, -1, NULL},
	    [MAP_MORE_PERF] = {"more_perf", BPF_MAP_TYPE_PROG_ARRAY, 4, 4, KERNEL_MORE_END_, 0, -1, NULL},
	    [MAP_RING] = {"first_ring", BPF_MAP_TYPE_RINGBUF, 0, 0, s->ring_bytes, 0, -1, NULL},
	    [MAP_RINGS] = {"rings", BPF_MAP_TYPE_ARRAY_OF_MAPS, 4, 4, 1, 0, -1, &l->maps[MAP_RING]},
	};
	const struct bpfobject_program programs[N_PROGRAMS] = {
	    [ON_TICK] = {"raw_tp/local_timer_entry", TP, false, -1},
	    [ON_CLOCK] = {"perf_event/clock", PERF, false, -1},
	    [ON_SWITCH_STATE] = {"raw_tp/sched_switch_state", TP, false, -1},
	    [ON_SWITCH] = {"raw_tp/sched_switch", TP, false, -1},
	    [ON_FORK] = {"raw_tp/sched_process_fork", TP, false, -1},
	    [ON_EXIT] = {"raw_tp/sched_process_exit", TP, false, -1},
	    [BEGIN_TP] = {"raw_tp/begin", TP, false, -1},
	    [FOLLOW_TP] = {"raw_tp/follow_loop", TP, false, -1},
	    [FIND_TP] = {"raw_tp/find", TP, false, -1},
	    [BEGIN_PERF] = {"perf_event/begin", PERF, false, -1},
	    [FOLLOW_PERF] = {"perf_event/follow_loop", PERF, false, -1},
	    [FIND_PERF] = {"perf_event/find", PERF, false, -1},
	};
	memcpy(l->maps, maps, sizeof maps);
	memcpy(l->programs, programs, sizeof programs);
}

/* Of what another program calls: where. */
static int next_of(enum loading_program i, enum loading_map *map)
{
	*map = i == BEGIN_TP || i == FOLLOW_TP || i == FIND_TP ? MAP_MORE_TP : MAP_MORE_PERF;
	switch (i) {
	case BEGIN_TP:
	case BEGIN_PERF:
		return KERNEL_MORE_BEGIN;
	case FOLLOW_TP:
	case FOLLOW_PERF:
		return KERNEL_MORE_FOLLOW;
	case FIND_TP:
	case FIND_PERF:
		return KERNEL_MORE_FIND;
	default:
		return -1;
	}
}

/* A program, and into the array from which it is called: callers that are there already have to be changed then, on all
 * CPUs, so it is better done before these come. */
static int load_one(struct loading *l, enum loading_program i, char *why, size_t size, FILE *log)
{
	char words[160];
	enum loading_map map;
	struct bpfobject_program p = l->programs[i];
	TRY(bpfobject_load_more(asset_sample_bpf_o, asset_sample_bpf_o_len, l->maps, N_MAPS, &p, why, size, log));
	int place = next_of(i, &map);
	if (place >= 0) {
		uint32_t key = (uint32_t)place, fd = (uint32_t)p.fd;
		int rc = bpf_map_update(l->maps[map].fd, &key, &fd, BPF_ANY);
		if (rc < 0) {
			snprintf(why, size, "map %s: %s", l->maps[map].name, bpf_words(errno, words, sizeof words));
			close(p.fd);
			return rc;
		}
	}
	if (l->programs[i].fd >= 0) /* the one that it takes the place of */
		close(l->programs[i].fd);
	l->programs[i] = p;
	return 0;
}

/* The program for switches that asks what only newer kernels know, else the other one. */
static int load_switches(struct loading *l, char *why, size_t size, FILE *log)
{
	char words[160];
	if (load_one(l, ON_SWITCH_STATE, why, size, NULL) == 0)
		l->switches = bpf_raw_tracepoint_open("sched_switch", l->programs[ON_SWITCH_STATE].fd);
	if (l->switches >= 0)
		return 0;
	l->needs_member = true;
	TRY(load_one(l, ON_SWITCH, why, size, log));
	l->switches = bpf_raw_tracepoint_open("sched_switch", l->programs[ON_SWITCH].fd);
	if (l->switches >= 0)
		return 0;
	int rc = l->switches;
	snprintf(why, size, "tracepoint sched_switch: %s", bpf_words(errno, words, sizeof words));
	return rc;
}

static int load_follow(struct loading *l, bool without_loop, char *why, size_t size, FILE *log)
{
	l->has_loop = !without_loop && load_one(l, FOLLOW_TP, why, size, NULL) == 0;
	if (l->has_loop)
		return 0;
	l->programs[FOLLOW_TP].section = "raw_tp/follow_few";
	l->programs[FOLLOW_PERF].section = "perf_event/follow";
	return load_one(l, FOLLOW_TP, why, size, log);
}

int loading_first(struct loading *l, const struct loading_sizes *s, char *why, size_t size, FILE *log)
{
	static const enum loading_program first[] = {BEGIN_TP, ON_FORK, ON_EXIT, ON_TICK};
	fill_tables(l, s);
	TRY(bpfobject_load(asset_sample_bpf_o, asset_sample_bpf_o_len, l->maps, N_MAPS, NULL, 0, why, size, log));
	TRY(load_follow(l, s->without_loop, why, size, log));
	for (size_t i = 0; i < sizeof first / sizeof *first; i++)
		TRY(load_one(l, first[i], why, size, log));
	TRY(load_switches(l, why, size, log));
	why[0] = 0; /* of what there is another one of */
	return 0;
}

int loading_rest(struct loading *l, char *why, size_t size)
{
	static const enum loading_program rest[] = {FOLLOW_PERF, BEGIN_PERF, ON_CLOCK, FIND_TP, FIND_PERF};
	char other[400] = "";
	int rc = 0;
	why[0] = 0;
	if (!l->has_loop) {
		l->programs[FOLLOW_TP].section = "raw_tp/follow";
		rc = load_one(l, FOLLOW_TP, why, size, NULL);
	}
	for (size_t i = 0; i < sizeof rest / sizeof *rest; i++) {
		int one = load_one(l, rest[i], rc < 0 ? other : why, rc < 0 ? sizeof other : size, NULL);
		rc = rc < 0 ? rc : one;
		if (one < 0 && rest[i] != FIND_TP)
			return rc; /* nothing more without it */
	}
	return rc;
}

void loading_done(struct loading *l)
{
	if (l->switches >= 0)
		close(l->switches);
	l->switches = -1;
	bpfobject_close(l->maps, N_MAPS, l->programs, N_PROGRAMS);
}
