#include "pyspy-report/cmd.h"

#include "libcommon/human.h"
#include "libcommon/log.h"
#include "pyspy-report/report_job.h"
#include "pyspy-report/view/folded.h"

static void say_unit(const struct folded_result *r)
{
	char a[HUMAN_SIZE], b[HUMAN_SIZE];

	if (r->unit_ns && r->n_small)
		log_info("numbers are time: 1 is %s; %s stack%s of less came to no line of %s own",
		         human_duration(a, r->unit_ns), human_count(b, r->n_small), r->n_small == 1 ? "" : "s",
		         r->n_small == 1 ? "its" : "their");
	else if (r->unit_ns)
		log_info("numbers are time: 1 is %s", human_duration(a, r->unit_ns));
}

static int cmd_raw(const struct report_verb *verb, int argc, char **argv)
{
	struct folded_result result;
	struct report_job j;
	int rc, status = report_job_begin(&j, verb, argc, argv);

	if (status != REPORT_GO_ON)
		return status;
	struct naming_options naming = report_options_naming(&j.options, &j.profile);
	struct tree_options rows = report_job_rows(&j);
	naming.by_text = true;
	status = report_job_tree(&j, &naming, &rows);
	if (status != REPORT_GO_ON)
		return status;
	rc = folded_write(j.output.file, &j.tree, &j.naming, &result);
	if (!rc)
		say_unit(&result);
	return report_job_end(&j, rc, false);
}

const struct report_verb cmd_raw_verb = {
    .name = "raw",
    .summary = "Folded stacks, for flame graph tools and for diff.",
    .examples = "  pyspy-report raw app.pyspy >app.folded\n"
                "  pyspy-report raw -F -t app.pyspy | sort -t' ' -k2n\n",
    .about = "One line for each stack: frames from the outermost in, separated by ';', then a space and the number of\n"
             "samples. In a recording by the kernel the number is the stack's time in samples' worth (at 100 a second\n"
             "10 ms each), rounded so that the lines add up; a stack of less may get no line, and stderr says so.\n"
             "A frame reads `qualname (file:line)`. A ';' inside a name is written \\x3b, control characters\n"
             "\\n, \\x1b and so on. The same input and options give the same bytes.",
    .groups = REPORT_FILTER | REPORT_NAMING | REPORT_THREADS | REPORT_SHAPE | REPORT_MEASURE | REPORT_INVERT,
    .run = cmd_raw,
};
