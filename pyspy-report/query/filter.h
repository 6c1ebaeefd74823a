/* filter: which samples a view is about, and which of their frames.
 *
 * Flow:    command line -> struct filter_rules -> filter_prepare, once the profile is whole -> [filter] -> query/tree,
 *          shape, summary: they all ask filter_keeps, so that every view shows the same samples.
 * --time is none of this: what it leaves out never comes into the profile (profile/load).
 * A filter with nothing but gil_only and idle (no rules) needs no preparation.
 */
#pragma once
#include "libcommon/buf.h"
#include "pyspy-report/profile/profile.h"
#include "pyspy-report/profile/span.h"
#include "pyspy-report/query/pattern.h"

/* Of --state: a sample passes when one of them is true of it. */
enum filter_state {
	FILTER_RUNNING = 1,  /* on a CPU, or on one or waiting for one: not told apart (active) */
	FILTER_RUNNABLE = 2, /* waits for a CPU, or active */
	FILTER_BLOCKED = 4,  /* sleeps, waits for a disk, is stopped */
	FILTER_GC = 8,       /* runs the garbage collector */
	FILTER_GIL_WAIT = 16,
	FILTER_UNKNOWN = 32, /* the state was not to be had */
};

/* What samples weigh in a view: samples or nanoseconds. */
enum filter_measure {
	FILTER_BY_RECORDING, /* time where there are events or the rate was lowered, else samples (profile_by_time) */
	FILTER_BY_SAMPLES,
	FILTER_BY_WALL,
	FILTER_BY_CPU,
};

struct filter_patterns {
	VEC(struct pattern) list;
};

struct filter_thread {
	bool is_tid;
	uint32_t tid;
	struct pattern name; /* when not is_tid */
};

/* As asked for. Several of one kind: one of them has to match. */
struct filter_rules {
	struct span span;
	const char *span_text; /* NULL: no --time */
	VEC(uint32_t) pids;
	struct filter_patterns processes; /* in the command line */
	VEC(struct filter_thread) threads;
	uint32_t states; /* enum filter_state; 0 = any */
	struct filter_patterns focus, ignore, hide, show_from;
};

void filter_rules_done(struct filter_rules *r);
/* "running,gc": 0, or ERR_USAGE with `message`. */
int filter_states_parse(const char *text, uint32_t *states, char *message, size_t size);

/* What is known of a stack and its callers, or of one location. */
enum filter_mark {
	FILTER_FOCUS = 1,
	FILTER_IGNORE = 2,
	FILTER_HIDE = 4,  /* of a location only */
	FILTER_SHOWN = 8, /* --show-from is met here or further out */
};

struct filter {
	bool gil_only; /* -g: only samples that hold the GIL */
	bool idle;     /* -i: idle ones too */
	enum filter_measure measure;
	const struct filter_rules *rules; /* NULL: none */
	/* by filter_prepare; empty: nothing of that kind is asked for */
	VEC(bool) threads;      /* kept */
	VEC(uint8_t) locations; /* enum filter_mark */
	VEC(uint8_t) stacks;
};

/* Everything of `p` must be there. 0 or ERR_NO_MEMORY. */
int filter_prepare(struct filter *f, const struct profile *p);
void filter_done(struct filter *f);
/* Not on a CPU, not runnable and not holding the GIL; who only waits for the GIL is idle too. A sample whose state is
 * not known counts as busy, unless it waits for the GIL. */
bool filter_is_idle(uint32_t flags);
/* The whole answer, for a row of the tally or a sample of the replay. */
bool filter_keeps(const struct filter *f, uint32_t thread, uint32_t stack, uint32_t flags);
/* Whether the view still shows this stack (global id), apart from being kept: --show-from, --hide. */
bool filter_shows(const struct filter *f, uint32_t stack, uint32_t location);
/* Weights are nanoseconds, not samples. */
bool filter_by_time(const struct filter *f, const struct profile *p);
/* The nanoseconds that a row weighs: of wall time, or with FILTER_BY_CPU of CPU time. */
uint64_t filter_row_ns(const struct filter *f, const struct tally_row *r);
/* One of the patterns finds this function: in its name, its name behind the module's, the module's or the file's. `b`
 * is to work in; its error tells that there was no memory. */
bool filter_matches(const struct filter_patterns *set, const struct profile *p, const struct profile_location *l,
                    struct buf *b);
/* The rules as one would type them, in the order of the help: " --pid 12 --focus foo"; nothing when there are none.
 * Raw: whoever shows it escapes it. */
void filter_words(const struct filter *f, struct buf *out);
