#include "pyspy-report/cmd.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "libcommon/err.h"
#include "libcommon/log.h"
#include "pyspy-report/query/around.h"
#include "pyspy-report/report_job.h"
#include "pyspy-report/view/call_tree.h"
#include "pyspy-report/view/facts_json.h"
#include "pyspy-report/view/top_table.h"

enum { TREE_OF = REPORT_OWN, TREE_CALLERS, TREE_CALLEES, TREE_MIN_SHARE, TREE_DEPTH, TREE_CSV, TREE_JSON };
static const double DEFAULT_MIN_PERCENT = 0.5;

static const struct arg_option rows[] = {
    {TREE_OF, 0, "of", "REGEX", "callers and callees of the functions that match"},
    {TREE_CALLERS, 0, "callers", "REGEX", "only the callers"},
    {TREE_CALLEES, 0, "callees", "REGEX", "only the callees"},
    {TREE_MIN_SHARE, 0, "min-share", "PERCENT", "no line for less; default 0.5, with --csv and --json 0"},
    {TREE_DEPTH, 0, "depth", "N", "at most N levels, 0 = all (the default)"},
    {TREE_CSV, 0, "csv", NULL, "for programs and spreadsheets: CSV with a header row that names units"},
    {TREE_JSON, 'j', "json", NULL, "for programs: one JSON document with schema_version, filters, totals, rows"},
    {0},
};

static struct {
	struct filter_patterns of;
	int of_id; /* the option that gave them */
	bool min_is_set;
	enum sheet_format format;
	struct call_tree_options view;
} tree;

static int take_pattern(int id, const char *value, char *message, size_t size)
{
	static const char *const names[] = {[TREE_OF - REPORT_OWN] = "--of",
	                                    [TREE_CALLERS - REPORT_OWN] = "--callers",
	                                    [TREE_CALLEES - REPORT_OWN] = "--callees"};
	struct pattern p;
	char why[200];
	int rc;

	if (tree.of_id && tree.of_id != id) {
		snprintf(message, size, "--of, --callers and --callees exclude each other");
		return ERR_USAGE;
	}
	tree.of_id = id;
	rc = pattern_init(&p, value, true, why, sizeof why);
	if (rc == ERR_USAGE)
		snprintf(message, size, "%s: %s", names[id - REPORT_OWN], why);
	TRY(rc);
	if (vec_push(&tree.of.list, p))
		return 0;
	pattern_done(&p);
	return ERR_NO_MEMORY;
}

static int tree_option(int id, const char *value, char *message, size_t size)
{
	char *end;
	double d;

	switch (id) {
	case TREE_OF:
	case TREE_CALLERS:
	case TREE_CALLEES:
		return take_pattern(id, value, message, size);
	case TREE_CSV:
	case TREE_JSON:
		tree.format = id == TREE_CSV ? SHEET_CSV : SHEET_JSON;
		return 0;
	case TREE_MIN_SHARE:
		d = strtod(value, &end);
		end += *end == '%';
		tree.view.min_percent = d;
		tree.min_is_set = true;
		if (*value >= '0' && *value <= '9' && !*end && isfinite(d) && d <= 100)
			return 0;
		snprintf(message, size, "--min-share wants a number of percent, 0 to 100");
		return ERR_USAGE;
	default:
		tree.view.depth = (uint32_t)strtoul(value, &end, 10);
		if (*value >= '0' && *value <= '9' && !*end && strlen(value) < 10)
			return 0;
		snprintf(message, size, "--depth wants a number of levels, 0 for all");
		return ERR_USAGE;
	}
}

/* By frame of the naming. NULL: no memory. */
static bool *matching(const struct naming *n)
{
	bool *list = calloc(n->frames.n + 1, sizeof *list);
	struct buf b;

	buf_init(&b, 0);
	for (uint32_t i = 0; i < n->frames.n && list; i++) {
		const struct naming_frame *f = &n->frames.v[i];
		size_t len;
		const char *name = naming_name(n, i, &len);

		if (f->kind == NAMING_PROCESS || f->kind == NAMING_THREAD)
			continue;
		if (f->location) {
			struct profile_location l = profile_location_of(n->profile, f->location);
			list[i] = filter_matches(&tree.of, n->profile, &l, &b);
		}
		for (size_t k = 0; k < tree.of.list.n && !f->location; k++) /* frames of our own: [cut] */
			list[i] |= pattern_finds(&tree.of.list.v[k], name, len);
	}
	if (b.err) {
		free(list);
		list = NULL;
	}
	buf_done(&b);
	return list;
}

struct part {
	const char *name, *title;
	const struct tree *tree;
	bool is_callers;
};

static int write_text(struct report_job *j, const struct part *parts, size_t n)
{
	int rc = 0;

	top_table_header(j->output.file, &j->naming, &j->tree.options, &j->summary, &j->filter);
	for (size_t i = 0; i < n && !rc; i++) {
		struct call_tree_options o = tree.view;

		o.is_callers = parts[i].is_callers;
		fprintf(j->output.file, "\n%s%s", parts[i].title, *parts[i].title ? "\n" : "");
		rc = call_tree_write(j->output.file, parts[i].tree, &j->naming, &o);
	}
	return rc;
}

static int write_sheet(struct report_job *j, const struct part *parts, size_t n)
{
	json_t *head = tree.format == SHEET_JSON ? facts_json("tree", &j->profile, &j->summary, &j->filter) : NULL;
	struct sheet_column columns[CALL_TREE_COLUMNS];
	struct sheet s;
	int err, rc;

	if (head) {
		json_object_set_new(head, "min_percent", json_real(tree.view.min_percent));
		json_object_set_new(head, "max_depth", tree.view.depth ? json_integer(tree.view.depth) : json_null());
	}
	memcpy(columns, call_tree_columns, sizeof columns);
	facts_json_columns(columns, CALL_TREE_COLUMNS, j->tree.measure);
	rc = sheet_begin(&s, j->output.file, tree.format, columns, CALL_TREE_COLUMNS, head);
	for (size_t i = 0; i < n && !rc; i++) {
		struct call_tree_options o = tree.view;

		o.is_callers = parts[i].is_callers;
		rc = call_tree_rows(&s, parts[i].name, parts[i].tree, &j->naming, &o);
	}
	err = sheet_end(&s);
	return rc == ERR_IO ? 0 : rc ? rc : err;
}

static int write_parts(struct report_job *j, const struct part *parts, size_t n)
{
	return tree.format ? write_sheet(j, parts, n) : write_text(j, parts, n);
}

static int write_around(struct report_job *j)
{
	bool *matches = matching(&j->naming);
	/* one level more than is shown, so that it can be said what is left out */
	struct around_options o = {matches, tree.view.depth ? tree.view.depth + 1 : 0};
	struct around a = {0};
	struct part parts[2];
	size_t n = 0;
	int rc = matches ? around_build(&a, &j->tree, &j->naming, &o) : ERR_NO_MEMORY;

	if (!rc && !a.n_frames)
		log_info("no function matches in the samples that are left");
	if (tree.of_id != TREE_CALLEES)
		parts[n++] = (struct part){"callers", "callers, from the innermost outwards", &a.callers, true};
	if (tree.of_id != TREE_CALLERS)
		parts[n++] = (struct part){"callees", "callees", &a.callees, false};
	if (!rc)
		rc = write_parts(j, parts, n);
	around_done(&a);
	free(matches);
	return rc;
}

static int show(struct report_job *j)
{
	struct part whole = {"tree", "", &j->tree, j->options.invert};

	if (!tree.min_is_set && !tree.format)
		tree.view.min_percent = DEFAULT_MIN_PERCENT;
	tree.view.all = summary_shares(&j->summary, &j->summary.kept)->n;
	return tree.of_id ? write_around(j) : write_parts(j, &whole, 1);
}

static void patterns_done(void)
{
	for (size_t i = 0; i < tree.of.list.n; i++)
		pattern_done(&tree.of.list.v[i]);
	vec_free(&tree.of.list);
}

static int cmd_tree(const struct report_verb *verb, int argc, char **argv)
{
	struct report_job j;
	int status = report_job_begin(&j, verb, argc, argv);

	if (status == REPORT_GO_ON) {
		struct naming_options naming = report_options_naming(&j.options, &j.profile);
		struct tree_options o = report_job_rows(&j);

		if (j.options.function == REPORT_UNSET)
			naming.by_function = true;
		o.invert &= !tree.of_id; /* callers are the other way round already */
		status = report_job_tree(&j, &naming, &o);
	}
	if (status == REPORT_GO_ON)
		status = report_job_end(&j, show(&j), tree.format == SHEET_TEXT);
	patterns_done();
	return status;
}

const struct report_verb cmd_tree_verb = {
    .name = "tree",
    .summary = "Who calls what: the call tree as text; callers and callees of a function.",
    .examples = "  pyspy-report tree app.pyspy | less -S\n"
                "  pyspy-report tree --of 'function:^Parser\\.parse$' app.pyspy   its callers and its callees\n"
                "  pyspy-report tree --depth 3 --min-share 5 app.pyspy\n"
                "  pyspy-report tree --json app.pyspy                           all of it, for programs\n",
    .about = "Children are indented below their parent, the heaviest first. What weighs less than --min-share or lies\n"
             "deeper than --depth has no line: `... 3 more callees` says how many and what they weigh together.\n"
             "--of takes of each stack the outermost function that matches (REGEX as of --focus, below; given again: "
             "one of\n"
             "them): recursion counts once, and callers and callees add up to the same total. Percentages are of all "
             "samples\n"
             "shown; of time where samples stand for times of their own (see top --help).",
    .groups = REPORT_FILTER | REPORT_NAMING | REPORT_THREADS | REPORT_SHAPE | REPORT_MEASURE | REPORT_INVERT,
    .own = rows,
    .own_option = tree_option,
    .run = cmd_tree,
};
