#include "pyspy-report/cmd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/query/line_shares.h"
#include "pyspy-report/report_job.h"
#include "pyspy-report/view/source_page.h"
#include "pyspy-report/view/top_table.h"

enum {
	LINES_SOURCE_DIR = REPORT_OWN,
	LINES_FILE,
	LINES_MIN_SHARE,
	LINES_CONTEXT,
	LINES_WHOLE,
	LINES_SORT,
	LINES_CSV,
	LINES_JSON,
	LINES_HTML
};

static const struct arg_option rows[] = {
    {LINES_SOURCE_DIR, 0, "source-dir", "DIR", "look for sources there too (may be repeated)"},
    {LINES_FILE, 0, "file", "REGEX", "only files whose recorded path matches"},
    {LINES_MIN_SHARE, 0, "min-share", "PERCENT", "no file with less in total; default 1, with --csv and --json 0"},
    {LINES_CONTEXT, 0, "context", "N", "lines shown around those that took time; default 2, in a page all"},
    {LINES_WHOLE, 0, "whole", NULL, "all lines of a file"},
    {LINES_SORT, 0, "sort", "self|total", "what the first file has most of; default self"},
    {LINES_CSV, 0, "csv", NULL, "for programs and spreadsheets: CSV with a header row that names units"},
    {LINES_HTML, 0, "html", NULL,
     "a page with the sources as a heat map; so by itself where the output's name ends in .html or .htm"},
    {LINES_JSON, 'j', "json", NULL, "for programs: one JSON document with schema_version, filters, totals, rows"},
    {0},
};

static struct {
	VEC(const char *) folders;
	struct pattern file;
	bool has_file, min_is_set, context_is_set, is_page;
	enum rank_order order;
	enum sheet_format format;
	struct source_lines_options view;
} lines;
enum { LINES_USUAL_CONTEXT = 2 };

static bool wants_file(void *ctx, const char *file, size_t n)
{
	return pattern_finds(ctx, file, n);
}

static int take_pattern(const char *value, char *message, size_t size)
{
	char why[200];
	int rc;

	if (lines.has_file)
		pattern_done(&lines.file);
	lines.has_file = false;
	rc = pattern_init(&lines.file, value, false, why, sizeof why);
	if (rc == ERR_USAGE)
		snprintf(message, size, "--file: %s", why);
	TRY(rc);
	lines.has_file = true;
	return 0;
}

static int lines_option(int id, const char *value, char *message, size_t size)
{
	char *end;
	double d;

	switch (id) {
	case LINES_SOURCE_DIR:
		if (*value && vec_push(&lines.folders, value))
			return 0;
		snprintf(message, size, "--source-dir wants a folder");
		return ERR_USAGE;
	case LINES_FILE:
		return take_pattern(value, message, size);
	case LINES_MIN_SHARE:
		d = strtod(value, &end);
		end += *end == '%';
		lines.view.min_percent = d;
		lines.min_is_set = true;
		if (*value >= '0' && *value <= '9' && !*end && isfinite(d) && d <= 100)
			return 0;
		snprintf(message, size, "--min-share wants a number of percent, 0 to 100");
		return ERR_USAGE;
	case LINES_CONTEXT:
		lines.view.context = (uint32_t)strtoul(value, &end, 10);
		lines.context_is_set = true;
		if (*value >= '0' && *value <= '9' && !*end && strlen(value) < 9)
			return 0;
		snprintf(message, size, "--context wants a number of lines");
		return ERR_USAGE;
	case LINES_HTML:
		lines.is_page = true;
		return 0;
	case LINES_WHOLE:
		lines.view.whole = true;
		return 0;
	case LINES_SORT:
		lines.order = strcmp(value, "total") == 0 ? RANK_TOTAL : RANK_SELF;
		if (lines.order == RANK_TOTAL || strcmp(value, "self") == 0)
			return 0;
		snprintf(message, size, "--sort wants self or total");
		return ERR_USAGE;
	default:
		lines.format = id == LINES_CSV ? SHEET_CSV : SHEET_JSON;
		return 0;
	}
}

static int write_lines(struct report_job *j)
{
	struct line_shares shares;
	int rc = line_shares_build(&shares, &j->tree, &j->naming, lines.order);

	lines.view.folders = lines.folders.v;
	lines.view.wants = lines.has_file ? wants_file : NULL;
	lines.view.ctx = &lines.file;
	lines.is_page |= !lines.format && report_output_is_html(&j->options);
	if (!lines.min_is_set && !lines.format)
		lines.view.min_percent = 1;
	if (!lines.context_is_set)
		lines.view.context = lines.is_page ? UINT32_MAX : LINES_USUAL_CONTEXT;
	if (!rc && lines.is_page) {
		rc = source_page_write(j->output.file, &shares, &j->naming, &j->summary, &j->filter, &lines.view);
		line_shares_done(&shares);
		return rc;
	}
	if (!rc && lines.format)
		rc = source_lines_sheet(j->output.file, lines.format, &shares, &j->naming, &j->summary, &j->filter,
		                        &lines.view);
	if (!rc && !lines.format) {
		top_table_header(j->output.file, &j->naming, NULL, &j->summary, &j->filter);
		rc = source_lines_write(j->output.file, &shares, &j->naming, &j->summary, &lines.view);
	}
	line_shares_done(&shares);
	return rc;
}

static int cmd_lines(const struct report_verb *verb, int argc, char **argv)
{
	struct report_job j;
	int status = report_job_begin(&j, verb, argc, argv);

	if (status == REPORT_GO_ON) {
		struct naming_options naming = {.full_filenames = true};

		status = report_job_tree(&j, &naming, &(struct tree_options){0});
	}
	if (status == REPORT_GO_ON) {
		int rc = vec_push(&lines.folders, NULL) ? write_lines(&j) : ERR_NO_MEMORY;
		status = report_job_end(&j, rc, lines.format == SHEET_TEXT && !lines.is_page);
	}
	vec_free(&lines.folders);
	if (lines.has_file)
		pattern_done(&lines.file);
	return status;
}

const struct report_verb cmd_lines_verb = {
    .name = "lines",
    .summary = "Source text with what each line took.",
    .examples = "  pyspy-report lines app.pyspy\n"
                "  pyspy-report lines --source-dir ~/src/app app.pyspy  where the sources are not at their old place\n"
                "  pyspy-report lines --file '/parse\\.py$' --whole app.pyspy\n"
                "  pyspy-report lines -o lines.html app.pyspy           a page: the sources as a heat map\n"
                "  pyspy-report lines --csv app.pyspy >lines.csv\n",
    .about =
        "Files that took most themselves come first. self: the line itself ran; total: it, or what it called (a line\n"
        "that is several times in a stack counts once). Sources are taken from their recorded path, from --source-dir\n"
        "(the longest tail of the path that is there: of a/b/c.py b/c.py before c.py), relative ones from the "
        "program's\n"
        "folders. Where functions do not begin where they did, or a recorded line is behind the end, it is said that\n"
        "the source is not the one that was recorded. Without a source the numbers of the lines are shown.\n"
        "The page holds the sources in full (of files with more than 5,000 lines what is near lines that took time;\n"
        "--context N: so of all): whoever gets the page gets them. It asks nothing from a network.",
    .groups = REPORT_FILTER | REPORT_MEASURE,
    .own = rows,
    .own_option = lines_option,
    .run = cmd_lines,
};
