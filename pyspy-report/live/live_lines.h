/* live_lines: the model -> lines of text of a given size, safe to print.
 *
 * Flow:    live/live_model -> [live_lines] -> live/live_screen, live/live_plain.
 * Lines are valid UTF-8 without controls, and no wider than asked for by utf8_width.
 */
#pragma once
#include "pyspy-report/live/live_model.h"

enum live_style { LIVE_PLAIN, LIVE_STRONG, LIVE_FAINT, LIVE_HEAD, LIVE_CHOSEN, LIVE_WARN };

struct live_line {
	size_t begin, n; /* of the text */
	enum live_style style;
};

struct live_lines {
	struct buf text;
	VEC(struct live_line) v;
	size_t width, height; /* columns, 0 = as they come; lines, 0 = the head and `rows` rows */
	size_t rows;
	bool is_ascii;       /* nothing else can be shown: \uNNNN instead */
	const char *command; /* what is looked at, as long as the recording does not say it; raw */
	const char *output;  /* the file with the program's output, or NULL; raw */
};

void live_lines_init(struct live_lines *l);
void live_lines_done(struct live_lines *l);
/* The whole picture. Sets m->page and m->from. 0 or ERR_NO_MEMORY. */
int live_lines_make(struct live_lines *l, struct live_model *m);
/* Append raw text: escaped, and cut to `columns` (0: not) with ".." at its end; returns the columns that it took. */
size_t live_lines_text(struct buf *out, const char *s, size_t n, size_t columns, bool is_ascii);
