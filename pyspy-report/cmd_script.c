#include "pyspy-report/cmd.h"

#include <string.h>

#include "libcommon/err.h"
#include "pyspy-report/query/summary.h"
#include "pyspy-report/report_input.h"
#include "pyspy-report/report_output.h"
#include "pyspy-report/view/caption.h"
#include "pyspy-report/view/sample_lines.h"

/* Lines are written while the input is read, so that memory does not grow with it. */
struct script {
	struct report_options options;
	struct report_output output;
	struct profile profile;
	struct naming naming;
	struct filter filter;
	struct sample_lines lines;
	bool has_lines;
};

static int on_sample(void *ctx, const struct profile *p, const struct replay_sample *sample)
{
	struct script *s = ctx;

	if (!s->has_lines) { /* the first sample: the recording's view defaults are known now */
		struct naming_options o = report_options_naming(&s->options, p);

		s->has_lines = true;
		s->filter = report_options_filter(&s->options, p);
		TRY(naming_init(&s->naming, &s->profile, &o));
		sample_lines_init(&s->lines, s->output.file, &s->naming, report_options_threads(&s->options, p));
	}
	return filter_keeps(&s->filter, sample->flags) ? sample_lines_write(&s->lines, p, sample) : 0;
}

static int finish(struct script *s)
{
	struct summary summary;
	int status = report_output_close(&s->output), rc;

	if (status != REPORT_OK)
		return status;
	rc = summary_build(&summary, &s->profile, &s->filter);
	if (!rc)
		caption_log(&s->profile, &summary, &s->filter);
	summary_done(&summary);
	return report_input_damage(&s->profile, &s->options);
}

static int cmd_script(const struct report_verb *verb, int argc, char **argv)
{
	struct script s;
	int rc, status;

	memset(&s, 0, sizeof s);
	rc = report_options_parse(&s.options, verb, argc, argv);
	if (rc || report_output_open(&s.output, &s.options)) {
		report_options_done(&s.options);
		return rc < 0 ? REPORT_USAGE : rc > 0 ? REPORT_OK : REPORT_ERROR;
	}
	rc = report_input_load(&s.profile, &s.options, &(struct load_options){.sample = on_sample, .ctx = &s});
	if (!s.has_lines)
		s.filter = report_options_filter(&s.options, &s.profile);
	if (rc == 0 || rc == ERR_IO) { /* a failed output is report_output_close's to tell */
		status = finish(&s);
	} else {
		report_output_drop(&s.output);
		status = REPORT_ERROR;
	}
	if (s.has_lines) {
		sample_lines_done(&s.lines);
		naming_done(&s.naming);
	}
	profile_done(&s.profile);
	report_options_done(&s.options);
	return status;
}

const struct report_verb cmd_script_verb = {
    .name = "script",
    .summary = "Every sample on a line of its own, in order of time, for scripts.",
    .examples = "  pyspy-report script -i app.pyspy | less -S\n"
                "  pyspy-report script app.pyspy | awk -F'\\t' '$3 == \"MainThread\" {print $7}'\n",
    .about =
        "Columns, separated by tabs:\n"
        "  1 time    seconds since the recording began, 6 decimals\n"
        "  2 thread  pid/tid\n"
        "  3 name    of the thread; - when it has none\n"
        "  4 state   unknown on-cpu runnable active (on-cpu or runnable) sleeping disk stopped\n"
        "  5 marks   separated by commas, - when there are none:\n"
        "            gil (holds it), gil-wait (waits for it), gc (the collector runs), in-motion (never certified:\n"
        "            shown as [in motion]), cut (outer frames missing: [cut]), lost (stack not in the file: [lost]),\n"
        "            unproved (a code object could not be proved), event=NS (stands for NS of the thread's\n"
        "            time: on a CPU when the state is on-cpu or active, else off it)\n"
        "  6 way     outside (read while it ran) still (it slept, or its CPU was held)\n"
        "            kernel (on its CPU; or the stack with which it left it, when the state is another one) stopped\n"
        "  7 stack   frames from the outermost in, separated by ';', as `pyspy-report raw` writes them\n"
        "Control characters in names are written \\n, \\t, \\x1b and so on.",
    .groups = REPORT_FILTER | REPORT_NAMING | REPORT_THREADS,
    .run = cmd_script,
};
