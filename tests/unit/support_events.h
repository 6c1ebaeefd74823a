/* support_events: small recordings with events, and the reporter's query results of them. Errors fail the test. */
#pragma once
#include "pyspy-report/profile/load.h"
#include "pyspy-report/query/summary.h"
#include "pyspy-report/query/tree.h"
#include "pyspy-report/view/folded.h"
#include "tests/unit/support_recording.h"

/* A recording in the making: thread 1, stacks 1 .. n of one frame each, f001 .. */
struct support_events {
	struct support_recording r;
	struct profile p;
	uint64_t t; /* its beginning */
};

/* Process 100 with its main thread, engine "both"; the block is open. */
void support_events_open(struct support_events *w, uint32_t n_stacks, uint64_t gap_ns);
void support_events_put(struct support_events *w, const struct rec_event *events, uint32_t n);
/* The last block is sealed with these numbers, and all is read into w->p. */
void support_events_read(struct support_events *w, uint64_t n_samples, uint32_t n_ticks);
void support_events_close(struct support_events *w);
/* Bytes of a recording -> p. What load says. */
int support_events_load(struct profile *p, const struct buf *b, const struct load_options *o);

/* What a view needs of a profile. */
struct support_events_view {
	struct naming n;
	struct tree t;
	struct summary s;
};

void support_events_view(struct support_events_view *v, struct profile *p, const struct filter *f);
void support_events_view_close(struct support_events_view *v);
/* What `raw` writes; to be freed. */
char *support_events_folded(struct support_events_view *v, struct folded_result *r);
/* Its numbers, by the number of the line's function (f007: of[7]); their sum. */
uint64_t support_events_numbers(struct support_events_view *v, struct folded_result *r, uint64_t *of, size_t n_of);
