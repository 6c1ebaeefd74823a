/* roster: the processes, interpreters and threads of a recording, repeated in every epoch until they end.
 *
 * Flow:    writer -> [roster] -> PROCESS, INTERPRETER, THREAD, THREAD_END, PROCESS_END records.
 * Memory:  copies of all texts. Ids of those that ended are given again in a later epoch, so that a program that makes
 *          threads for days does not grow the roster.
 */
#pragma once
#include "pyspy-record/emit/dictionary.h"
#include "pyspy-record/emit/writer.h"

enum roster_state { ROSTER_FREE, ROSTER_RUNS, ROSTER_ENDED };

struct roster_process {
	enum roster_state state;
	bool is_unsent;
	struct writer_process facts; /* its texts are in `memory` */
	void *memory;
};
struct roster_interpreter {
	bool is_unsent;
	struct rec_interpreter facts;
};
struct roster_thread {
	enum roster_state state;
	bool is_unsent;
	struct writer_thread facts;
	char *name;
};
struct roster_thread_end {
	thread_id id;
	uint64_t time_ns;
};

struct roster {
	VEC(struct roster_process) processes; /* by id; [0] is not used */
	VEC(struct roster_interpreter) interpreters;
	VEC(struct roster_thread) threads;
	VEC(struct rec_process_end) process_ends; /* not sent yet */
	VEC(struct roster_thread_end) thread_ends;
	VEC(uint32_t) free_processes, free_threads; /* ids to be given again */
	VEC(str_id) words;                          /* while encoding */
	bool has_news;                              /* something is unsent */
};

void roster_init(struct roster *r);
void roster_done(struct roster *r);
/* As writer_process, writer_thread: the id, 0 without memory. */
process_id roster_process(struct roster *r, process_id id, const struct writer_process *p);
thread_id roster_thread(struct roster *r, thread_id id, const struct writer_thread *t);
void roster_interpreter(struct roster *r, const struct rec_interpreter *i);
void roster_process_end(struct roster *r, const struct rec_process_end *e);
/* False: it was not running. */
bool roster_thread_end(struct roster *r, thread_id id, uint64_t time_ns);
/* Next running thread of a process behind `after`; 0 = none. */
thread_id roster_next_thread(const struct roster *r, process_id p, thread_id after);
/* Append what is unsent; strings go into the dictionary, which must be encoded in front of this. */
void roster_encode(struct roster *r, struct dictionary *d, struct buf *out);
/* Append the ends (behind the samples). */
void roster_encode_ends(struct roster *r, struct buf *out);
/* Who ended is forgotten, all others are to be sent again. */
void roster_new_epoch(struct roster *r);
