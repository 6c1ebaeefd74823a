#include "pyspy-record/record_options.h"

#include <stdlib.h>
#include <string.h>

#include "libcommon/args.h"
#include "libcommon/clock.h"
#include "libcommon/err.h"
#include "libcommon/human.h"
#include "libcommon/log.h"
#include "pyspy-record/option_word.h"

enum {
	OPT_PID = 1,
	OPT_OUTPUT,
	OPT_FORMAT,
	OPT_NO_KEEP,
	OPT_RATE,
	OPT_DURATION,
	OPT_WAIT,
	OPT_FLUSH,
	OPT_MAX_STOP,
	OPT_MAX_CPU,
	OPT_NONBLOCKING,
	OPT_BLOCKING,
	OPT_ENGINE,
	OPT_NOTE,
	OPT_QUIET,
	OPT_GIL,
	OPT_IDLE,
	OPT_THREADS,
	OPT_FUNCTION,
	OPT_NOLINENO,
	OPT_FULL_FILENAMES,
	OPT_HELP,
	OPT_VERSION,
	OPT_SUBPROCESSES,
	OPT_NATIVE,
};

static const struct arg_option table[] = {
    {OPT_PID, 'p', "pid", "PID", "look at this process (decimal or 0x hex); may be repeated"},
    {OPT_OUTPUT, 'o', "output", "FILE",
     "where to write; - is standard output. Default: PROGRAM-TIME.pyspy. A\nview in one step: .svg, .speedscope.json, "
     ".html, .trace.json, .pb.gz,\n.folded, .firefox.json; the recording is kept beside it"},
    {OPT_FORMAT, 'f', "format", "FORMAT",
     "this view, whatever the file is called: flamegraph, html, speedscope,\nraw, chrometrace, pprof or firefox"},
    {OPT_NO_KEEP, 0, "no-keep", NULL, "drop the recording once its view is there"},
    {OPT_RATE, 'r', "rate", "HZ", "samples a second, 0.01 to 100000 (100; 1k is 1000)"},
    {OPT_DURATION, 'd', "duration", "TIME", "record this long: 10, 1.5, 500ms, 10s, 2m, 1h (until the program ends)"},
    {OPT_ENGINE, 0, "engine", "NAME",
     "who samples running threads: kernel (root, or CAP_BPF and CAP_PERFMON),\noutside, or auto: the kernel where it "
     "may"},
    {OPT_NONBLOCKING, 0, "nonblocking", NULL, "never hold a thread up, not even for a moment"},
    {OPT_BLOCKING, 0, "blocking", NULL,
     "stop each running thread for every sample, as other profilers do. For\ncomparison only: stops come to rest in "
     "system "
     "calls, which are seen too\noften. Implies --engine outside; --max-stop does not bound it"},
    {OPT_MAX_STOP, 0, "max-stop", "PERCENT",
     "threads may be stopped for this part of the time (0.2), and wait on their\nCPU for 5 times that"},
    {OPT_MAX_CPU, 0, "max-cpu", "PERCENT",
     "the recorder itself uses so much of one CPU at most, 0.01 to 100: it\nsamples less often for that, and the file "
     "says so. What sampling\ncosts the program is not counted, nor is the start"},
    {OPT_WAIT, 0, "wait", "TIME", "how long a program may take until Python appears\n(10s)"},
    {OPT_FLUSH, 0, "flush", "TIME", "write at least this often, 100ms to 60s (1s)"},
    {OPT_NOTE, 0, "note", "KEY=VALUE", "keep this in the recording; may be repeated"},
    {OPT_QUIET, 'q', "quiet", NULL, "say nothing but errors"},
    {OPT_GIL, 'g', "gil", NULL, "views show only threads that hold the GIL"},
    {OPT_IDLE, 'i', "idle", NULL, "views show idle threads too"},
    {OPT_THREADS, 't', "threads", NULL, "views show threads apart"},
    {OPT_FUNCTION, 'F', "function", NULL, "views add up by function, not by line"},
    {OPT_NOLINENO, 0, "nolineno", NULL, "views leave line numbers out"},
    {OPT_FULL_FILENAMES, 0, "full-filenames", NULL, "views show whole file names"},
    {OPT_HELP, 'h', "help", NULL, "this help"},
    {OPT_VERSION, 'V', "version", NULL, "print the version"},
    /* known from py-spy, not there yet */
    {OPT_SUBPROCESSES, 's', "subprocesses", NULL, NULL},
    {OPT_NATIVE, 'n', "native", NULL, NULL},
    {0},
};

void record_options_help(FILE *out)
{
	fputs("Examples:\n"
	      "  pyspy-record -- python3 app.py           start a program and record it\n"
	      "  pyspy-record -p 4711 -d 10               look at a running one for ten seconds\n"
	      "  pyspy-record -o app.svg -- python3 app.py      and draw its flame graph, in one step\n"
	      "  pyspy-record -p 4711 -o - | ssh host 'cat >app.pyspy'\n\n"
	      "Usage: pyspy-record [record] [options] -p PID\n"
	      "       pyspy-record [record] [options] [--] PROGRAM [ARG ...]\n"
	      "       pyspy-record dump [options] -p PID     what each thread does now (dump --help)\n"
	      "       pyspy-record doctor [-p PID]           what can be done here, and what stands in the way\n\n"
	      "Records what a Python program does into a file, while it runs on; pyspy-report shows the file.\n\n"
	      "Options:\n",
	      out);
	args_help(out, table);
	fputs("\nA view is made by the pyspy-report beside this program, never with rights by sudo, when the recording "
	      "is\n"
	      "over; it looks as -g -i -t -F ... ask. app.svg leaves app.pyspy beside it, for other views; when the "
	      "view\n"
	      "fails, or Ctrl-C ends it, the recording is kept in any case and named.\n"
	      "With -o -, a started program's standard output goes to standard error.\n"
	      "-g -i -t -F --nolineno --full-filenames never drop data: they are kept in the recording as the\n"
	      "defaults of its views.\n\n"
	      "Ctrl-C goes to a started program as usual; a second one ends the recording. SIGTERM and SIGHUP finish\n"
	      "the file and are passed on. Exit status: that of the started program; 125 when the recorder failed,\n"
	      "126 and 127 when the program could not be run or found. With -p: 0 fine, 1 error. Always: 2 usage.\n",
	      out);
}

static int add_pid(struct record_options *o, const char *word)
{
	int pid;
	TRY(option_pid(word, &pid));
	for (unsigned i = 0; i < o->n_pids; i++)
		if (o->pids[i] == pid)
			return 0;
	if (o->n_pids == RECORD_OPTIONS_PIDS)
		return option_wrong("-p", word, "too many processes (at most 64); start several recorders");
	o->pids[o->n_pids++] = pid;
	return 0;
}

/* Opened by such a name a file would be written from its beginning; and a program's own output must not get between. */
static const char *const stdout_names[] = {"/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", NULL};

static int set_output(struct record_options *o, const char *word)
{
	if (!*word)
		return option_wrong("-o", word, "an empty file name; name a file, or - for standard output");
	o->output = word;
	for (const char *const *name = stdout_names; *name; name++)
		if (!strcmp(word, *name))
			o->output = "-";
	return 0;
}

static int set_format(struct record_options *o, const char *word)
{
	o->view = view_format_named(word);
	return o->view
	           ? 0
	           : option_wrong(
	                 "-f", word,
	                 "not a format; flamegraph, html, speedscope, raw, chrometrace, pprof or firefox (none for a "
	                 "recording)");
}

/* A view that is asked for by the name of its file. */
static int check_view(struct record_options *o)
{
	const char *refused;
	char what[160];

	if (!o->view && o->output) {
		o->view = view_format_of_file(o->output, &refused);
		if (refused) {
			snprintf(what, sizeof what,
			         "no view of this kind can be written yet; choose another name, such as FILE.svg, or "
			         "FILE.pyspy "
			         "for pyspy-report %s",
			         refused);
			return option_wrong("-o", o->output, what);
		}
	}
	if (o->no_keep && !o->view) {
		log_error("--no-keep: no view is asked for, so nothing would be left; add -o FILE.svg or -f FORMAT");
		return ERR_USAGE;
	}
	return 0;
}

static int set_rate(struct record_options *o, const char *word)
{
	if (human_parse_rate(word, &o->rate_hz) < 0)
		return option_wrong("-r", word, "not a rate; samples a second, such as 100 or 1k");
	if (o->rate_hz < 0.01 || o->rate_hz > 100000)
		return option_wrong("-r", word, "out of range; 0.01 to 100000 samples a second");
	return 0;
}

static int set_time(const char *option, const char *word, uint64_t least_ns, uint64_t most_ns, const char *range,
                    uint64_t *ns)
{
	if (human_parse_duration(word, ns) < 0)
		return option_wrong(option, word, "not a time; seconds, or such as 500ms, 10s, 2m, 1h");
	if (*ns < least_ns || *ns > most_ns)
		return option_wrong(option, word, range);
	return 0;
}

static int set_duration(struct record_options *o, const char *word)
{
	if (!strcmp(word, "unlimited")) { /* as in py-spy */
		o->duration_ns = 0;
		return 0;
	}
	return set_time("-d", word, 1000000, UINT64_MAX, "too short; at least 1ms", &o->duration_ns);
}

/* "0.2", "2%" -> millionths. False: no number from `least` to 100. */
static bool parse_percent(const char *word, double least, uint32_t *ppm)
{
	char *end;
	double percent = strtod(word, &end);
	bool is_number = end > word;
	if (*end == '%')
		end++;
	if (!is_number || *end || !(percent >= least && percent <= 100))
		return false;
	*ppm = (uint32_t)(percent * 10000 + 0.5);
	return true;
}

static int set_max_stop(struct record_options *o, const char *word)
{
	if (!parse_percent(word, 0, &o->stop_ppm))
		return option_wrong("--max-stop", word,
		                    "not a part of the time; a percentage from 0 to 100, such as 0.2");
	o->stop_is_given = true;
	return 0;
}

static int set_max_cpu(struct record_options *o, const char *word)
{
	if (!parse_percent(word, 0.01, &o->cpu_ppm))
		return option_wrong("--max-cpu", word, "not a part of a CPU; a percentage from 0.01 to 100, such as 2");
	return 0;
}

static int set_engine(struct record_options *o, const char *word)
{
	static const char *const names[] = {
	    [RECORD_ENGINE_AUTO] = "auto", [RECORD_ENGINE_KERNEL] = "kernel", [RECORD_ENGINE_OUTSIDE] = "outside"};
	for (size_t i = 0; i < sizeof names / sizeof *names; i++)
		if (!strcmp(word, names[i])) {
			o->engine = (enum record_engine)i;
			return 0;
		}
	return option_wrong("--engine", word, "not an engine; auto, kernel or outside");
}

static int add_note(struct record_options *o, const char *word)
{
	const char *equals = strchr(word, '=');
	if (!equals || equals == word)
		return option_wrong("--note", word, "not KEY=VALUE");
	if (o->n_notes == RECORD_OPTIONS_NOTES)
		return option_wrong("--note", word, "too many notes; at most 64");
	char *key = strndup(word, (size_t)(equals - word));
	if (!key)
		return option_wrong("--note", word, "out of memory");
	o->notes[o->n_notes++] = (struct writer_note){.key = key, .value = equals + 1};
	return 0;
}

static int take(struct record_options *o, int id, const char *value)
{
	switch (id) {
	case OPT_PID:
		return add_pid(o, value);
	case OPT_OUTPUT:
		return set_output(o, value);
	case OPT_FORMAT:
		return set_format(o, value);
	case OPT_NO_KEEP:
		o->no_keep = true;
		return 0;
	case OPT_RATE:
		return set_rate(o, value);
	case OPT_DURATION:
		return set_duration(o, value);
	case OPT_WAIT:
		o->wait_is_given = true;
		return set_time("--wait", value, 0, 3600 * CLOCK_NS_PER_S, "too long; at most 1h", &o->wait_ns);
	case OPT_FLUSH:
		return set_time("--flush", value, CLOCK_NS_PER_S / 10, 60 * CLOCK_NS_PER_S,
		                "out of range; 100ms to 60s", &o->flush_ns);
	case OPT_MAX_STOP:
		return set_max_stop(o, value);
	case OPT_MAX_CPU:
		return set_max_cpu(o, value);
	case OPT_NOTE:
		return add_note(o, value);
	case OPT_ENGINE:
		return set_engine(o, value);
	case OPT_NONBLOCKING:
		o->nonblocking = true;
		return 0;
	case OPT_BLOCKING:
		o->blocking = true;
		return 0;
	case OPT_QUIET:
		o->quiet = true;
		return 0;
	case OPT_GIL:
		o->view_defaults |= WIRE_VIEW_GIL;
		return 0;
	case OPT_IDLE:
		o->view_defaults |= WIRE_VIEW_IDLE;
		return 0;
	case OPT_THREADS:
		o->view_defaults |= WIRE_VIEW_THREADS;
		return 0;
	case OPT_FUNCTION:
		o->view_defaults |= WIRE_VIEW_FUNCTION;
		return 0;
	case OPT_NOLINENO:
		o->view_defaults |= WIRE_VIEW_NOLINENO;
		return 0;
	case OPT_FULL_FILENAMES:
		o->view_defaults |= WIRE_VIEW_FULL_FILENAMES;
		return 0;
	case OPT_HELP:
		record_options_help(stdout);
		return 1;
	case OPT_VERSION:
		puts("pyspy-record " PYSPY_VERSION);
		return 1;
	case OPT_SUBPROCESSES:
		log_error("-s/--subprocesses is not there yet; record each process with its own -p");
		return ERR_USAGE;
	default:
		log_error("-n/--native is not there yet; leave it out to record Python frames");
		return ERR_USAGE;
	}
}

/* A stop for every sample leaves no choice of these. */
static int check_blocking(struct record_options *o)
{
	if (!o->blocking)
		return 0;
	if (o->nonblocking)
		return option_wrong("--blocking", "and --nonblocking",
		                    "a stop for every sample, or no stop at all; leave one out");
	if (o->engine == RECORD_ENGINE_KERNEL)
		return option_wrong("--blocking", "and --engine kernel",
		                    "the kernel takes samples without stops; leave one out");
	if (o->stop_is_given)
		return option_wrong("--blocking", "and --max-stop",
		                    "a stop for every sample has no bound; leave one out");
	o->engine = RECORD_ENGINE_OUTSIDE;
	return 0;
}

int record_options_parse(struct record_options *o, int argc, char **argv)
{
	struct args a;
	const char *value;
	int id;

	memset(o, 0, sizeof *o);
	o->rate_hz = 100;
	o->wait_ns = 10 * CLOCK_NS_PER_S;
	o->flush_ns = CLOCK_NS_PER_S;
	o->stop_ppm = 2000;
	args_init(&a, table, argc, argv, true);
	while ((id = args_next(&a, &value)) > 0) {
		int rc = take(o, id, value);
		if (rc)
			return rc;
	}
	if (id < 0) {
		log_error("%s; see pyspy-record --help", a.message);
		return ERR_USAGE;
	}
	if (check_blocking(o) < 0 || check_view(o) < 0)
		return ERR_USAGE;
	if (a.index < argc)
		o->program = argv + a.index;
	if (o->program && o->n_pids)
		return option_wrong("-p", "and a program",
		                    "one or the other; for a program's own -p put -- in front of its name");
	if (!o->program && !o->n_pids) {
		log_error("nothing to record; name a process (-p PID) or a program to start (-- PROGRAM ...), see "
		          "pyspy-record --help");
		return ERR_USAGE;
	}
	if (o->program && !**o->program)
		return option_wrong("PROGRAM", "''", "an empty name; name a program to start");
	return 0;
}

void record_options_done(struct record_options *o)
{
	for (unsigned i = 0; i < o->n_notes; i++)
		free((char *)o->notes[i].key);
	o->n_notes = 0;
}
