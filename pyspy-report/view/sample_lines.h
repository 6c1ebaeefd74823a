/* sample_lines: one line for each sample, in order of time.
 *
 * Tab-separated: seconds since the recording began (6 decimals), pid/tid, thread name, state, marks, way, stack (root
 * first, frames separated by ';'). cmd_script.c's help says what the words mean.
 */
#pragma once
#include <stdio.h>

#include "pyspy-report/profile/replay.h"
#include "pyspy-report/query/shape.h"
#include "pyspy-report/view/frame_text.h"

struct sample_lines {
	FILE *out;
	struct naming *naming;
	struct frame_text texts;
	VEC(uint32_t) path;
	struct buf line;
};

void sample_lines_init(struct sample_lines *l, FILE *out, struct naming *n);
void sample_lines_done(struct sample_lines *l);
/* 0; ERR_IO: the output failed (ferror); ERR_NO_MEMORY, ERR_FULL. */
int sample_lines_write(struct sample_lines *l, const struct profile *p, const struct shape *shape,
                       const struct replay_sample *s, uint32_t path);
/* "gil,cut,event=1000"; "-" when there are none. */
void sample_lines_marks(struct buf *out, uint32_t flags, uint64_t weight_ns);
