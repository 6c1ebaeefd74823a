/* records: the records of a recording as C structs, the same for encoder and decoder.
 *
 * Meanings, units and ranges: FORMAT.md. Ids are those of the epoch (FORMAT.md section 2). Arrays belong to whoever
 * made the struct: the caller for encode_*, the decoder (until the callback returns) for decode_*.
 */
#pragma once
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "format/wire.h"

typedef uint32_t str_id;
typedef uint32_t function_id;
typedef uint32_t location_id;
typedef uint32_t stack_id;
typedef uint32_t process_id; /* of the epoch; not a pid */
typedef uint32_t thread_id;  /* of the epoch; not a tid */
typedef uint32_t module_id;

struct rec_file { /* file header */
	uint16_t major, minor;
	uint32_t flags;
	uint8_t uuid[16];
	int64_t realtime_ns;
	uint64_t boottime_ns;
};

struct rec_block {      /* block header, without sizes and checksums */
	uint32_t flags; /* enum wire_block_flag */
	uint32_t sequence;
	uint32_t epoch;
	uint64_t begin_ns, end_ns;
	int64_t anchor_ns;
	uint64_t samples_before, n_samples;
	uint32_t n_ticks;
	uint8_t uuid8[8];
};

struct rec_note {
	str_id key, value;
};

struct rec_recording {
	str_id host, kernel, machine, boot_id, recorder;
	const str_id *options;
	uint32_t n_options;
	uint64_t mean_gap_ns;
	uint32_t schedule, engine, view_defaults, kernel_hz, stop_ppm;
	const struct rec_note *notes;
	uint32_t n_notes;
	uint64_t started_ns;
	uint32_t cpu_ppm; /* since 1.2; 0 = no bound */
};

struct rec_function {
	uint32_t kind; /* enum wire_function_kind */
	str_id module, qualname, file;
	uint32_t first_line;
};

struct rec_location {
	bool is_native;
	/* Python */
	function_id function;
	int32_t line, end_line, column, end_column; /* line is valid when has_line, the others when has_columns */
	bool has_line, has_columns;
	/* native */
	module_id module;
	uint64_t offset;
	str_id symbol;
};

struct rec_stack {
	stack_id parent; /* 0 = outermost */
	location_id location;
	bool certified;
};

struct rec_process {
	process_id id;
	uint32_t pid, ns_pid, parent_pid, host;
	uint64_t start_ns;
	uint32_t exec_number;
	uint64_t seen_ns;
	uint32_t flags, uid, version_hex, build;
	str_id version, exe, cwd, prefix, base_prefix;
	const str_id *cmdline;
	uint32_t n_cmdline;
	const str_id *sys_path;
	uint32_t n_sys_path;
};

struct rec_process_end {
	process_id id;
	uint64_t time_ns;
	uint32_t how, status;
};

struct rec_module {
	module_id id;
	process_id process;
	str_id path;
	const uint8_t *build_id;
	uint32_t n_build_id;
	uint64_t begin, end, file_offset;
};

struct rec_thread {
	thread_id id;
	process_id process;
	uint32_t tid, ns_tid;
	uint64_t start_ns;
	uint32_t interpreter;
	uint64_t pthread;
	str_id name;
	uint32_t flags, kind;
	thread_id owner;
};

struct rec_interpreter {
	process_id process;
	uint32_t number, flags;
};

struct rec_host {
	uint32_t id;
	str_id name, boot_id, kernel, machine;
};

/* One entry of TICKS: holds from tick `tick` until the thread's next entry. */
struct rec_entry {
	uint32_t tick;
	thread_id thread;
	stack_id stack; /* resolved: never "same as before" on the decoding side */
	bool has_stack; /* encoding: false = same as the thread's entry before. Decoding: always true */
	uint32_t flags;
	uint64_t cpu_ns; /* used since the thread's entry before */
};

struct rec_closing {
	thread_id thread;
	uint64_t cpu_ns;
};

/* The gaps that end with tick `tick` and those after it have this mean. */
struct rec_gap {
	uint32_t tick; /* n_ticks: the gap behind the last one */
	uint64_t mean_ns;
};

struct rec_ticks {
	uint64_t unit_ns, cpu_unit_ns; /* encoding: times are rounded down to these */
	const uint64_t *times_ns;      /* absolute, not decreasing */
	uint32_t n_ticks;
	const struct rec_entry *entries;
	uint32_t n_entries;
	const struct rec_closing *closings;
	uint32_t n_closings;
	const struct rec_gap *gaps; /* since 1.2; none: all have the mean that RECORDING tells */
	uint32_t n_gaps;
};

struct rec_event {
	uint64_t time_ns;
	thread_id thread;
	stack_id stack;
	uint32_t flags;
	uint64_t weight_ns;
};

struct rec_events {
	uint64_t unit_ns, weight_unit_ns;
	const struct rec_event *events;
	uint32_t n_events;
};

struct rec_lost {
	uint64_t begin_ns, end_ns;
	uint32_t cause;
	thread_id thread;
	uint64_t count;
};

struct rec_counter {
	uint32_t counter;
	uint64_t value;
};

struct rec_end {
	uint64_t time_ns;
	uint32_t reason, how, status;
};
