/* profile: what recordings say, in memory.
 *
 * Flow:    format/decode -> profile/load -> [profile] -> query/ -> view/.
 * Ids:     global: equal things of any epoch, process or file have one id (hash-consed). Index 0 of processes and
 *          threads is the unknown one; stack 0 is the root; string 0 is empty; function, location, module 0 are none.
 * Memory:  grows with what is different, not with time. Bounded by PROFILE_MAX_*: beyond, ERR_FULL.
 * Trust:   strings are raw bytes of the profiled program: escape them (libcommon/escape.h) wherever they go.
 */
#pragma once
#include "format/decode.h"
#include "format/records.h"
#include "libcommon/branches.h"
#include "libcommon/intern.h"
#include "libcommon/map.h"
#include "libcommon/vec.h"
#include "pyspy-report/profile/tally.h"

enum {
	PROFILE_MAX_BYTES = 1 << 30,    /* of each dictionary */
	PROFILE_MAX_STACKS = 64 << 20,  /* nodes of the stack tree */
	PROFILE_MAX_THREADS = 16 << 20, /* and processes */
	PROFILE_MAX_DAMAGE = 1000,      /* entries kept of the damage list; the rest is only counted */
};
#define PROFILE_MAX_NS (UINT64_C(1) << 63) /* no sum of times reaches this: weights beyond are cut (FORMAT.md 4.4) */

struct profile_function {
	uint32_t kind;                   /* enum wire_function_kind */
	uint32_t module, qualname, file; /* strings */
	uint32_t first_line;
};

struct profile_location {
	uint32_t function;                    /* 0 = native */
	int32_t line;                         /* 0 = not known */
	int32_t end_line, column, end_column; /* 0, -1, -1 = not known */
	uint32_t module, symbol;              /* native: module, string */
	uint32_t unused_;
	uint64_t offset;
};

struct profile_stack {
	uint32_t parent, location; /* first: stack_ids */
	uint32_t depth;            /* 1 = outermost; the root: 0 */
};

struct profile_process {
	uint32_t host; /* string: host name */
	uint32_t pid, ns_pid, parent_pid, exec_number, flags, uid, version_hex, build;
	uint64_t start_ns, seen_ns;
	uint32_t version, exe, cwd, prefix, base_prefix; /* strings */
	VEC(uint32_t) cmdline, sys_path;                 /* strings */
	bool has_ended;
	uint64_t end_ns;
	uint32_t how, status; /* enum wire_how */
};

struct profile_thread {
	uint32_t process;
	uint32_t tid, ns_tid, interpreter, name, flags, kind;
	uint64_t start_ns, pthread;
	bool has_ended;
	uint64_t end_ns;
	uint64_t cpu_unsampled_ns; /* used while it was not sampled */
};

struct profile_note {
	uint32_t key, value;
};

/* One recording (UUID) of the input. Times as in the file. */
struct profile_recording {
	uint32_t input;                                      /* string: name of the file it came from */
	bool has_file_header, has_facts, has_end, is_closed; /* facts = the RECORDING record */
	struct rec_file file;
	uint32_t host, kernel, machine, boot_id, recorder; /* strings */
	VEC(uint32_t) options;
	VEC(struct profile_note) notes;
	uint64_t mean_gap_ns, started_ns;
	uint32_t schedule, engine, view_defaults, kernel_hz, stop_ppm, cpu_ppm;
	bool has_rates; /* ticks have mean gaps of their own: the rate was lowered */
	struct rec_end end;

	uint64_t begin_ns, end_ns; /* covered by blocks; both 0 without any */
	uint64_t shown_begin_ns,
	    shown_end_ns;  /* of that, what --time asks for; both 0 when it asks for nothing of it */
	int64_t anchor_ns; /* of the last block */
	uint64_t n_blocks, n_epochs, n_ticks, n_events, n_samples;
	uint64_t sampled_ns, not_sampled_ns; /* FORMAT.md 4.3: time that ticks stand for, and gaps */
	uint64_t absent_ticks, failed_ticks; /* thread ticks without a sample */
	uint64_t lost[WIRE_LOST_END_];       /* counts of LOST by cause; [0] unknown causes */
	uint64_t counters[WIRE_COUNTER_END_];
	uint32_t has_counter;                     /* bit i: counters[i] was given */
	uint64_t stop_lengths[WIRE_STOP_LENGTHS]; /* stops by length: buckets of format/lengths.h */
};

/* One thing that was wrong with the input. */
struct profile_damage {
	uint32_t input;   /* string */
	int problem;      /* enum decode_problem */
	const char *what; /* static, or one of the profile's words */
	uint64_t offset, bytes, blocks, samples;
};

struct profile {
	struct intern strings, functions, locations, modules; /* structs by their bytes; modules: path NUL build id */
	struct intern process_keys, thread_keys;              /* id - 1 + 1 = index in processes, threads */
	struct branches stack_ids;                            /* of stacks */
	VEC(struct profile_stack) stacks; /* those behind stack_ids.n are in no hash yet: profile_stack_append */
	VEC(struct profile_process) processes;
	VEC(struct profile_thread) threads;
	VEC(struct profile_recording) recordings;
	struct tally tally;
	bool uncounted;   /* nobody wants the tally (any more): nothing is added to it */
	uint64_t wall_ns; /* of all rows of the tally and outside_ns: below PROFILE_MAX_NS */
	uint64_t outside_n, outside_ns, outside_cpu_ns; /* samples that --time leaves out, and their time: in no row */
	uint32_t in_motion, lost, no_frame;             /* synthetic locations */

	VEC(struct profile_damage) damage;
	VEC(char *) words;
	uint64_t n_damage, damaged_bytes, missing_blocks, missing_samples; /* all of it */
	uint64_t input_bytes;
};

int profile_init(struct profile *p); /* 0 or ERR_NO_MEMORY */
void profile_done(struct profile *p);
/* Part of an input is lost: counted, and kept as long as there are few. `input`: string. 0, ERR_NO_MEMORY. */
int profile_add_damage(struct profile *p, uint32_t input, const struct decode_damage *d);

/* Ids of things, made when new. 0, ERR_FULL, ERR_NO_MEMORY. */
int profile_string(struct profile *p, const char *s, size_t n, uint32_t *id);
int profile_function(struct profile *p, const struct profile_function *f, uint32_t *id);
int profile_location(struct profile *p, const struct profile_location *l, uint32_t *id);
/* The stack of `location` called from `parent`. Deeper than WIRE_DEPTH_MAX: ERR_FULL. */
int profile_stack(struct profile *p, uint32_t parent, uint32_t location, uint32_t *id);
/* Stacks as they were in another profile, in their order: nothing is looked up, so they must be different. Parent and
 * location are there. ERR_DAMAGED: too deep. */
int profile_stack_append(struct profile *p, uint32_t parent, uint32_t location);
int profile_process(struct profile *p, uint32_t host, uint32_t boot_id, const struct rec_process *r, uint32_t *id);
int profile_thread(struct profile *p, uint32_t process, const struct rec_thread *r, uint32_t *id);
/* A synthetic frame "[name]" without file. */
int profile_synthetic(struct profile *p, const char *name, uint32_t *location);

/* Contents; valid until the next thing of that kind is made. */
const char *profile_text(const struct profile *p, uint32_t string, size_t *n);
struct profile_function profile_function_of(const struct profile *p, uint32_t function);
struct profile_location profile_location_of(const struct profile *p, uint32_t location);
const char *profile_module_path(const struct profile *p, uint32_t module); /* "" for 0 */
/* `ns` more of thread time, as much of it as there is room for. */
uint64_t profile_take_time(struct profile *p, uint64_t ns);
/* There are events, or the rate was lowered: shares are of time, in every view. Otherwise they are of counts
 * (FORMAT.md 4.1, 4.3). */
bool profile_by_time(const struct profile *p);
/* What one sample is worth where time is shown as a number of samples: the mean gap of the recording that has the
 * shortest; without any, the mean over all samples. At least 1. */
uint64_t profile_sample_worth_ns(const struct profile *p);
/* Samples of all recordings, whatever --time asks for. */
uint64_t profile_samples(const struct profile *p);
/* Text of the note with this key; 0 = there is none. */
uint32_t profile_note_text(const struct profile *p, const struct profile_recording *r, const char *key);
/* View defaults of the first recording (enum wire_view). */
uint32_t profile_view_defaults(const struct profile *p);
