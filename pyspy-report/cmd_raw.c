#include "pyspy-report/cmd.h"

#include "pyspy-report/report_job.h"
#include "pyspy-report/view/folded.h"

static int cmd_raw(const struct report_verb *verb, int argc, char **argv)
{
	struct report_job j;
	int status = report_job_begin(&j, verb, argc, argv);

	if (status != REPORT_GO_ON)
		return status;
	struct naming_options naming = report_options_naming(&j.options, &j.profile);
	struct tree_options rows = report_job_rows(&j);
	naming.by_text = true;
	status = report_job_tree(&j, &naming, &rows);
	if (status != REPORT_GO_ON)
		return status;
	return report_job_end(&j, folded_write(j.output.file, &j.tree, &j.naming), false);
}

const struct report_verb cmd_raw_verb = {
    .name = "raw",
    .summary = "Folded stacks, for flame graph tools and for diff.",
    .examples = "  pyspy-report raw app.pyspy >app.folded\n"
                "  pyspy-report raw -F -t app.pyspy | sort -t' ' -k2n\n",
    .about = "One line for each stack: frames from the outermost in, separated by ';', then a space and the number of\n"
             "samples. A frame reads `qualname (file:line)`. A ';' inside a name is written \\x3b, control characters\n"
             "\\n, \\x1b and so on. The same input and options give the same bytes.",
    .groups = REPORT_FILTER | REPORT_NAMING | REPORT_THREADS,
    .run = cmd_raw,
};
