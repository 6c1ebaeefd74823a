/* writer: what the session saw -> records -> blocks -> sink.
 *
 * Flow:    session -> [writer] -> format/encode -> sink.
 * Ids:     strings, functions, locations and stacks are given once an epoch (hash-consed: equal input, equal id); ids
 * of another epoch are void: whoever keeps an id keeps writer_epoch() beside it. Processes and threads keep their ids
 * for the whole recording: the writer remembers them and repeats those that have not ended in each epoch. Memory:
 * dictionaries are capped (writer_options.max_bytes): when the cap is near, or they take 1 MB and 4 times what
 * the epoch's first block needed, the next flush starts a new epoch; an
 *          intern that does not fit returns 0 and is counted (LOST limit). Never aborts.
 * Time:    all times CLOCK_BOOTTIME ns.
 */
#pragma once
#include "format/records.h"
#include "pyspy-record/emit/sink.h"

struct writer;

struct writer_note {
	const char *key, *value;
};
struct writer_options {
	char *const *argv; /* the recorder's own command line, NULL-terminated; must live as long as the writer */
	uint64_t mean_gap_ns;
	uint32_t schedule, engine, view_defaults, stop_ppm, cpu_ppm;
	const struct writer_note *notes;
	uint32_t n_notes;
	size_t max_bytes;      /* of the dictionaries; 0 = 64 MiB */
	uint64_t epoch_min_ns; /* an epoch lasts at least this (default 60 s when 0) and until its samples weigh 4 times
	                          its definitions, or 10 minutes */
	int zstd_level;        /* 0 = 1 */
	uint64_t unit_ns; /* resolution of tick times and CPU times; 0 = from outside a 32nd of the mean gap, 1 to 32
	                     us, else 1 us */
};

/* Nothing is written before the first flush. 0 or ERR_NO_MEMORY. The sink stays the caller's. */
int writer_new(struct writer **w, struct sink *sink, const struct writer_options *o);
void writer_free(struct writer *w);
/* The first block begins then, and not when the writer was made: nothing was looked at before. Before all ticks. */
void writer_begin(struct writer *w, uint64_t time_ns);

uint32_t writer_epoch(const struct writer *w);
/* 0 = does not fit (or the empty string). */
str_id writer_string(struct writer *w, const char *s, size_t n);
function_id writer_function(struct writer *w, const struct rec_function *f);
location_id writer_location(struct writer *w, const struct rec_location *l);
/* Same (parent, location): same id; `certified` is then added (as writer_certify). */
stack_id writer_stack(struct writer *w, const struct rec_stack *s);
/* This stack, and with it its ancestors, was certain. Nothing when it was known. */
void writer_certify(struct writer *w, stack_id id);
void writer_doubt(struct writer *w, stack_id id); /* of this block's samples */

/* A process with its strings as text; the writer copies all of it. */
struct writer_process {
	uint32_t pid, ns_pid, parent_pid, exec_number, flags, uid, version_hex, build;
	uint64_t start_ns, seen_ns;
	const char *version, *exe, *cwd, *prefix, *base_prefix;
	char *const *cmdline; /* n_cmdline words */
	uint32_t n_cmdline;
	char *const *sys_path;
	uint32_t n_sys_path;
};
/* id 0: a new process; returns its id. Else replaces what is known of it. 0 = no memory. */
process_id writer_process(struct writer *w, process_id id, const struct writer_process *p);
void writer_process_end(struct writer *w, process_id id, uint64_t time_ns, uint32_t how, uint32_t status);
void writer_interpreter(struct writer *w, process_id p, uint32_t number, uint32_t flags);

struct writer_thread {
	process_id process;
	uint32_t tid, ns_tid, interpreter, flags, kind;
	uint64_t start_ns, pthread;
	const char *name; /* may be NULL; generalised UTF-8 */
	size_t name_len;
};
thread_id writer_thread(struct writer *w, thread_id id, const struct writer_thread *t); /* as writer_process */
/* Ends the thread: an absent entry at the current tick, THREAD_END, forgotten at the next epoch. */
void writer_thread_end(struct writer *w, thread_id id, uint64_t time_ns);

/* A tick begins. Every thread with an entry so far has a sample in it unless writer_entry says otherwise. */
void writer_tick(struct writer *w, uint64_t time_ns);
/* The next tick comes after a gap with this mean, and those after it do too (before any call: options.mean_gap_ns). */
void writer_gap(struct writer *w, uint64_t mean_ns);
/* In the current tick: this thread's sample changed (stack, flags), or it is absent (WIRE_FLAG_ABSENT). cpu_ns: used
 * since its last writer_entry / writer_closing. At most once per thread and tick. The entry holds over blocks (the
 * writer repeats it at the first tick of a new block), but not over epochs: after writer_epoch() changed every thread
 * is absent until its next writer_entry. */
void writer_entry(struct writer *w, thread_id t, stack_id stack, uint32_t flags, uint64_t cpu_ns);
/* Before a flush: CPU time that the thread used since its last writer_entry / writer_closing. */
void writer_closing(struct writer *w, thread_id t, uint64_t cpu_ns);
void writer_events(struct writer *w, const struct rec_events *e);

void writer_lost(struct writer *w, const struct rec_lost *l);
/* Set a counter (cumulative); changed ones are sent with each flush. */
void writer_count(struct writer *w, enum wire_counter c, uint64_t value);
uint64_t writer_samples(const struct writer *w); /* in whole blocks and the open one */

/* True when the open block is large enough to be flushed before its second is over. */
bool writer_is_full(const struct writer *w);
/* Close the open block at `now_ns`, write it. May start a new epoch for the next block. `end` not NULL: last block.
 * The file header goes out before the first block. Nothing to say and no `end`: nothing is written.
 * 0, ERR_IO (sink), ERR_NO_MEMORY. */
int writer_flush(struct writer *w, uint64_t now_ns, const struct rec_end *end);
/* Right after a flush: who defined most of what is in the dictionaries has forgotten it. A new epoch, if they are
 * large.
 */
void writer_forget(struct writer *w, uint64_t now_ns);
