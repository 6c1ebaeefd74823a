/* sample_sheet: samples in order of time as rows with chosen columns: CSV, JSON lines, or lines with tabs.
 *
 * Columns: see sample_sheet_names. "stack" is one text as `raw` writes it (CSV, tabs), or a list of frames, the
 * outermost first (JSON).
 */
#pragma once
#include <stdio.h>

#include "pyspy-report/profile/replay.h"
#include "pyspy-report/query/shape.h"
#include "pyspy-report/view/frame_text.h"
#include "pyspy-report/view/sheet.h"

enum { SAMPLE_SHEET_MAX = 32 };

struct sample_sheet {
	struct sheet sheet;
	const struct shape *shape;
	struct sheet_column columns[SAMPLE_SHEET_MAX];
	uint8_t which[SAMPLE_SHEET_MAX];
	size_t n;
	struct frame_text texts;
	VEC(uint32_t) path;
	struct buf cell;
};

/* "time_ns,tid,stack" -> which columns; NULL = the usual ones. 0, or ERR_USAGE with `message`, safe to print. */
int sample_sheet_choose(struct sample_sheet *s, const char *list, char *message, size_t size);
/* All names, separated by blanks. */
void sample_sheet_names(struct buf *out);
/* After sample_sheet_choose. 0 or ERR_NO_MEMORY. sample_sheet_end in any case; it returns the same. */
int sample_sheet_begin(struct sample_sheet *s, FILE *out, enum sheet_format format, const struct shape *shape);
/* 0, ERR_NO_MEMORY, or ERR_IO: the output failed. */
int sample_sheet_write(struct sample_sheet *s, const struct profile *p, const struct replay_sample *sample,
                       uint32_t path);
int sample_sheet_end(struct sample_sheet *s);
