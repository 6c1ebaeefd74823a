#include "pyspy-record/choice.h"

#include <stdio.h>
#include <stdlib.h>

#include "libcommon/err.h"
#include "libcommon/log.h"
#include "pyspy-record/target/process.h"

enum { PROGRAM_THREADS = 16 /* that a program which is still to be started may have, about */ };

static int open_kernel(struct choice *c, const struct record_options *o)
{
	struct kernel_options k = {.rate_hz = o->rate_hz, .n_threads = o->program ? PROGRAM_THREADS : 0};
	for (unsigned i = 0; i < o->n_pids; i++)
		k.n_threads += process_n_threads(o->pids[i]);
	TRY(kernel_open(&c->kernel, &k, c->why, sizeof c->why));
	uint32_t hz = kernel_tick_hz(c->kernel);
	if (kernel_clock(c->kernel) != KERNEL_CLOCK_TICK) {
		snprintf(c->engine, sizeof c->engine, "kernel: cpu-clock events");
	} else if (o->rate_hz <= hz) {
		snprintf(c->engine, sizeof c->engine, "kernel: timer tick, %u Hz", hz);
	} else {
		snprintf(c->engine, sizeof c->engine,
		         "kernel: timer tick, %u Hz and no more: perf events are not allowed", hz);
		log_info("%u samples a second and no more: the kernel allows us no perf events; "
		         "they want root, or kernel.perf_event_paranoid at 2",
		         hz);
	}
	return 0;
}

static int make_notes(struct choice *c, const struct record_options *o)
{
	c->notes = calloc(o->n_notes + 2, sizeof *c->notes);
	if (!c->notes)
		return ERR_NO_MEMORY;
	for (; c->n_notes < o->n_notes; c->n_notes++)
		c->notes[c->n_notes] = o->notes[c->n_notes];
	c->notes[c->n_notes++] = (struct writer_note){WIRE_NOTE_ENGINE, c->engine};
	if (*c->why)
		c->notes[c->n_notes++] = (struct writer_note){WIRE_NOTE_ENGINE_WHY, c->why};
	return 0;
}

int choice_make(struct choice *c, const struct record_options *o)
{
	*c = (struct choice){.engine = "outside"};
	if (o->blocking) {
		snprintf(c->engine, sizeof c->engine, "outside: each running thread is stopped for its sample");
		snprintf(c->why, sizeof c->why, "--blocking was asked for");
	} else if (o->engine == RECORD_ENGINE_OUTSIDE) {
		snprintf(c->why, sizeof c->why, "--engine outside was asked for");
	} else {
		int rc = open_kernel(c, o);
		if (rc < 0 && o->engine == RECORD_ENGINE_KERNEL)
			return rc;
	}
	return make_notes(c, o);
}

void choice_done(struct choice *c)
{
	kernel_close(c->kernel);
	free(c->notes);
	*c = (struct choice){0};
}
