/* report_job: what every verb that shows a call tree does before and after its view. */
#pragma once
#include "pyspy-report/query/naming.h"
#include "pyspy-report/query/shape.h"
#include "pyspy-report/query/summary.h"
#include "pyspy-report/query/tree.h"
#include "pyspy-report/report_input.h"
#include "pyspy-report/report_options.h"
#include "pyspy-report/report_output.h"

struct report_job {
	struct report_options options;
	struct report_output output;
	struct report_input input;
	struct profile profile;
	struct filter filter;
	struct summary summary;
	struct naming naming;
	struct tree tree;
	struct shape shape;
	bool has_output, has_profile, has_summary, has_naming, has_tree, has_shape;
};

enum { REPORT_GO_ON = -1 };

/* Command line -> options, output, profile, filter, summary. REPORT_GO_ON, or the exit status (all is said and freed).
 */
int report_job_begin(struct report_job *j, const struct report_verb *v, int argc, char **argv);
/* Naming and tree, as the options say; `naming` and `tree` may be changed by the verb. The same returns. */
int report_job_tree(struct report_job *j, const struct naming_options *naming, const struct tree_options *tree);
/* Rows, recursion, direction: as the options and the recording want them. */
struct tree_options report_job_rows(const struct report_job *j);
/* For views in order of time: naming and shape instead of a tree; then each sample that is kept, with its path in
 * j->shape. The verb says so with REPORT_REPLAY among its groups. `visit`: 0, or ERR_* to end with it. */
int report_job_shape(struct report_job *j, const struct naming_options *naming, const struct shape_options *shape);
typedef int report_job_visit(void *ctx, struct report_job *j, const struct replay_sample *s, uint32_t path);
/* REPORT_GO_ON with *rc = 0 or what `visit` or the shape failed with (for report_job_end); or the exit status (all is
 * said and freed). */
int report_job_replay(struct report_job *j, report_job_visit *visit, void *ctx, int *rc);
/* The same of all samples in --time, kept or not. */
int report_job_replay_all(struct report_job *j, replay_visit *visit, void *ctx, int *rc);
/* The view is written (`rc` < 0: it failed): finish the output, say on stderr what was shown and what was lost (unless
 * the view says so itself: `quiet`), free everything. Returns the exit status. */
int report_job_end(struct report_job *j, int rc, bool quiet);
/* Something failed and is said: free everything. Returns `status`. */
int report_job_drop(struct report_job *j, int status);
