#include "pyspy-report/cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/report_job.h"
#include "pyspy-report/view/flame_svg.h"

enum { FLAME_TITLE = REPORT_OWN, FLAME_MAX_FRAMES, FLAME_ORDER };
enum { FLAME_USUAL_FRAMES = 10000, FLAME_MOST_FRAMES = 1000000 };

static const struct arg_option rows[] = {
    {FLAME_TITLE, 0, "title", "TEXT", "headline; default the program's command line"},
    {FLAME_MAX_FRAMES, 0, "max-frames", "N",
     "draw at most N frames, the widest (default 10000: browsers get slow); hatched boxes stand for the others"},
    {FLAME_ORDER, 0, "order", "name|weight", "callees from left to right; default name"},
    {0},
};

static struct flame_svg_options flame = {.max_frames = FLAME_USUAL_FRAMES};

static int flame_option(int id, const char *value, char *message, size_t size)
{
	char *end;
	unsigned long n;

	if (id == FLAME_TITLE) {
		flame.title = value;
		return 0;
	}
	if (id == FLAME_ORDER && (strcmp(value, "name") == 0 || strcmp(value, "weight") == 0)) {
		flame.by_weight = strcmp(value, "weight") == 0;
		return 0;
	}
	if (id == FLAME_MAX_FRAMES) {
		errno = 0;
		n = strtoul(value, &end, 10);
		if (*value >= '0' && *value <= '9' && !*end && !errno && n >= 1 && n <= FLAME_MOST_FRAMES) {
			flame.max_frames = n;
			return 0;
		}
	}
	snprintf(message, size, "%s",
	         id == FLAME_ORDER ? "--order wants name or weight" : "--max-frames wants a number from 1 to 1000000");
	return ERR_USAGE;
}

static int cmd_flamegraph(const struct report_verb *verb, int argc, char **argv)
{
	struct report_job j;
	int rc, status = report_job_begin(&j, verb, argc, argv);

	if (status != REPORT_GO_ON)
		return status;
	struct naming_options naming = report_options_naming(&j.options, &j.profile);
	struct tree_options tree = report_job_rows(&j);
	status = report_job_tree(&j, &naming, &tree);
	if (status != REPORT_GO_ON)
		return status;
	rc = flame_svg_write(j.output.file, &j.tree, &j.naming, &j.summary, &j.filter, &flame);
	return report_job_end(&j, rc, false);
}

const struct report_verb cmd_flamegraph_verb = {
    .name = "flamegraph",
    .summary = "A picture of all stacks (SVG): open it in a browser to zoom and search.",
    .examples = "  pyspy-report flamegraph -o app.svg app.pyspy\n"
                "  pyspy-report flamegraph -F -t -o threads.svg app.pyspy\n"
                "  pyspy-report flamegraph -g -o gil.svg app.pyspy      who held the GIL\n",
    .about =
        "Callers stand above what they call; the width is the share of the samples (in a recording by the kernel: of\n"
        "the time). Colours tell where code comes from: your own, site-packages, the standard library, native. In a "
        "browser: click zooms, / searches (a part\n"
        "of a name or /a regular expression/), Esc goes back; zoom and search are kept in the address. One file,\n"
        "nothing is fetched. The same input and options give the same bytes.",
    .groups = REPORT_FILTER | REPORT_NAMING | REPORT_THREADS | REPORT_SHAPE | REPORT_MEASURE | REPORT_INVERT,
    .own = rows,
    .own_option = flame_option,
    .run = cmd_flamegraph,
};
