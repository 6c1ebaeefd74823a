/* austin: what its two formats (MOJO, collapsed text) have in common: a sample is the stack of a thread and what was
 * measured since that thread's sample before: microseconds, or bytes of memory. */
#pragma once
#include "pyspy-report/exchange/importer.h"

enum austin_mode { AUSTIN_WALL, AUSTIN_CPU, AUSTIN_MEMORY, AUSTIN_FULL };

struct austin_clock {
	uint64_t at_ns; /* where the thread's next sample begins */
};
struct austin {
	struct foreign *f;
	enum austin_mode mode;
	VEC(struct austin_clock) clocks; /* by thread */
	uint64_t n_samples, n_decreases, n_without_time;
};
struct austin_sample {
	uint32_t thread;
	stack_id stack;
	uint32_t flags;
	bool has_time, has_memory, is_idle, knows_idle, is_gc;
	int64_t time_us, memory_bytes;
};

void austin_done(struct austin *a);
/* A line of metadata. */
int austin_metadata(struct austin *a, const char *key, size_t n_key, const char *value, size_t n_value);
/* The thread of a sample; `tid` as text: a number in base 10 or 16, or a name. */
int austin_thread(struct austin *a, int64_t pid, int64_t interpreter, const char *tid, size_t n, int base,
                  uint32_t *thread);
int austin_put(struct austin *a, const struct austin_sample *s);
void austin_finish(struct austin *a, const struct import_options *o);
