/* report_copy: what verbs that make a recording of recordings do: the files of the command line -> copyist -> output.
 */
#pragma once
#include "pyspy-report/exchange/copyist.h"
#include "pyspy-report/report_input.h"
#include "pyspy-report/report_options.h"
#include "pyspy-report/report_output.h"

struct report_copy {
	struct report_options options;
	struct report_output output;
	struct report_input input;
	struct profile damage; /* only what was wrong with the input */
	struct scribe scribe;
	struct copyist *copyist;
	bool has_output, has_scribe, has_damage;
};

/* Command line and output. REPORT_GO_ON, or the exit status (all is said and freed). A recording is not written to a
 * terminal. */
int report_copy_begin(struct report_copy *c, const struct report_verb *v, int argc, char **argv);
/* Copy all inputs. The same returns. */
int report_copy_run(struct report_copy *c, const struct copyist_hooks *hooks);
/* The output appears; damage is said; all is freed. Returns the exit status. */
int report_copy_end(struct report_copy *c);
/* Something failed and is said: all is freed. Returns `status`. */
int report_copy_drop(struct report_copy *c, int status);
