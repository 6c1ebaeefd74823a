#include "pyspy-report/cmd.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "libcommon/err.h"
#include "pyspy-report/report_job.h"
#include "pyspy-report/report_live.h"
#include "pyspy-report/view/top_table.h"

enum { TOP_BY = REPORT_OWN, TOP_SORT, TOP_LIMIT, TOP_CSV, TOP_JSON };
enum { TOP_TERMINAL_ROWS = 30, TOP_LIVE_ROWS = 20 };

static const struct arg_option rows[] = {
    {TOP_BY, 0, "by", "function|line|file|module|thread", "what a row is; default function (as -F)"},
    {TOP_SORT, 0, "sort", "self|total", "what the first row has most of; default self, of threads total"},
    {TOP_LIMIT, 'L', "limit", "N", "at most N rows, 0 = all; default 30 on a terminal, else all"},
    {TOP_CSV, 0, "csv", NULL, "for programs and spreadsheets: CSV with a header row that names units"},
    {TOP_JSON, 'j', "json", NULL, "for programs: one JSON document with schema_version, filters, totals, rows"},
    REPORT_LIVE_ROWS,
    {0},
};

static const struct {
	const char *word;
	enum rank_by by;
	bool by_line;
} top_by[] = {
    {"function", RANK_FRAME, false}, {"line", RANK_FRAME, true},     {"file", RANK_FILE, false},
    {"module", RANK_MODULE, false},  {"thread", RANK_THREAD, false},
};

static struct {
	bool by_line, by_is_set, limit_is_set;
	enum sheet_format format;
	struct rank_options rank;
	struct top_table_options table;
} top;

static int top_option(int id, const char *value, char *message, size_t size)
{
	char *end;
	unsigned long n;

	if (id >= LIVE_PID)
		return report_live_option(id, value, message, size);
	if (id == TOP_CSV || id == TOP_JSON) {
		top.format = id == TOP_CSV ? SHEET_CSV : SHEET_JSON;
		return 0;
	}
	for (size_t i = 0; id == TOP_BY && i < sizeof top_by / sizeof *top_by; i++) {
		if (strcmp(value, top_by[i].word) != 0)
			continue;
		top.by_line = top_by[i].by_line;
		top.rank.by = top_by[i].by;
		top.by_is_set = true;
		return 0;
	}
	if (id == TOP_SORT && (strcmp(value, "self") == 0 || strcmp(value, "total") == 0)) {
		top.rank.order = strcmp(value, "self") == 0 ? RANK_SELF : RANK_TOTAL;
		return 0;
	}
	if (id == TOP_LIMIT) {
		errno = 0;
		n = strtoul(value, &end, 10);
		if (*value >= '0' && *value <= '9' && !*end && !errno) {
			top.table.limit = n;
			top.limit_is_set = true;
			return 0;
		}
	}
	snprintf(message, size, "%s",
	         id == TOP_BY     ? "--by wants function, line, file, module or thread"
	         : id == TOP_SORT ? "--sort wants self or total"
	                          : "--limit wants a number of rows, 0 for all");
	return ERR_USAGE;
}

static int run_live(const struct report_options *o, char *const *words, size_t n)
{
	struct report_live_how how = {
	    .by_line = top.by_is_set ? top.by_line : o->function == REPORT_NO,
	    .by_thread = top.rank.by == RANK_THREAD,
	    .by_total = top.rank.order == RANK_TOTAL,
	    .limit = !top.limit_is_set ? TOP_LIVE_ROWS
	             : top.table.limit ? top.table.limit
	                               : SIZE_MAX,
	    .unfitting = top.format ? "--csv and --json" : NULL,
	};

	if (top.rank.by == RANK_FILE || top.rank.by == RANK_MODULE)
		how.unfitting = "--by file and module";
	return report_live_run(o, &how, words, n);
}

/* Something that runs is asked for: REPORT_GO_ON when not, else the exit status. */
static int cmd_top_live(const struct report_verb *verb, int argc, char **argv)
{
	struct report_options o;
	int n = 1, rc;

	while (n < argc && strcmp(argv[n], "--") != 0)
		n++;
	rc = report_options_parse(&o, verb, n, argv);
	if (rc)
		rc = rc < 0 ? REPORT_USAGE : REPORT_OK;
	else if (report_live_is_asked(n < argc))
		rc = run_live(&o, n < argc ? argv + n + 1 : NULL, n < argc ? (size_t)(argc - n - 1) : 0);
	else
		rc = report_live_unasked() ? REPORT_USAGE : REPORT_GO_ON;
	report_options_done(&o);
	return rc;
}

static int cmd_top(const struct report_verb *verb, int argc, char **argv)
{
	struct report_job j;
	struct rank rank;
	int rc, status = cmd_top_live(verb, argc, argv);

	if (status != REPORT_GO_ON)
		return status;
	status = report_job_begin(&j, verb, argc, argv);
	if (status != REPORT_GO_ON)
		return status;
	struct naming_options naming = report_options_naming(&j.options, &j.profile);
	struct tree_options tree = report_job_rows(&j);
	if (top.by_is_set)
		naming.by_function = !top.by_line;
	else if (j.options.function == REPORT_UNSET)
		naming.by_function = true;
	if (top.by_is_set)
		naming.group = NAMING_FUNCTIONS;
	if (top.rank.by == RANK_THREAD) {
		tree.shape.threads = true;
		top.rank.order = RANK_TOTAL;
	}
	status = report_job_tree(&j, &naming, &tree);
	if (status != REPORT_GO_ON)
		return status;
	if (!top.limit_is_set && top.format == SHEET_TEXT && j.output.is_stdout && isatty(STDOUT_FILENO))
		top.table.limit = TOP_TERMINAL_ROWS;
	rc = rank_build(&rank, &j.tree, &j.naming, &top.rank);
	if (!rc)
		rc = top.format ? top_table_sheet(j.output.file, top.format, &rank, &j.naming, &j.tree.options,
		                                  &j.summary, &j.filter, &top.table)
		                : top_table_write(j.output.file, &rank, &j.naming, &j.tree.options, &j.summary,
		                                  &j.filter, &top.table);
	rank_done(&rank);
	return report_job_end(&j, rc, top.format == SHEET_TEXT);
}

const struct report_verb cmd_top_verb = {
    .name = "top",
    .summary = "What took the time: a table of functions, lines, files, modules or threads.",
    .examples = "  pyspy-report top app.pyspy\n"
                "  pyspy-report top --by line --sort total -L 20 app.pyspy\n"
                "  pyspy-report top -g app.pyspy                        who holds the GIL\n"
                "  pyspy-report top --by module app.pyspy               which libraries\n"
                "  pyspy-report top -p 4711                             live: a running program, on the whole screen\n"
                "  pyspy-report top -- python3 app.py                   live: a program that is started\n"
                "  pyspy-report top --live -- -p 4711 --max-cpu 1%      live, with pyspy-record's own options\n"
                "  ssh host pyspy-record -o - --flush 200ms -p 4711 | pyspy-report top --follow -\n"
                "  pyspy-report top --csv app.pyspy >top.csv            for spreadsheets, sqlite3 .import ...\n"
                "  pyspy-report top --json app.pyspy | jq .rows[0]      for scripts\n",
    .about =
        "self: samples in which it was the innermost frame; total: in which it was anywhere in the stack (recursion\n"
        "counts once). Percentages are of the samples shown; times are what these samples stand for, summed over\n"
        "threads. In a recording by the kernel each sample stands for a time of its own: there percentages and order\n"
        "are of time, and the numbers of samples (self n, total n) only say how sure they are.\n"
        "[in motion] is what could not be told apart below a caller; [no Python frame] a thread without one.\n"
        "--csv and --json have percentages with four decimals, counts and nanoseconds; a CSV cell that begins with\n"
        "= + - @ has \\x3d and so on there, so that no spreadsheet runs it.\n"
        "\n"
        "Live: pyspy-record runs beside this program, as -- PROGRAM or -p PID asks. On a terminal the whole screen is "
        "a\n"
        "table that goes on: ? shows its keys, q quits and ends a program that was started. Percentages are of wall\n"
        "time per thread: 100 % is all the time of the threads that have rows, so never more. Otherwise a plain table\n"
        "comes every --delay. The last picture stays; the exit status is the program's (125: the recorder failed), 0\n"
        "after q and Ctrl-C. The program's output goes to a file in TMPDIR that is named at the end. What the key s\n"
        "saves is a recording: pyspy-report top FILE has the same numbers.",
    .groups = REPORT_FILTER | REPORT_NAMING | REPORT_THREADS | REPORT_SHAPE | REPORT_MEASURE,
    .own = rows,
    .own_option = top_option,
    .run = cmd_top,
};
