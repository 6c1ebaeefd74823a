/* support_golden: the small recordings of tests/golden, made anew (its README.md says what each holds). */
#pragma once
#include "tests/unit/support_recording.h"

struct support_golden {
	const char *name; /* tests/golden/NAME.pyspy */
	void (*build)(struct buf *out);
};

/* Ends with a row without name. */
extern const struct support_golden SUPPORT_GOLDEN[];

/* Names as a hostile or unlucky program may give them (support_golden_names.c). */
void support_golden_names(struct buf *out);
/* Those with EVENTS (support_golden_events.c). */
void support_golden_events(struct buf *out);
void support_golden_kernel(struct buf *out);
void support_golden_mixed(struct buf *out);
void support_golden_fallback(struct buf *out);
void support_golden_stopped(struct buf *out);
void support_golden_bounded(struct buf *out);
/* Recordings that share a dictionary (support_golden_shared.c). */
void support_golden_shared(struct buf *out);

/* What they are made of: a recording of version 1.0 with a mean gap of 100 ms; its END; its bytes, moved to `out`. */
void support_golden_open(struct support_recording *r, uint8_t uuid, uint32_t engine);
void support_golden_put_end(struct support_recording *r, uint32_t reason, uint32_t how, uint32_t status);
void support_golden_end(struct support_recording *r, struct buf *out);
/* A stack of one line of a new function above `parent`. */
stack_id support_golden_frame(struct support_recording *r, stack_id parent, const char *module, const char *name,
                              const char *file, uint32_t first_line, int32_t line);
/* The application whose stacks they are (tests/golden/README.md). */
struct support_golden_app {
	stack_id module, main, work, fib[3], loads;
};
struct support_golden_app support_golden_app(struct support_recording *r);
