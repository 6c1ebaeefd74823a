/* choice: who samples running threads: the kernel, or we from outside.
 *
 * Made before a program is started and before anybody is waited for: loading takes some ms, and an engine that was
 * asked for and cannot be had shall not cost a program its start.
 */
#pragma once
#include "pyspy-record/kernel/engine.h"
#include "pyspy-record/record_options.h"

struct choice {
	struct kernel *kernel;     /* NULL: from outside */
	char engine[96], why[400]; /* for the recording: what takes the samples; why not the kernel, "" = it does */
	struct writer_note *notes; /* of the recording: the user's and ours; with choice_done */
	uint32_t n_notes;
};

/* 0. Error: the kernel was asked for and cannot be had (`why`), or ERR_NO_MEMORY. choice_done in any case. */
int choice_make(struct choice *c, const struct record_options *o);
void choice_done(struct choice *c);
