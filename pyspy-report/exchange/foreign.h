/* foreign: what an importer finds -> a recording.
 *
 * Flow:    import_* -> [foreign] -> scribe. An importer names processes, threads, frames and stacks, and then says
 * either "n samples of this thread had this stack" (foreign_count) or "this was there at this time, for so long"
 *          (foreign_event). Counts become ticks: shares stay those of counts. Events have weights of their own.
 * Counts:  have no times. The samples of a thread are laid one behind the other, all threads beginning at the same
 * moment, one mean gap (foreign_facts.gap_ns) a sample. Memory:  what is different; rows of counts; 64 K events.
 * Errors:  0, ERR_FULL (more than 2^24 different things), ERR_NO_MEMORY.
 */
#pragma once
#include "pyspy-report/exchange/scribe.h"

enum { FOREIGN_PROBLEMS_KEPT = 3, FOREIGN_WITHOUT_MAX = 12 };
#define FOREIGN_MAX_NS (UINT64_C(1) << 62)

struct foreign_facts {
	const char *format; /* "py-spy raw" ... */
	const char *unit;   /* what a nanosecond stands for when weights are no time ("cycles"); NULL: time */
	uint64_t gap_ns;    /* between samples */
	bool gap_is_assumed;
	uint8_t identity[32]; /* of the input: the recording's id comes from it */
	uint64_t start_ns;    /* CLOCK_BOOTTIME of the begin, where the source has a clock of its own */
	int64_t realtime_ns;  /* of the begin; 0: not known */
};

struct foreign_process {
	uint32_t pid, number; /* number: keeps apart what has one pid, or none */
	str_id command;
};
struct foreign_thread {
	uint32_t process, tid, interpreter, number;
	uint64_t pthread;
	str_id name;
	bool is_main;
};
struct foreign_row {
	uint32_t thread, stack, flags, n_before; /* n_before: in the order of their coming */
	uint64_t n;
};
struct foreign_problem {
	bool is_line; /* else `at` is a byte */
	uint64_t at;
	char text[160];
};

struct foreign {
	struct scribe *to;
	struct foreign_facts facts;
	VEC(struct foreign_process) processes; /* [0] is not used */
	VEC(struct foreign_thread) threads;    /* likewise */
	struct intern process_keys, thread_keys;
	struct map modules; /* path -> id */
	VEC(struct foreign_row) rows;
	struct map row_of; /* (thread and stack, flags) -> index + 1 */
	VEC(struct rec_event) events;
	VEC(struct rec_entry) entries;
	uint64_t begin_ns, end_ns, in_epoch; /* of the next block; samples */
	bool has_epoch;
	uint64_t n_samples, weight_ns;
	const char *without[FOREIGN_WITHOUT_MAX]; /* what the source does not say */
	size_t n_without;
	struct foreign_problem problems[FOREIGN_PROBLEMS_KEPT];
	uint64_t n_problems;
	uint64_t skipped; /* samples that could not be taken */
	bool is_cut;      /* weights were cut at FOREIGN_MAX_NS */
	bool names_tell;  /* threads of one number and two names are two */
	VEC(struct rec_note) notes, all_notes;
	struct buf text;
};

int foreign_init(struct foreign *f, struct scribe *to);
void foreign_done(struct foreign *f);
/* Index of it, made when new; equal (pid, command) and equal (process, tid, pthread, interpreter) are one,
 * of threads without numbers those of equal names. */
int foreign_process(struct foreign *f, uint32_t pid, const char *command, size_t n, uint32_t *process);
int foreign_thread(struct foreign *f, uint32_t process, uint32_t tid, uint64_t pthread, uint32_t interpreter,
                   const char *name, size_t n, uint32_t *thread);

struct foreign_frame {
	const char *module, *name, *file; /* may be NULL: empty */
	size_t n_module, n_name, n_file;
	uint32_t first_line;
	int32_t line, end_line, column, end_column; /* line <= 0: not known; column < 0: likewise */
	bool is_synthetic;
};
int foreign_frame(struct foreign *f, const struct foreign_frame *frame, location_id *location);
int foreign_native(struct foreign *f, const char *symbol, size_t n, const char *path, size_t n_path, uint64_t offset,
                   location_id *location);
int foreign_stack(struct foreign *f, stack_id parent, location_id location, stack_id *stack);
int foreign_count(struct foreign *f, uint32_t thread, stack_id stack, uint32_t flags, uint64_t n);
int foreign_event(struct foreign *f, uint32_t thread, stack_id stack, uint32_t flags, uint64_t time_ns,
                  uint64_t weight_ns);

/* Texts kept with the recording: static ones. */
void foreign_without(struct foreign *f, const char *what);
int foreign_note(struct foreign *f, const char *key, size_t n_key, const char *value, size_t n_value);
/* Something is wrong at this line or byte; what can be read is read. */
void foreign_problem(struct foreign *f, bool is_line, uint64_t at, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* All is there. Nothing is written before this but blocks of events. */
int foreign_finish(struct foreign *f);
/* Private to foreign*.c: the rows of counts as ticks. */
int foreign_put_counts(struct foreign *f);
int foreign_begin_epoch(struct foreign *f);
