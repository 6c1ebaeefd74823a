/* caption: the words that stand over a view: of what it is, what was left out, what was lost.
 *
 * Texts are appended raw: whoever shows them escapes them (escape_text, escape_xml).
 */
#pragma once
#include "libcommon/buf.h"
#include "pyspy-report/query/filter.h"
#include "pyspy-report/query/summary.h"
#include "pyspy-report/query/tree.h"

/* "python3 app.py (pid 12, CPython 3.11.2)", "and 2 more processes" */
void caption_command(struct buf *out, const struct profile *p, const struct summary *s);
/* "1,204 of 5,000 samples of 3 threads in 10.1 s; 3,796 idle left out (-i shows them)"; where shares are of time:
 * "12.1 s of 50.2 s of thread time (1,204 of 5,000 samples) of ...; shares are of time" */
void caption_samples(struct buf *out, const struct profile *p, const struct summary *s, const struct filter *f);
/* All filters that are on, as one types them: "-g --pid 12"; nothing when there are none. */
void caption_filters(struct buf *out, const struct filter *f);
/* What a frame is and which of them there are: "; by function (-F); inverted". Nothing for a frame for each line. */
void caption_frames(struct buf *out, const struct naming *n, const struct tree_options *t);
/* "in motion 1.2 %, 3 ticks late": nothing when nothing was lost. */
void caption_losses(struct buf *out, const struct profile *p, const struct summary *s);
/* Samples and losses on stderr. */
void caption_log(const struct profile *p, const struct summary *s, const struct filter *f);
/* "1,204" samples, or "12.1 s" where the amount is nanoseconds. `out` has HUMAN_SIZE. */
const char *caption_amount(char *out, bool is_time, uint64_t amount);
/* Time covered by the recordings, one after the other. */
uint64_t caption_duration_ns(const struct profile *p);
/* "python3 app.py" */
void caption_cmdline(struct buf *out, const struct profile *p, const struct profile_process *q);
