#include "pyspy-report/cmd.h"

#include <stdio.h>

#include "libcommon/buf.h"
#include "libcommon/err.h"
#include "libcommon/log.h"
#include "pyspy-report/exchange/hide.h"
#include "pyspy-report/report_copy.h"
#include "pyspy-report/report_job.h"

enum {
	ANONYMIZE_SALT = REPORT_OWN,
	ANONYMIZE_FUNCTIONS,
	ANONYMIZE_KEEP_FUNCTIONS,
	ANONYMIZE_FILES,
	ANONYMIZE_THREADS,
	ANONYMIZE_KEEP_NOTES
};

static const struct arg_option rows[] = {
    {ANONYMIZE_SALT, 0, "salt", "TEXT",
     "stand-ins are hashes (SHA-256) with this text instead of numbers: the same name has the same stand-in in all "
     "recordings with this salt; keep it to yourself"},
    {ANONYMIZE_FUNCTIONS, 0, "functions", NULL,
     "hide the names of own functions, modules and files too; those of the standard library and of packages stay"},
    {ANONYMIZE_KEEP_FUNCTIONS, 0, "keep-functions", NULL, "names of functions stay (as without --functions)"},
    {ANONYMIZE_FILES, 0, "files", NULL, "hide the names of own files, not only the folder that they are in"},
    {ANONYMIZE_THREADS, 0, "threads", NULL, "hide the names of threads"},
    {ANONYMIZE_KEEP_NOTES, 0, "keep-notes", NULL, "the recording's notes (--note) stay"},
    {0},
};

static struct hide_rules rules;

static int anonymize_option(int id, const char *value, char *message, size_t size)
{
	if (id == ANONYMIZE_SALT && !*value) {
		snprintf(message, size, "wrong value '' for --salt: a text that is not empty");
		return ERR_USAGE;
	}
	if (id == ANONYMIZE_SALT)
		rules.salt = value;
	else if (id == ANONYMIZE_FUNCTIONS || id == ANONYMIZE_KEEP_FUNCTIONS)
		rules.functions = id == ANONYMIZE_FUNCTIONS;
	else if (id == ANONYMIZE_FILES)
		rules.files = true;
	else if (id == ANONYMIZE_THREADS)
		rules.threads = true;
	else
		rules.notes = true;
	return 0;
}

/* What is secret must be known before the first text is written. */
static int look(struct report_copy *c, struct hide *h)
{
	int status = report_input_list(&c->input, &c->options);

	for (size_t i = 0; i < c->input.sources.n && !status; i++) {
		int rc = hide_look_begin(h);

		status = rc ? report_trouble_failed("cannot start", rc)
		            : report_input_read(&c->input.sources.v[i],
		                                &(struct feed_to){hide_look_feed, hide_look_finish, h, NULL}, true);
	}
	return status;
}

static void say(const struct hide *h)
{
	struct buf b;

	buf_init(&b, 0);
	hide_say(h, &b);
	log_info("hidden: %s; and who built the kernel and Python, user ids, the recording's id", buf_cstr(&b));
	log_info("kept: %s%s%sPython's and packages' names, lines, pids, times, samples",
	         h->rules.functions ? "" : "names of functions (--functions hides them), ",
	         h->rules.files || h->rules.functions ? "" : "own files below their folder (--files), ",
	         h->rules.threads ? "" : "names of threads (--threads), ");
	buf_done(&b);
}

static int cmd_anonymize(const struct report_verb *verb, int argc, char **argv)
{
	struct report_copy c;
	struct hide h;
	int status = report_copy_begin(&c, verb, argc, argv);

	if (status != REPORT_GO_ON)
		return status;
	int rc = hide_init(&h, &rules);
	if (rc)
		status = report_copy_drop(&c, report_trouble_failed("cannot start", rc));
	else if (look(&c, &h))
		status = report_copy_drop(&c, REPORT_ERROR);
	if (status == REPORT_GO_ON) {
		struct copyist_hooks hooks = hide_hooks(&h);
		status = report_copy_run(&c, &hooks);
	}
	if (status == REPORT_GO_ON) {
		say(&h);
		status = report_copy_end(&c);
	}
	hide_done(&h);
	return status;
}

const struct report_verb cmd_anonymize_verb = {
    .name = "anonymize",
    .summary = "The same recording without names of hosts, users, folders and commands.",
    .examples = "  pyspy-report anonymize -o share.pyspy app.pyspy\n"
                "  pyspy-report anonymize --functions --threads -o share.pyspy app.pyspy\n"
                "  pyspy-report anonymize --salt \"$SECRET\" -o web-1.share.pyspy web-1.pyspy\n",
    .about =
        "Numbers, structure and times are those of the input. Instead of names stand host-1, user-1, folder-1, arg-1, "
        "...\n"
        "Hidden: hosts and boot ids; users (of /home/NAME, wherever the name begins a word, in any text); the folder "
        "of own\n"
        "code (a file is /folder-1/app/views.py), of Pythons and of virtual environments; words of command lines but "
        "the\n"
        "interpreter, one-letter options and names of .py files; notes; user ids; who built the kernel and Python. "
        "Kept:\n"
        "names of functions, files below their folder and threads, unless told otherwise; names in the standard "
        "library\n"
        "and in packages; versions, pids. Look at the result (`pyspy-report info`, `script`) before you share it: a\n"
        "function or file that is called after a customer keeps its name without --functions.\n"
        "Several files become one, as with merge.",
    .groups = 0,
    .own = rows,
    .own_option = anonymize_option,
    .run = cmd_anonymize,
};
