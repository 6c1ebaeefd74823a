#include "pyspy-report/cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/report_job.h"
#include "pyspy-report/report_page.h"
#include "pyspy-report/view/flame_svg.h"

enum { FLAME_TITLE = REPORT_OWN, FLAME_MAX_FRAMES, FLAME_ORDER, FLAME_FORMAT };
enum { FLAME_USUAL_FRAMES = 10000, FLAME_MOST_FRAMES = 1000000 };

static const struct arg_option rows[] = {
    {FLAME_TITLE, 0, "title", "TEXT", "headline; default the program's command line"},
    {FLAME_MAX_FRAMES, 0, "max-frames", "N",
     "at most N frames, the widest (default: a picture 10000, a page 200000); hatched boxes stand for the others"},
    {FLAME_ORDER, 0, "order", "name|weight", "callees from left to right; default name"},
    {FLAME_FORMAT, 0, "format", "svg|html",
     "a picture, or a page with timeline and table; default: html where the output's name ends in .html or .htm"},
    {0},
};

static struct flame_svg_options flame;
static enum { FORMAT_OF_NAME, FORMAT_SVG, FORMAT_HTML } format;

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
	if (id == FLAME_FORMAT && (strcmp(value, "svg") == 0 || strcmp(value, "html") == 0)) {
		format = strcmp(value, "svg") == 0 ? FORMAT_SVG : FORMAT_HTML;
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
	         id == FLAME_ORDER    ? "--order wants name or weight"
	         : id == FLAME_FORMAT ? "--format wants svg or html"
	                              : "--max-frames wants a number from 1 to 1000000");
	return ERR_USAGE;
}

static bool is_page(const struct report_options *o)
{
	return format == FORMAT_HTML || (format == FORMAT_OF_NAME && report_output_is_html(o));
}

static int write_page(struct report_job *j)
{
	struct page_options page = {.title = flame.title, .by_weight = flame.by_weight};

	return report_page_write(j, flame.max_frames ? flame.max_frames : REPORT_PAGE_FRAMES, &page);
}

static int cmd_flamegraph(const struct report_verb *verb, int argc, char **argv)
{
	struct report_job j;
	int rc, status = report_job_begin(&j, verb, argc, argv);

	if (status != REPORT_GO_ON)
		return status;
	if (is_page(&j.options))
		return write_page(&j);
	if (!flame.max_frames)
		flame.max_frames = FLAME_USUAL_FRAMES;
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
    .summary = "All stacks as a page (HTML: timeline, threads, table) or a picture (SVG), for a browser.",
    .examples = "  pyspy-report flamegraph -o app.html app.pyspy        a page: zoom, search, threads, time, a table\n"
                "  pyspy-report flamegraph -o app.svg app.pyspy         a picture: zoom, search\n"
                "  pyspy-report flamegraph -F -t -o threads.svg app.pyspy\n"
                "  pyspy-report flamegraph -g -o gil.svg app.pyspy      who held the GIL\n",
    .about =
        "Callers stand above what they call; the width is the share of the samples (in a recording by the kernel: of\n"
        "the time). Colours tell where code comes from: your own, site-packages, the standard library, native. In a "
        "browser: click zooms, / searches (a part\n"
        "of a name or /a regular expression/), Esc goes back; zoom and search are kept in the address. One file,\n"
        "nothing is fetched. The same input and options give the same bytes.\n"
        "The page has, beside this, the same frames from the root up, or from the innermost frame out; one process or\n"
        "thread; a stretch of time (in some hundred steps; sums are exact, the moment of a sample is to some ten\n"
        "milliseconds; CPU time is shared out in proportion to time); a table that follows what is chosen; file.py:42\n"
        "as a search; ? shows its keys. It holds at most 500,000 different (frame, thread, step): of a recording\n"
        "with more the steps get wider. It needs JavaScript; --invert and --order say how it opens.",
    .groups =
        REPORT_FILTER | REPORT_NAMING | REPORT_THREADS | REPORT_SHAPE | REPORT_MEASURE | REPORT_INVERT | REPORT_REPLAY,
    .own = rows,
    .own_option = flame_option,
    .run = cmd_flamegraph,
    .replays = is_page,
};
