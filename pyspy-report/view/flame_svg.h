/* flame_svg: a call tree as an icicle picture (root on top) that is also a small program: zoom, search, details.
 *
 * One file, nothing fetched. Trust: names reach only escaped text nodes; the script is a constant and reads them as
 * text (textContent). Without script the picture is complete, with a tooltip (<title>) for each frame.
 */
#pragma once
#include <stdio.h>

#include "pyspy-report/query/summary.h"
#include "pyspy-report/view/flame_layout.h"

struct flame_svg_options {
	const char *title; /* NULL: the program's command line */
	uint64_t max_frames;
	bool by_weight;
};

/* 0 or ERR_NO_MEMORY; write errors stay in `out`. */
int flame_svg_write(FILE *out, const struct tree *t, const struct naming *n, const struct summary *s,
                    const struct filter *f, const struct flame_svg_options *o);
